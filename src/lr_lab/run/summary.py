"""From a run's configuration and history to its result."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from lr_lab.curves.curve import Curve
from lr_lab.curves.diagnosis import diagnose, has_diverged, has_nonfinite_loss
from lr_lab.curves.readers.lab_run import classes_of
from lr_lab.curves.thresholds import Thresholds
from lr_lab.run.convergence import convergence_epoch, convergence_step
from lr_lab.run.folder import Row, config_hash

# The columns of result.json for settings.
SETTING_KEYS = (
    *("data", "model", "optimizer", "momentum", "weight_decay", "lr", "sequence", "strategy"),
    *("seed", "epochs", "batch_size"),
)


def summarise(
    config: Mapping[str, Any], rows: Sequence[Row], lr_updates: int = 0, guess_loss: float | None = None
) -> dict[str, Any]:
    """The scalars of a run that its configuration and history determine.

    Args:
        config: the resolved configuration.
        rows: the history, a row per epoch.
        lr_updates: how often the rate changed.
        guess_loss: loss of always answering with the shares of the classes, where they are known.

    Raises:
        UserError: a threshold of the diagnosis is not usable.
    """
    # Before the first epoch too, so that a wrong threshold ends the run at its start.
    thresholds = Thresholds.of(config["analysis"].get("diagnosis"))
    classes, tolerance = classes_of(config), config["analysis"]["convergence_tolerance"]
    optimizer = config["optimizer"]
    accuracies = [row["val_accuracy"] for row in rows if row["val_accuracy"] is not None]
    last: Mapping[str, Any] = rows[-1] if rows else {}
    curve = replace(curve_of(config, rows), guess_loss=guess_loss)
    if has_nonfinite_loss(curve):
        status = "diverged"
    elif len(rows) < config["epochs"]:
        status = "running"
    else:
        status = "diverged" if has_diverged(curve) else "completed"
    has_ended = status != "running"
    diagnosis = diagnose(curve, thresholds) if has_ended else None
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
        "convergence_epoch": convergence(rows, classes, tolerance, status == "diverged") if has_ended else None,
        "diagnosis": diagnosis.label if diagnosis else None,
        "diagnosis_evidence": diagnosis.evidence if diagnosis else None,
        "config_hash": config_hash(config),
    }


def curve_of(config: Mapping[str, Any], rows: Sequence[Row]) -> Curve:
    """The curve of a run. The history holds the last rate of each epoch, so the rate of the first step is added."""
    return Curve.of_history(rows, classes_of(config), initial_lr=config["lr"])


def convergence(rows: Sequence[Row], classes: int | None, tolerance: float, diverged: bool) -> int | None:
    """The epoch of convergence, counted from 1; for regression (no classes) the step."""
    if classes is None:
        return convergence_step([row["train_loss"] for row in rows], diverged)
    return convergence_epoch([row["val_accuracy"] for row in rows], tolerance, 1 / classes, diverged)
