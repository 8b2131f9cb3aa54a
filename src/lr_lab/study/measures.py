"""The metrics of each run that its history tells."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pandas as pd

from lr_lab.run.convergence import epochs_to_reach, final_accuracy
from lr_lab.run.folder import (
    HISTORY_COLUMNS,
)
from lr_lab.study import descent, plateau
from lr_lab.study.metrics import EARLY_EPOCHS, RISE
from lr_lab.study.runs import Runs
from lr_lab.study.study_file import Study, assign


def with_metrics(runs: Runs, study: Study) -> Runs:
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
