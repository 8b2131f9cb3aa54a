"""The diagnosis of a training curve: one label with its evidence, its confidence and its alternatives."""

from __future__ import annotations

import math
from dataclasses import dataclass

from lr_lab.curves.curve import Curve
from lr_lab.curves.shape import Shape
from lr_lab.curves.thresholds import Thresholds
from lr_lab.curves.verdicts import DIVERGED_RATIO, RULES, STRONGEST, loss

LABELS = ("healthy", "crawling", "overfitting", "oscillating", "stuck", "collapsed", "diverged")
NEAR = 0.6  # a rule with this part of the strength that it needs is named as an alternative
FEW = 5  # fewer points make no diagnosis sure


@dataclass(frozen=True)
class Diagnosis:
    """
    Attributes:
        label: one of LABELS.
        evidence: one sentence with the numbers that decided.
        since: for overfitting and collapsed, the epochs (counted from 1) after which the run was at its best.
        confidence: between 0 and 1.
        alternatives: labels that nearly hold or hold as well, the strongest first.
        marks: places on the axis that the evidence is about.
    """

    label: str
    evidence: str
    since: int | None = None
    confidence: float = 0.9
    alternatives: tuple[str, ...] = ()
    marks: tuple[float, ...] = ()


def has_nonfinite_loss(curve: Curve) -> bool:
    """Whether a loss is not finite: nothing that follows could be told from it.

    A validation loss that is never finite, beside a training loss that always is, is a fault of the validation.
    """
    train, val = ([value for value in values if value is not None] for values in (curve.train_loss, curve.val_loss))
    if len(train) > 1 and all(map(math.isfinite, train)) and not any(map(math.isfinite, val)):
        return bool(val) and train[-1] == 0.0  # some programs write this for a loss that is not finite
    return not all(map(math.isfinite, [*train, *val]))


def has_diverged(curve: Curve) -> bool:
    """Whether a loss is not finite, or the last training loss is over ten times the one the run started from."""
    if has_nonfinite_loss(curve):
        return True
    shape = Shape.of(curve)
    return bool(shape.train) and shape.train.values[-1] > DIVERGED_RATIO * shape.start


def diagnose(curve: Curve, thresholds: Thresholds | None = None) -> Diagnosis:
    """The label for the losses of a run; the first rule that holds decides.

    - diverged: as `has_diverged`.
    - collapsed: the training loss had come down, then went back up and stayed there; or both losses went up by less.
    - overfitting: the validation loss ends above its lowest, the training loss not above its value at that time.
    - oscillating: the losses jump from epoch to epoch until the end.
    - crawling: the validation loss is still falling steadily at the end; or would be, had the rate not been lowered
      to almost nothing before the training loss had come down. The second needs the rates.
    - stuck: no loss was ever clearly lower than that of guessing.
    - healthy: none of these.

    Without validation losses the training losses are judged, without the number of classes the way starts at the
    first training loss.

    Raises:
        ValueError: the curve has no point with a loss.
    """
    if not len(curve) or not (curve.has("train_loss") or curve.has("val_loss")):
        raise ValueError("A run without a finished epoch cannot be diagnosed; leave it out.")
    if has_diverged(curve):
        return Diagnosis("diverged", _divergence(curve), None, 0.99, (), _broken(curve))
    shape = Shape.of(curve)
    found = [verdict for rule in RULES if (verdict := rule(shape, thresholds or Thresholds()))]
    chosen = next((verdict for verdict in found if verdict.strength >= 1), None)
    others = sorted((v for v in found if chosen is None or v.label != chosen.label), key=lambda v: -v.strength)
    near = dict.fromkeys(verdict.label for verdict in others if verdict.strength >= NEAR)
    if chosen is None:
        margin = 1 / max([1 / STRONGEST, *(verdict.strength for verdict in found)])
        return Diagnosis("healthy", _healthy(shape), None, _sure(margin, shape), tuple(near), _best(shape))
    if chosen.strength < 1 / NEAR and chosen.label != "stuck":
        near["healthy"] = None
    since = None if chosen.since is None else int(chosen.since)
    return Diagnosis(chosen.label, chosen.evidence, since, _sure(chosen.strength, shape), tuple(near), chosen.marks)


def _sure(margin: float, shape: Shape) -> float:
    """The confidence that follows from the distance to a threshold; it stays low with few points."""
    confidence = margin / (margin + 0.7)
    return round(min(confidence, 0.5 if len(shape.val) < FEW else 0.95), 2)


def _best(shape: Shape) -> tuple[float, ...]:
    return (shape.val.at[shape.val.lowest()],)


def _healthy(shape: Shape) -> str:
    best = shape.val.lowest()
    length = len(shape.val)
    after = shape.count(int(shape.val.at[best])) if shape.curve.unit == "epoch" else shape.place(shape.val.at[best])
    end = f"{shape.val.at[-1]:g}" if shape.curve.unit == "epoch" else f"{length} points"
    return (
        f"The {shape.watched} was lowest, {loss(shape.val.values[best])}, after {after} and "
        f"{loss(shape.val.values[-1])} at the end of {end}."
    )


def _broken(curve: Curve) -> tuple[float, ...]:
    """The first place with a loss that is not finite; the last place if all losses are finite."""
    pairs = zip(curve.at, curve.train_loss, curve.val_loss, strict=True)
    broken = [at for at, *losses in pairs if any(value is not None and not math.isfinite(value) for value in losses)]
    return (broken[0],) if has_nonfinite_loss(curve) else (curve.at[-1],)


def _divergence(curve: Curve) -> str:
    shape = Shape.of(curve)
    if has_nonfinite_loss(curve):
        (broken,) = _broken(curve)
        before = [value for at, value in curve.points("train_loss") if at < broken]
        said = f"; the training loss before was {loss(before[-1])}" if before else ""
        place = shape.count(int(broken)) if curve.unit == "epoch" else shape.place(broken)
        return f"A loss was not finite after {place}{said}."
    last = shape.train.at[-1]
    place = shape.count(int(last)) if curve.unit == "epoch" else shape.place(last)
    return (
        f"The training loss was {loss(shape.train.values[-1])} after {place}, over "
        f"{DIVERGED_RATIO:g} times {shape.origin}, {loss(shape.start)}."
    )
