"""The evidence of the seeds so far for one claim, and for the claims of a study together.

A claim can be wrong in two directions, so it has three verdicts: its lead lies above zero, below zero, or closer to
zero than the margin that matters (two one-sided tests, Schuirmann 1987). The third costs nothing: where it is false, it
takes a failure of the nearer one of the other two tests first.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import inf, nan
from typing import Literal, Protocol

from lr_lab.study.statements import LEVEL, Row, Sample, Statement

Kind = Literal["reproduced", "not reproduced", "no difference that matters", "undecided"]
Samples = Mapping[Row, Sample]

ALPHA = 0.05


@dataclass(frozen=True)
class Question:
    """A claim as it is tested.

    Attributes:
        margin: the lead below which a difference does not matter; None if the claim is about something else.
    """

    statement: Statement
    margin: float | None = None

    @property
    def rows(self) -> list[Row]:
        return [row for group in self.statement for row in group]


@dataclass(frozen=True)
class Verdict:
    """A claim's verdict, and what is known of its lead.

    Attributes:
        effect: the lead, with its 95% interval: for this claim alone, and for one look.
        seeds: the fewest of any of its rows.
        p: the smallest p-value of its verdicts, corrected over claims and looks: it is decided at 0.05.
        look: the number of seeds at which it was decided; for an undecided claim that of the last look, 0 before any.
        is_set_aside: whether no seeds that the study may spend are expected to decide it.
    """

    verdict: Kind
    effect: float
    low: float
    high: float
    seeds: int
    p: float
    look: int = 0
    is_set_aside: bool = False

    @property
    def bound(self) -> float:
        """The lead is closer to zero than this, with 95% confidence; inf where the seeds give no bound."""
        return max(abs(self.low), abs(self.high))


class Tested(Protocol):
    """The question behind a row's p-values."""

    def p_above(self, bound: float = 0.0) -> float: ...

    def p_below(self, bound: float = 0.0) -> float: ...


class OpenClaim:
    """A claim without a verdict, and what earlier looks have shown of its parts."""

    def __init__(self, question: Question) -> None:
        self.question = question
        self._shown: set[int] = set()  # groups that have a row above zero
        self._fallen: set[Row] = set()  # rows below zero
        self._not_far_below: set[int] = set()  # groups that have a row above minus the margin
        self._not_far_above: set[Row] = set()  # rows below the margin

    @property
    def settings(self) -> set[str]:
        """The settings whose further seeds can still change something."""
        groups = [group for index, group in enumerate(self.question.statement) if index not in self._shown]
        return {setting for group in groups for row in group if row not in self._fallen for setting in row.settings}

    def p_values(self, samples: Samples) -> dict[Kind, float]:
        """p-values by verdict, uncorrected for other claims and looks; parts shown earlier are not tested again."""
        found: dict[Kind, float] = {
            "reproduced": self._p_all_above(samples, 0.0, self._shown),
            "not reproduced": self._p_some_below(samples, 0.0, self._fallen),
        }
        if (margin := self.question.margin) is not None:
            found["no difference that matters"] = max(
                self._p_all_above(samples, -margin, self._shown | self._not_far_below),
                self._p_some_below(samples, margin, self._fallen | self._not_far_above),
            )
        return found

    def note(self, samples: Samples, level: float) -> None:
        """Keeps the parts that are shown at this level."""
        groups, margin = self.question.statement, self.question.margin
        self._shown |= {i for i, group in enumerate(groups) if _p_any_above(group, samples, 0.0) <= level}
        self._fallen |= {row for row in self.question.rows if len(groups) * samples[row].p_below() <= level}
        if margin is not None:
            self._not_far_below |= {i for i, g in enumerate(groups) if _p_any_above(g, samples, -margin) <= level}
            near = (row for row in self.question.rows if len(groups) * samples[row].p_below(margin) <= level)
            self._not_far_above |= {*near}

    def verdict(
        self, samples: Samples, kind: Kind = "undecided", p: float = 1.0, look: int = 0, is_set_aside: bool = False
    ) -> Verdict:
        """The claim with the lead and interval of the samples."""
        groups = [[samples[row] for row in group] for group in self.question.statement]
        seeds = min(s.seeds for group in groups for s in group)
        if not seeds:
            return Verdict(kind, nan, -inf, inf, 0, p, look, is_set_aside)
        # A group is above a bound if any of its rows is, all groups are if the least is: Bonferroni for each "any".
        lows = [max(s.interval(1 - (1 - LEVEL) / len(group))[0] for s in group) for group in groups]
        highs = [max(s.interval(1 - (1 - LEVEL) / len(groups))[1] for s in group) for group in groups]
        effect = min(max(s.centre for s in group) for group in groups)
        return Verdict(kind, effect, min(lows), min(highs), seeds, p, look, is_set_aside)

    def expects(self, samples: Samples, seeds: int, level: float, shift: float = 0.0) -> bool:
        """Whether so many seeds would give a verdict, if all means were as they seem.

        Args:
            level: of the test with so many seeds.
            shift: standard errors by which all means are moved towards each verdict in turn.
        """
        above = {row: samples[row].foresee(seeds, shift) for row in self.question.rows}
        below = {row: samples[row].foresee(seeds, -shift) for row in self.question.rows}
        if self._p_all_above(above, 0.0, self._shown) <= level:
            return True
        if self._p_some_below(below, 0.0, self._fallen) <= level:
            return True
        margin = self.question.margin
        return (
            margin is not None
            and self._p_all_above(above, -margin, self._shown | self._not_far_below) <= level
            and self._p_some_below(below, margin, self._fallen | self._not_far_above) <= level
        )

    def _p_all_above(self, samples: Mapping[Row, Tested], bound: float, done: set[int]) -> float:
        """Every group has a row above the bound: all groups have to pass (Berger 1982)."""
        groups = [group for index, group in enumerate(self.question.statement) if index not in done]
        return max((_p_any_above(group, samples, bound) for group in groups), default=0.0)

    def _p_some_below(self, samples: Mapping[Row, Tested], bound: float, done: set[Row]) -> float:
        """Some group has all its rows below the bound: Bonferroni over the groups."""
        groups = self.question.statement
        worst = (max((samples[r].p_below(bound) for r in group if r not in done), default=0.0) for group in groups)
        return min(1.0, len(groups) * min(worst))


def _p_any_above(group: Sequence[Row], samples: Mapping[Row, Tested], bound: float) -> float:
    """Some row of the group is above the bound: Bonferroni over its rows."""
    return min(1.0, len(group) * min(samples[row].p_above(bound) for row in group))


def decide(
    claims: Mapping[str, OpenClaim], samples: Samples, level: Callable[[float], float]
) -> dict[str, tuple[Kind, float]]:
    """Verdict and p of open claims at one look; the chance that any verdict is false is at most ALPHA over all looks.

    By Holm's (1979) steps, in which both directions of a claim are one hypothesis: the claim with the smallest p-value
    is tested at half of an m-th of ALPHA; if it is decided the next one has the (m - 1)-th part, and so on.

    Args:
        level: the p-value that this look asks of a test with such an error over all looks. The p returned is scaled
            by it, so that it decides where it is at most ALPHA.
    """
    found = {name: claim.p_values(samples) for name, claim in claims.items()}
    verdicts: dict[str, tuple[Kind, float]] = {}
    largest = 0.0
    for rank, name in enumerate(sorted(found, key=lambda name: min(found[name].values()))):
        price = ALPHA / level(ALPHA / (2 * (len(found) - rank)))
        largest = max(largest, min(1.0, price * min(found[name].values())))
        # If several are shown at once, the first is the strongest.
        shown = [kind for kind, p in found[name].items() if price * p <= ALPHA]
        verdicts[name] = (shown[0] if shown and largest <= ALPHA else "undecided"), largest
    return verdicts
