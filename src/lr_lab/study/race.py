"""A race finds the best of many settings and drops, on the way, those that surely are not the best.

At each look a setting is dropped if another one is surely better. The best setting is left at the end with a chance of
at least 95%, over all looks (a subset selection as Gupta's 1965, after each block as in F-race, Birattari et al. 2002,
with one error for the whole race). Each setting is tested against the K - 1 rivals that are left (Bonferroni); no
correction is needed for the number of settings, because only dropping the best one is an error. With a margin the race
also ends when one setting is surely at most that much worse than every other that is left.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import permutations

from lr_lab.study.looks import Table
from lr_lab.study.spending import Plan
from lr_lab.study.statements import Contrasts, Row, lead
from lr_lab.study.verdicts import ALPHA


@dataclass(frozen=True)
class Lap:
    """One look of a race: the settings dropped, each with the one that is surely better."""

    seeds: int
    dropped: Mapping[str, str]


@dataclass(frozen=True)
class Standing:
    """The standing of a race.

    Attributes:
        left: the settings that may be the best, the best mean first.
        next_look: its number of seeds; None when one is left, or after the last.
        missing: setting -> the seeds that the next look waits for.
    """

    laps: Sequence[Lap]
    left: Sequence[str]
    next_look: int | None
    missing: Mapping[str, Sequence[int]]


def race(
    settings: Sequence[str],
    metric: str,
    table: Table,
    plan: Plan,
    lower_is_better: bool = False,
    margin: float = 0.0,
) -> Standing:
    """All laps that the results allow, from the first; a lap uses the first seeds of the settings that were left."""

    def row(a: str, b: str, margin: float) -> Row:
        return lead({(a, metric): 1.0}, {(b, metric): 1.0}, margin, lower_is_better)

    left, laps = list(settings), list[Lap]()
    for seeds in plan.all_looks:
        missing = table.missing(left, seeds)
        if missing or len(left) == 1:
            return Standing(laps, left, seeds if missing else None, missing)
        pairs = list(permutations(left, 2))
        contrasts = Contrasts([row(a, b, 0.0) for a, b in pairs], [left])
        samples = contrasts.samples(table.array(contrasts.cells, dict.fromkeys(left, seeds)))
        found = {pair: samples[row(*pair, 0.0)] for pair in pairs}
        level = plan.level(seeds, ALPHA / (len(left) - 1))
        left.sort(key=lambda a: -sum(found[a, b].centre > 0 for b in left if b != a))
        dropped = {b: a for a, b in reversed(pairs) if found[a, b].p_above() <= level}
        near = (a for a in left if all(found[a, b].p_above(-margin) <= level for b in left if b != a))
        good_enough = next(near, None) if margin else None
        if good_enough is not None:
            dropped |= {setting: good_enough for setting in left if setting != good_enough}
        laps.append(Lap(seeds, dropped))
        left = [setting for setting in left if setting not in dropped]
    return Standing(laps, left, None, {})
