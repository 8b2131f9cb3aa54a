"""The runs of a sweep at the same time on this machine: one fresh process each, a slot per GPU or CPU core."""

from __future__ import annotations

import math
import os
from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any

from hydra.core.singleton import Singleton
from hydra.core.utils import JobReturn, JobStatus, run_job, setup_globals
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig
from rich.console import Console

from lr_lab.checks import check_whole_number
from lr_lab.errors import UserError
from lr_lab.run.inputs import parts_of
from lr_lab.run.training import BUSY, FAILED, UNWRITABLE, attempt
from lr_lab.sweep.launcher import SweepLauncher, job_return
from lr_lab.sweep.processes import Answer, Pool, start_server
from lr_lab.sweep.progress import Progress
from lr_lab.sweep.runs import Run

# The server of processes imports these once, so that runs start at once and all run the same state of the code.
PRELOAD = (
    "lr_lab.run.training",
    "lr_lab.sweep.local",
    "lr_lab.run.parts",
    "lr_lab.run.recorder",
    "lr_lab.run.progress",
    "torch.utils.tensorboard",
)
TICK = 0.5  # seconds between two looks at what the runs leave on disk


class LocalLauncher(SweepLauncher):
    """Trains each run in a fresh process, so that one that dies takes nothing with it.

    Args:
        slots: runs at a time; None: `per_gpu` for each GPU, or one for each CPU core if the runs use no GPU.
        per_gpu: runs at a time on each GPU.
        max_failures: the sweep stops after this many failed runs; None: it goes on to the end.
    """

    def __init__(self, slots: int | None = None, per_gpu: int = 1, max_failures: int | None = None) -> None:
        self.slots = slots
        self.per_gpu = per_gpu
        self.max_failures = max_failures

    def train(self, runs: Sequence[Run], console: Console) -> None:
        self._check_arguments()
        self.train_singly(runs, math.inf if self.max_failures is None else self.max_failures, console)

    def train_singly(self, runs: Sequence[Run], max_failures: float, console: Console) -> None:
        """Trains what is missing, each run in a process of its own, until so many have failed."""
        if missing := [run.config for run in runs if not run.is_finished]:
            _Sweep(runs, self._prepare(missing, console), max_failures, console).train()

    def _prepare(self, configs: Sequence[Mapping[str, Any]], console: Console, *modules: str) -> list[dict[str, str]]:
        """Starts the server of processes and checks that all runs can be built; the environment of each slot.

        Args:
            modules: the server imports them beside those that every run needs.
        """
        start_server([*PRELOAD, *modules], set().union(*map(parts_of, configs)))
        with console.status("Starting: torch is imported once, for all runs."):
            gpus, remarks = _look_ahead(configs)
        for remark in remarks:
            console.print(remark, markup=False, highlight=False, soft_wrap=True)
        return self._environments(gpus)

    def _check_arguments(self) -> None:
        for name in ("slots", "per_gpu", "max_failures"):
            check_whole_number(f"hydra.launcher.{name}", getattr(self, name), least=1, optional=name != "per_gpu")

    def _environments(self, gpus: Sequence[str]) -> list[dict[str, str]]:
        """The variables that each slot adds to the environment: its GPU, if there are GPUs."""
        if not gpus:
            return [{}] * (self.slots or cpu_cores())
        count = self.slots or self.per_gpu * len(gpus)
        return [{"CUDA_VISIBLE_DEVICES": gpus[slot % len(gpus)]} for slot in range(count)]

    def launch_others(self, jobs: Sequence[DictConfig]) -> Sequence[JobReturn]:
        start_server(["hydra"])
        waiting = deque(enumerate(jobs))
        running: dict[int, int] = {}
        returns: dict[int, JobReturn] = {}
        with Pool(self._environments([])) as pool:
            while waiting or running:
                while waiting and pool.free:
                    slot, (number, job) = pool.free[0], waiting.popleft()
                    pool.start(slot, _run_job, self.hydra_context, job, self.task_function, Singleton.get_state())
                    running[slot] = number
                for slot, answer in pool.wait():
                    number = running.pop(slot)
                    returns[number] = answer.value or _died(jobs[number], answer)
        return [returns[number] for number in range(len(jobs))]


def cpu_cores() -> int:
    """The CPU cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _run_job(context: HydraContext, job: DictConfig, task_function: TaskFunction, state: dict[Any, Any]) -> JobReturn:
    Singleton.set_state(state)
    setup_globals()
    return run_job(
        hydra_context=context,
        task_function=task_function,
        config=job,
        job_dir_key="hydra.sweep.dir",
        job_subdir_key="hydra.sweep.subdir",
    )


def _died(job: DictConfig, answer: Answer) -> JobReturn:
    returned = job_return(job)
    returned.status, returned.return_value = JobStatus.FAILED, RuntimeError(answer.error)
    return returned


def _look_ahead(configs: Sequence[Mapping[str, Any]]) -> tuple[list[str], list[str]]:
    """Checks that all runs can be built; the GPUs that they will use, as CUDA_VISIBLE_DEVICES names them, and remarks.

    Both need torch and CUDA, which a process of their own loads, so that this one stays free of them.

    Raises:
        UserError: a run cannot be built.
    """
    with Pool([{}]) as pool:
        pool.start(0, _refusal_and_gpus, configs)
        (_, answer), *_ = pool.wait()
    if answer.error:
        raise UserError(f"The sweep cannot start: {answer.error.strip().splitlines()[-1]}")
    refusal, gpus, remarks = answer.value
    if refusal:
        raise UserError(refusal)
    return gpus, remarks


def _refusal_and_gpus(configs: Sequence[Mapping[str, Any]]) -> tuple[str | None, list[str], list[str]]:
    # Imported here because both load torch, which the sweep's own process does without.
    import torch

    from lr_lab.run.parts import check_buildable

    try:
        remarks = check_buildable(configs)
    except UserError as error:
        return str(error), [], []
    if all(config["trainer"]["accelerator"] == "cpu" for config in configs):
        return None, [], remarks
    visible = os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",")
    count = torch.cuda.device_count()
    return None, [visible[i].strip() if i < len(visible) and visible[i] else str(i) for i in range(count)], remarks


def _attempt(config: Mapping[str, Any]) -> tuple[str, str | None]:
    import torch  # deferred: only the process of a run needs it

    torch.set_num_threads(1)
    return attempt(config)


class _Sweep:
    """Trains the runs of one sweep, each in a slot of its own."""

    def __init__(
        self,
        runs: Sequence[Run],
        environments: Sequence[Mapping[str, str]],
        max_failures: float,
        console: Console,
    ) -> None:
        self._pool = Pool(environments)
        self._progress = Progress(runs, len(environments), console, max_failures)

    def train(self) -> None:
        with self._pool, self._progress:
            while not self._progress.is_over:
                self._fill_slots()
                for slot, answer in self._pool.wait(TICK):
                    (run,) = self._progress.at(slot)
                    self._take(run, answer)
                    if self._progress.stops():
                        return
                self._progress.refresh()

    def _fill_slots(self) -> None:
        for slot in self._pool.free:
            run = self._next()
            if run is None:
                return
            self._pool.start(slot, _attempt, run.config, output=run.folder.log_file)
            self._progress.start(run, slot)

    def _next(self) -> Run | None:
        """The next run to train here. Another sweep may train it by now, or may have finished it."""
        for run in self._progress.waiting:
            if not run.is_finished:
                return run
            self._progress.end(run)
        for run in self._progress.elsewhere:
            if not run.is_finished and run.is_busy:
                continue
            if not run.is_finished and run.result()["status"] != FAILED:
                return run  # the process that trained it was stopped
            self._progress.end(run)
        return None

    def _take(self, run: Run, answer: Answer) -> None:
        status, reason = answer.value or (None, answer.error)
        # If the server dies, its children look dead although they go on training.
        if status == BUSY or (answer.error and run.is_busy):
            self._progress.leave(run)
            return
        if not run.is_finished:
            run.fail(reason or "The run ended before its last epoch.")
        if status == UNWRITABLE:
            self._progress.max_failures = 1
        self._progress.end(run)
