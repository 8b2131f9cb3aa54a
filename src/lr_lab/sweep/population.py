"""The runs of a sweep trained as populations, one per GPU or CPU core; runs that cannot join one are trained singly."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console

from lr_lab.checks import check_choice, check_whole_number
from lr_lab.errors import Unwritable, UserError
from lr_lab.population.membership import population_key
from lr_lab.run.folder import run_path
from lr_lab.sweep.local import TICK, LocalLauncher
from lr_lab.sweep.processes import Pool
from lr_lab.sweep.progress import Progress
from lr_lab.sweep.runs import Run, last_line


class PopulationLauncher(LocalLauncher):
    """Trains the runs that share network, data, batch size and epochs as one population.

    Runs that cannot join a population, and those of a population that failed, are trained as LocalLauncher does.

    Args:
        convolution: how a population convolves: grouped, channels_last or matmul; None: the fastest.
        graphs: run blocks of steps as CUDA graphs on a GPU.
        compiled: compile the networks by torch.compile.
        max_members: the largest population; None: as many members as fit into a GPU's memory.
        local: arguments of LocalLauncher.
    """

    def __init__(
        self,
        convolution: str | None = None,
        graphs: bool = True,
        compiled: bool = False,
        max_members: int | None = None,
        **local: Any,
    ) -> None:
        super().__init__(**local)
        self.convolution = convolution
        self.graphs = graphs
        self.compiled = compiled
        self.max_members = max_members

    def train(self, runs: Sequence[Run], console: Console) -> None:
        self._check_arguments()
        missing = [run.config for run in runs if not run.is_finished]
        if not missing:
            return
        environments = self._prepare(missing, console, "lr_lab.sweep.population", "lr_lab.population.training")
        options = {name: getattr(self, name) for name in ("convolution", "graphs", "compiled", "max_members")}
        populations = plan_populations(runs, len(environments))
        allowed = math.inf if self.max_failures is None else self.max_failures
        if populations:
            sweep = _Populations(runs, populations, environments, options, allowed, console)
            sweep.train()
            allowed -= sweep.failed
        rest = [run for run in runs if not run.is_finished and not run.error]
        if rest and allowed > 0:
            self.train_singly(rest, allowed, console)

    def _check_arguments(self) -> None:
        super()._check_arguments()
        choices: dict[str, Sequence[Any]] = {
            "convolution": (None, "grouped", "channels_last", "matmul"),
            "graphs": (True, False),
            "compiled": (True, False),
        }
        for name, allowed in choices.items():
            check_choice(f"hydra.launcher.{name}", getattr(self, name), allowed)
        check_whole_number("hydra.launcher.max_members", self.max_members, least=1, optional=True)


def _attempt(configs: Sequence[Mapping[str, Any]], options: Mapping[str, Any]) -> dict[str, str]:
    """Trains a population in this process.

    Returns:
        Run folder -> why the run cannot be trained singly either.
    """
    # Imported here because both load torch, which the sweep's own process does not need.
    import torch

    from lr_lab.population.training import Options, train_population

    torch.set_num_threads(1)
    try:
        return train_population(configs, Options(**options))
    except Unwritable:  # perhaps only one run's folder; the launcher trains the others singly
        raise
    except UserError as error:
        return {run_path(config).name: str(error) for config in configs}


class _Populations:
    """Trains the populations of one sweep, each in a slot of its own."""

    def __init__(
        self,
        runs: Sequence[Run],
        populations: Sequence[Sequence[Run]],
        environments: Sequence[Mapping[str, str]],
        options: Mapping[str, Any],
        max_failures: float,
        console: Console,
    ) -> None:
        self._pool = Pool(environments)
        self._waiting = [*populations]
        self._options = options
        self._running: dict[int, Sequence[Run]] = {}
        self._epochs: dict[int, int] = {}  # epochs that a slot's population had when it started
        self._progress = Progress(runs, len(environments), console, max_failures)

    @property
    def failed(self) -> int:
        return self._progress.failed

    def train(self) -> None:
        with self._pool, self._progress:
            while self._waiting or self._running:
                while self._waiting and self._pool.free:
                    self._start(self._pool.free[0], self._waiting.pop(0))
                for slot, answer in self._pool.wait(TICK):
                    self._take(slot, answer.value, answer.error)
                    if self._progress.stops():
                        return
                self._end_finished()
                self._progress.refresh()

    def _start(self, slot: int, population: Sequence[Run]) -> None:
        self._running[slot] = population
        self._epochs[slot] = _epochs(population)
        configs = [run.config for run in population]
        self._pool.start(slot, _attempt, configs, self._options, output=population[0].folder.log_file)
        waiting = set(self._progress.waiting)  # another sweep may have finished a run in the meantime
        for run in population:
            if run in waiting:
                self._progress.start(run, slot, announce=False)
        first, last = population[0].name, population[-1].name
        self._progress.say(f"started   a population of {len(population)} runs, from {first} to {last}")

    def _end_finished(self) -> None:
        for run in self._progress.running:
            if run.is_finished:
                self._progress.end(run)

    def _take(self, slot: int, refused: Mapping[str, str] | None, error: str | None) -> None:
        self._end_finished()
        population, left = self._running.pop(slot), self._progress.at(slot)
        for run in left:
            self._progress.wait(run)
        if error and left and _epochs(population) > self._epochs[slot]:
            # The population got further since it was started, so an accident may have ended it.
            self._progress.say(f"the population of {len(population)} runs ended early and goes on: {last_line(error)}")
            self._waiting.insert(0, left)
            return
        if error and left:
            text = f"the population of {len(population)} runs failed, so they are trained singly: {last_line(error)}"
            self._progress.say(text)
        for run in left:
            reason = (refused or {}).get(run.folder.path.name)
            if reason and not run.is_busy:
                run.fail(reason)
                self._progress.end(run)


def _epochs(population: Sequence[Run]) -> int:
    return sum(run.result()["epochs_run"] for run in population)


def plan_populations(runs: Sequence[Run], slots: int) -> list[list[Run]]:
    """The populations of a sweep's unfinished runs. Runs in none of them are trained singly.

    Runs that can share a population are spread evenly over the slots. A run's population does not depend on which runs
    are finished, so a sweep that is started again finds its populations again.
    """
    groups: dict[str, list[Run]] = {}
    for run in runs:
        key = population_key(run.config)
        if key is not None:
            groups.setdefault(key, []).append(run)
    parts = [group[slot::slots] for group in groups.values() if len(group) > 1 for slot in range(slots)]
    populations = [[run for run in part if not run.is_finished] for part in parts]
    return [population for population in populations if population]
