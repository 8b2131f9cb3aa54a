"""The display while one run trains: a bar that counts batches, and a line per epoch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.utilities.exceptions import SIGTERMException
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from lr_lab.data.in_memory import Block
from lr_lab.run.folder import Row


class RunProgress(pl.Callback):
    """A bar over all batches of the run, and above it a line per finished epoch. Without a terminal only the lines.

    Args:
        epochs: of the whole run.
        rows: the history; the Recorder adds an epoch's row when its validation ends.
    """

    def __init__(self, epochs: int, rows: Sequence[Row]) -> None:
        self._epochs = epochs
        self._rows = rows
        self._console = Console()
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.completed:,.0f}/{task.total:,.0f} batches"),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            console=self._console,
            transient=True,
            disable=not self._console.is_terminal,
        )

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        steps = trainer.datamodule.steps_per_epoch  # type: ignore[attr-defined]
        self._task = self._bar.add_task("", total=self._epochs * steps, completed=trainer.current_epoch * steps)
        self._bar.start()

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._bar.update(self._task, description=f"epoch {trainer.current_epoch + 1}/{self._epochs}")

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Block, batch_idx: int
    ) -> None:
        self._bar.advance(self._task, len(batch))

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._console.print(epoch_line(self._epochs, self._rows[-1]), highlight=False)

    def on_fit_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._bar.stop()

    def on_exception(self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException) -> None:
        self._bar.stop()
        if isinstance(exception, KeyboardInterrupt | SIGTERMException):
            done = f"after {len(self._rows)} of {self._epochs} epochs"
            self._console.print(f"Stopped {done}; the same command goes on from there.", highlight=False)


def epoch_line(epochs: int, row: Row) -> str:
    """One epoch in a line: its number, the rate it ran at, losses in nats, accuracies in percent."""
    train, val = (
        f"{name} {row[f'{name}_loss']:.4f}"
        + ("" if row[f"{name}_accuracy"] is None else f" {row[f'{name}_accuracy']:7.2%}")
        for name in ("train", "val")
    )
    return f"epoch {row['epoch'] + 1:>3}/{epochs}  lr {row['lr']:<10.4g} {train}   {val}   {row['seconds']:.1f} s"
