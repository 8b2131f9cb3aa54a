"""The runs of a sweep as jobs of a Slurm cluster, submitted through submitit.

The launcher reads results from the run folders and the jobs that still exist from squeue, so it needs no accounting
database. Jobs outlive the command that submitted them: started again, the command finds them and waits for them.
"""

from __future__ import annotations

import math
import shutil
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from hydra.core.utils import JobReturn
from omegaconf import DictConfig
from rich.console import Console

from lr_lab.errors import UserError, end
from lr_lab.run.training import FAILED
from lr_lab.sweep.launcher import SweepLauncher
from lr_lab.sweep.progress import Progress
from lr_lab.sweep.resources import Resources
from lr_lab.sweep.runs import Run
from lr_lab.sweep.slurm_jobs import (
    Job,
    JobBook,
    JobState,
    QueueSilent,
    Refused,
    Training,
    cancel_line,
    queue,
    submit,
    uninterrupted,
    written,
)

# A job that waits for one of these reasons will get its turn. For any other reason a person may have to act.
_ORDINARY_REASONS = ("None", "Priority", "Resources", "BeginTime", "JobArrayTaskLimit")


class SlurmLauncher(SweepLauncher):
    """Submits each run as a job and waits until all have ended; see `Resources` for the arguments.

    A job that is preempted, requeued or near its time limit goes back into the queue, and its run goes on from its
    last epoch.
    """

    def __init__(self, **resources: Any) -> None:
        self.resources = Resources(**resources)

    def train(self, runs: Sequence[Run], console: Console) -> None:
        self.resources.check()
        if not all(run.is_finished for run in runs):
            _check_tools()
            _Sweep(self.resources, runs, console).train()

    def launch_others(self, jobs: Sequence[DictConfig]) -> Sequence[JobReturn]:
        end("hydra/launcher=slurm only trains the runs of src.train; choose hydra/launcher=local.")


def _check_tools() -> None:
    if find_spec("submitit") is None:
        raise UserError("hydra/launcher=slurm needs submitit, which is not installed; run: pip install -e .[slurm]")
    for tool in ("sbatch", "squeue", "srun"):
        if shutil.which(tool) is None:
            raise UserError(
                f"hydra/launcher=slurm needs Slurm's {tool}, which is not found here; start the sweep on a machine of "
                "the cluster, or choose hydra/launcher=local."
            )


class _Sweep:
    """Trains the runs of one sweep as jobs of the cluster."""

    def __init__(self, resources: Resources, runs: Sequence[Run], console: Console) -> None:
        self._resources = resources
        self._jobs: dict[Run, Job] = {}
        self._vanished: set[Run] = set()  # their jobs were gone from the queue at the last look
        self._said: set[str] = set()
        self._room = math.inf  # the cluster refused more jobs than this
        slots = resources.parallel or sum(not run.is_finished for run in runs)
        self._progress = Progress(runs, slots, console)

    def train(self) -> None:
        from lr_lab.run.parts import check_buildable  # deferred: it loads torch

        with self._progress:
            try:
                for book, runs in self._studies():
                    self._find(book, runs)
                if jobless := self._jobless():  # nobody should wait for torch only to look at jobs
                    for remark in check_buildable([run.config for run in jobless], trained_here=False):
                        self._progress.say(remark)
                while not self._progress.is_over:
                    try:
                        self._assign()
                        self._look()
                    except QueueSilent as silence:
                        if not self._jobs:
                            raise
                        self._say_once(f"{silence} (asking again until it does)")
                    self._progress.refresh()
                    if not self._progress.is_over:
                        time.sleep(self._resources.poll)
            except KeyboardInterrupt:
                if self._jobs:
                    numbers = [job.number for job in self._jobs.values()]
                    self._progress.say(
                        f"The jobs in the queue ({len(numbers)}) go on without this command; started again, it waits "
                        f"for them.\nTo cancel them: {cancel_line(numbers)}"
                    )
                raise

    def _jobless(self) -> list[Run]:
        return [run for run in [*self._progress.waiting, *self._progress.elsewhere] if run not in self._jobs]

    def _say_once(self, text: str, about: str | None = None) -> None:
        if (about or text) not in self._said:
            self._said.add(about or text)
            self._progress.say(text)

    def _studies(self) -> Iterator[tuple[JobBook, list[Run]]]:
        """The runs that have no job, study by study."""
        studies: dict[Path, list[Run]] = defaultdict(list)
        for run in self._jobless():
            studies[run.folder.path.parent].append(run)
        for study, runs in studies.items():
            yield JobBook(study), runs

    def _assign(self) -> None:
        """Gives each run without a job the one that it has in the queue already, or a new one."""
        if len(self._jobs) >= self._room:
            return
        size = self._resources.array_size
        for book, runs in self._studies():
            with book.locked():
                self._find(book, runs)
                free = [run for run in runs if run not in self._jobs and not self._is_elsewhere(run)]
                for start in range(0, len(free), size):
                    self._submit(book, free[start : start + size])

    def _find(self, book: JobBook, runs: Sequence[Run]) -> None:
        states, jobs = queue(), book.read()
        found = []
        for run in runs:
            job = jobs.get(run.folder.path.name)
            if job and job.number in states and not states[job.number].has_ended:
                self._give(run, job)
                found.append(job.number)
        if found:
            self._progress.say(f"in the queue from before: {len(found)}; to cancel: {cancel_line(found)}")

    def _give(self, run: Run, job: Job) -> None:
        self._progress.wait(run)
        self._jobs[run] = job

    def _is_elsewhere(self, run: Run) -> bool:
        """True if a process that is not a job of this sweep trains the run, or has finished it."""
        if run.is_finished:
            self._progress.end(run)
            return True
        if run.is_busy:
            self._progress.leave(run)
            return True
        return False

    def _submit(self, book: JobBook, runs: Sequence[Run]) -> None:
        """Submits runs as one job array and notes their jobs. If the queue is full, the runs wait.

        Raises:
            Refused: the cluster takes no job although none of this sweep is in its queue.
        """
        if not runs or len(self._jobs) >= self._room:
            return
        executor = self._resources.executor(book.folder, book.folder.parent.name)
        work = [Training(run.config, self._resources.cpus_per_run) for run in runs]
        before = [written(run.folder.result_file) for run in runs]
        noted = book.read()
        book.write(noted)  # a file that cannot be written is found before there is a job to note
        try:
            with uninterrupted():
                numbers = submit(executor, work)
                jobs = dict(zip(runs, map(Job, numbers, before), strict=True))
                book.write(noted | {run.folder.path.name: job for run, job in jobs.items()})
        except Refused as refusal:
            if not self._jobs:
                raise
            self._room = len(self._jobs)
            self._say_once(f"{refusal} (runs without a job wait until others have ended)")
            return
        for run, job in jobs.items():
            self._give(run, job)
        self._progress.say(f"submitted: {len(runs)}; to cancel: {cancel_line(numbers)}")

    def _look(self) -> None:
        """Brings the states of the runs up to date with their folders and the queue."""
        for run in [run for run in self._jobs if run.is_finished]:
            self._end(run)
        states = queue() if self._jobs else {}
        for run, job in list(self._jobs.items()):
            state = states.get(job.number)
            if state and not state.has_ended:
                self._vanished.discard(run)
                self._follow(run, job, state)
            elif run in self._vanished:
                self._conclude(run, job, state)
            else:
                self._vanished.add(run)  # over a network, a job's last files may be seen a moment after its end

    def _follow(self, run: Run, job: Job, state: JobState) -> None:
        is_running = bool(self._progress.at(job.number))
        if state.name == "RUNNING" and not is_running:
            self._progress.start(run, job.number)
        elif state.name == "PENDING" and is_running:
            self._progress.wait(run)
            self._progress.say(f"requeued  {run.name}: it goes on from its last epoch")
        elif state.name == "PENDING" and state.reason not in _ORDINARY_REASONS:
            text = f"waiting   {run.name} and maybe others: {state.reason} (scontrol show job {job.number})"
            self._say_once(text, about=state.reason)

    def _conclude(self, run: Run, job: Job, state: JobState | None) -> None:
        """The job of a run has ended."""
        if not run.is_finished and run.is_busy:
            self._progress.wait(run)
            self._forget(run)
            return
        has_own_reason = run.result()["status"] == FAILED and written(run.folder.result_file) != job.written
        if not run.is_finished and not has_own_reason:
            run.fail(_ending(job, state, run.folder.path.parent / ".slurm"))
        self._end(run)

    def _end(self, run: Run) -> None:
        self._forget(run)
        self._progress.end(run)

    def _forget(self, run: Run) -> None:
        del self._jobs[run]
        self._vanished.discard(run)


def _ending(job: Job, state: JobState | None, folder: Path) -> str:
    """The reason why a run has no result."""
    how = "left the queue (cancelled?)" if state is None else f"ended as {state.name}"
    if state and state.name == "FAILED":  # in other states the reason says why the job once had to wait
        how += f" ({state.reason})"
    output = folder / f"{job.number}_0_log.out"
    return f"Slurm job {job.number} {how} before the run was done" + (f"; see {output}" if output.exists() else "")
