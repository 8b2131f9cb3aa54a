"""Where runs stand to their stability limit, on histories made by hand and on a probed run."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import REPOSITORY

from lr_lab.report.edge_of_stability import draw, edge, table
from lr_lab.run.folder import Row, run_path
from lr_lab.run.training import train


def history(sharpness: list[float | None], limit: float = 10.0, column: str = "sharpness") -> list[Row]:
    return [
        {"epoch": epoch, "train_loss": 1.0, column: value, "stability_limit": None if value is None else limit}
        for epoch, value in enumerate(sharpness)
    ]


def test_from_reaching_the_limit_to_leaving_it() -> None:
    found = edge(history([2.0, 6.0, None, 11.0, 10.0, 9.5, 12.0, 9.2, 5.0, 1.0]))
    assert found is not None
    assert (found.reached, found.until) == (3, 7)
    assert found.quartiles == pytest.approx((0.95, 1.0, 1.1))  # of 0.92, 0.95, 1, 1.1, 1.2


def test_below_the_limit() -> None:
    rows = history([2.0, 9.9])
    assert edge(rows) is None
    assert "| 0.2 | 10.0 | 9.9 | never |" in table({0.2: rows})


def test_adam_is_held_against_its_preconditioned_sharpness() -> None:
    rows = [row | {"sharpness": 1e6} for row in history([5.0, 20.0], column="preconditioned_sharpness")]
    found = edge(rows)
    assert found is not None
    assert found.quartiles == pytest.approx((2.0, 2.0, 2.0))


def test_the_figure_leaves_out_what_was_not_measured() -> None:
    above, below = draw({0.2: history([2.0, None, 11.0]), 0.1: history([1.0, None, 3.0], limit=20.0)}).axes
    drawn = [np.asarray(line.get_xydata()).T.tolist() for line in above.lines]
    lines = [(xs, ys) for xs, ys in drawn if xs]
    assert lines == [([1, 3], y) for y in ([1.0, 3.0], [20.0, 20.0], [2.0, 11.0], [10.0, 10.0])]
    assert above.lines[0].get_color() == above.lines[1].get_color() == below.lines[0].get_color()


def test_from_the_runs_of_a_study(run_config: Callable[..., dict[str, Any]], tmp_path: Path) -> None:
    config = run_config("probes=sharpness", "probes.sharpness.samples=32", "model.width=0.25", "epochs=2")
    train(config)
    command = [sys.executable, "-m", "lr_lab.report.edge_of_stability", str(run_path(config).parent), str(tmp_path)]
    answer = subprocess.run(command, capture_output=True, text=True, cwd=REPOSITORY, timeout=100)
    assert answer.returncode == 0, answer.stderr
    assert "| 0.01 | 200.0 |" in answer.stdout
    assert (tmp_path / "edge_of_stability.png").exists()
    answer = subprocess.run(
        [*command[:3], str(tmp_path), str(tmp_path)], capture_output=True, text=True, cwd=REPOSITORY
    )
    assert answer.returncode != 0
    assert "train some with probes=sharpness" in answer.stderr
    assert "Traceback" not in answer.stderr
