"""The Lightning Callback that moves the learning rate."""

from __future__ import annotations

from typing import Any

import pytorch_lightning as pl
from torch.optim import Optimizer

from lr_lab.modules.block import BlockModule
from lr_lab.schedule.sequences import Sequence
from lr_lab.schedule.strategies import Strategy


class Schedule(pl.Callback):
    """The only owner of the learning rate: sets it, in all parameter groups, to r_n of the sequence.

    After the validation of each epoch the strategy says whether n grows by one; a strategy that goes by optimizer
    steps has n equal to the steps taken. Only n and the strategy's state are kept in the checkpoint: the rate is
    recomputed from them.

    Attributes:
        index: n of the rate in force.
    """

    def __init__(self, sequence: Sequence, strategy: Strategy) -> None:
        self.sequence = sequence
        self.strategy = strategy
        self.index = 0
        self._state: dict[str, Any] | None = None

    @property
    def rate(self) -> float:
        """The rate in force, r_n."""
        return self.sequence(self.index)

    @property
    def wants_baseline(self) -> bool:
        """Whether the strategy still has to see the untrained network's validation loss."""
        return self._state is None and self.strategy.baseline == "untrained"

    def observe(self, epoch: int, val_loss: float) -> None:
        """Tells the strategy the validation loss after an epoch (-1: of the untrained network) and follows it."""
        self._state, advance = self.strategy(self._state, epoch, val_loss)
        if advance and not self.strategy.per_step:
            self.index += 1

    def on_train_start(self, trainer: pl.Trainer, pl_module: BlockModule) -> None:  # type: ignore[override]
        if self.wants_baseline and trainer.val_dataloaders is not None:
            self.observe(-1, pl_module.evaluate(trainer.val_dataloaders)["val_loss"])
        self._set_rate(trainer.optimizers)

    def on_before_optimizer_step(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, optimizer: Optimizer
    ) -> None:
        if self.strategy.per_step:
            self.index = trainer.global_step
            self._set_rate([optimizer])

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self.observe(trainer.current_epoch, trainer.callback_metrics["val_loss"].item())
        self._set_rate(trainer.optimizers)

    def _set_rate(self, optimizers: list[Optimizer]) -> None:
        for optimizer in optimizers:
            for group in optimizer.param_groups:
                group["lr"] = self.rate

    def state_dict(self) -> dict[str, Any]:
        return {"index": self.index, "strategy": self._state}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.index = state_dict["index"]
        self._state = state_dict["strategy"]
