"""The base of all makers: small data, the provoked faults, the split, and the book of true values (truth.csv).

Needs numpy and scikit-learn alone, so that environments without torch can use it.
"""

from __future__ import annotations

import csv
import math
import os
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from sklearn import datasets

ZOO = Path(__file__).resolve().parents[1]
CURVES = Path(os.environ.get("ZOO_CURVES", ZOO.parent / "curves-to-label"))  # outside git: what the labeller looks at

LIBRARIES = (
    "keras",
    "fastai",
    "timm",
    "transformers",
    "ultralytics",
    "lightning",
    "tensorboard",
    "wandb",
    "mlflow",
    "plain",
    "jsonl",
    "table",
)
FAULTS = (
    "healthy",
    "rate_x100",
    "rate_x10",
    "rate_div1000",
    "lowered_early",
    "no_shuffle",
    "tiny_data",
    "label_noise",
    "bad_warmup",
    "nan",
    "wrong_resume",
    "dropout",
)
COLUMNS = (
    "folder",
    "file",
    "library",
    "version",
    "format",
    "fault",
    "label",
    "other_label",
    "split",
    "epochs",
    "train_loss_last",
    "val_loss_last",
    "best_val_epoch",
    "classes",
    "lr_first",
    "lr_last",
    "notes",
)


def split_of(library: str, fault: str) -> str:
    """A chessboard over libraries and faults: every library and every fault is on both sides."""
    return ("tuning", "scoring")[(LIBRARIES.index(library) + FAULTS.index(fault)) % 2]


@dataclass(frozen=True)
class Plan:
    """One training with its fault built in.

    Attributes:
        x, y, x_val, y_val: float32 rows of features, and int64 classes or, for regression, float32 targets (N,).
        classes: how many; None for regression.
        rates: the learning rate of every step, epoch after epoch.
        poisoned: the epoch, counted from 0, from which one training row is not finite; None: never.
    """

    fault: str
    variant: int
    x: np.ndarray
    y: np.ndarray
    x_val: np.ndarray
    y_val: np.ndarray
    classes: int | None
    epochs: int
    batch: int
    rates: tuple[float, ...]
    optimizer: str
    width: int
    dropout: float
    shuffle: bool
    poisoned: int | None

    @property
    def steps(self) -> int:
        return math.ceil(len(self.x) / self.batch)

    def order(self, epoch: int) -> np.ndarray:
        """The rows of an epoch, in the order they are shown."""
        if not self.shuffle:
            return np.arange(len(self.x))
        return np.random.default_rng([self.variant, epoch]).permutation(len(self.x))

    def batches(self, epoch: int) -> list[tuple[np.ndarray, np.ndarray]]:
        x = self.x
        if self.poisoned is not None and epoch >= self.poisoned:
            x = x.copy()
            x[len(x) // 2, 0] = np.nan
        rows = np.array_split(self.order(epoch), range(self.batch, len(x), self.batch))
        return [(x[r], self.y[r]) for r in rows]

    def rate_of(self, epoch: int) -> float:
        """The rate of an epoch's first step, for libraries that move the rate once an epoch."""
        return self.rates[epoch * self.steps]


def _data(name: str, seed: int) -> tuple[np.ndarray, np.ndarray, int | None]:
    if name == "digits":
        x, y = datasets.load_digits(return_X_y=True)
        x = x / 16
    elif name == "diabetes":
        x, y = datasets.load_diabetes(return_X_y=True)
        x, y = x * 20, (y - y.mean()) / y.std()
    elif name == "cancer":
        x, y = datasets.load_breast_cancer(return_X_y=True)
        x = (x - x.mean(0)) / x.std(0)
    else:
        raise ValueError(name)
    rows = np.random.default_rng(seed).permutation(len(x))
    classes = None if name == "diabetes" else int(y.max()) + 1
    return x[rows].astype(np.float32), y[rows].astype(np.float32 if classes is None else np.int64), classes


def plan(
    fault: str,
    variant: int,
    *,
    rate: float = 0.05,
    optimizer: str = "sgd",
    epochs: int = 20,
    batch: int = 64,
    data: str = "digits",
    width: int = 48,
    cosine: bool = False,
    peak: float = 25,
) -> Plan:
    """The training of a fault. The variant is its seed; the numbers are those of a healthy run, `peak` is how many
    times the rate a bad warm-up reaches.
    """
    x, y, classes = _data(data, variant)
    held_out = len(x) * 2 // 5
    x_val, y_val, x, y = x[:held_out], y[:held_out], x[held_out:], y[held_out:]
    rng = np.random.default_rng([variant, 1])
    dropout, shuffle, poisoned = 0.0, True, None
    if fault == "tiny_data":
        x, y, width, batch = x[:50], y[:50], 4 * width, 16
        rate, epochs = 2 * rate, max(epochs, 30)
    if fault == "label_noise":
        x, y, batch = x[:300], y[:300], 16
        wrong = rng.random(len(y)) < 0.4
        y = np.where(wrong, rng.permutation(y), y)
        width, rate = 6 * width, 2 * rate
        epochs = max(epochs, 30)
    if fault == "no_shuffle":
        rows = np.argsort(y, kind="stable")
        x, y, shuffle = x[rows], y[rows], False
    if fault == "nan":
        poisoned = epochs // 2 + variant % 3
    if fault == "dropout":
        dropout, width = 0.6, 2 * width
    steps = math.ceil(len(x) / batch)
    rates = _rates(fault, rate, epochs, steps, cosine, peak)
    return Plan(
        fault, variant, x, y, x_val, y_val, classes, epochs, batch, rates, optimizer, width, dropout, shuffle, poisoned
    )


def _rates(fault: str, rate: float, epochs: int, steps: int, cosine: bool, peak: float) -> tuple[float, ...]:
    total = epochs * steps
    decay: Callable[[int], float] = (
        (lambda step: 0.5 * (1 + math.cos(math.pi * step / total))) if cosine else (lambda step: 1.0)
    )
    factor = {"rate_x100": 100.0, "rate_x10": 10.0, "rate_div1000": 1e-3}.get(fault, 1.0)
    rates = [rate * factor * decay(step) for step in range(total)]
    if fault == "lowered_early":
        rates = [r if step < steps else rate / 300 for step, r in enumerate(rates)]
    if fault == "bad_warmup":  # three steps of warm-up to a rate that needs hundreds, then a decay that mends it
        rates = [rate * (step + 1) if step < 3 else peak * rate * (1 - step / total) ** 4 for step in range(total)]
    if fault == "wrong_resume":  # decays until it stops at 3/5 of the way; goes on at 20 times its first rate
        stop = epochs * 3 // 5 * steps
        rates = [rate * 0.5 * (1 + math.cos(math.pi * s / stop)) if s < stop else 20 * rate for s in range(total)]
    return tuple(rates)


def with_rates(p: Plan, rates: tuple[float, ...]) -> Plan:
    return replace(p, rates=rates)


def chosen() -> list[tuple[int, str]]:
    """The faults named on the command line, or all, each with its number."""
    named = [fault for fault in FAULTS if fault in sys.argv[1:]]
    return [(FAULTS.index(fault), fault) for fault in named or FAULTS]


def name_of(library: str, fault: str, n: int) -> str:
    return f"{library}-{fault}" + (f"-{n}" if n > 1 else "")


def fresh_folder(name: str) -> Path:
    """An empty folder of the zoo."""
    folder = ZOO / name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder


@dataclass(frozen=True)
class Curve:
    """What the training script itself saw, a value an epoch; `steps` are the training losses of single steps."""

    train: list[float]
    val: list[float]
    lr: list[float]
    classes: int | None
    steps: list[float] | None = None


def record(
    folder: str,
    file: str,
    *,
    library: str,
    version: str,
    format: str,  # noqa: A002 - the name of the column
    fault: str,
    curve: Curve,
    split: str | None = None,
    notes: str = "",
) -> None:
    """Writes the row of one folder into truth.csv; a label given earlier stays."""
    rows = read_truth()
    finite = [v if math.isfinite(v) else math.inf for v in curve.val]
    old = rows.get(folder, {})
    rows[folder] = {
        "folder": folder,
        "file": file,
        "library": library,
        "version": version,
        "format": format,
        "fault": fault,
        "label": old.get("label", ""),
        "other_label": old.get("other_label", ""),
        "split": split or split_of(library, fault),
        "epochs": len(curve.train),
        "train_loss_last": f"{curve.train[-1]:.6g}",
        "val_loss_last": f"{curve.val[-1]:.6g}" if curve.val else "",
        "best_val_epoch": 1 + finite.index(min(finite)) if curve.val else "",
        "classes": "" if curve.classes is None else curve.classes,
        "lr_first": f"{curve.lr[0]:.6g}" if curve.lr else "",
        "lr_last": f"{curve.lr[-1]:.6g}" if curve.lr else "",
        "notes": notes,
    }
    write_truth(rows)
    CURVES.mkdir(parents=True, exist_ok=True)
    with (CURVES / f"{folder}.csv").open("w", newline="") as f:
        w = csv.writer(f)
        w.writerow(["train", "val", "lr"])
        for e in range(len(curve.train)):
            w.writerow([curve.train[e], curve.val[e] if curve.val else "", curve.lr[e] if curve.lr else ""])
    if curve.steps:
        np.savetxt(CURVES / f"{folder}.steps", curve.steps)
    print(folder, *(rows[folder][c] for c in ("split", "epochs", "train_loss_last", "val_loss_last")), flush=True)


def read_truth() -> dict[str, dict[str, Any]]:
    path = ZOO / "truth.csv"
    if not path.exists():
        return {}
    with path.open(newline="") as f:
        return {row["folder"]: row for row in csv.DictReader(f)}


def write_truth(rows: dict[str, dict[str, Any]]) -> None:
    with (ZOO / "truth.csv").open("w", newline="") as f:
        w = csv.DictWriter(f, COLUMNS, lineterminator="\n")
        w.writeheader()
        w.writerows(rows[name] for name in sorted(rows))
