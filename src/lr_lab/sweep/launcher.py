"""The part that all launchers share: from Hydra's jobs to the runs of a sweep, and back to Hydra's job returns."""

from __future__ import annotations

import contextlib
import copy
import signal
import sys
import threading
from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import FrameType
from typing import Any

from hydra.core.hydra_config import HydraConfig
from hydra.core.utils import JobReturn, JobStatus, setup_globals
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, OmegaConf, open_dict
from rich.console import Console

from lr_lab.errors import UserError, end
from lr_lab.run.config import check_name, resolve
from lr_lab.run.folder import write_text
from lr_lab.run.training import FAILED, objective
from lr_lab.sweep.freshness import settle_finished
from lr_lab.sweep.outcome import report_outcome, say
from lr_lab.sweep.runs import Run, plan


class RunFailed(Exception):
    """Raised by the JobReturn of a failed run when a sweeper reads its value."""


class Terminated(KeyboardInterrupt):
    """SIGTERM stopped the sweep. It differs from Ctrl-C only in the exit code."""


class SweepLauncher(Launcher):
    """Trains the runs that conf/train.yaml describes, and does the jobs of other applications.

    This class checks all runs first, prints the table at the end and sets the exit code. A subclass trains them.
    """

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        self.hydra_context = hydra_context
        self.task_function = task_function
        self.config = config
        if describes_run(config):
            _check_sweep(config)

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        setup_globals()
        if describes_run(self.config):
            return self._launch_runs(job_overrides, initial_job_idx)
        return self.launch_others(self._compose(job_overrides, initial_job_idx))

    @abstractmethod
    def train(self, runs: Sequence[Run], console: Console) -> None:
        """Trains the runs that are not finished and calls `fail` on each run that fails.

        Raises:
            UserError: nothing was trained; the sentence says why.
            KeyboardInterrupt: somebody stopped it.
        """

    @abstractmethod
    def launch_others(self, jobs: Sequence[DictConfig]) -> Sequence[JobReturn]:
        """Does the jobs of an application that does not train runs, through its task function."""

    def _compose(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> list[DictConfig]:
        jobs = []
        for number, overrides in enumerate(job_overrides, initial_job_idx):
            job = self.hydra_context.config_loader.load_sweep_config(self.config, list(overrides))
            with open_dict(job):
                job.hydra.job.id = job.hydra.job.num = number
            jobs.append(job)
        return jobs

    def _launch_runs(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> list[JobReturn]:
        # A file has no width to keep to, and a wrapped table is hard to read there.
        console = Console(width=None if sys.stdout.isatty() else 160)
        code = None
        try:
            jobs = self._compose(job_overrides, initial_job_idx)
            runs = plan([_resolved(job) for job in jobs], job_overrides)
            settle_finished(runs, self.config.retrain, lambda text: say(console, text))
            try:
                with _stoppable():
                    self.train(runs, console)
            except KeyboardInterrupt as stop:
                code = 128 + (signal.SIGTERM if isinstance(stop, Terminated) else signal.SIGINT)
            for run in runs:
                run.folder.note_stop()
            failures = report_outcome(runs, console)
        except UserError as error:
            end(error)
        except KeyboardInterrupt:  # before the runs were known, or while the table was printed
            sys.exit(128 + signal.SIGINT)
        if code is None and failures and self.config.hydra.sweeper._target_.endswith(".BasicSweeper"):
            code = 1  # BasicSweeper would raise the first failure as a traceback. Other sweepers go on from failures.
        if code is not None:
            if code > 1:
                console.print("Stopped; the same command goes on from there.")
            sys.exit(code)
        results = {index: run.result() for run in runs for index in run.jobs}
        return [_job_return(job, results[index]) for index, job in enumerate(jobs)]


def describes_run(config: DictConfig) -> bool:
    """True if a configuration was composed from conf/train.yaml."""
    return config.hydra.job.config_name == "train" and {"names", "study", "output_dir"} <= set(config)


def _check_sweep(config: DictConfig) -> None:
    """Rejects two settings before Hydra's sweeper fails on them.

    It would stop after the first batch with a failed run (max_batch_size), and end in a traceback where it cannot write
    its multirun.yaml (output_dir).
    """
    try:
        if (size := config.hydra.sweeper.get("max_batch_size")) is not None:
            raise UserError(
                f"hydra.sweeper.max_batch_size={size} would end the sweep with the first batch that has a failed run; "
                "leave it out, since hydra.launcher says how many runs are trained at a time."
            )
        check_name("output_dir", config.output_dir)
        write_text(Path(config.hydra.sweep.dir) / "multirun.yaml", OmegaConf.to_yaml(config))
    except UserError as error:
        end(error)


def task_config(job: DictConfig) -> DictConfig:
    """The configuration without Hydra's own part."""
    config = copy.deepcopy(job)
    OmegaConf.set_readonly(config, False)
    with open_dict(config):
        del config["hydra"]
    return config


def _resolved(job: DictConfig) -> dict[str, Any]:
    HydraConfig.instance().set_config(job)  # for ${hydra:...}
    return resolve(task_config(job))


def _job_return(job: DictConfig, result: Mapping[str, Any]) -> JobReturn:
    HydraConfig.instance().set_config(job)
    returned = job_return(job)
    if result["status"] == FAILED:
        returned.status, returned.return_value = JobStatus.FAILED, RunFailed(result["error"])
    else:
        returned.status, returned.return_value = JobStatus.COMPLETED, objective(result)
    return returned


def job_return(job: DictConfig) -> JobReturn:
    """The fields that Hydra's `run_job` fills in, except status and value."""
    return JobReturn(
        overrides=OmegaConf.to_container(job.hydra.overrides.task),  # type: ignore[arg-type]
        cfg=task_config(job),
        hydra_cfg=OmegaConf.masked_copy(job, "hydra"),
        working_dir=str(Path.cwd()),
        task_name=job.hydra.job.name,
    )


@contextlib.contextmanager
def _stoppable() -> Iterator[None]:
    """Lets Ctrl-C or SIGTERM interrupt the block once and ignores further ones, so that the clean-up runs to its end.

    People press Ctrl-C twice, and make adds a SIGTERM of its own.
    """
    # Python lets only the main thread set signal handlers, and runs them only there.
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    numbers = (signal.SIGINT, signal.SIGTERM)
    before = {number: handler for number in numbers if (handler := signal.getsignal(number)) != signal.SIG_IGN}

    def interrupt(number: int, frame: FrameType | None) -> None:
        for each in before:
            signal.signal(each, signal.SIG_IGN)
        raise Terminated if number == signal.SIGTERM else KeyboardInterrupt

    for number in before:
        signal.signal(number, interrupt)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
