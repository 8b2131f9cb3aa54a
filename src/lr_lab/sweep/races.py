"""Racing the settings of a plain sweep seed by seed, dropping those that surely are not the best."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from lr_lab.errors import UserError
from lr_lab.run.folder import FINISHED, run_folders, write_text
from lr_lab.study.looks import Table
from lr_lab.study.measured import with_metrics
from lr_lab.study.metrics import METRICS
from lr_lab.study.race import Standing, race
from lr_lab.study.runs import read_runs
from lr_lab.study.spending import Plan
from lr_lab.study.study_file import discover
from lr_lab.study.values import Values
from lr_lab.sweep.budget import train_configs

FEWEST_SEEDS = 3
MOST_SEEDS = 20


@dataclass(frozen=True)
class Field:
    """The settings of a folder of runs, and the standing of their race.

    Attributes:
        configs: setting -> the configuration of one of its runs.
        spent: hours of all runs so far.
    """

    standing: Standing
    metric: str
    configs: Mapping[str, Mapping[str, Any]]
    spent: float


def field(folder: Path, seeds: int | None = None, margin: float = 0.0) -> Field:
    """Raises UserError if the folder has no finished run, or those of a single setting."""
    runs = read_runs(folder)
    study = discover(folder.name, runs.results)
    if study.by_dataset:
        names = " and ".join(dict.fromkeys(str(setting.where["data"]) for setting in study.settings))
        raise UserError(f"{folder} has runs on {names}; a race takes one dataset, so give each a study of its own.")
    if len(study.settings) < 2:
        raise UserError(
            f"{folder} has runs of one setting; a race takes two, such as -m study={folder.name} lr=0.1,0.01."
        )
    runs = with_metrics(runs, study)
    values = Values(runs.results, [setting.name for setting in study.settings], f"The table of {folder.name}")
    metric = "val_accuracy" if runs.measures("val_accuracy") else "val_loss"
    taken = {setting: values.seeds(setting) for setting in values.settings}
    start = min(min(each, default=0) for each in taken.values())
    looks = list(range(FEWEST_SEEDS, max(seeds or MOST_SEEDS, FEWEST_SEEDS) + 1))
    table = Table(values, taken, range(start, start + looks[-1]))
    standing = race(
        values.settings, metric, table, Plan(looks, power=1, kept_back=0), METRICS[metric].lower_is_better, margin
    )
    laps = [{"seeds": lap.seeds, "dropped": s, "by": by} for lap in standing.laps for s, by in lap.dropped.items()]
    write_text(
        folder.parent / "reports" / folder.name / "race.csv",
        pd.DataFrame(laps, columns=["seeds", "dropped", "by"]).to_csv(index=False),
    )
    by_run = {each.path.name: each for each in run_folders(folder)}
    configs = {str(row["setting"]): by_run[row["run"]].config() for row in runs.results.to_dict("records")}
    finished = runs.results[runs.results["status"].isin(FINISHED)]
    return Field(standing, metric, configs, float(finished["wall_seconds"].sum()) / 3600)


def train_until_best(
    folder: Path, hours: float, seeds: int | None, margin: float = 0.0, say: Callable[[str], None] = print
) -> None:
    """Trains seed by seed while more than one setting is left and the budget lasts."""
    said = 0
    while True:
        now = field(folder, seeds, margin)
        for lap in now.standing.laps[said:]:
            for setting, better in lap.dropped.items():
                say(f"After {lap.seeds} seeds {setting} is out: {better} is surely better{_or_as_good(margin)}.")
        said = len(now.standing.laps)
        if not now.standing.missing or now.spent >= hours:
            say(_say_end(now, hours))
            return
        seed = min(seeds[0] for seeds in now.standing.missing.values())
        settings = [setting for setting, seeds in now.standing.missing.items() if seeds[0] == seed]
        _train_lap(now, settings, seed)


def _or_as_good(margin: float) -> str:
    return f", or at most {margin:g} worse" if margin else ""


def _say_end(now: Field, hours: float) -> str:
    left, kind = now.standing.left, METRICS[now.metric].label
    if len(left) == 1:
        return f"Best by {kind}: {left[0]}. The chance that another one is truly better is at most 5%."
    why = f"{now.spent:.2f} of {hours:g} hours are spent" if now.spent >= hours else "all seeds are trained"
    return f"Best by {kind}, with 95% certainty, is one of these {len(left)}: {', '.join(left)} ({why})."


def _train_lap(current: Field, settings: Sequence[str], seed: int) -> None:
    """Trains one seed of these settings."""
    configs = []
    for setting in settings:
        config = dict(current.configs[setting])
        # If the runs' seed also draws the split, the new seed does so, too.
        if config["data"].get("split_seed") == config["seed"] != 0:
            config["data"] = {**config["data"], "split_seed": seed}
        configs.append({**config, "seed": seed})
    train_configs(configs, [[f"setting={setting}", f"seed={seed}"] for setting in settings])
