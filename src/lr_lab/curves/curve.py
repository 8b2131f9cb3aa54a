"""One training run as numbers: the data type that our own runs and every log become."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lr_lab.curves.names import ACCURACY, words

Series = tuple[float | None, ...]
SERIES = ("train_loss", "val_loss", "train_accuracy", "val_accuracy", "lr")


@dataclass(frozen=True)
class Curve:
    """
    Attributes:
        at: the place of each point: epochs counted from 1, or optimizer steps.
        train_loss: a loss per point; None where the log has no value, NaN or infinity where it says so.
        val_loss: likewise.
        train_accuracy: fractions between 0 and 1; also another score that grows, where a log has no accuracy.
        val_accuracy: likewise.
        lr: the learning rate.
        unit: of `at`, "epoch" or "step".
        name: for people: the file or the run.
        classes: their number, where known.
        guess_loss: loss of always answering with the shares of the classes, where known (nats).
        initial_lr: rate of the first optimizer step, where it is known and the first point's may be a later one.
        within: training losses logged inside the epochs: (position in epochs, counted from 0, loss).
        resumed: points from which on a log was taken up again after a stop.
        read: column or words that each series was read from.
        notes: sentences about how the log was read.
    """

    at: tuple[float, ...]
    train_loss: Series = ()
    val_loss: Series = ()
    train_accuracy: Series = ()
    val_accuracy: Series = ()
    lr: Series = ()
    unit: str = "epoch"
    name: str = ""
    classes: int | None = None
    guess_loss: float | None = None
    initial_lr: float | None = None
    within: tuple[tuple[float, float], ...] = ()
    resumed: tuple[float, ...] = ()
    read: tuple[tuple[str, str], ...] = ()
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for name in SERIES:
            values = tuple(getattr(self, name)) or (None,) * len(self.at)
            if len(values) != len(self.at):
                raise ValueError(f"{name} has {len(values)} values for {len(self.at)} points.")
            object.__setattr__(self, name, values)

    def __len__(self) -> int:
        return len(self.at)

    @classmethod
    def of_history(cls, rows: Sequence[Mapping[str, Any]], classes: int | None, **more: Any) -> Curve:
        """The curve of a run of this laboratory: a row per epoch, epochs counted from 0 in the history."""
        series: dict[str, Any] = {name: tuple(row.get(name) for row in rows) for name in SERIES}
        return cls(at=tuple(float(epoch) for epoch in range(1, len(rows) + 1)), classes=classes, **series, **more)

    def has(self, name: str) -> bool:
        return any(value is not None for value in getattr(self, name))

    def points(self, name: str) -> list[tuple[float, float]]:
        """(at, value) of each finite value of the series."""
        pairs = zip(self.at, getattr(self, name), strict=True)
        return [(at, value) for at, value in pairs if value is not None and math.isfinite(value)]

    def best(self, name: str) -> tuple[float, float] | None:
        """(at, value) of the lowest loss or highest accuracy, the first of equals; None without a finite value."""
        points = self.points(name)
        sign = -1 if name.endswith("accuracy") else 1
        return min(points, key=lambda point: sign * point[1]) if points else None

    def score(self, name: str = "val_accuracy") -> str:
        """The name of a score for people: accuracy, or its column where that is another."""
        column = dict(self.read).get(name, "accuracy")
        return "accuracy" if set(words(column)) & ACCURACY else column
