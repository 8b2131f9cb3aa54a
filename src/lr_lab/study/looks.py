"""The looks of a study at its results: their verdicts, and the runs that the next look needs.

A study declares after how many seeds it looks. At each look every open claim is tested. A verdict is final, and a
setting is trained no further once no open claim needs it. The chance of any false verdict, over all looks and claims
of the study, is at most 5%:

- Looks share the 5%. A look at n of N seeds has spent the part (n / N)^2 of it; a tenth is kept for looks that
  somebody adds later (spending.py).
- Claims share what a look has, by Holm's steps; claims that are decided leave their part to the others (Maurer & Bretz
  2013, who show this for looks and claims).
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from math import nan
from typing import Protocol

import numpy as np
from scipy import special

from lr_lab.study.spending import Plan
from lr_lab.study.statements import Cell, Contrasts
from lr_lab.study.verdicts import ALPHA, OpenClaim, Question, Samples, Verdict, decide

# A claim is set aside if its means would give no verdict at the last planned look even where they are better, for each
# verdict in turn, than all but this part of what the seeds leave open: 1.5 standard errors, more with few seeds.
FUTILITY = 0.933
# Forecasts reach to so many times the seeds of the last look.
FARTHEST = 10


@dataclass(frozen=True)
class Look:
    """The outcome of one look: the claims that it decided or set aside, and the settings that it stops.

    `spent` is the part of the 5% that is spent by then.
    """

    seeds: int
    spent: float
    decided: Sequence[str]
    set_aside: Sequence[str]
    stopped: Sequence[str]


@dataclass(frozen=True)
class Forecast:
    """The seeds that an open claim is expected to take, if its true means equal the measured ones.

    `fewest` and `most`: if they are a standard error better, or worse. None: over FARTHEST times the last look.
    """

    expected: int | None
    fewest: int | None
    most: int | None


@dataclass(frozen=True)
class Outcome:
    """The standing of a study.

    Attributes:
        verdicts: of all claims, in their order.
        needed: settings that an open claim still needs.
        next_look: its number of seeds; None after the last, and when nothing is needed.
        missing: setting -> the seeds that the next look waits for.
        forecasts: of the open claims, after a first look.
    """

    looks: Sequence[Look]
    verdicts: Mapping[str, Verdict]
    needed: Collection[str]
    next_look: int | None
    missing: dict[str, list[int]]
    forecasts: Mapping[str, Forecast]


class Source(Protocol):
    """A source of values: `Values`, or simulated numbers."""

    def series(self, setting: str, metric: str) -> Mapping[int, float]:
        """Seed -> value; a seed that was not measured is missing."""


class Table:
    """Values by setting, metric and seed, with the order in which seeds are trained.

    Args:
        runs: setting -> the seeds of its finished runs.
        seeds: all that the study may train, in order.
        most: setting -> how many of them it gets at most, if not all.
    """

    def __init__(
        self,
        values: Source,
        runs: Mapping[str, Collection[int]],
        seeds: Sequence[int],
        most: Mapping[str, int] | None = None,
    ) -> None:
        self._values, self._runs, self.seeds, self._most = values, runs, seeds, most or {}

    def wanted(self, setting: str, count: int) -> list[int]:
        """The seeds of a setting that a look at so many seeds uses."""
        return list(self.seeds[: min(count, self._most.get(setting, count))])

    def missing(self, settings: Iterable[str], count: int) -> dict[str, list[int]]:
        """The values that a look at so many seeds still waits for."""
        lacking = {s: [seed for seed in self.wanted(s, count) if seed not in self._runs.get(s, ())] for s in settings}
        return {setting: seeds for setting, seeds in lacking.items() if seeds}

    def array(self, cells: Sequence[Cell], counts: Mapping[str, int]) -> np.ndarray:
        """(cells, seeds): of each setting its first `counts[setting]` seeds, nan beyond."""
        table = np.full((len(cells), len(self.seeds)), nan)
        for index, cell in enumerate(cells):
            series = self._values.series(*cell)
            for column, seed in enumerate(self.wanted(cell[0], counts.get(cell[0], 0))):
                table[index, column] = series.get(seed, nan)
        return table


def replay(
    questions: Mapping[str, Question],
    groups: Sequence[Sequence[str]],
    table: Table,
    plan: Plan,
    may_set_aside: bool = True,
    with_forecasts: bool = True,
) -> Outcome:
    """All looks that the results allow, from the first: the same results give the same looks and verdicts.

    A look uses the first seeds of the settings that were still needed then, whatever else has been trained.
    """
    contrasts = Contrasts(list(dict.fromkeys(row for question in questions.values() for row in question.rows)), groups)
    claims = {name: OpenClaim(question) for name, question in questions.items()}
    needed = _needed(claims)
    counts = dict.fromkeys(needed, len(table.seeds))
    samples = contrasts.samples(table.array(contrasts.cells, counts))
    verdicts = {name: claim.verdict(samples) for name, claim in claims.items()}  # if no look can be taken yet
    looks: list[Look] = []
    counts, found, aside, next_look = {}, {}, set[str](), None
    for seeds, spent in plan.spent.items():
        if not needed or table.missing(needed, seeds):
            next_look = seeds if needed else None
            break
        counts |= dict.fromkeys(needed, seeds)
        samples = contrasts.samples(table.array(contrasts.cells, counts))
        found = decide(claims, samples, partial(plan.level, seeds))
        decided = [name for name, (kind, _) in found.items() if kind != "undecided"]
        verdicts |= {name: claims[name].verdict(samples, *found[name], seeds) for name in decided}
        claims = {name: claim for name, claim in claims.items() if name not in decided}
        for claim in claims.values():
            claim.note(samples, plan.level(seeds, ALPHA / (2 * len(claims))))
        hopeless = _hopeless(claims, samples, plan, seeds) - aside if may_set_aside else set()
        aside |= hopeless
        before, needed = needed, _needed({name: claim for name, claim in claims.items() if name not in aside})
        stopped = [setting for setting in before if setting not in needed]
        looks.append(Look(seeds, spent, decided, sorted(hopeless), stopped))
    if looks:
        last = looks[-1].seeds
        verdicts |= {name: claim.verdict(samples, *found[name], last, name in aside) for name, claim in claims.items()}
    missing = table.missing(needed, next_look) if next_look else {}
    forecasts = _forecasts(claims, samples, plan, looks[-1].seeds) if looks and with_forecasts else {}
    return Outcome(looks, verdicts, needed, next_look, missing, forecasts)


def _needed(claims: Mapping[str, OpenClaim]) -> list[str]:
    return sorted({setting for claim in claims.values() for setting in claim.settings})


def _hopeless(claims: Mapping[str, OpenClaim], samples: Samples, plan: Plan, seeds: int) -> set[str]:
    """Claims that will stay open at the last look even if their true means are better than the measured ones."""
    last = plan.looks[-1]
    if seeds >= last or not claims:  # a look that somebody added is taken
        return set()
    level = plan.level(last, ALPHA / (2 * len(claims)))
    shift = float(special.stdtrit(max(1, seeds - 1), FUTILITY))
    return {name for name, claim in claims.items() if not claim.expects(samples, last, level, shift)}


def _forecasts(claims: Mapping[str, OpenClaim], samples: Samples, plan: Plan, seeds: int) -> dict[str, Forecast]:
    level = plan.level(plan.looks[-1], ALPHA / (2 * max(1, len(claims))))
    counts = range(seeds + 1, FARTHEST * plan.last + 1)

    def takes(claim: OpenClaim, shift: float) -> int | None:
        index = bisect_left(counts, True, key=lambda count: claim.expects(samples, count, level, shift))
        return counts[index] if index < len(counts) else None

    return {name: Forecast(takes(claim, 0.0), takes(claim, 1.0), takes(claim, -1.0)) for name, claim in claims.items()}
