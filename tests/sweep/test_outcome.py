"""The table at the end of a sweep."""

import io
from pathlib import Path

import pytest
from rich.console import Console

from lr_lab.run.config import compose
from lr_lab.sweep.outcome import report_outcome, sweep_table
from lr_lab.sweep.runs import Run

RUN = {"lr": 0.1, "strategy": "epoch", "val_accuracy": 0.9, "best_val_accuracy": 0.92, "status": "completed"}


def _lines(rows: list[dict]) -> list[list[str]]:
    out = io.StringIO()
    Console(file=out, width=120).print(sweep_table(rows))
    return [line.split() for line in out.getvalue().splitlines() if line.lstrip().startswith("0.")]


def test_a_constant_rate_has_no_updates() -> None:
    rows = [RUN | {"sequence": name, "lr_updates": 7} for name in ("inverse", "constant")]
    assert _lines(rows) == [
        ["0.1", "epoch", "90.00%", "92.00%", "7", "completed"],
        ["0.1", "epoch", "90.00%", "92.00%", "completed"],
    ]


def test_notes_on_data_are_printed_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    runs = []
    for lr in (0.1, 0.2):
        config = compose(f"lr={lr}", f"output_dir={tmp_path}")
        runs.append(Run(config, settings={"lr": str(lr)}))
        runs[-1].folder.write_result(runs[-1].result() | {"data_notes": ["Left out: 3 files."]})
    report_outcome(runs, Console())
    assert capsys.readouterr().out.count("Data:    Left out: 3 files.\n") == 1
