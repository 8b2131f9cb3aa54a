"""The Lightning Callback that keeps a run's folder as it trains."""

from __future__ import annotations

import logging
import platform
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.loggers import TensorBoardLogger

from src.analysis.summary import METRIC_KEYS, SETTING_KEYS, has_nonfinite_loss, summarise
from src.data.in_memory import InMemoryDataModule
from src.errors import UserError
from src.modules.block import BlockModule
from src.run_folder import Row, RunFolder, written_aside
from src.schedule.callback import Schedule

log = logging.getLogger(__name__)


class Recorder(pl.Callback):
    """Writes history, checkpoint, TensorBoard and result at the end of every epoch; comes last among the callbacks.

    Args:
        folder: where to.
        config: the resolved configuration of the run.
        schedule: read for the rate and the number of its updates.
        data: read for its size and fingerprint.

    Attributes:
        rows: the history so far, a row per epoch.
        wall_seconds: time spent on the run so far, over all its sittings.
    """

    def __init__(
        self, folder: RunFolder, config: Mapping[str, Any], schedule: Schedule, data: InMemoryDataModule
    ) -> None:
        self.folder = folder
        self.config = config
        self.schedule = schedule
        self.data = data
        self.rows: list[Row] = []
        self.wall_seconds = 0.0
        self._updates = 0
        self._clock = time.perf_counter()
        self._device = "cpu"

    def restore(self) -> Path | None:
        """Takes up the history of the newest readable checkpoint; None if there is none to go on from.

        Raises:
            UserError: the data are not those that the checkpoint was trained on.
        """
        for file in (self.folder.checkpoint_file, self.folder.previous_checkpoint_file):
            if not file.exists():
                continue
            try:
                kept = torch.load(file, map_location="cpu", weights_only=True)["callbacks"][self.state_key]
            except Exception as error:  # whatever a spoiled file makes torch raise
                log.warning("%s cannot be read and is passed over: %s", file, str(error).splitlines()[0])
                continue
            if kept["data_fingerprint"] != self.data.fingerprint:
                raise UserError(
                    f"The data have changed since {self.folder.path} was trained up to epoch {len(kept['rows'])}; "
                    "bring the old data back to go on, or delete that folder to start anew."
                )
            self.load_state_dict(kept)
            log.info("going on after epoch %d", len(self.rows))
            return file
        return None

    @property
    def has_ended(self) -> bool:
        """Whether there is nothing left to train: all epochs done, or a loss that is not finite."""
        return len(self.rows) >= self.config["epochs"] or has_nonfinite_loss(self.rows)

    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._device = device_name(pl_module.device)
        self.board = self._open_board(purge_step=len(self.rows))

    def _open_board(self, purge_step: int | None) -> TensorBoardLogger:
        # A killed epoch may have left points behind its checkpoint: TensorBoard drops those from `purge_step` on.
        return TensorBoardLogger(
            self.folder.path,
            name=None,
            version="",
            sub_dir="tensorboard",
            default_hp_metric=False,
            purge_step=purge_step,
        )

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._epoch_started = time.perf_counter()

    def on_validation_start(self, trainer: pl.Trainer, pl_module: BlockModule) -> None:  # type: ignore[override]
        # Reading the sums waits for the device, so the clock is read after it.
        summary = pl_module.training_summary()
        self._trained = {
            "lr": self.schedule.rate,
            "train_loss": summary.loss,
            "train_accuracy": summary.accuracy,
            "gradient_norm": summary.gradient_norm,
            "seconds": time.perf_counter() - self._epoch_started,
        }
        self._updates = self.schedule.index

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        metrics = {name: value.item() for name, value in trainer.callback_metrics.items()}
        row: Row = {"epoch": trainer.current_epoch, "val_accuracy": None} | self._trained | metrics
        self.rows.append(row)
        trainer.should_stop = has_nonfinite_loss(self.rows)
        self._tick()
        self.folder.write_history(self.rows)
        self._save_checkpoint(trainer)
        self.folder.write_result(self.result() | {"status": "running"})
        self.board.log_metrics({k: v for k, v in row.items() if k != "epoch" and v is not None}, row["epoch"])
        self.board.experiment.flush()
        log.info("%s", ", ".join(f"{key} {value}" for key, value in row.items()))

    def _save_checkpoint(self, trainer: pl.Trainer) -> None:
        with written_aside(self.folder.checkpoint_file) as aside:
            trainer.save_checkpoint(aside, weights_only=False)
            if self.folder.checkpoint_file.exists():
                self.folder.checkpoint_file.replace(self.folder.previous_checkpoint_file)

    def _tick(self) -> None:
        now = time.perf_counter()
        self.wall_seconds += now - self._clock
        self._clock = now

    def result(self) -> dict[str, Any]:
        """What result.json says of the run as far as it has come."""
        seconds = sum(row["seconds"] for row in self.rows)
        return summarise(self.config, self.rows, self._updates) | {
            "wall_seconds": self.wall_seconds,
            "samples_per_second": len(self.rows) * len(self.data.train) / seconds if seconds else None,
            "device": self._device,
            "trained_as": "single",
            "data_fingerprint": self.data.fingerprint[:16],
            "versions": versions(),
        }

    def finish(self) -> dict[str, Any]:
        """Writes the final result, also as TensorBoard's hyper-parameters with their metrics, and returns it."""
        self._tick()
        result = self.result()
        board = getattr(self, "board", None) or self._open_board(purge_step=None)
        settings = {key: result[key] for key in SETTING_KEYS if result[key] is not None}
        metrics = {f"final/{key}": result[key] for key in METRIC_KEYS if result[key] is not None}
        board.log_hyperparams(settings, metrics)
        board.finalize("success")
        self.folder.previous_checkpoint_file.unlink(missing_ok=True)
        return self.folder.write_result(result)

    def state_dict(self) -> dict[str, Any]:
        return {
            "rows": list(self.rows),
            "updates": self._updates,
            "wall_seconds": self.wall_seconds,
            "data_fingerprint": self.data.fingerprint,
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.rows[:] = state_dict["rows"]
        self._updates = state_dict["updates"]
        self.wall_seconds = state_dict["wall_seconds"]


def device_name(device: torch.device) -> str:
    """The device in words: "cpu", or the name of the GPU."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else device.type


def versions() -> dict[str, str]:
    """Of what computes the numbers."""
    return {
        "python": platform.python_version(),
        "torch": torch.__version__,
        "pytorch_lightning": pl.__version__,
    }
