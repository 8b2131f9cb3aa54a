"""Statements about settings as numbers, and tests of them on the values of each seed.

A `Row` is a sum of values of settings, each times a factor, plus a constant: `a - b - 0.02` says that a leads b by more
than 0.02. It holds if its mean over all seeds there could be lies above zero. Settings share their seeds, and with a
seed the initial weights and the batches, so the sum is taken within each seed.

A statement is a tuple of groups of rows, and holds if every group has a row that holds. Its *lead* is the smallest over
the groups of the largest mean in a group.

A row is tested by Student's t, but its standard deviation counts as no smaller than is usual among its kin: the median
of those of the same sums of other settings in the same groups. For a few seeds agree by luck more often than the t test
allows for, if runs split into two groups or have a long tail. A row without kin has to pass the
signed ranks test (Wilcoxon 1945) as well, whose p-value is at least 1 / 2^seeds. `make benchmark-study` simulates the
effect.

Special values:
- `inf` is "later, or worse, than could be seen": the epochs of a run that never got there, the loss of one that
  diverged. Two such values are a tie, and only signed ranks can test a row with such values.
- `nan` is "not measured". A row uses the seeds for which all of its settings were measured.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache, cached_property
from math import inf, isfinite, isnan, nan

import numpy as np
from scipy import special, stats

Cell = tuple[str, str]  # a setting and a metric
LEVEL = 0.95


@dataclass(frozen=True)
class Row:
    """A sum over cells, each times a factor, and a constant.

    Attributes:
        among: a metric that is 0 or 1: only the runs in which it is 1 count.
        is_share: all values are 0 or 1: an exact binomial test against minus the constant.
    """

    terms: tuple[tuple[Cell, float], ...]
    constant: float = 0.0
    among: str | None = None
    is_share: bool = False

    @property
    def settings(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(setting for (setting, _), _ in self.terms))

    def renamed(self, names: Mapping[str, str]) -> Row:
        return replace(self, terms=tuple(((names[s], metric), factor) for (s, metric), factor in self.terms))


Statement = tuple[tuple[Row, ...], ...]


def lead(a: Mapping[Cell, float], b: Mapping[Cell, float], margin: float = 0.0, lower_is_better: bool = False) -> Row:
    """The row "a is better than b by more than the margin"; a and b are sums: cell -> factor."""
    sign = -1.0 if lower_is_better else 1.0
    factors = {cell: sign * (a.get(cell, 0.0) - b.get(cell, 0.0)) for cell in {**a, **b}}
    return Row(tuple((cell, factor) for cell, factor in factors.items() if factor), -margin)


def kin(row: Row, groups: Sequence[Sequence[str]]) -> list[Row]:
    """The same sum of other settings: each replaced by the k-th after it in its group, for every k."""
    group_of = {setting: list(group) for group in groups for setting in group}
    found = []
    for step in range(1, max((len(group_of.get(setting, ())) for setting in row.settings), default=1)):
        names = {}
        for setting in row.settings:
            group = group_of.get(setting, [setting])
            names[setting] = group[(group.index(setting) + step) % len(group)]
        if len({*names.values()}) == len(names) and {*names.values()} != {*names}:
            found.append(row.renamed(names))
    return list(dict.fromkeys(found))


class Contrasts:
    """Rows, with their kin, made ready to be computed from many tables of values.

    Args:
        rows: distinct.
        groups: of the settings; kin stay within them.
    """

    def __init__(self, rows: Sequence[Row], groups: Sequence[Sequence[str]]) -> None:
        self.rows = list(rows)
        known = {row: index for index, row in enumerate(self.rows)}
        self._kin = [[known.setdefault(other, len(known)) for other in kin(row, groups)] for row in self.rows]
        self._all = list(known)
        cells = [cell for row in self._all for cell, _ in row.terms]
        cells += [(setting, row.among) for row in self._all if row.among for setting in row.settings]
        self.cells: list[Cell] = list(dict.fromkeys(cells))
        column = {cell: index for index, cell in enumerate(self.cells)}
        factors = np.zeros((len(self._all), len(self.cells)))
        for index, row in enumerate(self._all):
            for cell, factor in row.terms:
                factors[index, column[cell]] += factor
        self._up, self._down = np.maximum(factors, 0), np.maximum(-factors, 0)
        self._constants = np.array([row.constant for row in self._all])[:, None]
        self._among = [
            (index, [column[setting, row.among] for setting in row.settings])
            for index, row in enumerate(self._all)
            if row.among
        ]

    def samples(self, values: np.ndarray) -> dict[Row, Sample]:
        """The sample of every row; its kin lend their spread.

        Args:
            values: (cells, seeds), `inf` and `nan` as above.
        """
        differences = self._differences(values)
        spreads = _spreads(differences)
        usual = [_usual(spreads[indices]) if indices else nan for indices in self._kin]
        return {
            row: Sample(values[~np.isnan(values)], spread, row.is_share)
            for row, values, spread in zip(self.rows, differences, usual, strict=False)
        }

    def means(self, values: np.ndarray) -> dict[Row, float]:
        """The mean of every row for one value per cell, such as the paper's numbers."""
        return dict(zip(self.rows, self._differences(values[:, None])[:, 0].tolist(), strict=False))

    def _differences(self, values: np.ndarray) -> np.ndarray:
        """(rows and kin, seeds)"""
        known, endless = np.nan_to_num(values, nan=0.0, posinf=0.0, neginf=0.0), np.isposinf(values)
        up, down = (factors @ known for factors in (self._up, self._down))
        up, down = up + np.maximum(self._constants, 0), down + np.maximum(-self._constants, 0)
        up[(self._up @ endless) > 0] = inf
        down[(self._down @ endless) > 0] = inf
        with np.errstate(invalid="ignore"):
            rows = np.where(up == down, 0.0, up - down)
        rows[((self._up + self._down) @ np.isnan(values)) > 0] = nan
        for index, columns in self._among:
            rows[index, ~(values[columns] == 1).all(axis=0)] = nan
        return rows


def lead_of(statement: Statement, means: Mapping[Row, float]) -> float:
    """The lead of a statement whose rows have these means; nan if one is not known."""
    groups = [[means[row] for row in group] for group in statement]
    return nan if any(isnan(mean) for group in groups for mean in group) else min(max(group) for group in groups)


@dataclass(frozen=True, eq=False)
class Sample:
    """The values of a row by seed, and tests of its mean.

    Attributes:
        values: (seeds,), none of them nan.
        usual: the standard deviation that is usual among its kin; nan without kin.
    """

    values: np.ndarray
    usual: float = nan
    is_share: bool = False

    @cached_property
    def _known(self) -> dict[tuple[int, float], float]:
        """p-values that were asked for already: (side, bound) -> p."""
        return {}

    @cached_property
    def seeds(self) -> int:
        return len(self.values)

    @cached_property
    def centre(self) -> float:
        """The mean; the median where some values are infinite or all are equal; nan without a value."""
        if not self.seeds:
            return nan
        return float(np.mean(self.values) if np.isfinite(self.values).all() else np.median(self.values))

    @cached_property
    def spread(self) -> float:
        """The standard deviation that tests use; 0 where no t test has a meaning."""
        if self.seeds < 2 or not np.isfinite(self.values).all():
            return 0.0
        own = float(np.std(self.values, ddof=1))
        own = own if own > 1e-12 * max(1.0, float(np.abs(self.values).max())) else 0.0
        return max(own, self.usual) if isfinite(self.usual) else own

    def p_above(self, bound: float = 0.0) -> float:
        """One-sided p-value for a mean above the bound; 1 with a single seed."""
        return self._p(1, bound)

    def p_below(self, bound: float = 0.0) -> float:
        """One-sided p-value for a mean below the bound."""
        return self._p(-1, bound)

    def _p(self, side: int, bound: float) -> float:
        if (side, bound) not in self._known:
            self._known[side, bound] = self._test(side, bound)
        return self._known[side, bound]

    def _test(self, side: int, bound: float) -> float:
        if self.seeds < 2:
            return 1.0
        if self.is_share:
            return self._p_share(side)
        if not self.spread:
            return p_signed_ranks(side * (self.values - bound))
        p = float(special.stdtr(self.seeds - 1, -side * (self.centre - bound) / self.spread * self.seeds**0.5))
        return p if isfinite(self.usual) else max(p, p_signed_ranks(side * (self.values - bound)))

    def _p_share(self, side: int) -> float:
        # Each value is 1 or 0, minus the share.
        first = float(self.values[0])
        share = -first if first < 0 else 1 - first
        kind = "greater" if side > 0 else "less"
        return float(stats.binomtest(int((self.values > 0).sum()), self.seeds, share, kind).pvalue)

    def foresee(self, seeds: int, shift: float = 0.0) -> Foreseen:
        """The row with so many seeds in all, its mean moved by so many of its standard errors."""
        moved = shift * self.spread / max(1, self.seeds) ** 0.5
        return Foreseen(self.centre + moved, self.spread, max(seeds, 2), isfinite(self.usual))

    def interval(self, level: float = LEVEL) -> tuple[float, float]:
        """The interval: a mean by t, a median by order statistics, a share exactly; open where seeds give no bound."""
        if self.is_share and self.seeds:
            hits = stats.binomtest(int((self.values > 0).sum()), self.seeds).proportion_ci(level)
            share = self.values.mean() - (self.values > 0).mean()
            return hits.low + share, hits.high + share
        if self.spread:
            half = float(special.stdtrit(self.seeds - 1, (1 + level) / 2)) * self.spread / self.seeds**0.5
            return self.centre - half, self.centre + half
        # The widest interval, from the least value to the largest, misses the median with a chance of 2 / 2^seeds.
        if self.seeds == 0 or 2 * 0.5**self.seeds > 1 - level:
            return -inf, inf
        bounds = stats.quantile_test(self.values, p=0.5).confidence_interval(level)
        return (-inf if isnan(bounds.low) else bounds.low), (inf if isnan(bounds.high) else bounds.high)


@dataclass(frozen=True)
class Foreseen:
    """A `Sample` of more seeds than there are, if centre and spread stay as they are."""

    centre: float
    spread: float
    seeds: int
    has_kin: bool

    def p_above(self, bound: float = 0.0) -> float:
        return self._p(self.centre - bound)

    def p_below(self, bound: float = 0.0) -> float:
        return self._p(bound - self.centre)

    def _p(self, distance: float) -> float:
        signs = 0.5**self.seeds if distance > 0 else 1.0
        if not self.spread:
            return signs
        p = float(special.stdtr(self.seeds - 1, -distance / self.spread * self.seeds**0.5))
        return p if self.has_kin else max(p, signs)


def p_signed_ranks(values: np.ndarray) -> float:
    """One-sided p-value of the sum of signed ranks being large, exact with ties; values that are 0 say nothing."""
    values = values[values != 0]
    if len(values) < 2:
        return 1.0
    # Twice a rank is whole, even where ranks are shared.
    doubled = np.rint(2 * stats.rankdata(np.abs(values))).astype(int)
    return float(_tail(tuple(sorted(doubled)))[int(doubled[values > 0].sum())])


@cache
def _tail(doubled: tuple[int, ...]) -> np.ndarray:
    """(sum + 1,): the chance that the ranks with a positive sign add up to at least this much."""
    chances = np.ones(1)
    for rank in doubled:
        further = np.zeros(len(chances) + rank)
        further[: len(chances)] += chances / 2
        further[rank:] += chances / 2
        chances = further
    return chances[::-1].cumsum()[::-1]


def _spreads(rows: np.ndarray) -> np.ndarray:
    """(rows,): standard deviations over the measured seeds; nan with fewer than two or any that is infinite."""
    measured = ~np.isnan(rows)
    counts = measured.sum(axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        means = np.where(measured, rows, 0).sum(axis=1) / counts
        squares = np.where(measured, rows - means[:, None], 0) ** 2
        return np.where(counts > 1, np.sqrt(squares.sum(axis=1) / (counts - 1)), nan)


def _usual(spreads: np.ndarray) -> float:
    """The median of the spreads; nan without any."""
    known = spreads[np.isfinite(spreads)]
    return float(np.median(known)) if len(known) else nan
