"""The Recorder among other callbacks."""

import csv
from collections.abc import Callable, Sequence
from typing import Any

import pytest
import pytorch_lightning as pl
import torch

from lr_lab.run import parts
from lr_lab.run.folder import RunFolder, run_path
from lr_lab.run.training import train


@pytest.mark.parametrize("order", [(3, 2, 1, 0), (2, 0, 3, 1)])
def test_the_order_of_the_callbacks_does_not_matter(
    run_config: Callable[..., dict[str, Any]],
    order: Sequence[int],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    probed = ("probes=[sharpness]", "probes.sharpness.samples=16", "probes.sharpness.every=2")
    short = ("epochs=3", "data.limit=64", "model.width=0.1", "sequence=exponential", *probed)
    build = parts.build_trainer

    def build_reordered(config: dict[str, Any], callbacks: Sequence[pl.Callback]) -> pl.Trainer:
        assert len(callbacks) == len(order)
        return build(config, [callbacks[place] for place in order])

    def left(study: str) -> tuple[list[dict[str, str]], list[float], list[str], dict[str, Any]]:
        config = run_config(*short, f"study={study}")
        train(config, show_progress=True)
        folder = RunFolder(run_path(config))
        with folder.history_file.open(newline="") as file:
            rows = [row | {"seconds": ""} for row in csv.DictReader(file)]
        rates = [row["lr"] for row in folder.history()]
        printed = [line.rpartition("  ")[0] for line in capsys.readouterr().out.splitlines()]
        return rows, rates, printed, torch.load(folder.checkpoint_file)["callbacks"]["Schedule"]

    expected = left("usual")
    assert expected[1] == pytest.approx([0.01, 0.009, 0.0081], rel=0.2)
    assert len(expected[2]) == 3
    assert expected[3]["index"] == 3
    monkeypatch.setattr(parts, "build_trainer", build_reordered)
    assert left("reordered") == expected
