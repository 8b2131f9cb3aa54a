"""A claim as a report shows it: its measurement beside its limit."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import isfinite

from lr_lab.report.formats import interval, number, p_value, quantity, unit_of_difference
from lr_lab.report.selection import most_epochs, within_bounds
from lr_lab.study import inference
from lr_lab.study.claims import Claim, Finding, statement
from lr_lab.study.inference import Estimate
from lr_lab.study.metrics import METRICS, Metric
from lr_lab.study.values import Values
from lr_lab.study.verdicts import Kind, Verdict

# The verdicts in the order of a report, in words.
OUTCOMES: Mapping[Kind, str] = {
    "reproduced": "holds",
    "not reproduced": "does not hold",
    "no difference that matters": "no difference that matters",
    "undecided": "open",
}
_SOURCE = {"holds": "holds", "fails": "fails", "tie": "is a tie", "silent": ""}


@dataclass(frozen=True)
class ShownClaim:
    """A claim with its verdict, in words.

    Attributes:
        measured: the number that decides, with its 95% interval.
        limit: the numbers for which the claim holds, such as "over 0.2 points"; "" without a measurement.
        seeds: how many were measured; a claim may have been decided with fewer, at an earlier look.
    """

    finding: Finding
    measured: str
    limit: str
    seeds: int

    @property
    def claim(self) -> Claim:
        return self.finding.claim

    @property
    def verdict(self) -> Verdict:
        return self.finding.verdict

    @property
    def outcome(self) -> str:
        return OUTCOMES[self.verdict.verdict]

    @property
    def source(self) -> str:
        """The claim by the source's own numbers: holds, fails or is a tie; "" if they do not tell."""
        return _SOURCE[self.finding.document]

    @property
    def evidence(self) -> str:
        """The measured number, the limit and the number of seeds, in one phrase."""
        if not self.seeds:
            return self.measured
        seeds = f"{self.seeds} seed{'s' * (self.seeds > 1)}"
        return f"{self.measured}; the claim needs {self.limit}; {seeds}"

    @property
    def sentence(self) -> str:
        """The outcome, the claim in quotation marks, and the evidence."""
        return f"{self.outcome.capitalize()}: “{self.claim.says.removesuffix('.')}” ({self.evidence})."

    @property
    def statistics(self) -> str:
        """The corrected p-value, when it was decided, and the bound on a difference that is not."""
        verdict = self.verdict
        p = f"p {p_value(verdict.p) if verdict.p < 0.001 else '= ' + p_value(verdict.p)}"
        if self.outcome != "open" and verdict.look:
            p += f", decided at the look at {verdict.look} seed{'s' * (verdict.look > 1)}"
        if self.outcome != "open" or not isfinite(verdict.bound) or not self.claim.asks_which_is_better:
            return p
        metric = self.claim.arguments["metric"]
        return f"{p}; any difference is below {number(verdict.bound, metric)}{unit_of_difference(metric)} (95%)"


def shown_claim(finding: Finding, values: Values) -> ShownClaim:
    """Raises UserError, naming the claim, if the values cannot be tested for it."""
    claim, verdict = finding.claim, finding.verdict
    if not verdict.seeds:
        if among := claim.arguments.get("among"):
            return ShownClaim(finding, f"no run qualifies (none {among})", "", 0)
        return ShownClaim(finding, "its settings share no seed yet", "", 0)
    return ShownClaim(finding, *_MEASURES.get(claim.test, _lead)(claim, verdict, values))


# The measurement, the limit that the claim needs, and the fewest seeds of the measurement.
Measured = tuple[str, str, int]


def _lead(claim: Claim, verdict: Verdict, values: Values) -> Measured:
    metric, margin = claim.arguments["metric"], claim.arguments.get("margin", 0.0)
    spread = interval(verdict.low + margin, verdict.high + margin, metric, signed=True)
    several = "smallest lead" if len(statement(claim, values)) > 1 else "lead"
    lead = f"{number(verdict.effect + margin, metric, signed=True)}{unit_of_difference(metric)} {spread}".rstrip()
    return f"{several} in {_label(metric)}: {lead}", f"over {_limit(margin, metric)}", verdict.seeds


def _difference(claim: Claim, verdict: Verdict, values: Values) -> Measured:
    metric, margin = claim.arguments["metric"], claim.arguments["margin"]
    spread = interval(max(0.0, margin - verdict.high), margin - verdict.low, metric)
    middle = f"{number(margin - verdict.effect, metric)}{unit_of_difference(metric)} {spread}".rstrip()
    against = f" against {_label(claim.arguments['reference'])}" if claim.test == "agree" else ""
    measured = f"largest difference in {_label(metric)}{against}: {middle}"
    return measured, f"under {_limit(margin, metric)}", verdict.seeds


def _value(claim: Claim, verdict: Verdict, values: Values) -> Measured:
    given = claim.arguments
    metric, below, above = given["metric"], given.get("below"), given.get("above")
    found = [_estimate(values, name, metric, given.get("among")) for name in values.match(given["settings"])]
    ends = [quantity(end([each.centre for each in found]), metric) for end in (min, max)]
    reached = " to ".join(dict.fromkeys(ends))
    if len(found) == 1:
        reached += f" {interval(found[0].low, found[0].high, metric)}"
    limits = {"over": above, "under": below}
    needs = [f"{word} {_value_limit(limit, metric)}" for word, limit in limits.items() if limit is not None]
    return f"{_label(metric)}: {reached}".rstrip(), " and ".join(needs), min(each.seeds for each in found)


def _estimate(values: Values, setting: str, metric: str, among: str | None) -> Estimate:
    series = values.series(setting, metric)
    if among:
        counts = values.series(setting, among)
        series = {seed: value for seed, value in series.items() if counts.get(seed) == 1}
    return within_bounds(inference.estimate(series), metric, most_epochs(values, setting))


def _share(claim: Claim, verdict: Verdict, values: Values) -> Measured:
    above = claim.arguments["above"]
    middle, low, high = (100 * (end + above) for end in (verdict.effect, verdict.low, verdict.high))
    share = f"{middle:.0f}% [{max(0.0, low):.0f}, {min(100.0, high):.0f}]"
    return f"share of {_label(claim.arguments['metric'])}: {share}", f"over {100 * above:.4g}%", verdict.seeds


def _ratio(claim: Claim, verdict: Verdict, values: Values) -> Measured:
    metric = claim.arguments["metric"]
    low, high = _ends(values, claim.arguments["settings"], metric)
    times = f"{high / low:.3g}" if low and isfinite(high) else "∞"
    needs = f"under {claim.arguments['factor']:g} times"
    return f"largest over smallest {_label(metric)}: {times} times", needs, verdict.seeds


def _spread(claim: Claim, verdict: Verdict, values: Values) -> Measured:
    metric, factor = claim.arguments["metric"], claim.arguments.get("factor", 1.0)
    (low, high), (nearest, farthest) = (_ends(values, claim.arguments[key], metric) for key in ("settings", "than"))
    unit = unit_of_difference(metric)
    far, near = number(high - low, metric), number(farthest - nearest, metric)
    needs = f"over {number(factor * (farthest - nearest), metric)}{unit}"
    return f"{_label(metric)}: {far}{unit} apart, the others {near}{unit}", needs, verdict.seeds


def _ends(values: Values, names: str | Sequence[str], metric: str) -> tuple[float, float]:
    """The lowest and the highest mean of the settings."""
    centres = inference.centres({name: values.series(name, metric) for name in values.match(names)})
    return min(centres.values()), max(centres.values())


def _label(metric: str) -> str:
    return METRICS.get(metric, Metric(metric)).label


def _limit(value: float, metric: str) -> str:
    """A limit of a difference, as short as the study's file has it."""
    is_fraction = metric in METRICS and METRICS[metric].fraction
    text = f"{100 * value if is_fraction else value:.4g}"
    unit = unit_of_difference(metric)
    return text if text == "0" else text + (unit.removesuffix("s") if text == "1" else unit)


def _value_limit(value: float, metric: str) -> str:
    """A limit of a value, as short as the study's file has it."""
    kind = METRICS.get(metric, Metric(metric))
    return f"{100 * value:.4g}%" if kind.fraction and not kind.gap else _limit(value, metric)


# Test of a claim -> how it is measured; the other tests compare settings, and are measured by the lead.
_MEASURES: Mapping[str, Callable[[Claim, Verdict, Values], Measured]] = {
    "similar": _difference,
    "agree": _difference,
    "bounded": _value,
    "share": _share,
    "within_factor": _ratio,
    "wider": _spread,
}
