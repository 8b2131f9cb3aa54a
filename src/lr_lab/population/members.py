"""The members of a population. Each is a run with its own folder, schedule and record."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import torch

from lr_lab.data.in_memory import InMemoryDataModule
from lr_lab.errors import RunBusy, Unwritable, UserError
from lr_lab.population.network import Population
from lr_lab.run.folder import FINISHED, RunFolder, run_path
from lr_lab.run.parts import Parts
from lr_lab.run.recorder import RunRecord, device_name
from lr_lab.run.summary import summarise
from lr_lab.schedule.position import Position

Config = Mapping[str, Any]
State = dict[str, Any]


@dataclass(frozen=True)
class Options:
    """How a population is trained. The options change results by rounding alone.

    Attributes:
        convolution: one of `CONVOLUTIONS`; None: on a GPU the fastest, measured at the start, else "grouped".
        graphs: use CUDA graphs on a GPU.
        compiled: use torch.compile.
        max_members: the largest population; None: as many members as fit into a GPU's memory.
    """

    convolution: str | None = None
    graphs: bool = True
    compiled: bool = False
    max_members: int | None = None


@dataclass(frozen=True)
class Member:
    """One run of a population."""

    config: Config
    folder: RunFolder
    position: Position
    record: RunRecord

    @property
    def name(self) -> str:
        return self.folder.path.name


def enter(config: Config, held: ExitStack) -> bool:
    """Locks the run for this process until `held` ends; False if it is finished, busy elsewhere or begun singly."""
    folder = RunFolder(run_path(config))
    if (folder.result() or {}).get("status") in FINISHED:
        return False
    if folder.checkpoint_file.exists() or folder.previous_checkpoint_file.exists():
        return False
    try:
        held.enter_context(folder.training(config, blank=summarise(config, [])))
    except RunBusy:
        return False
    # Another process may have finished the run between the check above and the lock.
    return (folder.result() or {}).get("status") not in FINISHED


def build_member(config: Config, data: InMemoryDataModule) -> Member:
    """The member for a run.

    Raises:
        UserError: a part of the run does not fit the data.
    """
    parts = Parts.of(config, data).read()
    folder = RunFolder(run_path(config))
    record = RunRecord(folder, config, data, trained_as="population")
    record.device = device_name(data.device)
    return Member(config, folder, parts.schedule.position, record)


@contextmanager
def refusing(refused: dict[str, str], names: Sequence[str]) -> Iterator[None]:
    """Notes a UserError for these runs, so that the others are trained. Unwritable is raised: it ends all of them."""
    try:
        yield
    except Unwritable:
        raise
    except UserError as error:
        refused |= dict.fromkeys(names, str(error))


def populate(
    members: Sequence[Member],
    data: InMemoryDataModule,
    convolution: str,
    options: Options,
    state: State | None = None,
) -> Population:
    """The members' population, at their initial weights or in the given state."""
    # A state overwrites the initial weights, so one network can stand for all.
    nets = [Parts.of(member.config, data).net for member in members[: 1 if state else None]]
    population = Population(
        Parts.of(members[0].config, data).module,
        nets * (len(members) if state else 1),
        [member.config["optimizer"] for member in members],
        data,
        [member.config["seed"] for member in members],
        torch.bfloat16 if members[0].config["trainer"]["precision"] == "bf16-mixed" else None,
        convolution,
        options.graphs,
        options.compiled,
    )
    if state:
        population.load_state_dict(state)
    return population
