"""The runs of a sweep: which they are, what is missing of them, how they ended. Shared by all launchers; no torch."""

from __future__ import annotations

import contextlib
import errno
import heapq
import json
import traceback
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.measure import Measurement

from src.analysis.summary import summarise
from src.analysis.tables import sweep_table
from src.errors import RunBusy, UserError
from src.run_folder import FINISHED, RunFolder, run_path, write_results

# What one attempt at a run comes to, beside FINISHED.
FAILED = "failed"
BUSY = "busy"  # another process trains it
UNWRITABLE = "unwritable"  # the disk takes no more: nothing else of the sweep can be kept either

# Of an epoch, more than any data have.
_MANY_STEPS = 10**9

_DISK_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)


class Run:
    """One run of a sweep.

    Args:
        config: its resolved configuration.
        settings: what the sweep varies, as a person typed it: ``{"lr": "0.1", "model.dropout": "0.5"}``.

    Attributes:
        jobs: numbers of the jobs that ask for it, in the order of the command line.
        folder: where it leaves what it leaves.
        error: why it failed in this sweep; known here even if the disk could not take it.
    """

    def __init__(self, config: Mapping[str, Any], settings: Mapping[str, str]) -> None:
        self.config = config
        self.settings = settings
        self.jobs: list[int] = []
        self.folder = RunFolder(run_path(config))
        self.error: str | None = None

    @property
    def name(self) -> str:
        """What tells it from the others of its sweep, in a few words."""
        return " ".join(f"{key}={value}" for key, value in self.settings.items()) or self.folder.path.name

    def result(self) -> dict[str, Any]:
        """The content of its result.json, or what is known without one; a failure in this sweep goes before both."""
        result = self.folder.result() or {**summarise(self.config, []), "status": "missing"}
        return result | {"status": FAILED, "error": self.error} if self.error else result

    @property
    def is_finished(self) -> bool:
        return self.result()["status"] in FINISHED

    @property
    def is_busy(self) -> bool:
        """Whether another process is training it at this moment."""
        try:
            with self.folder.locked():
                return False
        except RunBusy:
            return True

    def fail(self, reason: str) -> None:
        """Notes why it failed, also in its folder, unless that cannot be written or another process trains it."""
        self.error = reason
        noted = (self.folder.result() or {}).get("error")
        # The process that failed may have noted it itself, with more or less of the traceback.
        if not noted or last_line(noted) != last_line(reason):
            with contextlib.suppress(UserError), self.folder.training(self.config, summarise(self.config, [])):
                raise UserError(reason)


def plan(configs: Sequence[Mapping[str, Any]], overrides: Sequence[Sequence[str]]) -> list[Run]:
    """The distinct runs of a sweep, in order: two jobs of the same configuration are one run.

    Args:
        configs: the resolved configuration of every job.
        overrides: what was typed for every job, such as ``["lr=0.1", "study=demo"]``.
    """
    typed = [dict(override.lstrip("+").split("=", 1) for override in job if "=" in override) for job in overrides]
    varied = [key for key in typed[0] if len({job.get(key) for job in typed}) > 1] if typed else []
    runs: dict[Path, Run] = {}
    for number, (config, job) in enumerate(zip(configs, typed, strict=True)):
        run = runs.setdefault(run_path(config), Run(config, {key: job[key] for key in varied if key in job}))
        run.jobs.append(number)
    return list(runs.values())


def refuse(configs: Sequence[Mapping[str, Any]], trained_here: bool = True) -> None:
    """Builds, without reading any data, one of each combination of parts that the runs will be made of.

    For a process that may import torch.

    Args:
        configs: resolved, one per run.
        trained_here: whether it is this machine that has to have the device.

    Raises:
        UserError: a part refuses its arguments, network and data do not fit, or the device cannot be had.
    """
    from src import assembly

    parts = ("data", "model", "optimizer", "sequence", "warmup", "strategy", "probes", "init_from", "lr", "epochs")
    assembly.prepare_process()
    for config in _distinct(configs, parts):
        data = assembly.build_data(config)
        net = assembly.build_network(config, data)
        assembly.build_probes(config, net)
        # How many steps an epoch has only the data tell; with so many nothing is refused that fits in the end.
        rate = assembly.build_schedule(config, steps_per_epoch=_MANY_STEPS).rate
        assembly.build_module(config, net, data, rate).configure_optimizers()
    # Apart from the rest, as a Trainer takes 10 ms and a sweep seldom has two kinds.
    for config in _distinct(configs, ("trainer",)) if trained_here else ():
        assembly.build_trainer(config, [])


def _distinct(configs: Sequence[Mapping[str, Any]], groups: Sequence[str]) -> Iterable[Mapping[str, Any]]:
    """The first of the configurations with the same values in these groups, for each such values."""
    found: dict[str, Mapping[str, Any]] = {}
    for config in configs:
        found.setdefault(json.dumps([config[group] for group in groups], sort_keys=True, default=str), config)
    return found.values()


def attempt(config: Mapping[str, Any]) -> tuple[str, str | None]:
    """Trains one run in this process, whatever happens: how it ended (see above), and for a failure the reason."""
    from src.train import train

    try:
        return train(dict(config))["status"], None
    except RunBusy as error:
        return BUSY, str(error)
    except UserError as error:
        full = isinstance(error.__cause__, OSError) and error.__cause__.errno in _DISK_FULL
        return UNWRITABLE if full else FAILED, str(error)
    except Exception:
        return FAILED, traceback.format_exc()


class Pace:
    """How long epochs take, from the results of the runs that have had some: for the time left."""

    def __init__(self) -> None:
        self._seconds: dict[tuple[Any, ...], dict[str, float]] = {}

    def observe(self, result: Mapping[str, Any]) -> None:
        """Takes in a result.json, finished or not; a later one of the same run replaces an earlier."""
        if result.get("wall_seconds") and result["epochs_run"]:
            kind = self._seconds.setdefault(self._kind(result), {})
            kind[result["config_hash"]] = result["wall_seconds"] / result["epochs_run"]

    def seconds_left(self, result: Mapping[str, Any], since: float = 0.0) -> float | None:
        """Seconds that a run still takes, by its own pace, or that of its like, or of all; None if none is known.

        Args:
            result: of the run, as far as it has come.
            since: seconds since its last epoch ended.
        """
        like = self._seconds.get(self._kind(result), {})
        own = [like[result["config_hash"]]] if result["config_hash"] in like else []
        known = own or list(like.values()) or [seconds for kind in self._seconds.values() for seconds in kind.values()]
        if not known:
            return None
        epoch = sum(known) / len(known)
        return (result["epochs"] - result["epochs_run"]) * epoch - min(since, epoch)

    @staticmethod
    def _kind(result: Mapping[str, Any]) -> tuple[Any, ...]:
        return tuple(result[key] for key in ("data", "model", "optimizer", "batch_size"))


def time_left(running: Iterable[float], waiting: Iterable[float], slots: int) -> float:
    """Seconds until the last run ends, if each that waits takes, in turn, the first slot to become free.

    Args:
        running: seconds left of each run that is training.
        waiting: seconds that each run will take that is not.
        slots: runs at a time; at least as many as are running.
    """
    free = list(running)
    free += [0.0] * (slots - len(free))
    heapq.heapify(free)
    for seconds in waiting:
        heapq.heapreplace(free, free[0] + seconds)
    return max(free, default=0.0)


def close(runs: Sequence[Run], console: Console) -> int:
    """Writes results.csv of every study of the sweep and prints what became of its runs.

    Returns:
        How many runs failed.

    Raises:
        UserError: results.csv cannot be written; the rest has been printed.
    """
    results = [run.result() for run in runs]
    rows = [{**run.settings, **result} for run, result in zip(runs, results, strict=True)]
    table = sweep_table(rows, list(dict.fromkeys(key for run in runs for key in run.settings)))
    # A table wider than the terminal is better wrapped by it than cut short.
    whole = Measurement.get(console, console.options.update_width(1000), table).maximum
    console.width = max(whole, console.width)
    console.print(table)
    failed = [(run, result) for run, result in zip(runs, results, strict=True) if result["status"] == FAILED]
    for run, result in failed:
        _say(console, f"failed: {run.name}\n  {last_line(result['error'])}\n  log: {run.folder.log_file}")
    for study in dict.fromkeys(run.folder.path.parent for run in runs):
        _say(console, f"Results: {write_results(study)}")
    for output_dir in dict.fromkeys(str(run.config["output_dir"]) for run in runs):
        look = "make tensorboard" if output_dir == "outputs" else f"tensorboard --logdir {output_dir}"
        _say(console, f"Curves:  {look}")
    return len(failed)


def last_line(reason: str) -> str:
    """The line of a traceback that says what went wrong."""
    return reason.strip().splitlines()[-1]


def _say(console: Console, text: str) -> None:
    console.print(text, markup=False, highlight=False, soft_wrap=True)
