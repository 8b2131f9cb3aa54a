"""How a run lost its accuracy and how flat the plateau is on which it ended, from its history and probes.

The high learning rate question asks why a loss jumps up and never comes back. Its answer: the network sits where the
gradient is close to zero. These numbers say how much was lost, how unstable the rate was before, and how flat it is
afterwards.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd

from lr_lab.curves.shape import length_of_end


def whole_network(histories: pd.DataFrame) -> pd.DataFrame:
    """The histories with columns for the whole network, from the layers that their probes measured.

    probe_gradient: Euclidean norm of the probe batch's gradient over all layers.
    dead_units: share of dead units in the layer that has most of them.
    sharpness_to_limit: sharpness, for Adam the preconditioned, over the optimizer's stability limit at its rate.

    An epoch stays empty if it was not measured or if the network's outputs were NaN; a probe that did not run
    adds no column.
    """
    added = {}
    if len((norms := histories.filter(like="gradient_norm/")).columns):
        added["probe_gradient"] = np.sqrt((norms**2).sum(axis=1, min_count=1))
        # NaN <= 0 is False, so a diverged network would seem to have no dead units; blank those rows.
        added["dead_units"] = histories.filter(like="dead_units/").max(axis=1).where(norms.notna().any(axis=1))
    if {"sharpness", "stability_limit"} <= set(histories):
        preconditioned = histories.get("preconditioned_sharpness", pd.Series(math.nan, index=histories.index))
        added["sharpness_to_limit"] = preconditioned.fillna(histories["sharpness"]) / histories["stability_limit"]
    return histories.assign(**added)


def forgotten(history: pd.DataFrame) -> float:
    """The best training accuracy minus the best near the end; all of it if a loss is not finite."""
    best = float(history["train_accuracy"].max())
    if not np.isfinite(history[["train_loss", "val_loss"]].to_numpy(float)).all():
        return best
    return best - float(history.tail(length_of_end(len(history)))["train_accuracy"].max())


def best_gap(history: pd.DataFrame) -> float:
    """Validation minus training loss in the epoch of the lowest training loss: how far it overfits at its best."""
    best = _before(history).iloc[-1]
    return float(best["val_loss"]) - float(best["train_loss"])


def sharpest(history: pd.DataFrame) -> float:
    """The largest `sharpness_to_limit` up to the epoch of the lowest training loss: while the run still learned."""
    return float(_before(history)["sharpness_to_limit"].max())


def of_plateau(history: pd.DataFrame) -> dict[str, Any]:
    """How flat the loss is where a collapsed run ended.

    plateau_gradient: `probe_gradient` at the end, over that up to the epoch of the lowest training loss; both means.
    plateau_dead_units: mean of `dead_units` at the end.
    """
    end = history.tail(length_of_end(len(history)))
    return {
        "plateau_gradient": float(end["probe_gradient"].mean() / _before(history)["probe_gradient"].mean()),
        "plateau_dead_units": float(end["dead_units"].mean()),
    }


def _before(history: pd.DataFrame) -> pd.DataFrame:
    losses = history["train_loss"].to_numpy(float)
    return history.head(int(np.argmin(np.where(np.isfinite(losses), losses, math.inf))) + 1)
