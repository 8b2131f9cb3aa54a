"""Where the settings of a sweep stand: the best first, and which of them the seeds rule out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import inf, isfinite
from typing import Any

import pandas as pd

from lr_lab.report.formats import interval, quantity
from lr_lab.report.selection import main_metric, ranked
from lr_lab.study.inference import Estimate, Series, compare
from lr_lab.study.metrics import METRICS
from lr_lab.study.values import Values
from lr_lab.study.verdicts import ALPHA

_MOST_NAMED = 4  # settings that a sentence names
_DOT, _MEAN = "•", "◆"


@dataclass(frozen=True)
class Standings:
    """The settings of one dataset.

    Attributes:
        metric: what they are ranked by.
        order: setting -> its mean over seeds; the best first. Settings without a finished run are left out.
        series: setting -> seed -> value.
        seeds: how many all of them share.
        left: the settings that may be the best: one of them is, with a chance of 95%.
    """

    metric: str
    order: Mapping[str, Estimate]
    series: Mapping[str, Series]
    seeds: int
    left: Sequence[str]


def standings(results: Mapping[str, Sequence[Mapping[str, Any]]]) -> Standings:
    """Ranks settings of one dataset by the final accuracy, or by the final loss where there is no accuracy.

    Args:
        results: setting -> the result.json of each of its runs.
    """
    rows = [{**result, "setting": name} for name, runs in results.items() for result in runs]
    values = Values(pd.DataFrame(rows), list(results), "The sweep")
    metric = main_metric(values)
    order = ranked(values, metric)
    series = {name: values.series(name, metric) for name in order}
    shared = set.intersection(*map(set, series.values())) if series else set()
    left = _may_be_best({name: {seed: x[seed] for seed in shared} for name, x in series.items()}, metric)
    return Standings(metric, order, series, len(shared), left)


def _may_be_best(series: Mapping[str, Series], metric: str) -> list[str]:
    """The settings that no other one surely beats.

    The best one is left out only if one of its K - 1 rivals seems better by chance, so each test may err with 0.05 /
    (K - 1) (a subset selection, Gupta 1965). Of two settings each may err with 0.025, as where a winner is picked
    (study/inference.py).
    """
    level = ALPHA / max(2, len(series) - 1)

    def beats(a: str, b: str) -> bool:
        better, worse = (b, a) if METRICS[metric].lower_is_better else (a, b)
        return compare(series[better], series[worse]).p_for <= level

    return [name for name in series if not any(beats(other, name) for other in series if other != name)]


def verdict(found: Standings) -> str:
    """A sentence on how sure the seeds are of the best setting; "" if there is nothing to compare."""
    label, count, seeds = METRICS[found.metric].label, len(found.order), f"{found.seeds} seeds"
    if count < 2:
        return ""
    if found.seeds == 0:
        return "The settings share no seed, so nothing tells them apart."
    if found.seeds == 1:
        return "One seed cannot tell settings apart; train three or more, such as seed=0,1,2."
    if len(found.left) == count:
        return f"{seeds} do not tell these {count} settings apart: each may have the best {label}."
    ruled_out = [name for name in found.order if name not in found.left]
    others = _listed(ruled_out, "and") if len(ruled_out) <= _MOST_NAMED else f"{len(ruled_out)} of {count} settings"
    best = _listed(found.left, "or") if len(found.left) <= _MOST_NAMED else f"one of the other {len(found.left)}"
    return f"{seeds} rule out {others}; with 95% certainty the best {label} is that of {best}."


def _listed(names: Sequence[str], link: str) -> str:
    quoted = [f"“{name}”" if " " in name else name for name in names]
    return f" {link} ".join(filter(None, (", ".join(quoted[:-1]), quoted[-1])))


def intervals(found: Standings) -> dict[str, str]:
    """Setting -> the 95% interval of its mean; "" if its seeds give none."""
    return {name: interval(its.low, its.high, found.metric) for name, its in found.order.items()}


def plot(found: Standings, width: int) -> list[str]:
    """Lines of text: a row for each setting, a dot for each seed, a diamond for the mean; [] if all values are equal.

    Values that are not finite have no dot.
    """
    finite = [value for series in found.series.values() for value in series.values() if isfinite(value)]
    low, high = min(finite, default=inf), max(finite, default=-inf)
    names = max(map(len, found.order), default=0)
    columns = width - names - 4
    if not low < high or columns < 20:
        return []

    def column(value: float) -> int:
        return round((value - low) / (high - low) * (columns - 1))

    lines = []
    for name, estimate in found.order.items():
        cells = [" "] * columns
        for value in filter(isfinite, found.series[name].values()):
            cells[column(value)] = _DOT
        if isfinite(estimate.centre):
            cells[column(estimate.centre)] = _MEAN
        lines.append(f"{name:<{names}} │{''.join(cells)}│")
    ends = quantity(low, found.metric), quantity(high, found.metric)
    axis = f"{ends[0]}{ends[1]:>{columns - len(ends[0])}}"
    kind = METRICS[found.metric]
    return [f"{kind.label}, a {_DOT} for each seed, {_MEAN} their mean", *lines, f"{'':{names}}  {axis}"]
