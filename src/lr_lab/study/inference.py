"""The evidence of the seeds on settings and on pairs: estimates, comparisons and winners, for tables and advice.

A series maps each seed to the value that a setting reached with it. Settings share their seeds, and with a seed the
initial weights and the batches, so tests are made on the differences within a seed. Uncertainty is over seeds, for the
validation set at hand. `inf` and `nan` mean what they mean in statements.py. The claims of a study are tested there,
and judged in verdicts.py and looks.py.
"""

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isnan, nan, sqrt
from statistics import fmean, median
from typing import Literal

import numpy as np
from scipy import stats

from lr_lab.study.statements import LEVEL, Sample

Series = Mapping[int, float]
Judgement = Literal["reproduced", "not reproduced", "undecided"]


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
    """How far the data speak for a lead.

    `effect` is the lead (negative: it is behind), with its 95% interval; `p_for` and `p_against` are the p-values for a
    lead above and below zero, uncorrected for other questions. `p_against` is nan if no data could speak against it.
    """

    effect: float
    low: float
    high: float
    seeds: int
    p_for: float
    p_against: float


@dataclass(frozen=True)
class Verdict:
    """A verdict on a lead, with the smaller of its two p-values after correction over all that are judged with it."""

    verdict: Judgement
    effect: float
    low: float
    high: float
    seeds: int
    p: float


def estimate(series: Series) -> Estimate:
    """Centre and 95% interval of one setting over its measured seeds; ValueError without one."""
    sample = _sample(series, dict.fromkeys(series, 0.0))
    if not sample.seeds:
        raise ValueError("There is no measured value to take a mean of.")
    return Estimate(sample.centre, *sample.interval(), sample.seeds)


def compare(a: Series, b: Series, picked_from: int = 1) -> Evidence:
    """The lead of a over b; `picked_from` candidates pay for picking one on these same data (Bonferroni)."""
    sample = _sample(a, b)
    p_for, p_against = (min(1.0, picked_from * p) for p in (sample.p_above(), sample.p_below()))
    low, high = sample.interval(1 - (1 - LEVEL) / picked_from)
    return Evidence(sample.centre, low, high, sample.seeds, p_for, p_against)


def on_shared_seeds(candidates: Mapping[str, Series]) -> dict[str, Series]:
    """The candidates at the seeds that all of them have measured; as they are where they share none."""
    shared = set.intersection(*({s for s, value in x.items() if not isnan(value)} for x in candidates.values()))
    return {name: {s: x[s] for s in sorted(shared)} if shared else x for name, x in candidates.items()}


def centres(candidates: Mapping[str, Series]) -> dict[str, float]:
    """The centre of each candidate, over the seeds that all share; nan for a candidate without a measurement."""
    measured = {name: series for name, series in candidates.items() if series}
    shared = on_shared_seeds(measured) if measured else {}
    return dict.fromkeys(candidates, nan) | {name: estimate(series).centre for name, series in shared.items()}


def leader(candidates: Mapping[str, Series], lower_is_better: bool = False) -> str:
    """The candidate with the best mean over the seeds that all share; of equals the first.

    A candidate that is `inf` for some seed is behind all that never are; among several such the median decides.
    ValueError without a measured candidate.
    """
    measured = {name: series for name, series in candidates.items() if series}
    shared = {name: [*series.values()] for name, series in on_shared_seeds(measured).items()} if measured else {}
    return (min if lower_is_better else max)(shared, key=lambda name: (fmean(shared[name]), median(shared[name])))


def winner(candidates: Mapping[str, Series], lower_is_better: bool = False) -> tuple[str, Evidence]:
    """The best of the candidates on the seeds that they share, and its lead over the nearest of the others.

    The winner has to be ahead of each rival, so the largest p-value counts (Berger 1982). Picking it costs a factor of
    two: at worst two equal settings lead all others and either may be picked (Gutmann & Maymin 1987, for independent
    arms; the tests simulate it for pairs). Some setting is always best, so nothing speaks against it. ValueError with
    fewer than two candidates.
    """
    if len(candidates) < 2:
        raise ValueError("Picking a winner takes at least two settings.")
    name = leader(candidates, lower_is_better)
    shared = set.intersection(*({s for s, value in x.items() if not isnan(value)} for x in candidates.values()))
    best = {seed: candidates[name][seed] for seed in shared}
    rivals = [{seed: series[seed] for seed in shared} for rival, series in candidates.items() if rival != name]
    samples = [_sample(rival, best) if lower_is_better else _sample(best, rival) for rival in rivals]
    lows = [sample.interval()[0] for sample in samples]
    highs = [sample.interval(1 - (1 - LEVEL) / len(samples))[1] for sample in samples]
    p_for = min(1.0, 2 * max(sample.p_above() for sample in samples))
    effect = min(sample.centre for sample in samples)
    return name, Evidence(effect, min(lows), min(highs), len(shared), p_for, nan)


def holm(ps: Sequence[float]) -> list[float]:
    """Holm's (1979) adjusted p-values, in the order given."""
    adjusted = [0.0] * len(ps)
    largest = 0.0
    for rank, index in enumerate(sorted(range(len(ps)), key=ps.__getitem__)):
        largest = max(largest, min(1.0, (len(ps) - rank) * ps[index]))
        adjusted[index] = largest
    return adjusted


def judge(claims: Mapping[str, Evidence], alpha: float = 0.05) -> dict[str, Verdict]:
    """The verdicts on leads that are judged together: the chance that any is false is at most `alpha`."""
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


def _sample(a: Series, b: Series) -> Sample:
    """The leads of a over b on the seeds that both have measured, to be tested by t alone."""
    shared = sorted(s for s in a if s in b and not isnan(a[s]) and not isnan(b[s]))
    # Two runs that never got there tie.
    leads = [0.0 if a[s] == b[s] else a[s] - b[s] for s in shared]
    return Sample(np.array(leads, dtype=float), usual=0.0)
