"""Numbers, intervals, p-values and names of settings as a person reads them."""

from __future__ import annotations

from math import floor, inf, isfinite, isnan, log10

from lr_lab.study.metrics import METRICS, Metric
from lr_lab.study.study_file import Study

NOTHING = "–"  # a number that is not known


def number(value: float, metric: str, signed: bool = False) -> str:
    """A value as a person reads it: fractions as percent, epochs that never came as "never"."""
    kind = METRICS.get(metric, Metric(metric))
    sign = "+" if signed else ""
    if isnan(value):
        return NOTHING
    if not isfinite(value):
        if signed:
            return "+∞" if value > 0 else "-∞"
        return "never" if kind.count else "not finite"
    if kind.fraction:
        return f"{100 * value:{sign}z.2f}"
    return f"{value:{sign}z.1f}".removesuffix(".0") if kind.count else f"{value:{sign}.4g}"


def unit_of_difference(metric: str) -> str:
    """The unit of a difference in the metric, after a space; "" for a metric without one."""
    if metric in METRICS and METRICS[metric].fraction:
        return " points"
    return next((f" {unit}s" for unit in ("epoch", "step") if metric.endswith(unit)), "")


def quantity(value: float, metric: str) -> str:
    """A value with its unit, where it has one."""
    text = number(value, metric)
    if not isfinite(value) or metric not in METRICS:
        return text
    if METRICS[metric].fraction and not METRICS[metric].gap:
        return f"{text}%"
    return text + (unit_of_difference(metric).removesuffix("s") if text == "1" else unit_of_difference(metric))


def interval(low: float, high: float, metric: str, signed: bool = False) -> str:
    """A 95% interval, both ends to the same decimals; an open end where the seeds give no bound."""
    if (low == -inf and high == inf) or (not signed and low == inf):
        return ""
    kind = METRICS.get(metric, Metric(metric))
    largest = max(abs(end) for end in (low, high, 0) if isfinite(end))
    has_decimals = not kind.fraction and not kind.count and 1e-4 <= largest < 1e4

    def end(value: float) -> str:
        if not has_decimals or not isfinite(value):
            return number(value, metric, signed)
        return f"{value:{'+' if signed else ''}z.{3 - floor(log10(largest))}f}"

    return f"[{'…' if low == -inf else end(low)}, {'…' if high == inf else end(high)}]"


def p_value(p: float) -> str:
    if p < 0.001:
        return "< 0.001"
    if p >= 0.995:
        return "1"
    rounded = f"{p:.3f}"
    return f"{p:.4f}" if rounded == "0.050" else rounded  # which side of 0.05 it lies on decides


def full_label(study: Study, name: str) -> str:
    """The setting's label with its group, for a sentence; in quotation marks if it has several words."""
    setting = study.setting(name)
    link = " " if setting.group[:1].islower() else ", "  # "0.1 with Adam", but "seq1, By Epoch"
    label = f"{setting.label}{link}{setting.group}" if setting.group else setting.label
    return f"“{label}”" if " " in label else label
