"""The runs of a study as two tables, read and written: a row per run, and a row per run and epoch."""

from __future__ import annotations

import gzip
import io
import math
import zlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import Any

import pandas as pd

from lr_lab.curves.curve import Curve
from lr_lab.curves.diagnosis import diagnose
from lr_lab.curves.readers.lab_run import classes_of
from lr_lab.curves.thresholds import Thresholds
from lr_lab.errors import UserError
from lr_lab.run.folder import (
    FINISHED,
    HISTORY_COLUMNS,
    Row,
    RunFolder,
    collect_results,
    flat_configuration,
    run_folders,
    write_text,
    written_aside,
)
from lr_lab.run.summary import SETTING_KEYS, convergence
from lr_lab.study import plateau
from lr_lab.study.metrics import METRICS

DEFAULT_TOLERANCE = 0.01
# The columns of a run's configuration that advice reads, whether runs differ in them or not.
_ADVISED_ON = ("model.dropout",)

# Columns beside the metrics that take part in computations.
_NUMBERS = ("seed", "lr", "epochs", "batch_size", "momentum", "weight_decay", "wall_seconds", "train_samples")


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
        """True if any run has a number in this column of the results."""
        return column in self.results and bool(self.results[column].notna().any())

    def of(self, settings: Sequence[str]) -> Runs:
        """The runs that belong to the settings."""
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
        told_by: columns that select settings and notices; those that results lack come from the configuration.

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
    """Further columns from the runs' configurations.

    The columns asked for, those that advice needs, and what tells apart runs whose results say the same of their
    setting: data.limit, say.
    """
    asked = [key for key in told_by if key not in results]
    keys = [key for key in SETTING_KEYS if key in results]
    setting = [key for key in keys if key != "seed"]
    configs = [folders[run].config() for run in results["run"]]
    flat = pd.DataFrame(
        [flat_configuration(config) for config in configs],
        index=results.index,
    )
    flat = flat.reindex(columns=[*flat, *(column for column in asked if column not in flat)])  # for runs that will come
    chosen = [*asked, *(column for column in _ADVISED_ON if column in flat and column not in asked)]
    for column in flat.loc[:, flat.nunique(dropna=False) > 1].columns.difference(chosen, sort=False):
        # These may differ from seed to seed within a setting: they tell runs apart that share their seed.
        by_seed = column == "init_from" or column.endswith("seed") or column.startswith("probes.")
        together = pd.concat([results[keys if by_seed else setting], flat[[*chosen, column]]], axis=1)
        if len(together.drop_duplicates()) > len(together.drop(columns=column).drop_duplicates()):
            chosen.append(column)
    return flat[chosen]


def _by_todays_rules(
    results: pd.DataFrame,
    histories: Mapping[str, Sequence[Row]],
    folders: Mapping[str, RunFolder],
    tolerance: float | None,
) -> pd.DataFrame:
    """The results with convergence, diagnosis and updates of the rate by today's rules, whenever the runs were made."""
    configs: dict[Any, dict[str, Any]] = {}
    computed = []
    for row in results.to_dict("records"):
        kind = row["data"], row["model"]
        if kind not in configs:
            configs[kind] = folders[row["run"]].config()
        config = configs[kind]
        classes = classes_of(config)
        within = tolerance or config.get("analysis", {}).get("convergence_tolerance") or DEFAULT_TOLERANCE
        found = {"diagnosis": row.get("diagnosis"), "diagnosis_evidence": row.get("diagnosis_evidence")}
        found |= {"convergence_epoch": None, "convergence_tolerance": within, "lr_updates": row.get("lr_updates")}
        if history := histories[row["run"]]:
            found["convergence_epoch"] = convergence(history, classes, within, row["status"] == "diverged")
            found["lr_updates"] = _changes(row, [epoch["lr"] for epoch in history])
            if row["status"] in FINISHED:
                known = {key: row[key] for key in ("guess_loss",) if pd.notna(row.get(key))}
                curve = Curve.of_history(history, classes, initial_lr=row.get("lr"), **known)
                diagnosis = diagnose(curve, Thresholds.of(config["analysis"]["diagnosis"]))
                found |= {"diagnosis": diagnosis.label, "diagnosis_evidence": diagnosis.evidence}
        computed.append(found)
    table = pd.DataFrame(computed, index=results.index)
    # The column holds objects if no run converges.
    table["convergence_epoch"] = pd.array(table["convergence_epoch"], dtype="Float64").astype(float)
    return results.assign(**table)


def _changes(row: Mapping[str, Any], rates: Sequence[float]) -> Any:
    """The number of changes of the rate. Runs before December 2026 also counted advances that left it as it was.

    The history of a run that goes by steps has the last rate of each epoch only: what it counted itself stays.
    """
    changes = sum(before != after for before, after in pairwise(rates))
    return row.get("lr_updates") if row.get("strategy") == "every_step" and changes else changes


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
        raise UserError(f"{file} has a seed that is not a whole number; give every run its seed.")
    if "run" not in results:
        results.insert(0, "run", [f"row {number}" for number in range(1, len(results) + 1)])
    return Runs(results)


def read_report(folder: Path) -> Runs:
    """The runs that a report kept: results.csv without the columns of `with_metrics`, and histories.csv.gz, if any.

    Raises:
        UserError: a file is damaged.
    """
    runs = read_table(folder / "results.csv")
    file = folder / "histories.csv.gz"
    if not file.exists():
        return runs
    try:
        histories = pd.read_csv(file, float_precision="round_trip")
        lost = set(histories["run"]) - set(runs.results["run"])
    except (OSError, EOFError, zlib.error, ValueError, KeyError) as error:
        raise UserError(f"{file} is damaged; bring it back, or report from the runs themselves.") from error
    if lost:
        raise UserError(
            f"{folder / 'results.csv'} lacks {len(lost)} of the runs that {file.name} has, such as {min(lost)}; "
            "bring it back, or report from the runs themselves."
        )
    probed = plateau.whole_network(histories.head(1)).columns.difference(["run", *HISTORY_COLUMNS])
    computed = [name for name, metric in METRICS.items() if metric.of_run or metric.from_history]
    added = ["setting", *computed, *probed]
    return Runs(runs.results.drop(columns=added, errors="ignore"), histories)


def write_runs(runs: Runs, measured: Runs, folder: Path) -> None:
    """Writes results.csv, with the metrics, and histories.csv.gz, if any; the same runs give the same bytes."""
    added = measured.results[[column for column in measured.results if column not in runs.results]]
    results = runs.results.drop(columns="error", errors="ignore").join(added)
    write_text(folder / "results.csv", results.to_csv(index=False))
    if runs.histories is not None:
        text = io.BytesIO(runs.histories.to_csv(index=False).encode())
        with written_aside(folder / "histories.csv.gz") as aside:
            aside.write_bytes(gzip.compress(text.getvalue(), mtime=0))
