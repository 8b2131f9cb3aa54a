"""What a loss curve shows, in one word and one sentence: rules on a history, all thresholds in the configuration.

The rules are this laboratory's own; the shapes are those that people ask about (seeds, documents 000 and 001). They are
held to curves of real runs that were labelled from their plots: tests/analysis/curves.

Losses are compared by the way a run has made: from the loss of guessing, ln(classes), down to its lowest loss. For
regression, where guessing has no loss that a history knows, the way starts at the first training loss.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from itertools import pairwise
from statistics import fmean, median
from typing import Any

from lr_lab.errors import UserError
from lr_lab.run.folder import Row

LABELS = ("healthy", "crawling", "overfitting", "oscillating", "stuck", "collapsed", "diverged")

# A run whose training loss ends above this multiple of where it started has diverged.
DIVERGED_RATIO = 10.0


def has_nonfinite_loss(rows: Sequence[Row]) -> bool:
    """Whether a loss is not finite: nothing that follows could be told from it."""
    return not all(math.isfinite(row["train_loss"]) and math.isfinite(row["val_loss"]) for row in rows)


def has_diverged(rows: Sequence[Row], classes: int | None) -> bool:
    """Whether a loss is not finite, or the last training loss is over ten times the one the run started from."""
    return has_nonfinite_loss(rows) or (bool(rows) and rows[-1]["train_loss"] > DIVERGED_RATIO * _start(rows, classes))


def _start(rows: Sequence[Row], classes: int | None) -> float:
    """The loss that a run started from: of guessing, or for regression, where that is not known, the first row's.

    The first row's is a mean over an epoch, within which a run may have learned most of it, or blown up.
    """
    return rows[0]["train_loss"] if classes is None else math.log(classes)


def _origin(classes: int | None) -> str:
    return "the first training loss" if classes is None else f"the loss of guessing among {classes} classes"


@dataclass(frozen=True)
class Thresholds:
    """Of the rules; conf/analysis/default.yaml says what each is for."""

    learned: float
    collapse: float
    rise: float
    rise_to_swing: float
    swing: float
    late_fall: float
    late_fall_to_swing: float
    arrived: float

    @classmethod
    def of(cls, config: Any) -> Thresholds:
        """From the part `analysis.diagnosis` of a configuration.

        Raises:
            UserError: one is missing, not known, or not a finite number above 0.
        """
        names = {field.name for field in fields(cls)}
        if not isinstance(config, Mapping):
            raise UserError(f"analysis.diagnosis={config} is no group of thresholds; leave it out.")
        if names != set(config):
            odd = ", ".join(sorted(names ^ set(config)))
            raise UserError(f"analysis.diagnosis needs {', '.join(sorted(names))} and nothing else; look at {odd}.")
        for name, value in config.items():
            if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < math.inf:
                raise UserError(f"analysis.diagnosis.{name}={value} is not a threshold; give a finite number above 0.")
        return cls(**config)


@dataclass(frozen=True)
class Diagnosis:
    """
    Attributes:
        label: one of LABELS.
        evidence: one sentence with the numbers that decided.
        since: for overfitting and collapsed, the epochs (counted from 1) after which the run was at its best.
    """

    label: str
    evidence: str
    since: int | None = None


def diagnose(history: Sequence[Row], classes: int | None, thresholds: Thresholds) -> Diagnosis:
    """What the losses of a run show; the first rule that holds decides.

    - diverged: as `has_diverged`.
    - collapsed: the training loss had come down, then went back up and stayed there.
    - overfitting: the validation loss ends above its lowest, the training loss below what it was then.
    - oscillating: the losses jump from epoch to epoch until the end.
    - crawling: the validation loss is still falling steadily at the end; or would be, had the rate not been lowered
      to almost nothing before the training loss had come down. The second is for histories with a column `lr`.
    - stuck: no loss was ever clearly lower than that of guessing.
    - healthy: none of these.

    Args:
        history: a row per epoch with `train_loss`, `val_loss` and, where it is known, `lr`.
        classes: how many; None for regression.
        thresholds: of the rules.

    Raises:
        ValueError: the history is empty.
    """
    if not history:
        raise ValueError("A run without a finished epoch cannot be diagnosed; leave it out.")
    if has_diverged(history, classes):
        return Diagnosis("diverged", _divergence(history, classes))
    curves = _Curves.of(history, classes)
    for rule in (_collapsed, _overfitting, _oscillating, _crawling, _stuck):
        if diagnosis := rule(curves, thresholds):
            return diagnosis
    return Diagnosis(
        "healthy",
        f"The validation loss was lowest, {_loss(min(curves.val))}, "
        f"after {_epochs(curves.val.index(min(curves.val)) + 1)} and {_loss(curves.val[-1])} at the end of "
        f"{len(curves)}.",
    )


def _divergence(history: Sequence[Row], classes: int | None) -> str:
    if has_nonfinite_loss(history):
        losses = ((row["train_loss"], row["val_loss"]) for row in history)
        broken = next(epoch for epoch, pair in enumerate(losses) if not all(map(math.isfinite, pair)))
        before = f"; the training loss before was {_loss(history[broken - 1]['train_loss'])}" if broken else ""
        return f"A loss was not finite after {_epochs(broken + 1)}{before}."
    return (
        f"The training loss was {_loss(history[-1]['train_loss'])} after {_epochs(len(history))}, over "
        f"{DIVERGED_RATIO:g} times {_origin(classes)}, {_loss(_start(history, classes))}."
    )


@dataclass(frozen=True)
class _Curves:
    """Finite losses, one per epoch, and what the rules measure on them.

    Attributes:
        start: the loss that the way starts from.
        origin: what that loss is.
        rates: the learning rates; all alike where the history does not tell.
    """

    train: list[float]
    val: list[float]
    start: float
    origin: str
    rates: list[float]

    @classmethod
    def of(cls, history: Sequence[Row], classes: int | None) -> _Curves:
        train, val = ([row[column] for row in history] for column in ("train_loss", "val_loss"))
        rates = [row.get("lr", 1.0) for row in history]
        return cls(train, val, _start(history, classes), _origin(classes), rates)

    def __len__(self) -> int:
        return len(self.train)

    @property
    def lowest(self) -> float:
        return min(*self.train, *self.val)

    @property
    def way(self) -> float:
        return self.start - self.lowest

    @property
    def end(self) -> slice:
        return slice(-length_of_end(len(self)), None)

    def has_learned(self, thresholds: Thresholds) -> bool:
        return self.way >= thresholds.learned * self.start > 0


def length_of_end(epochs: int) -> int:
    """How many of a run's epochs are its end: the last quarter, five at most."""
    return max(1, min(5, epochs // 4))


def _smoothed(losses: Sequence[float]) -> list[float]:
    """The median of each loss and its neighbours: a single jump leaves no trace."""
    return [median(losses[max(0, epoch - 1) : epoch + 2]) for epoch in range(len(losses))]


def swing(losses: Sequence[float]) -> float:
    """How far a value of the second half lies from the middle of its neighbours, on average; a trend does not count."""
    middle = range(max(1, len(losses) // 2), len(losses) - 1)
    return fmean([abs(losses[e] - (losses[e - 1] + losses[e + 1]) / 2) for e in middle] or [0.0])


def _collapsed(curves: _Curves, thresholds: Thresholds) -> Diagnosis | None:
    best = min(curves.train)
    came_down, lost = curves.start - best, min(curves.train[curves.end]) - best
    # At first the training loss, a mean over the epoch, may lie above that of guessing, and the validation loss below.
    if not curves.has_learned(thresholds) or came_down <= 0 or lost < thresholds.collapse * came_down:
        return None
    since = curves.train.index(best) + 1
    return Diagnosis(
        "collapsed",
        f"The training loss was {_loss(best)} after {_epochs(since)}, but later rose and was "
        f"{_loss(curves.train[-1])} after {_epochs(len(curves))}; {curves.origin} is {_loss(curves.start)}.",
        since,
    )


def _overfitting(curves: _Curves, thresholds: Thresholds) -> Diagnosis | None:
    smoothed = _smoothed(curves.val)
    best = smoothed.index(min(smoothed))
    before, after = curves.train[best], median(curves.train[curves.end])
    risen = median(curves.val[curves.end])
    rise = risen - smoothed[best]
    if (
        not curves.has_learned(thresholds)
        or rise < thresholds.rise * curves.way
        or rise < thresholds.rise_to_swing * swing(curves.val)
        or after >= before
    ):
        return None
    return Diagnosis(
        "overfitting",
        f"After {_epochs(best + 1)} the validation loss had come down to {_loss(smoothed[best])} (smoothed), and by "
        f"the end it rose to {_loss(risen)} while the training loss went from {_loss(before)} to {_loss(after)} "
        f"(medians of the last {_epochs(len(curves.val[curves.end]))}).",
        best + 1,
    )


def _oscillating(curves: _Curves, thresholds: Thresholds) -> Diagnosis | None:
    mean_swing = (swing(curves.train) + swing(curves.val)) / 2
    if not curves.has_learned(thresholds) or mean_swing < thresholds.swing * curves.way:
        return None
    half = len(curves) // 2
    # The bend of a steep fall counts as swing where there are few epochs.
    if all(after <= before for losses in (curves.train, curves.val) for before, after in pairwise(losses[half:])):
        return None
    late = [*curves.train[half:], *curves.val[half:]]
    return Diagnosis(
        "oscillating",
        f"In the last {_epochs(len(curves) - half)} the losses jumped between {_loss(min(late))} and "
        f"{_loss(max(late))}, by {_loss(mean_swing)} from one epoch to the next on average.",
    )


def _crawling(curves: _Curves, thresholds: Thresholds) -> Diagnosis | None:
    smoothed = _smoothed(curves.val)
    quarter = max(1, len(curves) // 4)
    before, last = smoothed[max(0, len(curves) - 1 - quarter)], smoothed[-1]
    top = max(curves.start, curves.val[0])
    fall = before - last
    if (
        last >= top
        or last > (1 + thresholds.learned) * curves.start
        or fall < thresholds.late_fall_to_swing * swing(curves.val)
        or _loss(before) == _loss(last)  # a fall that nobody can see; the loss of a dead network falls so
    ):
        return None
    needed = thresholds.late_fall * (top - last)
    said = f"from {_loss(before)} to {_loss(last)} in the last {_epochs(quarter)} of {len(curves)}"
    if fall > needed:
        share = f"{fall / (top - last):.0%} of its way down from {_loss(top)}"
        return Diagnosis("crawling", f"The validation loss still fell {said}, {share}.")
    rate, highest = fmean(curves.rates[-quarter:]), max(curves.rates)
    # A run that had arrived falls little because little is left, whatever its rate.
    if rate > 0 and fall * highest / rate > needed and curves.train[-1] > thresholds.arrived * curves.start:
        return Diagnosis(
            "crawling",
            f"The validation loss fell only {said}, at a mean rate of {rate:.2g} where it had been {highest:.2g}; the "
            f"training loss was still {_loss(curves.train[-1])}, and {curves.origin} is {_loss(curves.start)}.",
        )
    return None


def _stuck(curves: _Curves, thresholds: Thresholds) -> Diagnosis | None:
    if curves.has_learned(thresholds):
        return None
    return Diagnosis(
        "stuck",
        f"The lowest loss in {_epochs(len(curves))} was {_loss(curves.lowest)}, and {curves.origin} is "
        f"{_loss(curves.start)}.",
    )


def _loss(value: float) -> str:
    return f"{value:.4g}"


def _epochs(count: int) -> str:
    return f"{count} epoch" if count == 1 else f"{count} epochs"
