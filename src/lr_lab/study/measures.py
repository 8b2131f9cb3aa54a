"""The functions behind metrics: each reads the history of a run. A value that is not finite broke a loss."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd

from lr_lab.run.convergence import epochs_to_reach
from lr_lab.study import descent, plateau

EARLY_EPOCHS = 10
RISE = 0.01


@dataclass(frozen=True)
class MeasuredRun:
    """A run whose metrics are computed.

    Attributes:
        result: its row of results.csv, with the metrics that come before in the registry.
        history: its epochs, with the probes' values for the whole network; empty if only a table is at hand.
        target: the accuracy that the study's benchmark ends at; None without one.
    """

    result: Mapping[str, Any]
    history: pd.DataFrame
    target: float | None = None

    @property
    def accuracies(self) -> list[float]:
        return [float(value) for value in self.history["val_accuracy"]]


def decline(run: MeasuredRun) -> float:
    return float(run.result["best_val_accuracy"] - run.result["val_accuracy"])


def collapsed(run: MeasuredRun) -> float:
    return float(run.result["diagnosis"] == "collapsed")


def loss_gap(run: MeasuredRun) -> float:
    return float(run.result["val_loss"] - run.result["train_loss"])


def val_loss_rise(run: MeasuredRun) -> float:
    """The last loss minus the lowest; infinite if a loss is not finite."""
    values = run.history["val_loss"].to_numpy(float)
    return float(values[-1] - values.min()) if np.isfinite(values).all() else math.inf


def largest_rise(run: MeasuredRun) -> float:
    """The largest rise from an epoch to the next as a part of the first loss; negative if the loss never rises.

    Infinite if a loss is not finite, nan for a single epoch.
    """
    values = run.history["train_loss"].to_numpy(float)
    if not np.isfinite(values).all():
        return math.inf
    return float(np.diff(values).max() / values[0]) if len(values) > 1 else math.nan


def rises(run: MeasuredRun) -> float:
    """The share of epochs, from the second on, in which the loss rises by over RISE of its first value or breaks."""
    values = run.history["train_loss"].to_numpy(float)
    with np.errstate(invalid="ignore"):  # two losses in a row that are not finite count as a rise
        steady = np.diff(values) <= RISE * values[0]
    return float(1 - steady.mean()) if len(steady) else math.nan


def falls(run: MeasuredRun) -> float:
    return _falls(run.accuracies)


def early_falls(run: MeasuredRun) -> float:
    return _falls(run.accuracies[:EARLY_EPOCHS])


def _falls(accuracies: Sequence[float]) -> float:
    return math.fsum(max(0.0, before - after) for before, after in pairwise(accuracies))


def benchmark_epoch(run: MeasuredRun) -> float | None:
    return None if run.target is None else epochs_to_reach(run.accuracies, run.target)


def forgotten(run: MeasuredRun) -> float:
    return plateau.forgotten(run.history)


def best_gap(run: MeasuredRun) -> float:
    return plateau.best_gap(run.history)


def sharpest(run: MeasuredRun) -> float:
    return plateau.sharpest(run.history)


def plateau_gradient(run: MeasuredRun) -> float | None:
    return _of_plateau(run, "plateau_gradient")


def plateau_dead_units(run: MeasuredRun) -> float | None:
    return _of_plateau(run, "plateau_dead_units")


def _of_plateau(run: MeasuredRun, column: str) -> float | None:
    return plateau.of_plateau(run.history).get(column) if run.result["collapsed"] == 1 else None


def arrival_step(run: MeasuredRun) -> float | None:
    return descent.arrival_step(run.history["distance"].tolist())


def contraction(run: MeasuredRun) -> float | None:
    return descent.contraction(run.history["distance"].tolist())


def predicted_contraction(run: MeasuredRun) -> float | None:
    return descent.predicted_contraction(float(run.history["lr"].iloc[0]), _curvatures(run))


def rate_limit(run: MeasuredRun) -> float | None:
    return descent.rate_limit(_curvatures(run))


def best_rate(run: MeasuredRun) -> float | None:
    return descent.best_rate(_curvatures(run))


def _curvatures(run: MeasuredRun) -> list[float]:
    return run.history.filter(like="curvature/").iloc[0].tolist()
