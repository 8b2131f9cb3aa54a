"""Training a population: each run leaves the files that it would leave singly.

Only `trained_as` in result.json differs, with two exceptions. With dropout the numbers differ: a population draws
all members' masks together. Each member is given an equal share of the population's seconds, so that they add up over a
study. A member that diverges leaves the population after the epoch that would end a single run.

One file keeps the state of the whole population while it trains; an interrupted population goes on from there. When a
member ends, its `checkpoints/last.ckpt` is written as for a single run.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, suppress
from functools import partial
from pathlib import Path
from typing import Any

import torch

from lr_lab.chance import stream
from lr_lab.data.in_memory import InMemoryDataModule
from lr_lab.errors import UserError
from lr_lab.population.checkpoint import (
    Checkpoint,
    by_checkpoint,
    checkpoints,
    read,
    remove_checkpoints_of_finished,
    save_as_single,
)
from lr_lab.population.members import Config, Member, Options, State, build_member, enter, populate, refusing
from lr_lab.population.network import Population, members_of
from lr_lab.population.trials import fastest_convolution, free_memory, sizes_that_fit
from lr_lab.run.folder import run_path
from lr_lab.run.inputs import code, files
from lr_lab.run.parts import Parts, build_data, build_trainer
from lr_lab.run.process import prepare_process

log = logging.getLogger(__name__)


def train_population(configs: Sequence[Config], options: Options) -> dict[str, str]:
    """Trains the runs, except those that are finished, trained by another process, or begun singly.

    Runs that do not fit into memory together are trained in turn.

    Args:
        configs: resolved configurations with the same `population_key`.

    Returns:
        Folder name -> why the run cannot be trained as it is: a part of it does not fit the data, or the data have
        changed since it was begun.

    Raises:
        UserError: the data or a folder are not usable.
    """
    _allow_many_files()
    refused: dict[str, str] = {}
    with ExitStack() as held:
        configs = [config for config in configs if enter(config, held)]
        if not configs:
            return refused
        prepare_process()
        data = build_data(configs[0])
        data.setup()
        data.to(build_trainer(configs[0], []).strategy.root_device)
        if data.device.type == "cuda":
            torch.backends.cudnn.benchmark = True  # pays off: all batches of an epoch but the last have the same shape
        members = []
        for config in configs:
            with refusing(refused, [run_path(config).name]):
                members.append(build_member(config, data))
        for checkpoint, part in by_checkpoint(members):
            with refusing(refused, [member.name for member in part]):
                sizes = [len(part)] if checkpoint else sizes_that_fit(part, data, options)
                for size in sizes:
                    _train_what_fits(part[:size], data, checkpoint, options)
                    part = part[size:]
        remove_checkpoints_of_finished(run_path(configs[0]).parent)
    return refused


def _allow_many_files() -> None:
    """Every member keeps a lock, a log and TensorBoard's file open; the usual limit is 1,024."""
    with suppress(ImportError, ValueError, OSError):
        import resource

        _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def _train_what_fits(
    members: Sequence[Member], data: InMemoryDataModule, checkpoint: Path | None, options: Options
) -> None:
    """Trains the members together or, should memory not suffice, one half after the other."""
    try:
        with _Training(members, data, options) as training:
            training.start(checkpoint)
            while training.members:
                training.train_epoch()
        return
    except torch.OutOfMemoryError:
        if len(members) == 1:
            raise
    # After the `except` block: inside it the exception still refers to the tensors that fill the memory.
    free_memory()
    log.warning("%d members do not fit into memory together; going on with half of them at a time", len(members))
    going_on = [member for member in members if not member.record.has_ended]
    for half in (going_on[: len(going_on) // 2], going_on[len(going_on) // 2 :]):
        for newest, part in by_checkpoint(half):
            _train_what_fits(part, data, newest, options)


class _Training:
    """Members that go through the epochs together. Leaving the context waits for the files of the last epoch.

    Args:
        members: the runs to train.
        data: on the device to train on.
        options: see `Options`.

    Attributes:
        members: those that have not ended.
    """

    def __init__(self, members: Sequence[Member], data: InMemoryDataModule, options: Options) -> None:
        self.members = list(members)
        self._data = data
        self._options = options
        self._checkpoint = Checkpoint(members)
        self._writer = ThreadPoolExecutor(max_workers=1)
        self._written: Future[None] | None = None
        self._population: Population | None = None
        self._epoch = 0
        self._clock = time.perf_counter()

    def __enter__(self) -> _Training:
        return self

    def __exit__(self, *_: object) -> None:
        self._writer.shutdown()
        if self._written:
            self._written.result()

    def start(self, checkpoint: Path | None) -> None:
        """Loads the state of a checkpoint or, without one, begins at the initial weights."""
        self._convolution = fastest_convolution(self.members, self._data, self._options)
        kept = read(checkpoint) if checkpoint else None
        if kept:
            if any(record["data_fingerprint"] != self._data.fingerprint for record in kept["records"]):
                ours = {member.name for member in self.members}
                held = [str(file) for file, names in checkpoints(self.members[0].folder) if ours & {*names}]
                raise UserError(
                    f"The data have changed since {len(ours)} runs were trained as one up to epoch {kept['epoch']}; "
                    f"bring the old data back to go on, or delete {' and '.join(held)} to start them anew."
                )
            self._go_on_from(kept)
        else:
            self._begin()

    def _begin(self) -> None:
        self._checkpoint.begin([member.name for member in self.members])
        self._population = populate(self.members, self._data, self._convolution, self._options)
        for member in self.members:
            member.folder.write_inputs(code(member.config), files(self._data))
            member.record.open_board(kept=0)
        if any(member.position.wants_baseline for member in self.members):
            for member, metrics in zip(self.members, self._population.evaluate(), strict=True):
                if member.position.wants_baseline:
                    member.position.observe(-1, metrics["val_loss"])

    def _go_on_from(self, kept: State) -> None:
        places = [kept["names"].index(member.name) for member in self.members]
        for member, place in zip(self.members, places, strict=True):
            member.record.load_state_dict(kept["records"][place])
            member.position.load_state_dict(kept["schedules"][place])
            # A killed process may not have written its last epoch into every folder.
            member.record.open_board(kept=len(member.record.rows) - 1)
        self._epoch = kept["epoch"]
        log.info("going on after epoch %d", self._epoch)
        self._write(self._snapshot(members_of(kept["population"], places)))

    def train_epoch(self) -> None:
        """Trains and validates all members for an epoch. A thread writes its files during the next epoch."""
        assert self._population is not None
        batches = self._population.batches(self._epoch)
        first = self._epoch * len(batches)
        rates = torch.tensor(
            [member.position.rates(first, len(batches)) for member in self.members], dtype=torch.float64
        ).T
        torch.manual_seed(stream(self.members[0].config["seed"], "dropout", self._epoch))
        started = time.perf_counter()
        summaries = self._population.train_epoch(batches, rates)
        seconds = time.perf_counter() - started
        metrics = self._population.evaluate()
        if self._written:
            self._written.result()
        now = time.perf_counter()
        for member, summary, measured in zip(self.members, summaries, metrics, strict=True):
            member.record.rows.append(
                {
                    "epoch": self._epoch,
                    "val_accuracy": None,
                    "lr": member.position.rate,
                    "train_loss": summary.loss,
                    "train_accuracy": summary.accuracy,
                    "gradient_norm": summary.gradient_norm,
                    "seconds": seconds / len(self.members),
                }
                | measured
            )
            member.record.wall_seconds += (now - self._clock) / len(self.members)
            member.record.updates = member.position.changes
            member.position.observe(self._epoch, measured["val_loss"])
        self._clock = now
        self._epoch += 1
        self._write(self._snapshot(self._population.state_dict()))

    def _snapshot(self, population: State) -> State:
        return {
            "epoch": self._epoch,
            "names": [member.name for member in self.members],
            "schedules": [member.position.state_dict() for member in self.members],
            "records": [member.record.state_dict() for member in self.members],
            "population": population,
        }

    def _write(self, snapshot: State) -> None:
        """Hands the files of the epoch to the thread that writes them and drops the members that have ended."""
        # In this thread: building a network sets torch's generator, and the next epoch's dropout draws from it.
        groups = {member.name: self._parameter_groups(member) for member in self.members if member.record.has_ended}
        self._written = self._writer.submit(self._write_files, list(self.members), snapshot, groups)
        going_on = [i for i, member in enumerate(self.members) if not member.record.has_ended]
        if len(going_on) == len(self.members) and self._population is not None:
            return
        self.members = [self.members[i] for i in going_on]
        self._population = None
        if going_on:
            state = members_of(snapshot["population"], going_on)
            self._population = populate(self.members, self._data, self._convolution, self._options, state)

    def _parameter_groups(self, member: Member) -> list[dict[str, Any]]:
        """The parameter groups of the optimizer that a single run would have."""
        optimizer = Parts.of(member.config, self._data).module.configure_optimizers()
        return [{**group, "lr": member.position.rate} for group in optimizer.state_dict()["param_groups"]]

    def _write_files(self, members: Sequence[Member], snapshot: State, groups: Mapping[str, Any]) -> None:
        self._checkpoint.write(snapshot)
        for i, member in enumerate(members):
            if member.record.has_ended:
                member.record.write_epoch(partial(save_as_single, member, i, snapshot, groups[member.name], self._data))
                member.record.finish()
            else:
                member.record.write_epoch()
