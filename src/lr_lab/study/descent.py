"""Gradient descent on a quadratic loss: quantities that theory predicts for a rate, and the same ones measured.

With the Hessian's eigenvalues s, every step multiplies the part of the error along an eigenvector by 1 - lr s (Nocedal
& Wright 2006, "Numerical Optimization", section 3.3; Goh 2017, "Why momentum really works", section 1). So the error
shrinks in the long run by the largest of |1 - lr s|, it grows from lr = 2 / s_max on, and it shrinks fastest at
lr = 2 / (s_min + s_max), where both ends shrink alike.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from math import isnan, log, nan

# The weights have arrived when this part of the initial error is left.
ARRIVED = 0.01
# Float32 keeps seven digits: distances below this part of the first are rounding.
_RESOLVED = 1e-4
# The long run: the last measured steps, by which the parts of the error that shrink faster are gone.
_LONG_RUN = 5


def predicted_contraction(lr: float, curvatures: Sequence[float]) -> float:
    """The factor by which the error shrinks (below 1) or grows per step, in the long run."""
    return max(abs(1 - lr * curvature) for curvature in curvatures)


def rate_limit(curvatures: Sequence[float]) -> float:
    """The smallest rate at which descent diverges."""
    return 2 / max(curvatures)


def best_rate(curvatures: Sequence[float]) -> float:
    """The rate with the smallest contraction factor."""
    return 2 / (min(curvatures) + max(curvatures))


def contraction(distances: Sequence[float]) -> float:
    """The factor per step over the last six distances that are still above rounding; nan with fewer than two.

    Args:
        distances: of the weights to the minimum, before each step; nan where none was measured.
    """
    resolved = [(step, distance) for step, distance in enumerate(distances) if distance > _RESOLVED * distances[0]]
    recent = resolved[-_LONG_RUN - 1 :]
    if len(recent) < 2:
        return nan
    (first, before), (last, after) = recent[0], recent[-1]
    return (after / before) ** (1 / (last - first))


def arrival_step(distances: Sequence[float]) -> float | None:
    """Steps until 1% of the distance is left, interpolated between two as a geometric decay; None for never.

    Args:
        distances: of the weights to the minimum, before each step; nan where none was measured.
    """
    goal = ARRIVED * distances[0]
    measured = [(step, distance) for step, distance in enumerate(distances) if not isnan(distance)]
    for (step, before), (later, after) in pairwise(measured):
        if after <= goal:
            # An error of 0 gives no rate of decay: the descent ended with that step.
            return step + (later - step) * log(before / goal) / log(before / after) if after else float(later)
    return None
