"""What a person reads of the probes at the end of a run."""

from typing import Any

import pytest

from lr_lab.sweep.probed import probed


def _row(epoch: int, **columns: float | None) -> dict[str, Any]:
    return {"epoch": epoch, "lr": 0.1, "val_loss": 1.0, **columns}


def test_epochs_left_out_do_not_count_and_the_first_is_one() -> None:
    rows = [_row(0, sharpness=5.0), _row(1, sharpness=None), _row(2, sharpness=20.5), _row(3, sharpness=None)]
    assert probed(rows) == ["sharpness 5 (epoch 1), then 20.5 (epoch 3)"]


def test_many_layers_are_a_range() -> None:
    rows = [_row(e, **{f"dead_units/layer{n}": n / 10 + e for n in range(4)}) for e in range(2)]
    assert probed(rows) == ["dead_units from 1 (layer0) to 1.3 (layer3) over 4 columns, epoch 2"]


@pytest.mark.parametrize("rows", [[], [_row(0)], [_row(0, sharpness=None)]])
def test_without_a_measurement_nothing_is_said(rows: list[dict[str, Any]]) -> None:
    assert probed(rows) == []
