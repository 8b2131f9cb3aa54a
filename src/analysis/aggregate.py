"""The runs of a study as tables: one row per run, one per epoch, and the values that a setting reached by seed."""

from __future__ import annotations

import fnmatch
import gzip
import io
import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from src.analysis import descent, plateau
from src.analysis.convergence import epochs_to_reach, final_accuracy
from src.analysis.diagnosis import Thresholds, diagnose
from src.analysis.study import Study, assign
from src.analysis.summary import SETTING_KEYS, convergence
from src.errors import UserError
from src.run_folder import (
    FINISHED,
    HISTORY_COLUMNS,
    Row,
    RunFolder,
    collect_results,
    run_folders,
    shaping,
    write_text,
    written_aside,
)

DEFAULT_TOLERANCE = 0.01
EARLY_EPOCHS = 10
RISE = 0.01


@dataclass(frozen=True)
class Metric:
    """What is compared: its name for a person, whether less is better, whether it is a fraction, or else a count.

    Of a `neutral` one neither more nor less is better: it explains, and no table marks its best. A `gap` is one
    fraction less another; what is `positive` has no value below 0, as fractions and counts.
    """

    label: str
    lowest: bool = False
    fraction: bool = False
    count: bool = False
    neutral: bool = False
    gap: bool = False
    positive: bool = False

    @property
    def unit(self) -> str:
        """Of a value in a table; "" for a count and for a number without one."""
        return "points" if self.gap else "%" if self.fraction else ""

    @property
    def bounds(self) -> tuple[float, float]:
        """Between which its values lie."""
        if self.fraction and not self.gap:
            return 0.0, 1.0
        return (0.0 if self.fraction or self.count or self.positive else -math.inf), math.inf


METRICS = {
    "val_accuracy": Metric("final validation accuracy", fraction=True),
    "best_val_accuracy": Metric("best validation accuracy", fraction=True),
    "convergence_epoch": Metric("epochs to convergence", lowest=True, count=True),
    "benchmark_epoch": Metric("epochs to the benchmark's final accuracy", lowest=True, count=True),
    "val_loss": Metric("final validation loss", lowest=True, positive=True),
    "train_loss": Metric("final training loss", lowest=True, positive=True),
    "lr_updates": Metric("updates of the learning rate", lowest=True, count=True),
    "decline": Metric("best minus final validation accuracy", lowest=True, fraction=True, gap=True),
    "falls": Metric("sum of the falls of validation accuracy", lowest=True, fraction=True, gap=True),
    "early_falls": Metric(
        f"sum of the falls of validation accuracy in the first {EARLY_EPOCHS} epochs",
        lowest=True,
        fraction=True,
        gap=True,
    ),
    "arrival_step": Metric("steps until 1% of the distance is left", lowest=True, count=True),
    "contraction": Metric("error after a step over that before", lowest=True, positive=True),
    "predicted_contraction": Metric("the same by theory", lowest=True, positive=True),
    "rate_limit": Metric("limit of the rate by theory"),
    "best_rate": Metric("best rate by theory"),
    "loss_gap": Metric("final validation loss minus training loss", lowest=True),
    "val_loss_rise": Metric("final minus lowest validation loss", lowest=True, positive=True),
    "sharpness": Metric("sharpness at the last measurement", lowest=True, neutral=True),
    "no_eval/val_accuracy": Metric("final validation accuracy without eval()", fraction=True),
    "no_eval/val_loss": Metric("final validation loss without eval()", lowest=True, positive=True),
    "largest_rise": Metric("largest rise of the training loss in an epoch, over the first loss", lowest=True),
    "rises": Metric(
        f"share of the epochs in which the training loss rises by over {RISE:.0%} of its first value",
        lowest=True,
        fraction=True,
        neutral=True,
    ),
    "collapsed": Metric("runs that collapsed", lowest=True, fraction=True),
    "best_gap": Metric("validation minus training loss at the lowest training loss", lowest=True),
    "forgotten": Metric("training accuracy lost for good", lowest=True, fraction=True, neutral=True, gap=True),
    "sharpest": Metric("highest sharpness over the stability limit while it learned", lowest=True, neutral=True),
    "probe_gradient": Metric("norm of the probe batch's gradient at the end", lowest=True, neutral=True, positive=True),
    "dead_units": Metric("largest share of dead units in a layer at the end", lowest=True, fraction=True, neutral=True),
    "plateau_gradient": Metric(
        "norm of a collapsed run's gradient at the end over that before", lowest=True, neutral=True, positive=True
    ),
    "plateau_dead_units": Metric(
        "share of dead units in a layer of a collapsed run", lowest=True, fraction=True, neutral=True
    ),
}

# What `judged` adds without histories.
_ADDED = ("setting", "decline", "collapsed", "loss_gap")

# What histories alone can tell. A table that was made without them does not have these columns.
_FROM_HISTORIES = (
    *("benchmark_epoch", "falls", "early_falls", "largest_rise", "rises", "val_loss_rise"),
    *("best_gap", "forgotten", "sharpest", "probe_gradient", "dead_units", "plateau_gradient", "plateau_dead_units"),
    *("sharpness", "no_eval/val_accuracy", "no_eval/val_loss"),
    *("arrival_step", "contraction", "predicted_contraction", "rate_limit", "best_rate"),
)

# What advice wants to know of a run's configuration, whether runs differ in it or not.
_ADVISED_ON = ("model.dropout",)

# What is computed with, beside the metrics.
_NUMBERS = ("seed", "lr", "epochs", "batch_size", "momentum", "weight_decay", "wall_seconds", "train_samples")

# What a run without a number in these columns means: it never got there, or its loss was not finite.
_MISSING_IS_INFINITE = ("convergence_epoch", "benchmark_epoch", "arrival_step", "val_loss", "train_loss")


@dataclass(frozen=True, eq=False)
class Runs:
    """The runs of a study.

    Attributes:
        results: a row per run: the columns of results.csv, `run` its folder's name.
        histories: a row per run and epoch: `run` and the columns of history.csv; None where there is only a table.
    """

    results: pd.DataFrame
    histories: pd.DataFrame | None = None

    @property
    def finished(self) -> pd.DataFrame:
        return self.results[self.results["status"].isin(FINISHED)]

    def measures(self, column: str) -> bool:
        """Whether any run has a number in this column of the results."""
        return column in self.results and bool(self.results[column].notna().any())

    def of(self, settings: Sequence[str]) -> Runs:
        """Those that belong to the settings."""
        return replace(self, results=self.results[self.results["setting"].isin(settings)])

    def curve(self, setting: str, column: str) -> pd.DataFrame:
        """Over the finished runs of a setting: `epoch` (from 1), `mean`, `low` and `high` of the seeds, `runs`.

        Values that are not finite are left out; a run that ended early counts as far as it went: `runs` are those left.
        """
        if column not in self._curves:
            self._curves[column] = self._all_curves(column)
        nothing = pd.DataFrame(columns=["epoch", "mean", "low", "high", "runs"], dtype=float)
        return self._curves[column].get(setting, nothing)

    @cached_property
    def _curves(self) -> dict[str, dict[str, pd.DataFrame]]:
        return {}

    def _all_curves(self, column: str) -> dict[str, pd.DataFrame]:
        if self.histories is None or column not in self.histories:
            return {}
        settings = self.finished.set_index("run")["setting"]
        rows = self.histories[["run", "epoch", column]].assign(setting=self.histories["run"].map(settings))
        rows = rows[rows[column].abs() < math.inf]
        table = rows.groupby(["setting", "epoch"])[column].agg(["mean", "min", "max", "count"]).reset_index("epoch")
        table = table.set_axis(["epoch", "mean", "low", "high", "runs"], axis=1).assign(epoch=table["epoch"] + 1)
        return {str(setting): part.reset_index(drop=True) for setting, part in table.groupby(level=0)}


def read_runs(study: Path, tolerance: float | None = None, told_by: Collection[str] = ()) -> Runs:
    """The runs of a study's folder.

    Args:
        study: the folder.
        tolerance: of convergence; None: that of the configurations, one of each dataset and network.
        told_by: the columns that settings and notices are told by; those that results lack come from the configuration.

    Raises:
        UserError: there is no run with a result.
    """
    rows = collect_results(study)
    if not rows:
        raise UserError(
            f"{study} holds no run with a result; train one with "
            f"`python -m src.train study={study.name}` or name another study."
        )
    folders = {folder.path.name: folder for folder in run_folders(study)}
    results = pd.DataFrame([{key: _scalar(value) for key, value in row.items()} for row in rows])
    results = pd.concat([results, _configuration(results, folders, told_by)], axis=1)
    epochs = {run: folders[run].history() for run in results["run"]}
    histories = pd.DataFrame([{"run": run, **row} for run, history in epochs.items() for row in history])
    # A column that no run has a number in, such as the accuracy of a regression, would hold objects.
    histories = histories.astype({column: float for column in histories if column not in ("run", "epoch")})
    if histories.empty:
        return Runs(results)
    return Runs(_by_todays_rules(results, epochs, folders, tolerance), histories)


def _scalar(value: Any) -> Any:
    """A value for a cell: versions, a mapping of package to version, become words."""
    return ", ".join(f"{k} {v}" for k, v in value.items()) if isinstance(value, Mapping) else value


def _configuration(results: pd.DataFrame, folders: Mapping[str, RunFolder], told_by: Collection[str]) -> pd.DataFrame:
    """What else to know of the runs' configurations.

    The columns asked for, those that advice needs, and what tells apart runs whose results say the same of their
    setting: data.limit, say.
    """
    asked = [key for key in told_by if key not in results]
    keys = [key for key in SETTING_KEYS if key in results]
    setting = [key for key in keys if key != "seed"]
    configs = [folders[run].config() for run in results["run"]]
    flat = pd.DataFrame(
        [dict(_flat(shaping(config) | {"init_from": config.get("init_from")})) for config in configs],
        index=results.index,
    )
    flat = flat.reindex(columns=[*flat, *(column for column in asked if column not in flat)])  # of runs yet to come
    chosen = [*asked, *(column for column in _ADVISED_ON if column in flat and column not in asked)]
    for column in flat.loc[:, flat.nunique(dropna=False) > 1].columns.difference(chosen, sort=False):
        # These may differ from seed to seed within a setting: they tell runs apart that share their seed.
        by_seed = column == "init_from" or column.endswith("seed") or column.startswith("probes.")
        together = pd.concat([results[keys if by_seed else setting], flat[[*chosen, column]]], axis=1)
        if len(together.drop_duplicates()) > len(together.drop(columns=column).drop_duplicates()):
            chosen.append(column)
    return flat[chosen]


def _flat(config: Mapping[str, Any], prefix: str = "") -> list[tuple[str, Any]]:
    """What shapes a run, below the groups of its configuration: `data.limit` and its value, say; and `init_from`."""
    items: list[tuple[str, Any]] = []
    for key, value in config.items():
        if isinstance(value, Mapping):
            items += _flat(value, f"{prefix}{key}.")
        elif prefix or key == "init_from":
            items.append((f"{prefix}{key}", str(value) if isinstance(value, list) else value))
    return items


def _by_todays_rules(
    results: pd.DataFrame,
    histories: Mapping[str, Sequence[Row]],
    folders: Mapping[str, RunFolder],
    tolerance: float | None,
) -> pd.DataFrame:
    """The results with convergence and diagnosis as the rules of today see the histories, whenever they were made."""
    configs: dict[Any, dict[str, Any]] = {}
    judged = []
    for row in results.to_dict("records"):
        kind = row["data"], row["model"]
        if kind not in configs:
            configs[kind] = folders[row["run"]].config()
        config = configs[kind]
        classes = config["model"].get("classes")
        within = tolerance or config.get("analysis", {}).get("convergence_tolerance") or DEFAULT_TOLERANCE
        found = {"diagnosis": row.get("diagnosis"), "diagnosis_evidence": row.get("diagnosis_evidence")}
        found |= {"convergence_epoch": None, "convergence_tolerance": within}
        if history := histories[row["run"]]:
            found["convergence_epoch"] = convergence(history, classes, within, row["status"] == "diverged")
            if row["status"] in FINISHED:
                diagnosis = diagnose(history, classes, Thresholds.of(config["analysis"]["diagnosis"]))
                found |= {"diagnosis": diagnosis.label, "diagnosis_evidence": diagnosis.evidence}
        judged.append(found)
    table = pd.DataFrame(judged, index=results.index)
    # Objects where nobody converges.
    table["convergence_epoch"] = pd.array(table["convergence_epoch"], dtype="Float64").astype(float)
    return results.assign(**table)


def read_table(file: Path) -> Runs:
    """The runs of one table, as results.csv.

    Raises:
        UserError: the file is missing, or has no column that every report needs.
    """
    try:
        results = pd.read_csv(file, float_precision="round_trip")
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise UserError(
            f"{file} cannot be read as CSV ({reason}); name a table as results.csv of a study's report is."
        ) from error
    for column in ("status", "seed", "lr", "optimizer"):
        if column not in results:
            raise UserError(f"{file} has no column {column}; give a table as results.csv of a study's report is.")
    for column in (*_NUMBERS, *(metric for metric in METRICS if metric in results)):
        numbers = pd.to_numeric(results.get(column), errors="coerce")
        if column in results and (wrong := results[column].notna() & numbers.isna()).any():
            row = int(wrong.argmax())
            raise UserError(
                f"{file}, row {row + 1}: {column}={results[column].iloc[row]} is not a number; "
                "give one, or leave it empty."
            )
    if not (results["seed"] % 1 == 0).all():
        raise UserError(f"{file} has a seed that is no whole number; give every run its seed.")
    if "run" not in results:
        results.insert(0, "run", [f"row {number}" for number in range(1, len(results) + 1)])
    return Runs(results)


def read_report(folder: Path) -> Runs:
    """The runs that a report kept: its results.csv, less what `judged` adds anew, and histories.csv.gz, if any."""
    runs = read_table(folder / "results.csv")
    file = folder / "histories.csv.gz"
    if not file.exists():
        return runs
    histories = pd.read_csv(file, float_precision="round_trip")
    probed = plateau.whole_network(histories.head(1)).columns.difference(["run", *HISTORY_COLUMNS])
    added = [*_ADDED, *_FROM_HISTORIES, *probed]
    return Runs(runs.results.drop(columns=added, errors="ignore"), histories)


def write_runs(runs: Runs, judged: Runs, folder: Path) -> None:
    """Writes results.csv, with what `judged` adds, and histories.csv.gz, if any; the same runs give the same bytes."""
    added = judged.results[[column for column in judged.results if column not in runs.results]]
    results = runs.results.drop(columns="error", errors="ignore").join(added)
    write_text(folder / "results.csv", results.to_csv(index=False))
    if runs.histories is not None:
        text = io.BytesIO(runs.histories.to_csv(index=False).encode())
        with written_aside(folder / "histories.csv.gz") as aside:
            aside.write_bytes(gzip.compress(text.getvalue(), mtime=0))


def judged(runs: Runs, study: Study) -> Runs:
    """The runs with their `setting` and the metrics that the study adds; those of no setting are left out.

    Raises:
        UserError: as `assign`.
    """
    results = runs.results.drop(columns="setting", errors="ignore")
    results = results.assign(setting=assign(runs.results, study.settings)).dropna(subset="setting")
    if {"best_val_accuracy", "val_accuracy"} <= set(results):
        results["decline"] = results["best_val_accuracy"] - results["val_accuracy"]
    if "diagnosis" in results:
        results["collapsed"] = (results["diagnosis"] == "collapsed").astype(float)
    if {"train_loss", "val_loss"} <= set(results):
        results["loss_gap"] = results["val_loss"] - results["train_loss"]
    if runs.histories is None:
        return replace(runs, results=results)
    histories = plateau.whole_network(runs.histories[runs.histories["run"].isin(results["run"])])
    by_run = histories.groupby("run")
    # What was measured before a loss broke does not stand for the end.
    ends = by_run.tail(1).set_index("run")[["train_loss", "val_loss"]]
    unbroken = np.isfinite(ends.astype(float)).all(axis=1)
    for column in (column for column in histories if column not in ("run", *HISTORY_COLUMNS)):  # the probes'
        results[column] = results["run"].map(by_run[column].last().where(unbroken))
    results["val_loss_rise"] = results["run"].map(by_run["val_loss"].agg(_rise))
    results["largest_rise"] = results["run"].map(by_run["train_loss"].agg(_largest_rise))
    results["rises"] = results["run"].map(by_run["train_loss"].agg(_rises))
    if "distance" in histories:
        followed = {run: _descent(history) for run, history in by_run}
        found = pd.DataFrame([followed.get(run, {}) for run in results["run"]], index=results.index, dtype=float)
        results[found.columns] = found
    if not histories["val_accuracy"].notna().any():
        return replace(runs, results=results, histories=histories)
    results["best_gap"] = results["run"].map({run: plateau.best_gap(history) for run, history in by_run})
    results["forgotten"] = results["run"].map({run: plateau.forgotten(history) for run, history in by_run})
    if "sharpness_to_limit" in histories:
        results["sharpest"] = results["run"].map({run: plateau.sharpest(history) for run, history in by_run})
    if {"probe_gradient", "dead_units"} <= set(histories):
        collapsed = set(results.loc[results["collapsed"] == 1, "run"])
        found = {run: plateau.of_plateau(history) for run, history in by_run if run in collapsed}
        for column in ("plateau_gradient", "plateau_dead_units"):
            results[column] = [found.get(run, {}).get(column, math.nan) for run in results["run"]]
    accuracies = {str(run): group.tolist() for run, group in by_run["val_accuracy"]}
    results["falls"] = [_falls(accuracies.get(run, [])) for run in results["run"]]
    results["early_falls"] = [_falls(accuracies.get(run, [])[:EARLY_EPOCHS]) for run in results["run"]]
    target = benchmark_accuracy(results, accuracies, study.benchmark)
    if target is not None:
        results["benchmark_epoch"] = pd.Series(
            [epochs_to_reach(accuracies.get(run, []), target) for run in results["run"]],
            index=results.index,
            dtype=float,
        )
    return replace(runs, results=results, histories=histories)


def _descent(history: pd.DataFrame) -> dict[str, float | None]:
    """The metrics of a run whose weights were followed (probes=descent)."""
    lr, distances = float(history["lr"].iloc[0]), history["distance"].tolist()
    curvatures = history.filter(like="curvature/").iloc[0].tolist()
    return {
        "arrival_step": descent.arrival_step(distances),
        "contraction": descent.contraction(distances),
        "predicted_contraction": descent.predicted_contraction(lr, curvatures),
        "rate_limit": descent.rate_limit(curvatures),
        "best_rate": descent.best_rate(curvatures),
    }


def _largest_rise(losses: pd.Series) -> float:
    """The largest rise from an epoch to the next as a part of the first loss; negative if the loss never rises.

    Infinite if a loss is not finite, nan for a single epoch.
    """
    values = losses.to_numpy(float)
    if not np.isfinite(values).all():
        return math.inf
    return float(np.diff(values).max() / values[0]) if len(values) > 1 else math.nan


def _rises(losses: pd.Series) -> float:
    """The share of epochs, from the second on, in which the loss rises by over RISE of its first value or breaks."""
    values = losses.to_numpy(float)
    with np.errstate(invalid="ignore"):  # from one loss that is not finite to the next: no fall, so a rise
        steady = np.diff(values) <= RISE * values[0]
    return float(1 - steady.mean()) if len(steady) else math.nan


def _rise(losses: pd.Series) -> float:
    """The last less the lowest; infinite if a loss is not finite."""
    values = losses.to_numpy(float)
    return float(values[-1] - values.min()) if np.isfinite(values).all() else math.inf


def _falls(accuracy: Sequence[float]) -> float:
    return math.fsum(max(0.0, before - after) for before, after in pairwise(accuracy))


def benchmark_accuracy(
    results: pd.DataFrame, accuracies: Mapping[str, Sequence[float]], benchmark: str | None
) -> float | None:
    """Mean over seeds of the benchmark's final accuracy (mean of its last 5 epochs); None without such a run."""
    runs = results[(results["setting"] == benchmark) & (results["status"] == "completed")]["run"]
    finals = [final_accuracy(accuracies[run]) for run in runs if accuracies.get(run)]
    return math.fsum(finals) / len(finals) if finals else None


class Values:
    """What each setting reached with each seed, metric by metric; what claims are tested on.

    Args:
        results: rows with `setting`, `seed`, `status` and the metrics.
        settings: all settings of the study, run or not.
        place: what the numbers are of, for messages.
        censored: whether a missing epoch or loss means that the run never got there; else: that nobody measured it.
    """

    def __init__(self, results: pd.DataFrame, settings: Sequence[str], place: str, censored: bool = True) -> None:
        self.settings = list(settings)
        self.place = place
        self._censored = censored
        finished = results[results["status"].isin(FINISHED)]
        self.metrics = set(results)
        self._rows = {str(name): rows for name, rows in finished.groupby("setting")}

    @classmethod
    def published(cls, study: Study) -> Values:
        """The document's own numbers, as if they were one seed."""
        rows = [{"setting": s.name, "seed": 0, "status": "completed", **s.published} for s in study.settings]
        table = pd.DataFrame(rows, columns=["setting", "seed", "status", *METRICS])
        return cls(table, [setting.name for setting in study.settings], study.table, censored=False)

    def series(self, setting: str, metric: str) -> dict[int, float]:
        """Seed -> value of the finished runs that have one; infinite for a run that never got there.

        Raises:
            UserError: the results have no such column.
        """
        # What a document says nothing of, such as a probe's column (with a slash), is no mistake of its table.
        if metric not in self.metrics and (metric in _FROM_HISTORIES or "/" in metric or not self._censored):
            return {}
        if metric not in self.metrics:
            known = ", ".join(name for name in METRICS if name in self.metrics)
            raise UserError(f"{self.place} has no column {metric}; of the metrics it has {known or 'none'}.")
        if setting not in self._rows:
            return {}
        rows = self._rows[setting]
        values = rows[metric].astype(float)
        if self._censored and metric in _MISSING_IS_INFINITE and self._measures(metric):
            values = values.fillna(math.inf)
        return {int(seed): value for seed, value in zip(rows["seed"], values, strict=True) if not math.isnan(value)}

    def run_count(self, setting: str, status: str | None = None) -> int:
        """Finished runs of a setting; those of one status only, if named."""
        rows = self._rows.get(setting)
        return 0 if rows is None else len(rows) if status is None else int((rows["status"] == status).sum())

    def _measures(self, metric: str) -> bool:
        """Whether any setting has a number: a column that is empty throughout was not measured."""
        return any(rows[metric].notna().any() for rows in self._rows.values())

    def match(self, names: str | Sequence[str]) -> list[str]:
        """The settings that the names or patterns (`*_epoch`) stand for, in the study's order.

        Raises:
            UserError: a pattern stands for none.
        """
        patterns = [names] if isinstance(names, str) else list(names)
        found: set[str] = set()
        for pattern in patterns:
            # A name may have brackets, which would be a class of letters in a pattern: betas=[0.9, 0.99].
            stands_for = {pattern} & {*self.settings} or {*fnmatch.filter(self.settings, pattern)}
            if not stands_for:
                raise UserError(f"{pattern} is no setting of the study; there are {', '.join(self.settings)}.")
            found |= stands_for
        return [name for name in self.settings if name in found]
