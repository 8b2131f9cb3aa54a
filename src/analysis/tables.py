"""Results as tables for a terminal."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from rich.table import Table
from rich.text import Text

_STYLES = {"completed": "green", "diverged": "yellow", "failed": "red"}


def sweep_table(rows: Sequence[Mapping[str, Any]], settings: Sequence[str] = ()) -> Table:
    """One row per run: rate, strategy and what else the sweep varies, then what came out.

    Args:
        rows: results, as in result.json; beside its keys those of `settings`.
        settings: keys of further columns that tell the runs apart.
    """
    columns: dict[str, tuple[str, Callable[[Any], str]]] = {"lr": ("rate", _rate), "strategy": ("strategy", str)}
    columns |= {key: (key, str) for key in settings if key not in columns}
    if any(row.get("val_accuracy") is not None for row in rows):
        columns |= {
            "val_accuracy": ("final\naccuracy", "{:.2%}".format),
            "best_val_accuracy": ("best\naccuracy", "{:.2%}".format),
        }
    else:
        columns["val_loss"] = "final\nloss", "{:.4g}".format
    columns |= {
        "convergence_epoch": ("convergence\nepoch", str),
        "lr_updates": ("rate\nupdates", str),
        "epochs_run": ("epochs", str),
        "status": ("status", str),
    }
    table = Table(caption="Accuracies and losses are those of the validation set.", caption_justify="left")
    for key, (heading, _) in columns.items():
        is_text = key in ("strategy", "status", *settings)
        table.add_column(heading, justify="left" if is_text and key != "lr" else "right", vertical="top")
    for row in rows:
        style = _STYLES.get(row["status"], "")
        *cells, status = ("" if row.get(key) is None else show(row[key]) for key, (_, show) in columns.items())
        table.add_row(*map(Text, cells), Text(status, style=style))
    return table


def _rate(lr: float) -> str:
    return f"{lr:g}"
