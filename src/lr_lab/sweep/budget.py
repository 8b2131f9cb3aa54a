"""Training a study seed by seed, until its claims are decided or its budget is spent.

The results alone decide the next runs: the next look, the settings that an open claim still needs, and the first seed
that their runs lack. So a killed study goes on where it was. A budget in hours is compared with the recorded seconds of
the runs.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from math import inf
from pathlib import Path
from typing import Any

import pandas as pd
from hydra.core.override_parser.overrides_parser import OverridesParser
from rich.console import Console

from lr_lab.errors import UserError
from lr_lab.run.config import CONFIG_DIR, check_choices, compose
from lr_lab.run.folder import run_folders, write_results
from lr_lab.run.hardware import multiplies_bfloat16
from lr_lab.run.summary import summarise
from lr_lab.study.claims import Finding
from lr_lab.study.judgement import further_looks, judge, write_looks
from lr_lab.study.looks import Outcome
from lr_lab.study.measured import read_study_runs, with_metrics
from lr_lab.study.metrics import METRICS
from lr_lab.study.runs import Runs, flat_configuration
from lr_lab.study.study_file import Study, assign
from lr_lab.study.values import Values
from lr_lab.sweep.local import LocalLauncher, cpu_cores
from lr_lab.sweep.narration import say_cost, say_look, say_verdicts
from lr_lab.sweep.runs import plan

_UNITS = {"h": 1.0, "min": 1 / 60, "s": 1 / 3600}
_FER2013_FILES = [
    f"{folder}{name}.csv" for folder in ("", "fer2013/") for name in ("fer2013", "icml_face_data", "train")
]

# Names of conditions on the machine -> whether they hold. A new one is an entry here.
CONDITIONS: dict[str, Callable[[], bool]] = {
    "gpu": lambda: shutil.which("nvidia-smi") is not None,
    "bfloat16_without_gpu": lambda: not CONDITIONS["gpu"]() and multiplies_bfloat16("cpu"),
    "fer2013_file": lambda: any(
        (Path(os.environ.get("LR_LAB_DATA", "data")) / name).exists() for name in _FER2013_FILES
    ),
}


@dataclass(frozen=True)
class Limit:
    """The limits of a study: hours of all runs together, seeds per setting, and seeds beyond those it has now."""

    hours: float = inf
    seeds: int | None = None
    more_seeds: int | None = None


@dataclass(frozen=True)
class State:
    """The standing of a study, by the runs on disk.

    Attributes:
        seconds: setting -> mean seconds of its runs.
        hours: of all runs so far.
    """

    outcome: Outcome
    findings: Sequence[Finding]
    seconds: Mapping[str, float]
    hours: float

    @property
    def next_seed(self) -> int | None:
        """The first seed that the next look waits for; None if it waits for nothing."""
        return min((seeds[0] for seeds in self.outcome.missing.values()), default=None)

    def seeds_trained(self, study: Study) -> int:
        """The number of seeds that all needed settings have."""
        taken = self.outcome.looks[-1].seeds if self.outcome.looks else 0
        return taken if self.next_seed is None else self.next_seed - study.first_seed

    def next_runs(self, slots: int, most: int | None = None) -> list[tuple[str, int]]:
        """(setting, seed) of the runs to train at once: those of a first seed, and of further ones to fill the slots.

        Args:
            most: no seeds from this one on.
        """
        missing = [(seed, setting) for setting, seeds in self.outcome.missing.items() for seed in seeds]
        chosen: list[tuple[str, int]] = []
        for seed in sorted({seed for seed, _ in missing}):
            if chosen and (len(chosen) >= slots or (most is not None and seed >= most)):
                break
            chosen += [(setting, each) for each, setting in missing if each == seed]
        return chosen

    @property
    def hours_to_next_look(self) -> float | None:
        """The hours on this machine with all cores at work; None before anything was measured."""
        if not self.seconds:
            return None
        usual = sum(self.seconds.values()) / len(self.seconds)
        total = sum(len(seeds) * self.seconds.get(name, usual) for name, seeds in self.outcome.missing.items())
        return total / 3600 / cpu_cores()


def train_until_decided(
    study: Study, output_dir: Path, limit: Limit, also: Sequence[str] = (), say: Callable[[str], None] = print
) -> None:
    """Trains seed by seed, while an open claim needs it and the limit allows.

    Raises:
        UserError: an override or a run is not usable, or runs failed.
    """
    most_hours = min(limit.hours, study.budget.get("hours", inf))
    now = state(study, output_dir)
    most = limit.seeds or int(study.budget.get("seeds", 0)) or None
    if limit.more_seeds:
        most = min(most or now.seeds_trained(study) + limit.more_seeds, now.seeds_trained(study) + limit.more_seeds)
    end = None if most is None else study.first_seed + most
    jobs: dict[str, list[str]] = {}
    said = 0
    while True:
        now = state(study, output_dir, most or 0)
        for look in now.outcome.looks[said:]:
            say(say_look(look, now.outcome.verdicts))
        said = len(now.outcome.looks)
        seed = now.next_seed
        if seed is None:
            say("Nothing is left to train: every claim is decided or set aside, or the last look was taken.")
        elif end is not None and seed >= end:
            say(f"It ends at {most} seeds, as asked.")
        elif now.hours >= most_hours:
            say(f"The budget is spent: {now.hours:.2f} hours of training, the budget is {most_hours:.3g}.")
        else:
            jobs = jobs or overrides_of(study, output_dir, also)
            say(say_cost(now.outcome, now.hours_to_next_look))
            train_runs([[*jobs[setting], f"seed={each}"] for setting, each in now.next_runs(cpu_cores(), end)])
            continue
        say(say_verdicts(now.outcome.verdicts))
        return


def hours(budget: Any) -> float:
    """Hours from `6h`, `20min` or `90s`; a plain number counts as hours; None means no limit."""
    if budget is None:
        return inf
    found = re.fullmatch(r"(\d+\.?\d*)\s*(h|min|s)?", str(budget).strip())
    if not found or not float(found[1]) > 0:
        raise UserError(f"budget={budget} is not a time; give one such as 6h or 20min.")
    return float(found[1]) * _UNITS[found[2] or "h"]


def state(study: Study, output_dir: Path, up_to: int = 0) -> State:
    """Looks at the results, as far as the study's plan allows, and keeps the looks in looks.csv.

    Args:
        up_to: seeds of a further look, if they are more than the study's looks take.

    Raises:
        UserError: the runs are not as the study's file describes them, or have to be unpacked first.
    """
    folder = output_dir / "reports" / study.name
    if run_folders(output_dir / study.name):
        runs = with_metrics(read_study_runs(study.name, study, output_dir), study)
    elif (folder / "results.csv").exists():
        raise UserError(
            f"{folder} reports on runs that are not in {output_dir / study.name}: unpack them with "
            f"`make restore STUDY={study.name}`, or move that report away to begin anew."
        )
    else:
        runs = Runs(pd.DataFrame(columns=["setting", "seed", "status", "wall_seconds", *METRICS]))
    values = Values(runs.results, [setting.name for setting in study.settings], f"The table of {study.name}")
    further = further_looks(study, folder)
    if up_to > max([*study.looks, *further], default=up_to):
        further = [*further, up_to]
    outcome, findings = judge(study, values, Values.published(study), further)
    write_looks(outcome, folder)
    seconds = runs.finished.groupby("setting")["wall_seconds"].mean().to_dict()
    return State(outcome, findings, seconds, float(runs.finished["wall_seconds"].sum()) / 3600)


def overrides_of(study: Study, output_dir: Path, also: Sequence[str] = ()) -> dict[str, list[str]]:
    """Setting -> what is typed to train it, but for the seed.

    Raises:
        UserError: an override is not usable, or a setting is trained by no sweep.
    """
    here = [c.then if _condition(study, c.condition)() else c.otherwise for c in study.machine]
    experiment = [f"experiment={study.name}"] if (CONFIG_DIR / "experiment" / f"{study.name}.yaml").exists() else []
    base = [f"study={study.name}", f"output_dir={output_dir}", *" ".join(here).split(), *also]
    jobs = [[*experiment * ("experiment=" not in sweep), *job, *base] for sweep in study.sweeps for job in _jobs(sweep)]
    for job in jobs:
        check_choices(job)
    configs = [compose(*job) for job in jobs]
    rows = pd.DataFrame([flat_configuration(c) | summarise(c, []) | {"status": "running"} for c in configs])
    found = dict(zip(assign(rows, study.settings), jobs, strict=True))
    if without := [setting.name for setting in study.settings if setting.name not in found]:
        raise UserError(f"Study {study.name}: no sweep trains setting {without[0]}; add one to its sweeps.")
    return found


def _condition(study: Study, name: str) -> Callable[[], bool]:
    if name not in CONDITIONS:
        raise UserError(f"Study {study.name}: machine has if={name}; known are {', '.join(CONDITIONS)}.")
    return CONDITIONS[name]


def _jobs(sweep: str) -> list[list[str]]:
    """The command lines that a sweep stands for, as Hydra's own sweeper makes them."""
    choices = []
    for override in OverridesParser.create().parse_overrides(sweep.split()):
        key = override.get_key_element()
        values = (
            override.sweep_string_iterator() if override.is_sweep_override() else [override.get_value_element_as_str()]
        )
        choices.append([f"{key}={value}" for value in values])
    return [list(job) for job in product(*choices)]


def train_runs(typed: Sequence[Sequence[str]]) -> None:
    """Trains the runs of these command lines, as many at a time as there are cores.

    Raises:
        UserError: some failed.
    """
    train_configs([compose(*job) for job in typed], typed)


def train_configs(configs: Sequence[Mapping[str, Any]], typed: Sequence[Sequence[str]]) -> None:
    """Like `train_runs`, for resolved configurations; `typed` shows a person how they differ."""
    runs = plan(configs, typed)
    LocalLauncher().train(runs, Console())
    write_results(runs[0].folder.path.parent)
    if failed := [run for run in runs if not run.is_finished]:
        raise UserError(
            f"{len(failed)} of {len(runs)} runs failed, the first in {failed[0].folder.log_file}; "
            "the same command tries them again."
        )
