"""The resources that a sweep asks of a Slurm cluster for each job."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lr_lab.checks import check_whole_number
from lr_lab.errors import UserError

if TYPE_CHECKING:
    from submitit import SlurmExecutor

_LEAST = {
    "cpus_per_run": 1,
    "time_limit": 1,
    "requeue_before": 0,
    "max_time_limits": 0,
    "array_size": 1,
    "parallel": 1,
}


@dataclass(frozen=True)
class Resources:
    """The arguments of hydra/launcher=slurm; conf/hydra/launcher/slurm.yaml gives their meanings and units."""

    partition: str | None = None
    account: str | None = None
    gpus_per_run: int | str = 0
    cpus_per_run: int = 1
    memory: str | None = None
    time_limit: int = 60
    requeue_before: int = 90
    max_time_limits: int = 100
    array_size: int = 1000
    parallel: int | None = None
    before_run: str | Sequence[str] = ()
    sbatch: Mapping[str, Any] | None = None
    poll: float = 5

    def check(self) -> None:
        """Raises UserError for a value that no job can be submitted with."""
        for name, least in _LEAST.items():
            check_whole_number(f"hydra.launcher.{name}", getattr(self, name), least, optional=name == "parallel")
        if self.requeue_before >= 60 * self.time_limit:
            raise UserError(
                f"hydra.launcher.requeue_before={self.requeue_before} leaves no time to train in; give less than the "
                f"{60 * self.time_limit} seconds of hydra.launcher.time_limit={self.time_limit}."
            )
        if self.gpus_per_run not in (0, 1) and not str(self.gpus_per_run).endswith(":1"):
            raise UserError(
                f"hydra.launcher.gpus_per_run={self.gpus_per_run} is not allowed, because a run uses one GPU at most; "
                'give 0, 1, or a kind of GPU such as "a100:1".'
            )
        if not (isinstance(self.poll, int | float) and self.poll > 0):
            raise UserError(f"hydra.launcher.poll={self.poll} is not allowed; give a number of seconds above 0.")

    def executor(self, folder: Path, study: str) -> SlurmExecutor:
        """Submits jobs with these resources; submitit keeps its own files in `folder`."""
        from submitit import SlurmExecutor  # deferred: submitit is optional

        executor = SlurmExecutor(folder, max_num_timeout=self.max_time_limits)
        executor.update_parameters(
            job_name=f"lr-lab:{study}",
            partition=self.partition,
            account=self.account,
            time=self.time_limit,
            gpus_per_node=self.gpus_per_run or None,
            cpus_per_task=self.cpus_per_run,
            mem=self.memory,
            array_parallelism=self.parallel or self.array_size,
            signal_delay_s=self.requeue_before,
            setup=self._shell_lines(),
            # From Slurm 22.05 on, srun no longer takes the number of cores from the job that it is in.
            srun_args=[f"--cpus-per-task={self.cpus_per_run}", "--open-mode=append"],
            stderr_to_stdout=True,
            wckey=None,
            additional_parameters={"requeue": True, "chdir": str(Path.cwd()), **(self.sbatch or {})},
        )
        return executor

    def _shell_lines(self) -> list[str]:
        # A job without a GPU of its own must not use one that it can see.
        hide_gpus = [] if self.gpus_per_run else ["export CUDA_VISIBLE_DEVICES="]
        return [*hide_gpus, *([self.before_run] if isinstance(self.before_run, str) else self.before_run)]
