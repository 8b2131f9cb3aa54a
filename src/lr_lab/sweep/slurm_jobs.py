"""Jobs of a Slurm cluster: their work, their submission, and the book of which job trains which run."""

from __future__ import annotations

import contextlib
import io
import json
import os
import signal
import subprocess
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

from filelock import FileLock

from lr_lab.errors import UserError
from lr_lab.run.folder import write_text
from lr_lab.run.training import BUSY, attempt
from lr_lab.sweep.runs import Run

if TYPE_CHECKING:
    from submitit import SlurmExecutor
    from submitit.core.utils import DelayedSubmission

# States that a job does not leave (squeue's manual, JOB STATE CODES). A requeued job is in none of them.
_ENDED = (
    *("BOOT_FAIL", "CANCELLED", "COMPLETED", "DEADLINE", "FAILED", "NODE_FAIL", "OUT_OF_MEMORY"),
    *("PREEMPTED", "REVOKED", "TIMEOUT"),
)


class QueueSilent(UserError):
    """Slurm does not say which jobs there are."""


class Refused(UserError):
    """Slurm does not take a job."""


@dataclass(frozen=True)
class JobState:
    """The state that squeue gives, such as RUNNING, and its reason; "None" without a reason."""

    name: str
    reason: str

    @property
    def has_ended(self) -> bool:
        return self.name in _ENDED


def queue() -> dict[str, JobState]:
    """This user's jobs by their numbers ("12", or "12_3" in an array), also those that ended in the last minutes.

    Raises:
        QueueSilent: squeue fails.
    """
    command = ["squeue", "--noheader", "--array", "--states=all", f"--user={os.getuid()}", "--format=%i|%T|%r"]
    try:
        answer = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    except subprocess.CalledProcessError as error:
        raise QueueSilent(f"squeue does not say which jobs there are: {' '.join(error.stderr.split())}") from error
    except (OSError, subprocess.TimeoutExpired) as error:
        raise QueueSilent(f"squeue does not say which jobs there are: {error}") from error
    return parse_queue(answer.stdout)


def parse_queue(text: str) -> dict[str, JobState]:
    """The lines ``number|state|reason`` by number."""
    fields = (line.split("|", 2) for line in text.splitlines())
    return {number: JobState(name, reason) for number, name, reason in fields}


@dataclass(frozen=True)
class Training:
    """The work of a job: it trains one run from its last epoch on and leaves the results in the run's folder.

    Args:
        config: the resolved configuration of the run.
        threads: of torch.
    """

    config: Mapping[str, Any]
    threads: int

    def __call__(self) -> str:
        """Returns the status of the run.

        Raises:
            RuntimeError: the run failed. Its folder says so already; the exception tells Slurm.
        """
        import torch

        torch.set_num_threads(self.threads)
        status, reason = attempt(self.config)
        if reason is None:
            return status
        if status != BUSY:
            Run(self.config, {}).fail(reason)
        raise RuntimeError(reason)

    def checkpoint(self) -> DelayedSubmission:
        """The work of the job after it was requeued; submitit asks for it near the time limit."""
        from submitit.core.utils import DelayedSubmission

        return DelayedSubmission(self)


def submit(executor: SlurmExecutor, work: Sequence[Callable[[], Any]]) -> list[str]:
    """Submits calls as one job array; the numbers of their jobs.

    Raises:
        Refused: sbatch rejects them; the message quotes it.
        UserError: the executor's folder cannot be written.
    """
    from submitit.core.utils import FailedJobError, FailedSubmissionError

    try:
        # submitit prints sbatch's words before it raises them.
        with _as_if_outside_jobs(), contextlib.redirect_stderr(io.StringIO()):
            return [job.job_id for job in executor.submit_array(work)]
    except (FailedJobError, FailedSubmissionError) as error:
        words = "; ".join(line.removeprefix("sbatch: error: ") for line in str(error).splitlines())
        raise Refused(f"sbatch does not take the runs: {words}; hydra.launcher says what is asked for.") from error
    except OSError as error:
        raise UserError(
            f"{executor.folder} cannot be written ({error.strerror or error}); choose another output_dir."
        ) from error


@contextlib.contextmanager
def _as_if_outside_jobs() -> Iterator[None]:
    """Hides the variables of a job that this process runs in: srun in a new job would obey them."""
    from submitit.helpers import clean_env

    configuration = {name: os.environ[name] for name in ("SLURM_CONF",) if name in os.environ}
    with clean_env():
        os.environ.update(configuration)
        yield


@contextlib.contextmanager
def uninterrupted() -> Iterator[None]:
    """Puts off Ctrl-C and SIGTERM until the block has ended, also for programs that it starts."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def written(file: Path) -> int | None:
    """When a file was written, in nanoseconds of its file system's clock; None if there is none."""
    try:
        return file.stat().st_mtime_ns
    except OSError:
        return None


def cancel_line(numbers: Iterable[str]) -> str:
    """The command that cancels jobs, elements of an array together: ``scancel 12 '13_[0-2,7]'``."""
    arrays: dict[str, list[int]] = defaultdict(list)
    for number in numbers:
        base, _, index = number.partition("_")
        arrays[base] += [int(index)] if index else []
    words = [f"'{base}_[{_ranges(sorted(indices))}]'" if indices else base for base, indices in arrays.items()]
    return " ".join(["scancel", *words])


def _ranges(numbers: Sequence[int]) -> str:
    """Ascending numbers with neighbours drawn together: 0-2,7."""
    # Within neighbours, number minus position stays the same.
    runs = [[n for _, n in group] for _, group in groupby(enumerate(numbers), lambda pair: pair[1] - pair[0])]
    return ",".join(str(run[0]) if len(run) == 1 else f"{run[0]}-{run[-1]}" for run in runs)


@dataclass(frozen=True)
class Job:
    """The job that a run was given to.

    Attributes:
        number: as squeue has it.
        written: when the run's result.json was last written before the job (nanoseconds), if there was one. The job's
            own result is newer.
    """

    number: str
    written: int | None


class JobBook:
    """The last job of each run of a study, kept in ``<study>/.slurm/jobs.json``.

    Args:
        study: the folder of the study.

    Attributes:
        folder: of the book; submitit keeps its files and the jobs' output there too.
    """

    def __init__(self, study: Path) -> None:
        self.folder = study / ".slurm"
        self._file = self.folder / "jobs.json"

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Keeps other sweeps from submitting runs of the study inside the block.

        Raises:
            UserError: the folder cannot be written.
        """
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            lock = FileLock(self.folder / ".lock").acquire()
        except OSError as error:
            raise UserError(
                f"{self.folder} cannot be written ({error.strerror or error}); choose another output_dir."
            ) from error
        with lock:
            yield

    def read(self) -> dict[str, Job]:
        """Jobs by the names of the run folders; none if the file is missing or spoiled."""
        try:
            return {run: Job(**job) for run, job in json.loads(self._file.read_text(encoding="utf-8")).items()}
        except (OSError, ValueError, TypeError, AttributeError):
            return {}

    def write(self, jobs: Mapping[str, Job]) -> None:
        """Writes the file whole or not at all."""
        write_text(self._file, json.dumps({run: asdict(job) for run, job in jobs.items()}, indent=2) + "\n")
