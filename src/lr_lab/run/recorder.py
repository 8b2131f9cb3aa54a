"""The record of a run, and the Lightning Callback that keeps it as the run trains."""

from __future__ import annotations

import logging
import platform
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Checkpoint

from lr_lab.curves.diagnosis import has_nonfinite_loss
from lr_lab.data.in_memory import InMemoryDataModule
from lr_lab.errors import UserError, first_line
from lr_lab.modules.block import BlockModule
from lr_lab.probes.probe import Probe
from lr_lab.run.board import Board
from lr_lab.run.folder import RUNNING, Row, RunFolder, flat_configuration, written_aside
from lr_lab.run.summary import SETTING_KEYS, curve_of, summarise
from lr_lab.schedule.callback import Schedule

log = logging.getLogger(__name__)


class RunRecord:
    """History, TensorBoard and result of one run, written epoch by epoch, without a Trainer.

    Args:
        folder: where to.
        config: the resolved configuration of the run.
        data: read for its size and fingerprint.
        trained_as: "single" or "population".

    Attributes:
        rows: the history so far, a row per epoch.
        updates: how often the rate had changed by the last of them.
        wall_seconds: time spent on the run so far, over all its sittings.
        device: in words.
    """

    def __init__(self, folder: RunFolder, config: Mapping[str, Any], data: InMemoryDataModule, trained_as: str) -> None:
        self.folder = folder
        self.config = config
        self.data = data
        self.rows: list[Row] = []
        self.updates = 0
        self.wall_seconds = 0.0
        self.device = "cpu"
        self._trained_as = trained_as
        self._board: Board | None = None

    @property
    def has_ended(self) -> bool:
        """Whether there is nothing left to train: all epochs done, or a loss that is not finite."""
        return len(self.rows) >= self.config["epochs"] or has_nonfinite_loss(curve_of(self.config, self.rows))

    def open_board(self, kept: int | None) -> Board:
        """Opens TensorBoard's file, in which the points of so many epochs stay, or all."""
        self._board = Board(self.folder.path / "tensorboard", kept)
        return self._board

    def write_epoch(self, save_checkpoint: Callable[[], None] | None = None) -> None:
        """Writes the files that the newest row changes, the checkpoint after the history. Needs `open_board`."""
        assert self._board is not None
        row = self.rows[-1]
        # TensorBoard before the checkpoint: a resumed run drops points that are too many, but would never write points
        # that are missing.
        self._board.write_epoch(row)
        self.folder.write_history(self.rows)
        if save_checkpoint is not None:
            save_checkpoint()
        self.folder.write_result(self.result() | {"status": RUNNING})
        # If several runs train in one process, `run` names the log that this line goes to.
        text = ", ".join(f"{key} {value}" for key, value in row.items())
        log.info("%s", text, extra={"run": self.folder.path})

    def result(self) -> dict[str, Any]:
        """The content of result.json for the run so far."""
        seconds = sum(row["seconds"] for row in self.rows)
        return summarise(self.config, self.rows, self.updates, self.data.guess_loss) | {
            "guess_loss": self.data.guess_loss,
            "train_samples": len(self.data.train),
            "data_notes": self.data.notes,
            "wall_seconds": self.wall_seconds,
            "samples_per_second": len(self.rows) * len(self.data.train) / seconds if seconds else None,
            "device": self.device,
            "trained_as": self._trained_as,
            "data_fingerprint": self.data.fingerprint[:16],
            "versions": versions(),
        }

    def finish(self) -> dict[str, Any]:
        """Writes the final result, also as TensorBoard's hyper-parameters with their metrics, and returns it."""
        result = self.result()
        board = self._board or self.open_board(kept=None)
        settings = {key: result[key] for key in SETTING_KEYS} | _further_settings(self.config)
        board.write_result({key: value for key, value in settings.items() if value is not None}, result)
        self.folder.previous_checkpoint_file.unlink(missing_ok=True)
        return self.folder.write_result(result)

    def state_dict(self) -> dict[str, Any]:
        return {
            "rows": list(self.rows),
            "updates": self.updates,
            "wall_seconds": self.wall_seconds,
            "data_fingerprint": self.data.fingerprint,
            "device": self.device,
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Takes up a record.

        Raises:
            UserError: the data are not those that it was made on.
        """
        if state_dict["data_fingerprint"] != self.data.fingerprint:
            raise UserError(
                f"The data have changed since {self.folder.path} was trained up to epoch {len(state_dict['rows'])}; "
                "bring the old data back to go on, or delete that folder to start anew."
            )
        self.rows[:] = state_dict["rows"]
        self.updates = state_dict["updates"]
        self.wall_seconds = state_dict["wall_seconds"]
        self.device = state_dict.get("device", self.device)  # checkpoints of earlier versions have none


def _further_settings(config: Mapping[str, Any]) -> dict[str, Any]:
    """What shapes a run beyond SETTING_KEYS, such as model.dropout: in some sweep the runs differ in it."""
    told = (*SETTING_KEYS, "_target_")
    return {key: value for key, value in flat_configuration(config).items() if key.rpartition(".")[2] not in told}


class Recorder(Checkpoint):
    """Has the record and the checkpoint written at the end of every epoch.

    Lightning calls a Checkpoint after all other callbacks: whatever the order of the list, the schedule has moved on
    before the state is written.

    Args:
        folder: where to.
        config: the resolved configuration of the run.
        schedule: read for the rate and the number of its updates.
        data: read for its size and fingerprint.
        probes: read for their columns.

    Attributes:
        rows: the history so far, a row per epoch from its validation on.
    """

    def __init__(
        self,
        folder: RunFolder,
        config: Mapping[str, Any],
        schedule: Schedule,
        data: InMemoryDataModule,
        probes: Sequence[Probe] = (),
    ) -> None:
        self.record = RunRecord(folder, config, data, trained_as="single")
        self.rows = self.record.rows
        self._folder = folder
        self._schedule = schedule
        self._probes = probes
        self._clock = time.perf_counter()

    def restore(self) -> Path | None:
        """Takes up the history of the newest readable checkpoint and returns its file; None without one.

        Raises:
            UserError: the data are not those that the checkpoint was trained on.
        """
        for file in (self._folder.checkpoint_file, self._folder.previous_checkpoint_file):
            if not file.exists():
                continue
            try:
                kept = torch.load(file, map_location="cpu", weights_only=True)["callbacks"][self.state_key]
            except Exception as error:  # torch raises many types for a spoiled file
                log.warning("%s cannot be read and is passed over: %s", file, first_line(error))
                continue
            self.load_state_dict(kept)
            log.info("going on after epoch %d", len(self.rows))
            return file
        return None

    @property
    def has_ended(self) -> bool:
        """Whether there is nothing left to train."""
        return self.record.has_ended

    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self.record.device = device_name(pl_module.device)
        self.record.open_board(kept=len(self.rows))

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._epoch_started = time.perf_counter()

    def on_validation_start(self, trainer: pl.Trainer, pl_module: BlockModule) -> None:  # type: ignore[override]
        # Reading the sums waits for the device, so the clock is read after it.
        summary = pl_module.training_summary()
        self._trained = {
            "lr": self._schedule.rate,
            "train_loss": summary.loss,
            "train_accuracy": summary.accuracy,
            "gradient_norm": summary.gradient_norm,
            "seconds": time.perf_counter() - self._epoch_started,
        }
        self.record.updates = self._schedule.position.changes

    def on_validation_end(self, trainer: pl.Trainer, pl_module: BlockModule) -> None:  # type: ignore[override]
        row = {"epoch": trainer.current_epoch, "val_accuracy": None} | self._trained | pl_module.validation_metrics
        for probe in self._probes:
            row |= probe.columns
        self.rows.append(row)

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        trainer.should_stop = has_nonfinite_loss(curve_of(self.record.config, self.rows))
        self._tick()
        self.record.write_epoch(lambda: self._save_checkpoint(trainer))

    def _save_checkpoint(self, trainer: pl.Trainer) -> None:
        with written_aside(self._folder.checkpoint_file) as aside:
            trainer.save_checkpoint(aside, weights_only=False)
            if self._folder.checkpoint_file.exists():
                self._folder.checkpoint_file.replace(self._folder.previous_checkpoint_file)

    def _tick(self) -> None:
        now = time.perf_counter()
        self.record.wall_seconds += now - self._clock
        self._clock = now

    def finish(self) -> dict[str, Any]:
        """Writes the final result and returns it."""
        self._tick()
        return self.record.finish()

    def state_dict(self) -> dict[str, Any]:
        return self.record.state_dict()

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.record.load_state_dict(state_dict)


def device_name(device: torch.device) -> str:
    """The device in words: "cpu", or the name of the GPU."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else device.type


def versions() -> dict[str, str]:
    """The versions of the libraries that compute the numbers."""
    return {
        "python": platform.python_version(),
        "torch": torch.__version__,
        "pytorch_lightning": pl.__version__,
    }
