"""Results as tables for a terminal."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from rich import box
from rich.console import Console
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from lr_lab.run.folder import write_results
from lr_lab.run.training import FAILED
from lr_lab.sweep.runs import Run, last_line

_STYLES = {"completed": "green", "diverged": "yellow", "failed": "red"}


def sweep_table(rows: Sequence[Mapping[str, Any]], settings: Sequence[str] = ()) -> Table:
    """One row per run: rate, strategy, the other settings that vary, then the results.

    Args:
        rows: results as in result.json, with the values of `settings` added.
        settings: keys of further columns, one for each setting that varies.
    """
    columns: dict[str, tuple[str, Callable[[Any], str]]] = {"lr": ("rate", _rate), "strategy": ("strategy", str)}
    columns |= {key: (key, str) for key in settings if key not in columns}
    if any(row.get("val_accuracy") is not None for row in rows):
        columns |= {
            "val_accuracy": ("final", "{:.2%}".format),
            "best_val_accuracy": ("best", "{:.2%}".format),
        }
    else:
        columns["val_loss"] = "final", "{:.4g}".format
    columns |= {
        "convergence_epoch": ("conv.\nepoch", str),
        "lr_updates": ("rate\nupdates", str),
        "diagnosis": ("diagnosis", str),
        "status": ("status", str),
    }
    measure = "accuracy" if "val_accuracy" in columns else "loss"
    caption = f"final, best: validation {measure}; conv. epoch: where it came within tolerance of the final value"
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), caption=caption, caption_justify="left")
    for key, (heading, _) in columns.items():
        is_text = key in ("strategy", "diagnosis", "status", *settings)
        table.add_column(
            heading, justify="left" if is_text and key != "lr" else "right", vertical="bottom", no_wrap=True
        )
    for row in rows:
        if row.get("sequence") == "constant":  # n advances, but the rate stays
            row = {**row, "lr_updates": None}
        *cells, status = ("" if row.get(key) is None else show(row[key]) for key, (_, show) in columns.items())
        if status == "diverged":
            status = f"diverged after {row['epochs_run']}"
        table.add_row(*map(Text, cells), Text(status, style=_STYLES.get(row["status"], "")))
    return table


def _rate(lr: float) -> str:
    return f"{lr:g}"


def report_outcome(runs: Sequence[Run], console: Console) -> int:
    """Writes results.csv of every study of the sweep and prints how its runs ended.

    Returns:
        How many runs failed.

    Raises:
        UserError: results.csv cannot be written; the rest has been printed.
    """
    results = [run.result() for run in runs]
    rows = [{**run.settings, **result} for run, result in zip(runs, results, strict=True)]
    table = sweep_table(rows, list(dict.fromkeys(key for run in runs for key in run.settings)))
    # If the table is wider than the terminal, let the terminal wrap it: rich would cut cells short.
    whole = Measurement.get(console, console.options.update_width(1000), table).maximum
    console.width = max(whole, console.width)
    console.print(table)
    failed = [(run, result) for run, result in zip(runs, results, strict=True) if result["status"] == FAILED]
    for run, result in failed:
        _say(console, f"failed: {run.name}\n  {last_line(result['error'])}\n  log: {run.folder.log_file}")
    for note in dict.fromkeys(note for result in results for note in result.get("data_notes") or ()):
        _say(console, f"Data:    {note}")
    for study in dict.fromkeys(run.folder.path.parent for run in runs):
        _say(console, f"Results: {write_results(study)}")
    for output_dir in dict.fromkeys(str(run.config["output_dir"]) for run in runs):
        look = "make tensorboard" if output_dir == "outputs" else f"tensorboard --logdir {output_dir}"
        _say(console, f"Curves:  {look}")
    return len(failed)


def _say(console: Console, text: str) -> None:
    console.print(text, markup=False, highlight=False, soft_wrap=True)
