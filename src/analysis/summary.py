"""From a run's configuration and history to its result."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from src.analysis.convergence import convergence_epoch, convergence_step
from src.run_folder import Row, config_hash

# The columns of result.json that say what was asked, and those that say what came out.
SETTING_KEYS = (
    *("data", "model", "optimizer", "momentum", "weight_decay", "lr", "sequence", "strategy"),
    *("seed", "epochs", "batch_size"),
)
METRIC_KEYS = (
    "train_loss",
    "val_loss",
    "val_accuracy",
    "best_val_accuracy",
    "convergence_epoch",
    "lr_updates",
)

# A run whose training loss ends above this multiple of where it started has diverged.
DIVERGED_RATIO = 10.0


def has_nonfinite_loss(rows: Sequence[Row]) -> bool:
    """Whether the last epoch left a loss that is not finite: nothing that follows could be told from it."""
    return bool(rows) and not (math.isfinite(rows[-1]["train_loss"]) and math.isfinite(rows[-1]["val_loss"]))


def has_diverged(rows: Sequence[Row]) -> bool:
    """Whether a loss is not finite, or the last training loss is over ten times the one the run started from."""
    return has_nonfinite_loss(rows) or (bool(rows) and rows[-1]["train_loss"] > DIVERGED_RATIO * rows[0]["train_loss"])


def summarise(config: Mapping[str, Any], rows: Sequence[Row], lr_updates: int = 0) -> dict[str, Any]:
    """The scalars of a run that its configuration and history determine.

    Args:
        config: the resolved configuration.
        rows: the history, a row per epoch.
        lr_updates: advances of the sequence that took effect.
    """
    optimizer = config["optimizer"]
    accuracies = [row["val_accuracy"] for row in rows if row["val_accuracy"] is not None]
    last: Mapping[str, Any] = rows[-1] if rows else {}
    if has_nonfinite_loss(rows):
        status = "diverged"
    elif len(rows) < config["epochs"]:
        status = "running"
    else:
        status = "diverged" if has_diverged(rows) else "completed"
    return {
        "status": status,
        "study": config["study"],
        **{group: config["names"][group] for group in ("data", "model", "optimizer")},
        "momentum": optimizer.get("momentum"),
        "weight_decay": optimizer.get("weight_decay"),
        "lr": config["lr"],
        "sequence": config["names"]["sequence"],
        "strategy": config["names"]["strategy"],
        "seed": config["seed"],
        "epochs": config["epochs"],
        "batch_size": config["batch_size"],
        "epochs_run": len(rows),
        "lr_updates": lr_updates,
        "train_loss": last.get("train_loss"),
        "val_loss": last.get("val_loss"),
        "val_accuracy": last.get("val_accuracy"),
        "best_val_accuracy": max(accuracies, default=None),
        "convergence_epoch": None if status == "running" else _convergence_epoch(config, rows, status == "diverged"),
        "config_hash": config_hash(config),
    }


def _convergence_epoch(config: Mapping[str, Any], rows: Sequence[Row], diverged: bool) -> int | None:
    """Counted from 1; for regression, from the loss that the first epoch began with."""
    classes = config["model"].get("classes")
    if classes is None:
        return convergence_step([row["train_loss"] for row in rows], diverged)
    accuracies = [row["val_accuracy"] for row in rows]
    return convergence_epoch(accuracies, config["analysis"]["convergence_tolerance"], 1 / classes, diverged)
