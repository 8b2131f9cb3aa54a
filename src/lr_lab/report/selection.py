"""The best settings of a study, and what each setting reached."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import inf, isfinite, nan

from lr_lab.errors import UserError
from lr_lab.study import inference
from lr_lab.study.inference import Estimate, Evidence, Verdict
from lr_lab.study.metrics import METRICS, Metric
from lr_lab.study.study_file import Study
from lr_lab.study.values import Values


@dataclass(frozen=True)
class Pick:
    """The best setting of a group by a metric, how far it is known to be the best, and those exactly as good."""

    group: str
    metric: str
    setting: str
    verdict: Verdict | None
    ties: Sequence[str] = ()


def estimate(values: Values, setting: str, metric: str) -> Estimate:
    """Centre and interval of a setting by a metric, within what the metric can be; nan where nothing is known."""
    series = values.series(setting, metric) if metric in values.metrics else {}
    if not series:
        return Estimate(nan, -inf, inf, 0)
    return within_bounds(inference.estimate(series), metric, most_epochs(values, setting))


def most_epochs(values: Values, setting: str) -> float:
    """The epochs of the setting's longest run; infinite where the results do not tell."""
    return max(values.series(setting, "epochs").values(), default=inf) if "epochs" in values.metrics else inf


def within_bounds(found: Estimate, metric: str, epochs: float = inf) -> Estimate:
    """The estimate, its interval within what the metric can be; an end that the seeds do not bound stays open.

    Args:
        epochs: of a run, which a metric that counts epochs cannot exceed.
    """
    least, most = METRICS.get(metric, Metric(metric)).bounds
    most = min(most, epochs) if metric.endswith("epoch") else most
    low = found.low if found.low == -inf else max(found.low, least)
    return replace(found, low=low, high=found.high if found.high == inf else min(found.high, most))


def main_metric(values: Values) -> str:
    """The metric that ranks settings: the final accuracy, or the final loss where no accuracy was measured."""
    known = "val_accuracy" in values.metrics
    measured = known and any(values.series(setting, "val_accuracy") for setting in values.settings)
    return "val_accuracy" if measured else "val_loss"


def table_metrics(study: Study, values: Values) -> list[str]:
    """The metrics of the study's table; the first one ranks its settings.

    Raises:
        UserError: the study names an unknown metric, or the results have none of its metrics.
    """
    wanted = study.metrics or (main_metric(values), "convergence_epoch")
    if unknown := [metric for metric in wanted if metric not in METRICS]:
        raise UserError(f"Study {study.name} has metrics={', '.join(unknown)}; known are {', '.join(METRICS)}.")
    if not (found := [metric for metric in wanted if metric in values.metrics]):
        raise UserError(f"{values.place} has no column {' or '.join(wanted)}, by which settings are judged.")
    return found


def ranked(values: Values, metric: str) -> dict[str, Estimate]:
    """The settings that were measured, the best first; one of which some run never gets there is behind the others."""
    found = {}
    for name in values.settings:
        if metric in values.metrics and (series := values.series(name, metric)):
            found[name] = not all(map(isfinite, series.values())), estimate(values, name, metric)
    sign = 1 if METRICS[metric].lower_is_better else -1
    order = sorted(found, key=lambda name: (found[name][0], sign * found[name][1].centre))
    return {name: found[name][1] for name in order}


def best(values: Values, most: int) -> list[str]:
    """The settings, or the best of them where there are more than `most`, in the study's order."""
    if len(values.settings) <= most:
        return values.settings
    metric = main_metric(values)
    measured = {name: series for name in values.settings if (series := values.series(name, metric))}
    found: list[str] = []
    while measured and len(found) < most:
        found.append(inference.leader(measured, METRICS[metric].lower_is_better))
        del measured[found[-1]]
    return [name for name in values.settings if name in found]


def pick(study: Study, values: Values) -> list[Pick]:
    """The best setting of each group by each metric (first stage), corrected over all picks."""
    shown = table_metrics(study, values)
    metrics = dict.fromkeys(metric for metric in (shown[0], "convergence_epoch") if metric in shown)
    picks: dict[str, tuple[str, str, str]] = {}
    evidence: dict[str, Evidence] = {}
    ties: dict[str, list[str]] = {}
    for group, settings in study.compared_groups.items():
        for metric in metrics:
            series = {s.name: x for s in settings if (x := values.series(s.name, metric))}
            if len(series) == 1:
                picks[f"{group}/{metric}"] = group, metric, next(iter(series))
            elif series:
                name, found = inference.winner(series, METRICS[metric].lower_is_better)
                if found.seeds:
                    picks[f"{group}/{metric}"] = group, metric, name
                    evidence[f"{group}/{metric}"] = found
                    alike = inference.on_shared_seeds(series)
                    ties[f"{group}/{metric}"] = [s for s in series if s != name and alike[s] == alike[name]]
    verdicts = inference.judge(evidence) if evidence else {}
    return [Pick(*chosen, verdicts.get(key), ties.get(key, ())) for key, chosen in picks.items()]
