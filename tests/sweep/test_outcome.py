"""The table at the end of a sweep."""

import io

from rich.console import Console

from lr_lab.sweep.outcome import sweep_table

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
