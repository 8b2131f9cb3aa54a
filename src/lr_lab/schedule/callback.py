"""The Lightning Callback that moves the learning rate of any LightningModule."""

from __future__ import annotations

from typing import Any

import pytorch_lightning as pl
from torch.optim import Optimizer

from lr_lab.errors import UserError
from lr_lab.schedule.position import Position
from lr_lab.schedule.sequences import Sequence
from lr_lab.schedule.strategies import Strategy


class Schedule(pl.Callback):
    """Sets the learning rate of a LightningModule to r_n of a sequence, and moves n as a strategy says.

    The strategy is asked once at the end of each epoch that had a validation, on the last loss logged as its
    `monitor` (the mean over processes, if there are several); one that reads no loss is asked after every epoch.
    One that goes by optimizer steps has n equal to the steps taken. Several parameter groups keep the ratios that
    they begin with: the first has r_n. A checkpoint holds n and the strategy's state, so a resumed training has the
    rates of an uninterrupted one.

    Raises, as the training starts or at the end of an epoch:
        UserError: the module returns a scheduler of its own, does not log what the strategy monitors in validation, has
            several optimizers for a strategy that goes by steps, or has no `evaluate(dataloaders)` for a strategy that
            begins with the untrained network.
    """

    def __init__(self, sequence: Sequence, strategy: Strategy) -> None:
        self.position = Position(sequence, strategy)
        self._ratios: list[list[float]] | None = None
        # A checkpoint may be written between a validation and the end of its epoch.
        self._validated: float | None = None

    @property
    def rate(self) -> float:
        """The rate in force, r_n."""
        return self.position.rate

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if trainer.lr_scheduler_configs:
            raise UserError(
                f"{type(pl_module).__name__}.configure_optimizers returns a scheduler, and Schedule moves the rate, "
                "too; return the optimizer alone, or leave Schedule out."
            )
        if self.position.strategy.per_step and len(trainer.optimizers) > 1:
            raise UserError(
                f"A strategy that goes by optimizer steps needs one optimizer, and {type(pl_module).__name__} has "
                f"{len(trainer.optimizers)}, whose steps Lightning counts together; choose one that goes by epoch."
            )
        if self._ratios is None:
            self._ratios = [_ratios(optimizer) for optimizer in trainer.optimizers]
        if self.position.wants_baseline and trainer.val_dataloaders is not None:
            if not hasattr(pl_module, "evaluate"):
                raise UserError(
                    f"baseline=untrained asks {type(pl_module).__name__} for a method evaluate(dataloaders) that "
                    "returns its validation metrics by name; add one, or leave the baseline at first_epoch."
                )
            metrics = pl_module.evaluate(trainer.val_dataloaders)  # type: ignore[operator]
            self.position.observe(-1, metrics[self.position.strategy.monitor])
        self._set_rate(trainer.optimizers)

    def on_before_optimizer_step(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, optimizer: Optimizer
    ) -> None:
        if self.position.strategy.per_step:
            self.position.rates(trainer.global_step, 1)
            self._set_rate(trainer.optimizers)

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if trainer.sanity_checking or not self.position.strategy.reads_loss:
            return
        strategy = self.position.strategy
        if strategy.monitor not in trainer.callback_metrics:
            logged = ", ".join(sorted(trainer.callback_metrics)) or "nothing"
            raise UserError(
                f"The strategy monitors {strategy.monitor}, which {type(pl_module).__name__} does not log; it logs "
                f"{logged}. Log it in validation_step, or name another with monitor=."
            )
        loss = trainer.callback_metrics[strategy.monitor]
        if trainer.world_size > 1:
            # Each process may have logged the loss of its own share of the data; all processes must move alike.
            loss = trainer.strategy.reduce(loss.detach().to(pl_module.device), reduce_op="mean")
        self._validated = loss.item()

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if self.position.strategy.reads_loss and self._validated is None:
            return
        loss = float("nan") if self._validated is None else self._validated
        self._validated = None
        self.position.observe(trainer.current_epoch, loss)
        self._set_rate(trainer.optimizers)

    def _set_rate(self, optimizers: list[Optimizer]) -> None:
        for optimizer, ratios in zip(optimizers, self._ratios or (), strict=True):
            for group, ratio in zip(optimizer.param_groups, ratios, strict=True):
                group["lr"] = self.rate * ratio

    def state_dict(self) -> dict[str, Any]:
        # The ratios are kept because they cannot be computed from a rate that is 0 when training resumes.
        several = any(len(ratios) > 1 for ratios in self._ratios or ())
        ratios = {"ratios": self._ratios} if several else {}
        validated = {} if self._validated is None else {"validated": self._validated}
        return self.position.state_dict() | ratios | validated

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.position.load_state_dict(state_dict)
        self._ratios = state_dict.get("ratios")
        self._validated = state_dict.get("validated")


def _ratios(optimizer: Optimizer) -> list[float]:
    """The rate of each parameter group divided by the first one; 1 for all if the first is 0."""
    rates = [float(group["lr"]) for group in optimizer.param_groups]
    return [rate / rates[0] if rates[0] else 1.0 for rate in rates]
