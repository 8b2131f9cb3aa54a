"""The base of all probes: they measure on a fixed batch every few epochs and leave the training untouched."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytorch_lightning as pl
import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from lr_lab.chance import generator
from lr_lab.checks import check_whole_number
from lr_lab.data.in_memory import InMemoryDataModule
from lr_lab.data.split import stratified_sample
from lr_lab.modules.block import BlockModule


class Probe(pl.Callback):
    """Measures the network as an epoch left it, on a fixed batch of training samples, before the rate moves on.

    Dropout is off and batch norm uses its running statistics, as in validation; with `ema` a probe still sees the
    trained weights and not their average. `measure` works in float32 whatever the precision of the training. Nothing is
    drawn from the run's random numbers; modes, buffers, gradients and the optimizer's state stay as they are.

    Args:
        samples: of the train split, stratified by class and chosen by `data.split_seed`: the same for every seed
            of a run. None: the whole train split.
        every: measure after epochs 0, every, 2 * every, ...; the other rows of the history leave the columns empty.

    Attributes:
        columns: measured in this epoch, by name; empty if it is not an epoch to measure in.

    Raises:
        UserError: an argument is not a whole number of at least 1.
    """

    def __init__(self, samples: int | None, every: int) -> None:
        name = type(self).__name__
        check_whole_number(f"{name} samples", samples, 1, optional=True)
        check_whole_number(f"{name} every", every, 1)
        self.samples = samples
        self.every = every
        self.columns: dict[str, float] = {}

    def check(self, net: nn.Module) -> None:
        """Raises UserError for a network that it cannot measure."""

    def measure(self, module: BlockModule, optimizer: Optimizer, inputs: Tensor, targets: Tensor) -> dict[str, float]:
        """The columns of one epoch: the same names, in the same order, every time."""
        raise NotImplementedError

    def on_validation_epoch_end(self, trainer: pl.Trainer, pl_module: BlockModule) -> None:  # type: ignore[override]
        self.columns = self.measure_now(trainer, pl_module)

    def measure_now(self, trainer: pl.Trainer, module: BlockModule) -> dict[str, float]:
        """The columns of this epoch; {} if it is not one to measure in."""
        if trainer.current_epoch % self.every:
            return {}
        inputs, targets = probe_batch(trainer.datamodule, self.samples)  # type: ignore[attr-defined]
        with undisturbed(module):
            return self.measure(module, trainer.optimizers[0], inputs, targets)


def probe_batch(data: InMemoryDataModule, samples: int | None) -> tuple[Tensor, Tensor]:
    """Inputs and targets of `samples` training samples, or of all, a pure function of the data and their split seed."""
    targets = data.train.targets
    if samples is None or samples >= len(targets):
        index = torch.arange(len(targets))
    else:
        chance = generator(data.split_seed, "probe")
        if data.classes is None:
            index = torch.randperm(len(targets), generator=chance)[:samples]
        else:
            index = stratified_sample(targets.cpu(), samples, chance)
    return data.gather(data.train, index.to(targets.device))


@contextmanager
def undisturbed(module: BlockModule) -> Iterator[None]:
    """Evaluation mode with gradients, also inside Lightning's validation; modes and random numbers are put back."""
    training = {part: part.training for part in module.modules()}
    devices = [module.device] if module.device.type == "cuda" else []
    with torch.inference_mode(False), torch.enable_grad(), torch.random.fork_rng(devices):
        module.eval()
        try:
            yield
        finally:
            for part, mode in training.items():
                part.training = mode
