"""The answer to a study's question, and the other decisions, in sentences built from the results."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import inf, isfinite
from statistics import fmean

from lr_lab.report.evidence import ShownClaim
from lr_lab.report.formats import full_label, interval, number, quantity, unit_of_difference
from lr_lab.report.selection import estimate, table_metrics
from lr_lab.report.tables import Table
from lr_lab.study import inference
from lr_lab.study.inference import Series
from lr_lab.study.metrics import METRICS
from lr_lab.study.study_file import Study
from lr_lab.study.values import Values

_MOST_SENTENCES = 3
_MOST_NAMED = 5  # settings of which a sentence gives each value


def answer(study: Study, values: Values, claims: Sequence[ShownClaim], second: Table | None) -> list[str]:
    """One to three sentences on what the study's `answers` names; by default on its best setting.

    Args:
        study, values: without settings that explore.
        second: the table of the best settings against the benchmarks.
    """
    names = [study.answers] if isinstance(study.answers, str) else list(study.answers)
    if not study.answers:
        return best(study, values, table_metrics(study, values)[0], second) if study.settings else []
    known = {shown.claim.name: shown for shown in claims}
    sentences = []
    for name in names:
        if name in known:
            sentences.append(known[name].sentence)
        elif METRICS[name].neutral:
            sentences += _each(study, values, name)
        else:
            found = best(study, values, name, second)
            sentences += found if len(names) == 1 else found[:1]
    return sentences


def answers_by(study: Study, values: Values) -> str:
    """The metric whose best setting is the answer; "" where the answer is something else."""
    if not study.settings:
        return ""
    named = study.answers if isinstance(study.answers, str) else next(iter(study.answers), "")
    metric = named or table_metrics(study, values)[0]
    return metric if metric in METRICS and not METRICS[metric].neutral else ""


def best(study: Study, values: Values, metric: str, second: Table | None = None) -> list[str]:
    """The best setting by a metric, its lead over the next best and over the benchmark; [] if nothing was measured."""
    measured = _measured(values, metric)
    if not measured:
        return []
    kind = METRICS[metric]
    name = inference.leader(measured, kind.lower_is_better)
    reached = _reached(values, name, metric)
    if len(measured) == 1:
        return [f"{full_label(study, name)} is the only setting measured; {kind.label}: {reached}."]
    has = "needs the fewest" if kind.count else "has the lowest" if kind.lower_is_better else "has the highest"
    sentences = [f"{full_label(study, name)} {has} {kind.label}: {reached}.{_by_which_seeds(measured)}"]
    sentences += _over_the_next(study, values, measured, name, metric)
    if second is not None and study.benchmark:
        sentences += _over_the_benchmark(study, second, name, metric)
    return sentences


def first_to_converge(study: Study, values: Values) -> list[str]:
    """The setting that converged first, and where it ended; [] where none did, or where the table does not tell."""
    main = table_metrics(study, values)[0]
    timed = _timed(study, values)
    first = inference.leader(timed, lower_is_better=True) if timed else ""
    soonest = estimate(values, first, "convergence_epoch").centre if first else inf
    if main not in ("val_accuracy", "val_loss") or not isfinite(soonest):
        return []
    # A setting that does not always get there is behind one that does, whatever its median (inference.leader).
    reached = {
        name: (number(centre, "convergence_epoch"), all(map(isfinite, timed[name].values())))
        for name, centre in inference.centres(timed).items()
    }
    as_soon = list(reached.values()).count(reached[first]) - 1
    others = f", as {as_soon} other{'s do' if as_soon > 1 else ' does'}" if as_soon else ""
    is_known = _told_apart(study, values, "convergence_epoch")
    doubt = "" if is_known else "; the seeds do not tell it apart from all others"
    return [
        f"First to converge: {full_label(study, first)}, after {quantity(soonest, 'convergence_epoch')}{others}, "
        f"at a {METRICS[main].label} of {quantity(estimate(values, first, main).centre, main)}{doubt}."
    ]


def outcomes(study: Study, second: Table) -> list[str]:
    """The decisions of the second stage, a sentence for each metric and outcome; `second` is its table."""
    sentences = []
    decided = second.frame[second.frame["outcome"] != "not told apart"]
    for (metric, outcome), rows in decided.groupby(["metric", "outcome"], sort=False):
        pairs = [
            f"{full_label(study, row.setting)} {outcome} than {full_label(study, row.benchmark)}"
            + (f" by {number(abs(row.lead), metric)}{unit_of_difference(metric)}" if isfinite(row.lead) else "")
            for row in rows.itertuples()
        ]
        sentences.append(f"Against the benchmarks, {METRICS[metric].label}: {', '.join(pairs)}.")
    return sentences


def closest(study: Study, likeness: Table) -> list[str]:
    """The group that is nearest to the document's numbers, for each list of settings that several groups share."""
    metric = next((name for name in METRICS if name in likeness.frame), None)
    if metric is None or not METRICS[metric].fraction:
        return []
    sentences: list[str] = []
    for (over, _), rows in likeness.frame.groupby(["over", "document"], sort=False):
        if len(rows) > 1 and len(sentences) < _MOST_SENTENCES:
            nearest = rows.loc[rows[metric].idxmin()]
            sentences.append(
                f"Nearest to the document's numbers for {over}: {nearest['group']}, {number(nearest[metric], metric)} "
                f"points apart in {METRICS[metric].label}, of {len(rows)} candidates."
            )
    return sentences


def _measured(values: Values, metric: str) -> dict[str, Series]:
    if metric not in values.metrics:
        return {}
    return {name: series for name in values.settings if (series := values.series(name, metric))}


def _timed(study: Study, values: Values) -> dict[str, Series]:
    """The epochs to convergence, of the settings whose main metric is known; {} if the table does not show them."""
    metrics = table_metrics(study, values)
    main = _measured(values, metrics[0])
    timed = _measured(values, "convergence_epoch") if "convergence_epoch" in metrics else {}
    return {name: series for name, series in timed.items() if name in main}


def _reached(values: Values, name: str, metric: str) -> str:
    found = estimate(values, name, metric)
    spread = interval(found.low, found.high, metric)
    return f"{quantity(found.centre, metric)} {spread}".rstrip() + f" over {found.seeds} seed{'s' * (found.seeds > 1)}"


def _each(study: Study, values: Values, metric: str) -> list[str]:
    """The value of each setting, or their range, by a metric of which neither direction is better."""
    found = {name: estimate(values, name, metric).centre for name in _measured(values, metric)}
    if not found:
        return []
    if len(found) <= _MOST_NAMED:
        named = ", ".join(f"{quantity(value, metric)} for {full_label(study, name)}" for name, value in found.items())
        return [f"{METRICS[metric].label.capitalize()}: {named}."]
    low, high = (pick(found, key=lambda name: found[name]) for pick in (min, max))
    ends = [f"{quantity(found[name], metric)} ({full_label(study, name)})" for name in (low, high)]
    return [f"{METRICS[metric].label.capitalize()}: from {ends[0]} to {ends[1]}."]


def _by_which_seeds(measured: Mapping[str, Series]) -> str:
    seeds = {frozenset(series) for series in measured.values()}
    if len(seeds) == 1:
        return ""
    shares_some = frozenset.intersection(*seeds)
    return " Decided over the seeds that all settings share." if shares_some else " They share no seed."


def _over_the_next(study: Study, values: Values, measured: Mapping[str, Series], name: str, metric: str) -> list[str]:
    kind = METRICS[metric]
    shared = inference.on_shared_seeds(measured)
    rival = inference.leader({other: x for other, x in shared.items() if other != name}, kind.lower_is_better)
    sign = -1 if kind.lower_is_better else 1
    pairs = [(shared[name][seed], x) for seed, x in shared[rival].items() if seed in shared[name]]
    if not pairs:
        return []
    # Two runs that never get there tie.
    leads = [0.0 if ours == theirs else sign * (ours - theirs) for ours, theirs in pairs]
    sure = "but one seed decides nothing" if len(leads) == 1 else "but the seeds do not tell it apart from all others"
    if _told_apart(study, values, metric):
        sure = "and the seeds tell it apart from every other setting"
    if not any(leads):
        return [f"{full_label(study, rival)} is exactly as good."]
    by = f" by {number(fmean(leads), metric)}{unit_of_difference(metric)}" if all(map(isfinite, leads)) else ""
    ahead = sum(lead > 0 for lead in leads)
    return [
        f"It is ahead of the next best, {full_label(study, rival)},{by} and in {ahead} of {len(leads)} "
        f"seed{'s' * (len(leads) > 1)}, {sure}."
    ]


def _over_the_benchmark(study: Study, second: Table, name: str, metric: str) -> list[str]:
    frame = second.frame
    rows = frame[(frame["setting"] == name) & (frame["metric"] == metric) & (frame["benchmark"] == study.benchmark)]
    if rows.empty:
        return []
    row = rows.iloc[0]
    lead = f"{number(row['lead'], metric, signed=True)}{unit_of_difference(metric)}"
    spread = interval(row["low"], row["high"], metric, signed=True)
    is_known = row["outcome"] != "not told apart"
    found = f"it is {row['outcome']}" if is_known else "the seeds do not tell it apart"
    return [
        f"Against the benchmark, {study.setting(str(study.benchmark)).label}, {found}: {lead} {spread}".rstrip() + "."
    ]


def _told_apart(study: Study, values: Values, metric: str) -> bool:
    """True if the best setting by the metric is known to be the best.

    The best by the table's first metric and the first to converge are decided as one family.
    """
    main = table_metrics(study, values)[0]
    families = {main: _measured(values, main), "convergence_epoch": _timed(study, values)}
    candidates = families if metric in families else {metric: _measured(values, metric)}
    evidence = {
        key: inference.winner(inference.on_shared_seeds(series), METRICS[key].lower_is_better)[1]
        for key, series in candidates.items()
        if len(series) > 1
    }
    # A setting without rivals needs no telling apart.
    return metric not in evidence or inference.judge(evidence)[metric].verdict == "reproduced"
