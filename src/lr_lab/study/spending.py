"""The part of the error that each look may spend, and the p-value that it asks for.

Looks at the same growing data are alike, so a look may ask for less than its own part of the error: the p-values are
those of a Brownian motion that is looked at after the same numbers of seeds (Lan & DeMets 1983; the recursion over
looks is Armitage, McPherson & Rowe's, 1969).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from scipy import optimize, special

KEPT_BACK = 0.1
_POINTS = 401


@dataclass(frozen=True)
class Plan:
    """The numbers of seeds after which a study looks.

    By a look at n of N seeds the part (n / N)^power of the error is spent (Kim & DeMets 1987), less what is kept back.

    Attributes:
        looks: increasing; those taken, and those to come.
        further: looks that were added after the last of them; each takes half of what is left.
        power: 1 spends evenly over seeds, more keeps more for the last look.
        kept_back: the part that is kept for further looks.
    """

    looks: Sequence[int]
    further: Sequence[int] = ()
    power: float = 2.0
    kept_back: float = KEPT_BACK

    @property
    def all_looks(self) -> list[int]:
        return [*self.looks, *self.further]

    @property
    def last(self) -> int:
        return self.all_looks[-1]

    @property
    def spent(self) -> dict[int, float]:
        """Look -> the part of the error that is spent by then."""
        parts = [(1 - self.kept_back) * (seeds / self.looks[-1]) ** self.power for seeds in self.looks]
        parts += [1 - self.kept_back / 2 ** (number + 1) for number in range(len(self.further))]
        return dict(zip(self.all_looks, parts, strict=True))

    def level(self, seeds: int, error: float) -> float:
        """The p-value that the look at so many seeds asks of a test whose error over all looks is to be `error`."""
        looks = self.all_looks[: self.all_looks.index(seeds) + 1]
        return _levels(tuple(looks), tuple(error * self.spent[look] for look in looks))[-1]


@cache
def _levels(looks: tuple[int, ...], spent: tuple[float, ...]) -> tuple[float, ...]:
    """One-sided p-values, one per look, with which so much is spent by each look.

    The motion where no look has stopped it yet is kept as `weights` at the points of a grid.
    """
    at, weights, levels = np.zeros(1), np.ones(1), []
    for before, seeds, part in zip((0, *looks), looks, np.diff([0.0, *spent]), strict=False):
        scale, step = seeds**0.5, (seeds - before) ** 0.5
        bound = _bound(at, weights, step, part, 12 * scale)
        levels.append(float(special.ndtr(-bound / scale)))
        grid = np.linspace(-8 * scale, bound, _POINTS)
        density = np.exp(-(((grid[:, None] - at) / step) ** 2) / 2) @ weights / (step * (2 * np.pi) ** 0.5)
        each = np.full(_POINTS, grid[1] - grid[0])
        each[[0, -1]] /= 2
        at, weights = grid, density * each
    return tuple(levels)


def _bound(at: np.ndarray, weights: np.ndarray, step: float, part: float, farthest: float) -> float:
    """The bound that the motion exceeds a step later with a chance of `part`."""

    def too_likely(bound: float) -> float:
        return float(np.log(weights @ special.ndtr((at - bound) / step) + 1e-300) - np.log(part))

    return float(optimize.brentq(too_likely, 0.0, farthest))
