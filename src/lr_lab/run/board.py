"""TensorBoard's files of one run: its curves, and its settings beside its results on the HParams page.

TensorBoard shows groups of curves in the order of their names: accuracy, loss, lr, and then what else was measured. The
HParams page reads the last points of curves, so no point is written for a final value alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch.utils.tensorboard import SummaryWriter
from torch.utils.tensorboard.summary import hparams

from lr_lab.run.folder import Row

# Column of the history -> the name of its curve.
_CURVES = {
    "val_accuracy": "accuracy/val",
    "train_accuracy": "accuracy/train",
    "val_loss": "loss/val",
    "train_loss": "loss/train",
    "lr": "lr",
}
# Results that are no curve's last point.
_RESULTS = ("status", "best_val_accuracy", "convergence_epoch", "lr_updates", "diagnosis")


class Board:
    """Writes the event file of one run.

    Args:
        folder: where to.
        kept: epochs whose points stay; None: all. A killed run may have written points of later epochs than its
            checkpoint: TensorBoard drops those.
    """

    def __init__(self, folder: Path, kept: int | None) -> None:
        self._writer = SummaryWriter(str(folder), purge_step=None if kept is None else kept + 1)

    def write_epoch(self, row: Row) -> None:
        """The points of one epoch; on the axis the first epoch is 1."""
        for column, value in row.items():
            if column != "epoch" and value is not None:
                self._writer.add_scalar(_CURVES.get(column, f"measured/{column}"), value, row["epoch"] + 1)
        self._writer.flush()

    def write_result(self, settings: Mapping[str, Any], result: Mapping[str, Any]) -> None:
        """The row of the HParams page, and the diagnosis as text; the file is complete then."""
        columns = {**settings, **{f"result {key}": result[key] for key in _RESULTS if result[key] is not None}}
        measured = [curve for column, curve in _CURVES.items() if result.get(column) is not None and column != "lr"]
        for summary in hparams(columns, dict.fromkeys(measured, 0.0)):
            self._writer._get_file_writer().add_summary(summary)
        self._writer.add_text("diagnosis", f"{result['diagnosis']}: {result['diagnosis_evidence']}")
        self._writer.close()
