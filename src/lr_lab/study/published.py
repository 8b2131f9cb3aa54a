"""Facts that the published numbers of a document imply."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

_MOST = 100_000


def smallest_set(percentages: Sequence[float], decimals: int) -> int | None:
    """The smallest number of samples that allows every percentage as a share of right answers, with that many decimals.

    An accuracy is a count over the size of its data set. Two decimals fit every set of 10,000; if all numbers fit a far
    smaller set, they were probably measured on few samples. None if no set of up to 100,000 fits: then the numbers are
    not single counts, but for example means.
    """
    sizes = np.arange(1, _MOST + 1)
    fits = np.ones(len(sizes), dtype=bool)
    for percentage in percentages:
        nearest = np.rint(percentage / 100 * sizes)
        fits &= np.abs(100 * nearest / sizes - percentage) <= 0.5 * 10.0**-decimals * (1 + 1e-6)
    return int(sizes[fits][0]) if fits.any() else None


def chance_of_fit(percentages: Sequence[float], decimals: int, size: int) -> float:
    """The chance that as many numbers of that many decimals, drawn at random, all fit some set of up to `size` samples.

    0% and 100% fit every set and say nothing. Of the 10^(decimals + 2) + 1 numbers there are a set of m samples makes
    at most m + 1.
    """
    telling = sum(0 < percentage < 100 for percentage in percentages)
    made = np.minimum(1.0, (np.arange(1, size + 1) + 1) / (10.0 ** (decimals + 2) + 1))
    return float(1 - np.prod(1 - made**telling))
