"""The parts of a run, each built from its group of the configuration."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.callbacks import Checkpoint
from pytorch_lightning.plugins.environments import LightningEnvironment
from torch import nn

from lr_lab.data.in_memory import InMemoryDataModule
from lr_lab.errors import UserError, first_line
from lr_lab.modules.block import BlockModule
from lr_lab.modules.classification import Classification
from lr_lab.modules.decay_groups import only_matrices_decay
from lr_lab.modules.regression import Regression
from lr_lab.probes.probe import Probe
from lr_lab.run.building import Config, build
from lr_lab.run.folder import run_path
from lr_lab.run.network import build_network, check_smallest_batch
from lr_lab.run.process import prepare_process
from lr_lab.schedule.callback import Schedule
from lr_lab.schedule.foresight import oddities, told_once
from lr_lab.schedule.sequences import Constant, Warmup
from lr_lab.schedule.sequences import Sequence as RateSequence

# More steps per epoch than any dataset has: it lets a schedule be built before data are read.
_MANY_STEPS = 10**9


@dataclass(frozen=True, eq=False)
class Parts:
    """What a run is made of. Each part is built from its group of the configuration when it is first asked for.

    Attributes:
        config: of the run, resolved.
        data: not read yet, unless somebody did.
        net: with its initial weights.
        probes: in the order of their names.
        schedule: of the rate, once the data are read.
        module: the LightningModule around the network; the schedule moves its rate.

    Raises:
        UserError: a part refuses its arguments, or does not fit the others.
    """

    config: Config
    data: InMemoryDataModule

    @classmethod
    def of(cls, config: Config, data: InMemoryDataModule | None = None) -> Parts:
        """The parts of a run; runs may share their data."""
        return cls(config, data or build_data(config))

    @cached_property
    def net(self) -> nn.Module:
        return build_network(self.config, self.data)

    @cached_property
    def probes(self) -> list[Probe]:
        return build_probes(self.config, self.net)

    @cached_property
    def schedule(self) -> Schedule:
        return build_schedule(self.config, self.data.steps_per_epoch)

    @cached_property
    def module(self) -> BlockModule:
        return build_module(self.config, self.net, self.data, self.config["lr"])

    def check(self) -> Schedule:
        """Builds every part without reading the data; the schedule that comes back is of very long epochs."""
        _ = self.probes
        self.module.configure_optimizers()
        # Only the data tell the steps of an epoch; with so many of them no schedule is refused that would fit.
        return build_schedule(self.config, steps_per_epoch=_MANY_STEPS)

    def read(self) -> Parts:
        """Reads the data, and checks that the network can be trained on the smallest batch."""
        self.data.setup()
        if self.data.smallest_batch == 1:
            check_smallest_batch(self.config, self.net, self.data)
        return self

    def trainer(self, *others: pl.Callback) -> pl.Trainer:
        """The Trainer with the schedule, the probes and then other callbacks."""
        return build_trainer(self.config, [self.schedule, *self.probes, *others])


def build_data(config: Config) -> InMemoryDataModule:
    """The data module, with its augmentation; nothing is read yet.

    Raises:
        UserError: an argument is refused, or the data cannot be augmented.
    """
    data: InMemoryDataModule = build(config["data"], batch_size=config["batch_size"], seed=config["seed"])
    if augment := config.get("augment"):  # runs of earlier versions have no such key
        data.augment_with(build(augment))
    return data


def build_schedule(config: Config, steps_per_epoch: int) -> Schedule:
    """Sequence, warmup and strategy; a sequence whose `total` is null ends with the run."""
    strategy = build(config["strategy"])
    positions = strategy.most_advances(config["epochs"], steps_per_epoch)
    warmup = _warmup(config, positions) if config["warmup"] else None
    length = warmup.length if warmup else 0
    ends = "total" in config["sequence"] and config["sequence"]["total"] is None
    rest = {"total": max(1, positions - length)} if ends else {}
    sequence: RateSequence = build(config["sequence"], lr=config["lr"], **rest)
    return Schedule(replace(warmup, sequence=sequence) if warmup else sequence, strategy)


def _warmup(config: Config, positions: int) -> Warmup:
    """The warmup of a run whose rate has so many positions, before a constant rate."""
    try:
        warmup: Warmup = build(config["warmup"])(Constant(config["lr"]))
    except (TypeError, ValueError) as error:
        raise UserError(f"warmup cannot be used here: {error}.") from error
    if warmup.length >= positions:
        raise UserError(
            f"warmup.length={warmup.length} is too long: the rate of this run has {positions} positions, so it would "
            f"never reach lr={config['lr']:g}; give a length below that, or more epochs."
        )
    return warmup


def build_module(config: Config, net: nn.Module, data: InMemoryDataModule, lr: float) -> BlockModule:
    """The LightningModule that the data call for, with an optimizer that starts at `lr`.

    Raises:
        UserError: the optimizer refuses an argument or the network's parameters, or there are no classes to smooth.
    """
    make = partial(build(config["optimizer"]), lr=lr, **_fused(config["optimizer"]))
    all_decay = config.get("decay_norms_and_biases", True)
    optimizer = make if all_decay else lambda parameters: make(only_matrices_decay(parameters))
    name = config["names"]["optimizer"]
    try:
        tried = optimizer(net.parameters())
    except (TypeError, ValueError, IndexError, RuntimeError) as error:
        given = ", ".join(f"{key}={value}" for key, value in config["optimizer"].items() if not key.startswith("_"))
        raise UserError(f"optimizer={name} cannot be used here with {given or 'its settings'}: {error}.") from error
    try:
        tried.step()  # without gradients, which changes nothing
    except Exception as error:  # an optimizer that needs a closure, such as LBFGS, raises any type
        raise UserError(
            f"optimizer={name} cannot be used here: a run computes the gradient of a batch once, and this optimizer "
            f"makes no step with that ({first_line(error)}); choose another."
        ) from error
    extras = {key: config.get(key) for key in ("gradient_clip", "ema")}
    smoothing = config.get("label_smoothing", 0.0)
    if data.classes is not None:
        return Classification(net, optimizer, config["seed"], data.classes, smoothing, **extras)
    if smoothing:
        raise UserError(
            f"label_smoothing={smoothing} needs classes, and data={config['names']['data']} has numbers as targets; "
            "leave label_smoothing at 0."
        )
    return Regression(net, optimizer, config["seed"], **extras)


def _fused(optimizer: Config) -> Config:
    """The argument with which torch updates all weights in one pass: a step with Adam takes up to an eighth less."""
    can = optimizer["_target_"] in ("torch.optim.SGD", "torch.optim.Adam", "torch.optim.AdamW")
    return {"fused": True} if can and not optimizer.keys() & {"fused", "foreach"} else {}


def build_probes(config: Config, net: nn.Module) -> list[Probe]:
    """The probes chosen, in the order of their names.

    Raises:
        UserError: one refuses an argument, or the network.
    """
    probes: list[Probe] = [build(probe) for _, probe in sorted(config["probes"].items())]
    for probe in probes:
        probe.check(net)
    return probes


def build_trainer(config: Config, callbacks: Sequence[pl.Callback]) -> pl.Trainer:
    """The Trainer, without the features that the callbacks provide.

    Raises:
        UserError: this machine lacks the device.
    """
    root = str(run_path(config))
    try:
        return build(
            config["trainer"],
            max_epochs=config["epochs"],
            callbacks=list(callbacks),
            default_root_dir=root,  # a profiler leaves its traces there
            plugins=[LightningEnvironment()],  # else several tasks of a Slurm job count as one training
            logger=False,
            # Lightning would add a checkpoint of its own to a list without one.
            enable_checkpointing=any(isinstance(callback, Checkpoint) for callback in callbacks),
            enable_progress_bar=False,
            enable_model_summary=False,
            num_sanity_val_steps=0,
        )
    except UserError as error:
        kind = config["trainer"]["accelerator"]
        raise UserError(f"trainer.accelerator={kind} is not available here ({error}); give auto or cpu.") from error


def check_buildable(configs: Sequence[Mapping[str, Any]], trained_here: bool = True) -> list[str]:
    """Builds, without reading data, each combination of parts that the runs have, to find mistakes early.

    Imports torch.

    Args:
        configs: resolved, one per run.
        trained_here: whether this machine has to have the device.

    Returns:
        What is odd about the schedules, in sentences; those that go by steps are judged when the data are there.

    Raises:
        UserError: a part refuses its arguments, network and data do not fit, a schedule gives a rate below 0, or the
            device is missing.
    """
    groups = (
        "data",
        "augment",
        "model",
        "optimizer",
        "sequence",
        "warmup",
        "strategy",
        "probes",
        "init_from",
        "lr",
        "epochs",
        "label_smoothing",
        "decay_norms_and_biases",
    )
    prepare_process()
    odd = []
    for config in _distinct(configs, groups):
        schedule = Parts.of(config).check()
        if not schedule.position.strategy.per_step:
            odd.append(oddities(schedule.position, config["epochs"]))
    # Apart from the other parts, because a Trainer takes 10 ms and a sweep seldom has two kinds.
    for config in _distinct(configs, ("trainer",)) if trained_here else ():
        build_trainer(config, [])
    return told_once(odd)


def _distinct(configs: Sequence[Mapping[str, Any]], groups: Sequence[str]) -> Iterable[Mapping[str, Any]]:
    """One configuration for each combination of values in these groups."""
    found: dict[str, Mapping[str, Any]] = {}
    for config in configs:
        found.setdefault(json.dumps([config[group] for group in groups], sort_keys=True, default=str), config)
    return found.values()
