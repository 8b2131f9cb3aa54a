"""Training by blocks of batches, the base of classification and regression."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple, cast

import pytorch_lightning as pl
import torch
from pytorch_lightning.core.optimizer import LightningOptimizer
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from torchmetrics import Metric, SumMetric

from lr_lab.chance import stream
from lr_lab.data.in_memory import Block

_LAYOUT = "lr_lab_layout"  # a network's attribute


class TrainingSummary(NamedTuple):
    """Means over the samples of an epoch, and the mean over its steps of the gradient's Euclidean norm."""

    loss: float
    accuracy: float | None
    gradient_norm: float


class BlockModule(pl.LightningModule):
    """Wraps a network; one `training_step` takes a block of batches and steps the optimizer once per batch.

    Lightning's loop costs more than a millisecond a batch, as much as the step of a small network. Here it is paid
    once per block; the steps themselves are those of one batch at a time. Nothing inside a block waits for the
    device: sums stay there as tensors until `training_summary` reads them, once per epoch.

    Args:
        net: any network.
        optimizer: called with the network's parameters; the learning rate is the Schedule's to set.
        seed: dropout draws from a stream of it, anew each epoch, so that a resumed epoch draws the same.
        gradient_clip: a longer gradient is scaled down to this Euclidean norm before its step; None: to none.
        ema: decay per step of the moving average of weights and buffers that is validated; it begins with what the
            first step leaves. On a GPU torch's AveragedModel waits for the device at every step. None: no average,
            and the trained weights are validated.

    Attributes:
        validation_metrics: of the last validation, by name; also logged, for Lightning's own callbacks.
        averaged: the network with the averaged weights; None without `ema`. Checkpoints hold it.
    """

    counts_hits = False  # whether an output can be right or wrong

    net: nn.Module

    def __init__(
        self,
        net: nn.Module,
        optimizer: Callable[[Iterable[nn.Parameter]], torch.optim.Optimizer],
        seed: int,
        gradient_clip: float | None = None,
        ema: float | None = None,
    ) -> None:
        super().__init__()
        self.automatic_optimization = False
        # Convolutions run fastest with the channel innermost; batches come that way from memory.
        layout = getattr(net, _LAYOUT, torch.channels_last)
        self.net = net.to(memory_format=layout)  # type: ignore[call-overload]
        average = get_ema_multi_avg_fn(ema) if ema is not None else None
        self.averaged = AveragedModel(self.net, multi_avg_fn=average, use_buffers=True) if average else None
        self.gradient_clip = gradient_clip
        # NaN stays: a diverged run must show it, and torchmetrics drops such batches by default. We sum and divide
        # ourselves, because its mean ignores the weights of batches once NaN is allowed (torchmetrics issue 3434).
        self.validation = nn.ModuleDict({"val_loss": SumMetric(nan_strategy="disable")})
        self.validation_metrics: dict[str, float] = {}
        self._make_optimizer = optimizer
        self._seed = seed
        self._sums = torch.zeros(3)
        self._samples = self._steps = self._validated = 0

    def criterion(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """The mean loss of a batch, a scalar; validation measures it."""
        raise NotImplementedError

    def objective(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """The mean loss of a batch that training descends on, a scalar."""
        return self.criterion(outputs, targets)

    def hits(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """How many of a batch are right, a scalar; 0 where `counts_hits` is False."""
        return outputs.new_zeros(())

    def forward(self, inputs: Tensor) -> Tensor:
        return self.net(inputs)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return self._make_optimizer(self.net.parameters())

    def on_train_epoch_start(self) -> None:
        torch.manual_seed(stream(self._seed, "dropout", self.current_epoch))
        exact = torch.float32 if self.device.type == "mps" else torch.float64
        self._sums = torch.zeros(3, dtype=exact, device=self.device)
        self._samples = self._steps = 0

    def training_step(self, block: Block, _: int) -> None:
        optimizer = cast(LightningOptimizer, self.optimizers())
        parameters = list(self.net.parameters())
        for inputs, targets in block:
            optimizer.zero_grad()
            outputs = self.net(inputs)
            loss = self.objective(outputs, targets)
            self.manual_backward(loss)
            norm = self.clip(parameters)
            optimizer.step()
            if self.averaged is not None:
                self.averaged.update_parameters(self.net)
            if torch.is_autocast_enabled(self.device.type):
                # Autocast keeps low-precision copies of the weights until its context ends: after the whole block.
                torch.clear_autocast_cache()
            with torch.no_grad():
                self._sums += torch.stack((loss * len(targets), self.hits(outputs, targets), norm))
            self._samples += len(targets)
            self._steps += 1

    def clip(self, parameters: Iterable[nn.Parameter]) -> Tensor:
        """Scales the parameters' gradients down as `gradient_clip` says; returns their norm before, a scalar."""
        parameters = list(parameters)
        norm = nn.utils.get_total_norm([p.grad for p in parameters if p.grad is not None])
        if self.gradient_clip is not None:
            nn.utils.clip_grads_with_norm_(parameters, self.gradient_clip, norm)
        return norm

    def training_summary(self) -> TrainingSummary:
        """The epoch so far; waits for the device."""
        loss, hits, norm = self._sums.tolist()
        accuracy = hits / self._samples if self.counts_hits else None
        return TrainingSummary(loss / self._samples, accuracy, norm / self._steps)

    @property
    def validated(self) -> nn.Module:
        """The network that is validated: the averaged one, if there is one."""
        return self.net if self.averaged is None else self.averaged

    def validation_step(self, block: Block, _: int) -> None:
        for inputs, targets in block:
            outputs = self.validated(inputs)
            self._metrics["val_loss"].update(self.criterion(outputs, targets) * len(targets))
            self._validated += len(targets)
            if self.counts_hits:
                self._metrics["val_accuracy"].update(outputs, targets)

    def on_validation_epoch_end(self) -> None:
        self.validation_metrics = self._take_metrics()
        self.log_dict(self.validation_metrics)

    def evaluate(self, blocks: Iterable[Block]) -> dict[str, float]:
        """The validation metrics as the network stands, outside of Lightning's own validation."""
        training = self.training
        self.eval()
        with torch.no_grad(), self.trainer.precision_plugin.forward_context():
            for block in blocks:
                self.validation_step(block, 0)
        self.train(training)
        return self._take_metrics()

    @property
    def _metrics(self) -> dict[str, Metric]:
        return cast(dict[str, Metric], dict(self.validation))

    def _take_metrics(self) -> dict[str, float]:
        values = {name: metric.compute() for name, metric in self._metrics.items()}
        values["val_loss"] = values["val_loss"] / self._validated
        for metric in self._metrics.values():
            metric.reset()
        self._validated = 0
        return {name: value.item() for name, value in values.items()}


def network_weights(state_dict: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The network's weights in a BlockModule's `state_dict`: those that were validated, with `ema` the average."""
    prefix = "averaged.module."
    averaged = {name.removeprefix(prefix): weight for name, weight in state_dict.items() if name.startswith(prefix)}
    return averaged or {name.removeprefix("net."): weight for name, weight in state_dict.items()}


def keep_contiguous(net: nn.Module) -> None:
    """Has a network compute with the channel outermost in memory, for a `forward` that reshapes with `view`."""
    setattr(net, _LAYOUT, torch.contiguous_format)
    net.register_forward_pre_hook(_contiguous)


def _contiguous(_: nn.Module, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    return tuple(tensor.contiguous() for tensor in inputs)
