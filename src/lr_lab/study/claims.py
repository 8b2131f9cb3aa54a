"""Claims: sentences about learning rates, each a test on results, with a verdict.

A claim is an entry of a study file's `claims`: its `place` in the source, what it `says` in our own words, perhaps the
`reading` that makes a vague word decidable, the name of a `test` below and the test's arguments. A new kind of claim is
one function here: it takes `Values`, which find settings by name, and arguments from YAML, and returns a `Statement`.

Settings are named as in the study, or by patterns such as `*_epoch`. `metrics.METRICS` holds for each metric whether
lower is better, as for epochs and losses; the argument `lower_is_better` overrules that.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations, pairwise, permutations
from typing import Any

from lr_lab.errors import UserError
from lr_lab.study.entries import mapping
from lr_lab.study.metrics import METRICS
from lr_lab.study.statements import Cell, Row, Statement, lead
from lr_lab.study.values import Values
from lr_lab.study.verdicts import Question, Verdict

Names = str | Sequence[str]
Sum = dict[Cell, float]

# Old name of an argument -> its name today. A person's own claim may still have the old one.
_RENAMED = {"of": "rivals", "only": "among", "lowest": "lower_is_better"}
# Tests whether one of two is better.
_COMPARE = ("ahead", "order", "ahead_on_average", "picked", "more_gain")


@dataclass(frozen=True)
class Claim:
    name: str
    place: str
    says: str
    test: str
    reading: str = ""
    arguments: Mapping[str, Any] = field(default_factory=dict)

    @property
    def asks_which_is_better(self) -> bool:
        """True for a comparison without a margin of its own: the margin that matters is then added to it."""
        return self.test in _COMPARE and not self.arguments.get("margin")


@dataclass(frozen=True)
class Finding:
    """A claim, what our runs say of it, and what the source's own table says: holds, fails, tie or silent."""

    claim: Claim
    verdict: Verdict
    document: str


def ahead(
    values: Values,
    metric: str,
    rivals: Mapping[str, Names],
    margin: float = 0.0,
    lower_is_better: bool | None = None,
) -> Statement:
    """Each setting is better than each of its rivals, by more than `margin`; `rivals` maps settings to them."""
    rows = []
    for names, others in rivals.items():
        settings = values.match(names)
        pairs = [(a, b) for a in settings for b in values.match(others) if b not in settings]
        rows += [_ahead(_one(a, metric), _one(b, metric), metric, margin, lower_is_better) for a, b in pairs]
    return _all(rows)


def order(values: Values, metric: str, settings: Sequence[str], lower_is_better: bool | None = None) -> Statement:
    """The settings rank as listed, the best first."""
    names = [name for pattern in settings for name in values.match(pattern)]
    pairs = pairwise(_one(name, metric) for name in names)
    return _all([_ahead(a, b, metric, 0.0, lower_is_better) for a, b in pairs])


def similar(values: Values, metric: str, within: Sequence[Names], margin: float) -> Statement:
    """In each group no two settings differ by `margin` or more."""
    pairs = [pair for group in within for pair in combinations(values.match(group), 2)]
    return _closer([(_one(a, metric), _one(b, metric)) for a, b in pairs], margin)


def within_factor(values: Values, metric: str, settings: Names, factor: float) -> Statement:
    """No setting reaches `factor` times the value of another."""
    pairs = permutations(values.match(settings), 2)
    return _all([lead({(a, metric): _number(factor)}, _one(b, metric)) for a, b in pairs])


def bounded(
    values: Values,
    metric: str,
    settings: Names,
    below: float | None = None,
    above: float | None = None,
    among: str | None = None,
) -> Statement:
    """The mean of every setting lies below, or above, a number.

    `among`: the name of a metric that is 0 or 1; then only the runs in which it is 1 count.
    """
    names = values.match(settings)
    if among is not None and len(names) != 1:
        raise UserError(f"among={among} chooses runs of one setting, and {settings} stands for {', '.join(names)}.")
    rows = []
    if below is not None:
        rows += [Row((((name, metric), -1.0),), _number(below), among) for name in names]
    if above is not None:
        rows += [Row((((name, metric), 1.0),), -_number(above), among) for name in names]
    return _all(rows)


def share(values: Values, metric: str, setting: str, above: float) -> Statement:
    """The metric, which is 0 or 1, is 1 in more than this share of the setting's runs."""
    if len(names := values.match(setting)) != 1:
        raise UserError(f"setting={setting} stands for {', '.join(names)}; a share is taken of one setting: name it.")
    if not {*values.series(names[0], metric).values()} <= {0, 1}:
        raise ValueError(f"A share can be taken of values that are 0 or 1 only, and {metric} has others.")
    if not 0 < above < 1:
        raise ValueError(f"A share must lie between 0 and 1, not at {above}.")
    return _all([Row((((names[0], metric), 1.0),), -_number(above), is_share=True)])


def agree(values: Values, metric: str, reference: str, settings: Names, margin: float) -> Statement:
    """One metric differs from another, its reference, by less than `margin`, in every setting."""
    return _closer([(_one(name, metric), _one(name, reference)) for name in values.match(settings)], margin)


def ahead_on_average(
    values: Values,
    metric: str,
    rivals: Mapping[str, Sequence[Names]],
    margin: float = 0.0,
    lower_is_better: bool | None = None,
) -> Statement:
    """Each group of settings, averaged, is better by more than `margin` than each of its rival groups, averaged."""

    def mean(names: Names) -> Sum:
        found = values.match(names)
        return {(name, metric): 1 / len(found) for name in found}

    pairs = [(mean(names), mean(group)) for names, groups in rivals.items() for group in groups]
    return _all([_ahead(a, b, metric, margin, lower_is_better) for a, b in pairs])


def picked(
    values: Values, metric: str, candidates: Names, benchmark: str, lower_is_better: bool | None = None
) -> Statement:
    """The best candidate beats the benchmark."""
    base = _one(benchmark, metric)
    return (tuple(_ahead(_one(n, metric), base, metric, 0.0, lower_is_better) for n in values.match(candidates)),)


def wider(values: Values, metric: str, settings: Names, than: Names, factor: float = 1.0) -> Statement:
    """Best and worst of the settings lie further apart than `factor` times those of the others.

    Best and worst are so by their means over seeds: within one seed they would differ by chance alone.
    """
    for names in (settings, than):
        if len(values.match(names)) < 2:
            raise UserError(f"{names} stands for a single setting; how far apart settings lie takes at least two.")
    far, near = (
        [_minus(_one(a, metric), _one(b, metric)) for a, b in permutations(values.match(names), 2)]
        for names in (settings, than)
    )
    scaled = [{cell: factor * value for cell, value in difference.items()} for difference in near]
    return tuple(tuple(lead(a, b) for a in far) for b in scaled)


def more_gain(
    values: Values,
    metric: str,
    candidates: Names,
    benchmark: str,
    than: Names,
    than_benchmark: str,
    lower_is_better: bool | None = None,
) -> Statement:
    """The best candidate gains more over its benchmark than the best of the others gains over theirs."""

    def gains(names: Names, base: str) -> list[Sum]:
        return [_minus(_one(name, metric), _one(base, metric)) for name in values.match(names)]

    ours, theirs = gains(candidates, benchmark), gains(than, than_benchmark)
    return tuple(tuple(_ahead(a, b, metric, 0.0, lower_is_better) for a in ours) for b in theirs)


TESTS: dict[str, Callable[..., Statement]] = {
    test.__name__: test
    for test in (
        *(ahead, order, similar, within_factor, bounded, share, agree),
        *(ahead_on_average, picked, wider, more_gain),
    )
}


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"{value} is not a number")
    return float(value)


def _one(setting: str, metric: str) -> Sum:
    return {(setting, metric): 1.0}


def _minus(a: Sum, b: Sum) -> Sum:
    return {cell: a.get(cell, 0.0) - b.get(cell, 0.0) for cell in {**a, **b}}


def _ahead(a: Sum, b: Sum, metric: str, margin: float, lower_is_better: bool | None) -> Row:
    if lower_is_better is None:
        lower_is_better = metric in METRICS and METRICS[metric].lower_is_better
    return lead(a, b, _number(margin), lower_is_better)


def _closer(pairs: Sequence[tuple[Sum, Sum]], margin: float) -> Statement:
    """The two of every pair differ by less than the margin (two one-sided tests, Schuirmann 1987)."""
    if not margin > 0:
        raise ValueError(f"The margin within which settings count as similar must be above 0, not {margin}.")
    return _all([lead(*sides, -_number(margin)) for pair in pairs for sides in (pair, pair[::-1])])


def _all(rows: Sequence[Row]) -> Statement:
    if not rows:
        raise ValueError("A claim needs at least one setting, and something to compare it to.")
    return tuple((row,) for row in dict.fromkeys(rows))


def read_claims(place: str, entries: Any) -> list[Claim]:
    """The claims of a study file.

    Raises:
        UserError: an entry lacks something, names no test, or gives a test an argument it does not take.
    """
    return [_read_claim(f"{place}, claim {name}", str(name), entry) for name, entry in mapping(place, entries).items()]


def _read_claim(place: str, name: str, entry: Any) -> Claim:
    if missing := [key for key in ("place", "says", "test") if key not in mapping(place, entry)]:
        raise UserError(f"{place} has no {missing[0]}; a claim needs place, says and test.")
    test = str(entry["test"])
    if test not in TESTS:
        raise UserError(f"{place}: test={test} is not known; known are {', '.join(TESTS)}.")
    arguments = {key: value for key, value in entry.items() if key not in ("place", "says", "test", "reading")}
    if renamed := [key for key in arguments if key in _RENAMED]:
        raise UserError(f"{place}: {renamed[0]} is called {_RENAMED[renamed[0]]} now; rename it.")
    try:
        inspect.signature(TESTS[test]).bind(None, **arguments)
    except TypeError as error:
        allowed = list(inspect.signature(TESTS[test]).parameters)[1:]
        raise UserError(f"{place}: {error}; the test {test} takes {', '.join(allowed)}.") from error
    return Claim(name, str(entry["place"]), entry["says"], test, entry.get("reading", ""), arguments)


def statement(claim: Claim, values: Values) -> Statement:
    """Raises UserError, naming the claim, if the values cannot be tested for it."""
    try:
        found = TESTS[claim.test](values, **claim.arguments)
        for setting, metric in {cell for group in found for row in group for cell, _ in row.terms}:
            values.series(setting, metric)
        return found
    except (UserError, ValueError) as error:
        raise UserError(f"Claim {claim.name}: {error}") from error
    except (TypeError, AttributeError) as error:  # a word stands where a number or a mapping should be
        arguments = ", ".join(f"{name}={value}" for name, value in claim.arguments.items())
        raise UserError(
            f"Claim {claim.name}: the test {claim.test} cannot work with {arguments} ({error}); see {claim.test} in "
            "src/lr_lab/study/claims.py."
        ) from error


def question(claim: Claim, values: Values, matters: Mapping[str, float]) -> Question:
    """The claim as the engine tests it, with the margin that matters if the claim is a comparison without its own."""
    margin = matters.get(claim.arguments["metric"]) if claim.asks_which_is_better else None
    return Question(statement(claim, values), margin)
