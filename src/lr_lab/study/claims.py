"""Claims: sentences about learning rates, each a test on results, with a verdict.

A claim is an entry of `conf/claims/<study>.yaml`: `place` in the document, what it `says` in our own words, perhaps the
`reading` that makes a vague word decidable, the name of a `test` below and the test's arguments. A new kind of claim is
one function here: it takes `Values` and arguments from YAML and returns the `Evidence` for the claim.

Settings are named as in the study, or by patterns such as `*_epoch`. Better is more, but less for epochs, losses and
the like (`metrics.METRICS`); the argument `lowest` overrules that.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations, pairwise, permutations
from math import isnan
from pathlib import Path
from typing import Any

from lr_lab.errors import UserError
from lr_lab.study import inference
from lr_lab.study.inference import Evidence, Series, Verdict
from lr_lab.study.metrics import METRICS
from lr_lab.study.study_file import mapping, read_yaml
from lr_lab.study.values import Values

Names = str | Sequence[str]

# Differences of published numbers below this are rounding.
_ROUNDING = 1e-9


@dataclass(frozen=True)
class Claim:
    name: str
    place: str
    says: str
    test: str
    reading: str = ""
    arguments: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Finding:
    """A claim, what our runs say of it, and what the document's own table says: holds, fails, tie or silent."""

    claim: Claim
    verdict: Verdict
    document: str


def ahead(
    values: Values, metric: str, of: Mapping[str, Names], margin: float = 0.0, lowest: bool | None = None
) -> Evidence:
    """Each setting is better than each of its rivals, by more than `margin`; `of` maps settings to their rivals."""
    leads = []
    for names, rivals in of.items():
        settings = values.match(names)
        others = [rival for rival in values.match(rivals) if rival not in settings]
        leads += [(values.series(a, metric), values.series(b, metric)) for a in settings for b in others]
    return inference.above([_lead(a, b, margin, _is_lowest(metric, lowest)) for a, b in leads])


def order(values: Values, metric: str, settings: Sequence[str], lowest: bool | None = None) -> Evidence:
    """The settings rank as listed, the best first."""
    series = [values.series(name, metric) for pattern in settings for name in values.match(pattern)]
    return inference.above([_lead(a, b, 0.0, _is_lowest(metric, lowest)) for a, b in pairwise(series)])


def similar(values: Values, metric: str, within: Sequence[Names], margin: float) -> Evidence:
    """In each group no two settings differ by `margin` or more."""
    pairs = [pair for group in within for pair in combinations(values.match(group), 2)]
    return inference.similar([(values.series(a, metric), values.series(b, metric)) for a, b in pairs], margin)


def within_factor(values: Values, metric: str, settings: Names, factor: float) -> Evidence:
    """No setting reaches `factor` times the value of another."""
    series = {name: values.series(name, metric) for name in values.match(settings)}
    return inference.above([(_scaled(series[a], factor), series[b]) for a, b in permutations(series, 2)])


def bounded(
    values: Values,
    metric: str,
    settings: Names,
    below: float | None = None,
    above: float | None = None,
    only: str | None = None,
) -> Evidence:
    """The mean of every setting lies below, or above, a number.

    `only`: the name of a metric that is 0 or 1; of one setting the runs in which it is 1.
    """
    names = values.match(settings)
    series: list[Series] = [values.series(name, metric) for name in names]
    if only is not None:
        if len(names) != 1:
            raise UserError(f"only={only} chooses runs of one setting, and {settings} stands for {', '.join(names)}.")
        chosen = values.series(names[0], only)
        series = [{seed: value for seed, value in series[0].items() if chosen.get(seed) == 1}]
    pairs: list[inference.Pair] = []
    if below is not None:
        pairs += [(below, x) for x in series]
    if above is not None:
        pairs += [(x, above) for x in series]
    return inference.above(pairs)


def share(values: Values, metric: str, setting: str, above: float) -> Evidence:
    """In more than this share of the setting's runs the metric, which is 0 or 1, is 1."""
    if len(names := values.match(setting)) != 1:
        raise UserError(f"setting={setting} stands for {', '.join(names)}; a share is taken of one setting: name it.")
    return inference.share(values.series(names[0], metric), above)


def agree(values: Values, metric: str, reference: str, settings: Names, margin: float) -> Evidence:
    """For every setting one metric differs from another, its reference, by less than `margin`."""
    names = values.match(settings)
    return inference.similar([(values.series(n, metric), values.series(n, reference)) for n in names], margin)


def ahead_on_average(
    values: Values, metric: str, of: Mapping[str, Sequence[Names]], margin: float = 0.0, lowest: bool | None = None
) -> Evidence:
    """Each group of settings, averaged, is better by more than `margin` than each of its rival groups, averaged."""

    def mean(names: Names) -> Series:
        return _mean([values.series(name, metric) for name in values.match(names)])

    leads = [(mean(names), mean(group)) for names, groups in of.items() for group in groups]
    return inference.above([_lead(a, b, margin, _is_lowest(metric, lowest)) for a, b in leads])


def picked(values: Values, metric: str, candidates: Names, benchmark: str, lowest: bool | None = None) -> Evidence:
    """The best of the candidates, whichever it is, beats the benchmark."""
    series = [values.series(name, metric) for name in values.match(candidates)]
    return inference.picked(series, values.series(benchmark, metric), _is_lowest(metric, lowest))


def wider(values: Values, metric: str, settings: Names, than: Names, factor: float = 1.0) -> Evidence:
    """Best and worst of the settings lie further apart than `factor` times those of the others.

    Best and worst by their means over seeds: those within a seed lie apart by chance alone.
    """
    for names in (settings, than):
        if len(values.match(names)) < 2:
            raise UserError(f"{names} stands for a single setting; how far apart settings lie takes at least two.")
    far, near = (
        [_minus(a, b) for a, b in permutations([values.series(n, metric) for n in values.match(names)], 2)]
        for names in (settings, than)
    )
    return _some_above_each(far, [_scaled(difference, factor) for difference in near])


def more_gain(
    values: Values,
    metric: str,
    candidates: Names,
    benchmark: str,
    than: Names,
    than_benchmark: str,
    lowest: bool | None = None,
) -> Evidence:
    """The best candidate gains more over its benchmark than the best of the others gains over theirs."""

    def gains(names: Names, base: str) -> list[Series]:
        sign = -1 if _is_lowest(metric, lowest) else 1
        start = values.series(base, metric)
        return [_scaled(_minus(values.series(name, metric), start), sign) for name in values.match(names)]

    return _some_above_each(gains(candidates, benchmark), gains(than, than_benchmark))


TESTS: dict[str, Callable[..., Evidence]] = {
    test.__name__: test
    for test in (
        ahead,
        order,
        similar,
        within_factor,
        bounded,
        share,
        agree,
        ahead_on_average,
        picked,
        wider,
        more_gain,
    )
}


def _is_lowest(metric: str, lowest: bool | None) -> bool:
    return lowest if lowest is not None else metric in METRICS and METRICS[metric].lowest


def _lead(a: Series, b: Series, margin: float, lowest: bool) -> tuple[Series, Series]:
    """The pair of which the first must lie above the second for a to be better than b by more than the margin."""
    first, second = (b, a) if lowest else (a, b)
    return first, {seed: value + margin for seed, value in second.items()}


def _some_above_each(candidates: Sequence[Series], others: Sequence[Series]) -> Evidence:
    """The highest of the candidates lies above the highest of the others, each by its mean.

    That is: for each of the others there is a candidate above it. So for the claim the largest p-value counts
    (intersection-union), against it the smallest after Bonferroni. All over the seeds that all of them have.
    """
    shared = set.intersection(*({*series} for series in (*candidates, *others)))
    candidates, others = ([{s: x[s] for s in shared} for x in group] for group in (candidates, others))
    above_each = [inference.picked(candidates, other) for other in others]
    return Evidence(
        effect=min(e.effect for e in above_each),
        low=min(e.low for e in above_each),
        high=max(e.high for e in above_each),
        seeds=min(e.seeds for e in above_each),
        p_for=max(e.p_for for e in above_each),
        p_against=min(1.0, len(others) * min(e.p_against for e in above_each)),
    )


def _scaled(series: Series, factor: float) -> dict[int, float]:
    return {seed: factor * value for seed, value in series.items()}


def _minus(a: Series, b: Series) -> dict[int, float]:
    # Two runs that never got there tie, as everywhere (inference.py).
    return {seed: 0.0 if a[seed] == b[seed] else a[seed] - b[seed] for seed in a if seed in b}


def _mean(series: Sequence[Series]) -> dict[int, float]:
    shared = set.intersection(*(set(x) for x in series))
    return {seed: sum(x[seed] for x in series) / len(series) for seed in sorted(shared)}


def read_claims(file: Path) -> list[Claim]:
    """The claims of a study; [] without a file.

    Raises:
        UserError: an entry lacks something, names no test, or gives a test an argument it does not take.
    """
    if not file.exists():
        return []
    claims = []
    for name, entry in mapping(str(file), read_yaml(file)).items():
        missing = [key for key in ("place", "says", "test") if key not in mapping(f"{file}, claim {name}", entry)]
        if missing:
            raise UserError(f"{file}, claim {name} has no {missing[0]}; a claim needs place, says and test.")
        if str(entry["test"]) not in TESTS:
            raise UserError(f"{file}, claim {name}: test={entry['test']} is not known; known are {', '.join(TESTS)}.")
        arguments = {k: v for k, v in entry.items() if k not in ("place", "says", "test", "reading")}
        try:
            inspect.signature(TESTS[entry["test"]]).bind(None, **arguments)
        except TypeError as error:
            allowed = list(inspect.signature(TESTS[entry["test"]]).parameters)[1:]
            raise UserError(
                f"{file}, claim {name}: {error}; the test {entry['test']} takes {', '.join(allowed)}."
            ) from error
        claims.append(
            Claim(name, str(entry["place"]), entry["says"], entry["test"], entry.get("reading", ""), arguments)
        )
    return claims


def evidence(claim: Claim, values: Values) -> Evidence:
    """Raises UserError, naming the claim, if the values cannot be tested for it."""
    try:
        return TESTS[claim.test](values, **claim.arguments)
    except (UserError, ValueError) as error:
        raise UserError(f"Claim {claim.name}: {error}") from error
    except (TypeError, AttributeError) as error:  # a word where a number, or a mapping, should be
        arguments = ", ".join(f"{name}={value}" for name, value in claim.arguments.items())
        raise UserError(
            f"Claim {claim.name}: the test {claim.test} cannot work with {arguments} ({error}); see {claim.test} in "
            "src/lr_lab/study/claims.py."
        ) from error


def judge(claims: Sequence[Claim], values: Values, published: Values) -> list[Finding]:
    """The findings on the claims of one study, corrected over all of them, in the order given."""
    verdicts = inference.judge({claim.name: evidence(claim, values) for claim in claims})
    return [Finding(claim, verdicts[claim.name], _document(claim, published)) for claim in claims]


def _document(claim: Claim, published: Values) -> str:
    effect = evidence(claim, published).effect
    if isnan(effect):
        return "silent"
    if abs(effect) <= _ROUNDING:
        return "tie"
    return "holds" if effect > 0 else "fails"
