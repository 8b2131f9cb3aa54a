"""What the seeds allow to be said: claims on settings, tested in pairs by seed.

A series maps each seed to the value that a setting reached with it. Settings share their seeds, and with a seed
the initial weights and the batches, so tests are made on the differences within a seed. Uncertainty is over seeds,
for the validation set at hand.

A claim can be wrong in two ways: it is called reproduced although it does not hold, or not reproduced although it
does; where the truth is an exact tie, both are wrong. So a claim's `Evidence` holds a one-sided p-value for either
verdict, and `judge` corrects over all verdicts that the claims of a study could get (Holm 1979). The chance of any
false verdict in a study is thus at most `alpha`, whichever settings are truly equal. For a study of one claim on
one pair this is the two-sided paired t test.

Special values:
- `inf` is "later, or worse, than could be seen": the epochs of a run that never got there, the loss of one that
  diverged. Two such values are a tie. A diverged run has an accuracy: use it, do not leave it out.
- `nan` is "not measured". A claim uses the seeds for which every setting in it was measured.

With `inf` among the differences, or none that differ, a t test has no meaning. Then the signs of the differences'
ranks are flipped (Wilcoxon 1945), which gives a p-value of at least 1 / 2^seeds: no verdict with fewer than 6 seeds.
"""

from bisect import bisect_left
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import inf, isnan, nan, sqrt
from statistics import fmean, median
from typing import Literal

import numpy as np
from scipy import stats

Series = Mapping[int, float]
Pair = tuple[Series | float, Series | float]
Judgement = Literal["reproduced", "not reproduced", "undecided"]

LEVEL = 0.95
# Sign flips are drawn at random, from a fixed state, where there are more of them than this.
FLIPS = 4_999
# 1 / 2^12 = 0.0002 is the first that Holm's correction over a hundred claims leaves below 0.05.
SEEDS_FOR_MAX_T = 12


@dataclass(frozen=True)
class Estimate:
    """The centre of a series (mean; median if some are `inf` or all are equal) and its 95% interval over seeds.

    The interval is unbounded where the seeds give no bound.
    """

    centre: float
    low: float
    high: float
    seeds: int


@dataclass(frozen=True)
class Evidence:
    """How far the data speak for a claim.

    `effect` is by how much the claim holds (negative: by how much it fails), with its 95% interval; `p_for` and
    `p_against` are the p-values for calling it reproduced and not reproduced, uncorrected for other claims. The
    latter is nan where no data could speak against the claim.
    """

    effect: float
    low: float
    high: float
    seeds: int
    p_for: float
    p_against: float


@dataclass(frozen=True)
class Verdict:
    """A claim's verdict, with the smaller of its two p-values after correction over the study."""

    verdict: Judgement
    effect: float
    low: float
    high: float
    seeds: int
    p: float


def estimate(series: Series) -> Estimate:
    """Centre and 95% interval of one setting over its measured seeds; ValueError if there is none."""
    rows = _differences([(series, 0.0)])
    if rows.size == 0:
        raise ValueError("There is no measured value to take a mean of.")
    tests = _Tests(rows)
    low, high = tests.intervals(LEVEL)
    return Estimate(tests.centres().item(), low.item(), high.item(), rows.shape[1])


def above(pairs: Sequence[Pair]) -> Evidence:
    """The claim that in every pair the first lies above the second; one of the two may be a fixed number.

    For: each pair must hold, so the largest of the one-sided p-values, uncorrected (intersection-union test,
    Berger 1982). Against: one pair the other way round is enough, so Holm's first step over the pairs. The effect
    is the smallest lead among the pairs. ValueError without a pair or without a series.
    """
    return _all_positive(_differences(pairs))


def compare(a: Series | float, b: Series | float, picked_from: int = 1) -> Evidence:
    """The claim that a lies above b; one may have been picked, on these same data, from so many (Bonferroni)."""
    found = above([(a, b)])
    low, high = _Tests(_differences([(a, b)])).intervals(1 - (1 - LEVEL) / picked_from)
    p_for, p_against = (min(1.0, picked_from * p) for p in (found.p_for, found.p_against))
    return replace(found, low=low.item(), high=high.item(), p_for=p_for, p_against=p_against)


def best(x: Series, rivals: Sequence[Series], lowest: bool = False) -> Evidence:
    """The claim that x lies above (with `lowest`: below) each of its rivals. ValueError without a rival."""
    return above([(rival, x) if lowest else (x, rival) for rival in rivals])


def similar(pairs: Sequence[Pair], margin: float) -> Evidence:
    """The claim that the two of every pair differ by less than `margin` (two one-sided tests, Schuirmann 1987).

    The effect is what is left of the margin at the largest difference. ValueError unless `margin` is above 0.
    """
    if not margin > 0:
        raise ValueError(f"The margin within which settings count as similar must be above 0, not {margin}.")
    rows = _differences(pairs)
    return _all_positive(np.concatenate([margin + rows, margin - rows]))


def share(series: Series, above: float) -> Evidence:
    """The claim that a value, 0 or 1, is 1 for more than this share of all seeds there could be.

    Exact binomial tests, and the interval of Clopper & Pearson 1934; one seed decides nothing here either. ValueError
    for any other value, or a share that is not between 0 and 1.
    """
    values = [value for value in series.values() if not isnan(value)]
    if not set(values) <= {0, 1}:
        raise ValueError("A share can be taken of values that are 0 or 1 only.")
    if not 0 < above < 1:
        raise ValueError(f"A share must lie between 0 and 1, not at {above}.")
    if not values:
        return Evidence(nan, -inf, inf, 0, p_for=1.0, p_against=1.0)
    more, less = (stats.binomtest(int(sum(values)), len(values), above, side) for side in ("greater", "less"))
    bounds = stats.binomtest(int(sum(values)), len(values)).proportion_ci(LEVEL)
    return Evidence(
        effect=more.statistic - above,
        low=bounds.low - above,
        high=bounds.high - above,
        seeds=len(values),
        p_for=more.pvalue if len(values) > 1 else 1.0,
        p_against=less.pvalue if len(values) > 1 else 1.0,
    )


def picked(candidates: Sequence[Series], benchmark: Series, lowest: bool = False) -> Evidence:
    """The claim that the best of the candidates, picked on these same data, beats the benchmark.

    Equivalently: some candidate does. For: the largest t among the candidates against its distribution when whole
    seeds have their signs flipped (max-T, Westfall & Young 1993); Bonferroni's bound on it with under 12 seeds, where
    flips resolve p too coarsely, or where a t has no meaning. Against: the benchmark must beat every candidate. The
    interval is Bonferroni's. ValueError without a candidate.
    """
    rows = _differences([(benchmark, c) if lowest else (c, benchmark) for c in candidates])
    none = _all_positive(-rows)
    flips = rows.shape[1] >= SEEDS_FOR_MAX_T and _has_spread(rows).all()
    return Evidence(
        effect=-none.effect,
        low=-none.high,
        high=-none.low,
        seeds=none.seeds,
        p_for=_p_max_t(rows) if flips else none.p_against,
        p_against=none.p_for,
    )


def on_shared_seeds(candidates: Mapping[str, Series]) -> dict[str, Series]:
    """The candidates at the seeds that all of them have measured; as they are where they share none."""
    shared = set.intersection(*({s for s, value in x.items() if not isnan(value)} for x in candidates.values()))
    return {name: {s: x[s] for s in sorted(shared)} if shared else x for name, x in candidates.items()}


def centres(candidates: Mapping[str, Series]) -> dict[str, float]:
    """Of each candidate, over the seeds that all share; nan for one that nothing was measured of."""
    measured = {name: series for name, series in candidates.items() if series}
    shared = on_shared_seeds(measured) if measured else {}
    return dict.fromkeys(candidates, nan) | {name: estimate(series).centre for name, series in shared.items()}


def leader(candidates: Mapping[str, Series], lowest: bool = False) -> str:
    """The candidate with the best mean over the seeds that all share; of equals the first.

    One that is `inf` for some seed is thus behind all that never are; among those the median decides. ValueError
    without a measured candidate.
    """
    measured = {name: series for name, series in candidates.items() if series}
    shared = {name: [*series.values()] for name, series in on_shared_seeds(measured).items()} if measured else {}
    return (min if lowest else max)(shared, key=lambda name: (fmean(shared[name]), median(shared[name])))


def winner(candidates: Mapping[str, Series], lowest: bool = False) -> tuple[str, Evidence]:
    """The best of the candidates on the seeds that they share, and the claim that it is truly the best.

    Picking costs a factor of two: at worst two equal settings lead all others and either may be picked (Gutmann &
    Maymin 1987, for independent arms; the tests simulate it for pairs). Some setting is always best, so nothing
    speaks against the claim: it is reproduced or undecided. ValueError with fewer than two candidates.
    """
    if len(candidates) < 2:
        raise ValueError("Picking a winner takes at least two settings.")
    name = leader(candidates, lowest)
    lead = best(candidates[name], [series for rival, series in candidates.items() if rival != name], lowest)
    return name, replace(lead, p_for=min(1.0, 2 * lead.p_for), p_against=nan)


def holm(ps: Sequence[float]) -> list[float]:
    """Holm's (1979) adjusted p-values, in the order given."""
    adjusted = [0.0] * len(ps)
    largest = 0.0
    for rank, index in enumerate(sorted(range(len(ps)), key=ps.__getitem__)):
        largest = max(largest, min(1.0, (len(ps) - rank) * ps[index]))
        adjusted[index] = largest
    return adjusted


def judge(claims: Mapping[str, Evidence], alpha: float = 0.05) -> dict[str, Verdict]:
    """The verdicts on the claims of one study: the chance that any is false is at most `alpha`."""
    sides = [(claim, side) for claim in claims for side in ("p_for", "p_against")]
    ps = {(claim, side): p for claim, side in sides if not isnan(p := getattr(claims[claim], side))}
    adjusted = dict(zip(ps, holm(list(ps.values())), strict=True))
    verdicts = {}
    for claim, evidence in claims.items():
        p_for, p_against = (adjusted.get((claim, side), 1.0) for side in ("p_for", "p_against"))
        verdict: Judgement = "undecided"
        if min(p_for, p_against) <= alpha:
            verdict = "reproduced" if p_for < p_against else "not reproduced"
        verdicts[claim] = Verdict(
            verdict, evidence.effect, evidence.low, evidence.high, evidence.seeds, min(p_for, p_against)
        )
    return verdicts


def power(difference: float, deviation: float, seeds: int, alpha: float = 0.05) -> float:
    """Chance that the two-sided paired t test at `alpha` finds a true mean difference, in its own direction.

    `deviation` is the standard deviation of the difference between the two settings over seeds. In a study of m
    claims the first to be decided needs `alpha / m`. Noncentral t: Cohen 1988, section 2.5.
    """
    if seeds < 2:
        return 0.0
    shift = abs(difference) / deviation * sqrt(seeds)
    return float(stats.nct.sf(stats.t.isf(alpha / 2, seeds - 1), seeds - 1, shift))


def seeds_needed(
    difference: float, deviation: float, power_wanted: float = 0.8, alpha: float = 0.05, most: int = 10_000
) -> int | None:
    """The fewest seeds with which `power` reaches `power_wanted`; None if `most` are not enough."""
    counts = range(2, most + 1)
    index = bisect_left(counts, power_wanted, key=lambda n: power(difference, deviation, n, alpha))
    return counts[index] if index < len(counts) else None


def _differences(pairs: Sequence[Pair]) -> np.ndarray:
    """(pairs, seeds): first minus second, over the seeds that every series of every pair has measured."""
    series = [side for pair in pairs for side in pair if isinstance(side, Mapping)]
    if not series:
        raise ValueError("A claim needs at least one setting with its values by seed, and something to compare it to.")
    seeds = sorted(set.intersection(*({s for s, value in x.items() if not isnan(value)} for x in series)))
    first, second = (
        np.array([[x[s] if isinstance(x, Mapping) else x for s in seeds] for x in side], dtype=float)
        for side in zip(*pairs, strict=True)
    )
    with np.errstate(invalid="ignore"):
        return np.where(first == second, 0.0, first - second)


class _Tests:
    """What each row of a (rows, seeds) array of differences says of its centre: by t, or by signs where t can't."""

    def __init__(self, rows: np.ndarray) -> None:
        self.rows = rows
        self.by_t = _has_spread(rows)
        self.t = stats.ttest_1samp(rows[self.by_t], 0, axis=1) if self.by_t.any() else None

    def centres(self) -> np.ndarray:
        """(rows,): means, or medians; nan without a seed."""
        if self.rows.shape[1] == 0:
            return np.full(len(self.rows), nan)
        with np.errstate(invalid="ignore"):
            return np.where(self.by_t, self.rows.mean(axis=1), np.median(self.rows, axis=1))

    def p_values(self) -> tuple[np.ndarray, np.ndarray]:
        """(rows,) twice: one-sided p-values for a centre above zero, and below."""
        above, below = np.ones(len(self.rows)), np.ones(len(self.rows))
        if self.t is not None:
            tail = self.t.pvalue / 2
            above[self.by_t] = np.where(self.t.statistic > 0, tail, 1 - tail)
            below[self.by_t] = np.where(self.t.statistic > 0, 1 - tail, tail)
        for index in np.flatnonzero(~self.by_t):
            above[index], below[index] = _p_signed_ranks(self.rows[index]), _p_signed_ranks(-self.rows[index])
        return above, below

    def intervals(self, level: float) -> tuple[np.ndarray, np.ndarray]:
        """(rows,) twice: lower and upper bounds, by t for means or by order statistics for medians."""
        low, high = np.full(len(self.rows), -inf), np.full(len(self.rows), inf)
        if self.t is not None:
            low[self.by_t], high[self.by_t] = self.t.confidence_interval(level)
        # The widest interval, from the least value to the largest, misses the median with a chance of 2 / 2^seeds.
        bounded = 2 * 0.5 ** self.rows.shape[1] <= 1 - level
        for index in np.flatnonzero(~self.by_t) if bounded else ():
            bounds = stats.quantile_test(self.rows[index], p=0.5).confidence_interval(level)
            low[index] = -inf if isnan(bounds.low) else bounds.low
            high[index] = inf if isnan(bounds.high) else bounds.high
        return low, high


def _has_spread(rows: np.ndarray) -> np.ndarray:
    """(rows,): where the t test has a meaning: two seeds or more, all finite, not all equal but for rounding."""
    if rows.shape[1] < 2:
        return np.zeros(len(rows), dtype=bool)
    with np.errstate(invalid="ignore"):
        spread = np.ptp(rows, axis=1)
    return np.isfinite(rows).all(axis=1) & (spread > 1e-12 * np.maximum(1, np.abs(rows).max(axis=1)))


def _all_positive(rows: np.ndarray) -> Evidence:
    """The claim that the centre of every row of differences lies above zero."""
    tests = _Tests(rows)
    above, below = tests.p_values()
    # The smallest centre is above a bound if all are; it is below one if any is, which Bonferroni has to allow for.
    low, _ = tests.intervals(LEVEL)
    _, high = tests.intervals(1 - (1 - LEVEL) / len(rows))
    return Evidence(
        effect=float(tests.centres().min()),
        low=float(low.min()),
        high=float(high.min()),
        seeds=rows.shape[1],
        p_for=float(above.max()),
        p_against=min(1.0, len(rows) * float(below.min())),
    )


def _p_signed_ranks(differences: np.ndarray) -> float:
    """One-sided p-value of the sum of signed ranks being large; pairs that tie say nothing."""
    differences = differences[differences != 0]
    if differences.size < 2:
        return 1.0
    ranks = np.sign(differences) * stats.rankdata(np.abs(differences))
    return _p_by_flips(ranks.size, lambda signs: signs @ ranks)


def _p_max_t(rows: np.ndarray) -> float:
    """One-sided p-value of the largest t over the rows, each seed flipping its sign in all rows at once."""
    squares = (rows**2).mean(axis=1)

    def largest_t(signs: np.ndarray) -> np.ndarray:
        means = signs @ rows.T / rows.shape[1]
        with np.errstate(divide="ignore"):  # a flip that leaves a row without spread has an infinite t
            return (means / np.sqrt(np.maximum(0, squares - means**2))).max(axis=-1)

    return _p_by_flips(rows.shape[1], largest_t)


def _p_by_flips(seeds: int, statistic: Callable[[np.ndarray], np.ndarray]) -> float:
    """Share of the (..., seeds) arrays of signs for which `statistic` is at least as large as without a flip."""
    result = stats.permutation_test(
        (np.ones(seeds),),
        lambda signs, axis: statistic(signs),
        permutation_type="samples",  # of a single sample: its signs
        alternative="greater",
        vectorized=True,
        n_resamples=FLIPS,
        rng=0,
    )
    # Rounding may tell the flip that changes nothing from no flip, and it counts.
    return max(float(result.pvalue), 0.5**seeds)
