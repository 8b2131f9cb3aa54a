"""Measurements on a curve that the rules use: its start and end, how far it fell, how much it swings."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby
from statistics import fmean, median

from lr_lab.curves.curve import Curve

# Single steps are noisy: more than this many are averaged over stretches before they are judged.
MOST_STEPS, STRETCHES = 80, 40
# Two losses whose first values differ by more than this factor are not in the same units.
COMPARABLE = 5.0
EVEN = 0.98  # shares of classes whose entropy is this part of the largest possible or more are called even
FIRST = "the first training loss"


def length_of_end(points: int) -> int:
    """The number of points that make up the end of a run: the last quarter, five at most."""
    return max(1, min(5, points // 4))


def smoothed(losses: Sequence[float]) -> list[float]:
    """The median of each loss and its neighbours: a single jump leaves no trace."""
    return [median(losses[max(0, point - 1) : point + 2]) for point in range(len(losses))]


def swing(losses: Sequence[float]) -> float:
    """The mean distance of values in the second half from the middle of their neighbours; a trend does not count."""
    middle = range(max(1, len(losses) // 2), len(losses) - 1)
    return fmean([abs(losses[e] - (losses[e - 1] + losses[e + 1]) / 2) for e in middle] or [0.0])


@dataclass(frozen=True)
class Line:
    """One series: the places of its points and their finite values."""

    at: list[float]
    values: list[float]

    def __len__(self) -> int:
        return len(self.values)

    def __bool__(self) -> bool:
        return bool(self.values)

    @property
    def end(self) -> list[float]:
        return self.values[-length_of_end(len(self)) :]

    @cached_property
    def smoothed(self) -> list[float]:
        return smoothed(self.values)

    @cached_property
    def swing(self) -> float:
        return swing(self.values)

    @property
    def late(self) -> list[float]:
        return self.values[len(self) // 2 :]

    def lowest(self) -> int:
        """The place of the lowest value."""
        return self.values.index(min(self.values))

    def near(self, at: float) -> float:
        """The last value up to a place; without one, the first value."""
        before = [value for place, value in zip(self.at, self.values, strict=True) if place <= at]
        return before[-1] if before else self.values[0]


@dataclass(frozen=True)
class Shape:
    """
    Attributes:
        curve: the curve that was measured.
        train: training losses; the validation losses where a log has no others.
        val: validation losses; the training losses where a log has no others.
        start: the loss that the run started from.
        origin: the name of that loss, for people.
    """

    curve: Curve
    train: Line
    val: Line
    start: float
    origin: str

    @classmethod
    def of(cls, curve: Curve) -> Shape:
        val = _line(curve, curve.points("val_loss"))
        train = _line(curve, _by_evaluation(curve, val))
        start, origin = _start(curve, train or val)
        return cls(curve, train or val, val or train, start, origin)

    @property
    def has_train(self) -> bool:
        return bool(_finite(self.curve, "train_loss"))

    @property
    def has_val(self) -> bool:
        return bool(_finite(self.curve, "val_loss"))

    @property
    def has_both(self) -> bool:
        return self.has_train and self.has_val

    @property
    def knows_guessing(self) -> bool:
        return self.origin != FIRST

    @property
    def watched(self) -> str:
        return "validation loss" if self.has_val else "training loss"

    @cached_property
    def comparable(self) -> bool:
        """Whether training and validation loss are in the same units."""
        if self.knows_guessing or not self.has_both:  # both are cross-entropies
            return True
        first, other = self.train.values[0], self.val.values[0]
        return first > 0 < other and 1 / COMPARABLE <= other / first <= COMPARABLE

    @cached_property
    def lowest(self) -> float:
        """The lowest loss. One lucky validation does not count; a training loss is a mean over an epoch already."""
        if not self.comparable:
            return min(self.train.values)
        return min(*self.train.values, *(self.val.smoothed if len(self.val) > 2 else self.val.values))

    @property
    def way(self) -> float:
        """The fall of the losses."""
        return self.start - self.lowest

    @cached_property
    def way_of_val(self) -> float:
        """The same on the validation loss' own scale, where it is another."""
        return self.way if self.comparable else max(self.val.values[0] - min(self.val.values), 0.0)

    @cached_property
    def rates(self) -> list[tuple[float, float]]:
        """(place, learning rate) wherever the log has it."""
        return [(at, rate) for at, rate in self.curve.points("lr") if rate >= 0]

    @property
    def highest_rate(self) -> float | None:
        """The first rate; None if the log names it too late, for example only when it changes."""
        known = [rate for _, rate in self.rates]
        if known and self.rates[0][0] > self.curve.at[max(1, len(self.curve) // 10) if len(self.curve) > 1 else 0]:
            return None
        return max([*known, self.curve.initial_lr or 0.0]) or None

    def rate_at(self, at: float) -> float | None:
        before = [rate for place, rate in self.rates if place <= at]
        return before[-1] if before else self.rates[0][1] if self.rates else None

    def place(self, at: float) -> str:
        """A place for people: "epoch 3" or "step 400"."""
        return f"{self.curve.unit} {at:g}"

    def count(self, number: int) -> str:
        """A number of points, for people."""
        word = "epoch" if self.curve.unit == "epoch" else "point"
        return f"{number} {word}" if number == 1 else f"{number} {word}s"


def _finite(curve: Curve, name: str) -> bool:
    return any(value is not None and math.isfinite(value) for value in getattr(curve, name))


def _by_evaluation(curve: Curve, val: Line) -> list[tuple[float, float]]:
    """The training losses; where steps are far denser than evaluations, their means since the evaluation before."""
    points = curve.points("train_loss")
    if curve.unit != "step" or len(val) < 5 or len(points) < 3 * len(val):
        return points
    groups: dict[float, list[float]] = {}
    for at, value in points:
        if at <= val.at[-1]:
            groups.setdefault(val.at[bisect_left(val.at, at)], []).append(value)
    return [(at, fmean(values)) for at, values in groups.items()]


def _line(curve: Curve, points: list[tuple[float, float]]) -> Line:
    if curve.unit == "step" and len(points) > MOST_STEPS:
        groups = groupby(enumerate(points), key=lambda found: found[0] * STRETCHES // len(points))
        stretches = [[point for _, point in group] for _, group in groups]
        points = [(stretch[-1][0], fmean(value for _, value in stretch)) for stretch in stretches]
    return Line([at for at, _ in points], [value for _, value in points])


def _start(curve: Curve, line: Line) -> tuple[float, str]:
    """The loss of guessing; where that is not known, the first one.

    The first one is a mean over an epoch, within which a run may have learned most of it, or blown up.
    """
    if curve.guess_loss is not None and (curve.classes is None or curve.guess_loss < EVEN * math.log(curve.classes)):
        return curve.guess_loss, "the loss of guessing by the classes' shares"
    if curve.classes is not None:
        return math.log(curve.classes), f"the loss of guessing among {curve.classes} classes"
    if classes := _classes_of_guessing(curve):
        return math.log(classes), f"the loss of guessing among {classes} classes, which the accuracies point to,"
    return (line.values[0] if line else math.nan), FIRST


def _classes_of_guessing(curve: Curve) -> int | None:
    """The number of classes of a run that guesses to its end: accuracy 1/K and loss ln K or more fit one K alone."""
    accuracies, losses = ([value for _, value in curve.points(name)] for name in ("val_accuracy", "val_loss"))
    if not accuracies or not losses or not 0 < max(accuracies) <= 0.6:
        return None
    late, right = (median(values[len(values) // 2 :]) for values in (losses, accuracies))
    classes = round(math.exp(min(late, 12.0)))
    fits = classes > 1 and abs(late / math.log(classes) - 1) < 0.02 and 0.5 < right * classes < 1.6
    if fits and max(accuracies) < 2 / classes:
        return classes
    return _classes_of_flat(accuracies, losses)


def _classes_of_flat(accuracies: list[float], losses: list[float]) -> int | None:
    """Far above the loss of guessing, that loss says nothing about K, but an accuracy that never moves does."""
    third = len(accuracies) // 3
    if third < 2 or max(accuracies) > 1.5 * min(accuracies):
        return None
    classes = round(1 / median(accuracies))
    rises = median(accuracies[-third:]) > 1.05 * median(accuracies[:third])
    return classes if classes > 2 and not rises and min(losses) > math.log(classes) else None
