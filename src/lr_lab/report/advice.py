"""Advice on the next step, from the evidence of a study: sentences, each with its numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import ceil, isfinite, isnan, sqrt
from pathlib import Path
from statistics import fmean, stdev

import pandas as pd

from lr_lab.curves.shape import swing
from lr_lab.report.formats import full_label, interval, number, unit_of_difference
from lr_lab.report.rates import failures, groups_of, known_above
from lr_lab.report.selection import table_metrics
from lr_lab.run.folder import FINISHED
from lr_lab.study import inference
from lr_lab.study.metrics import METRICS
from lr_lab.study.runs import Runs
from lr_lab.study.study_file import Study
from lr_lab.study.values import Values

# A validation loss that ends this much above its lowest has risen.
RISEN = 1.05
# An accuracy that still gains this much over the last quarter of the epochs has not arrived: a fifth of a point.
RISING = 0.002
# The same gain, in swings of the accuracy from epoch to epoch: less is noise. As late_fall_to_swing in conf/analysis.
RISING_TO_SWING = 3
# Sequences that end with the run: with fewer epochs they are others, not the same ones stopped.
_ENDING = ("linear", "cosine", "polynomial", "one_cycle", "wsd", "torch")
# Nobody is advised to train more seeds than these for one difference.
MOST_SEEDS = 100
# With fewer runs at a rate, what it does is a guess.
RUNS_FOR_LIKELY = 3
# How many times a rate is extended at most: by a step of the grid, but a coarse grid says little of what lies beyond.
FARTHEST = 10
# What helps against overfitting: column of the results -> words.
_REMEDIES = {
    "weight_decay": "weight decay (optimizer.weight_decay=1e-4)",
    "model.dropout": "dropout (model.dropout=0.5)",
}
# Seeds that tell two settings apart by the signs of their differences alone: 2 x 0.5^6 <= 0.05, twice for having picked
# the better.
SEEDS_FOR_SIGNS = 6


def advise(study: Study, values: Values, runs: Runs, output_dir: Path | None = None) -> list[str]:
    """The advice that the evidence gives rise to, each with how sure it is and what it rests on; [] without any.

    Args:
        values: of the study's settings.
        runs: those of the study's settings, with their `setting`.
        output_dir: where range tests are kept; None if they are not to be used.
    """
    metric = table_metrics(study, values)[0]
    candidates = {name: series for name in values.settings if (series := values.series(name, metric))}
    sentences = [*_unfinished(runs), *_lost(study, values, runs, metric, output_dir)]
    if not candidates:
        return sentences
    best = inference.leader(candidates, METRICS[metric].lower_is_better)
    sentences += _not_told_apart(study, values, inference.on_shared_seeds(candidates), best, metric)
    # Advice to stop earlier excludes advice to go on for longer.
    last = _overfitting(study, runs, best) or _rising(study, runs, best)
    return [*sentences, *_edges(study, values, runs, metric, output_dir), *last]


def _unfinished(runs: Runs) -> list[str]:
    counts = runs.results.loc[~runs.results["status"].isin(FINISHED), "status"].value_counts()
    if counts.empty:
        return []
    states = " and ".join(f"{count} {status}" for status, count in counts.items())
    return [
        f"Of {len(runs.results)} runs {states}: start the same sweep again, it trains only what is missing, "
        "and then make the report again."
    ]


def missing(study: Study, runs: Runs) -> list[str]:
    """On settings of the study that nobody has begun to train."""
    without = len({setting.name for setting in study.settings} - set(runs.results["setting"]))
    if not without:
        return []
    return [
        f"{without} of {len(study.settings)} settings {'has' if without == 1 else 'have'} no run yet: start the sweep "
        "again, it trains only what is missing, and then make the report again."
    ]


def _lost(study: Study, values: Values, runs: Runs, metric: str, output_dir: Path | None) -> list[str]:
    """On runs that failed; where none diverged, only if a lower rate, all else equal, did not fail."""
    finished = runs.finished
    how = failures(finished)
    sentences = []
    for setting, rows in finished[how.notna()].groupby("setting", sort=False):
        stable = _best_stable(values, finished, rows, metric)
        if stable is None and not (rows["status"] == "diverged").any():
            continue
        total = int((finished["setting"] == setting).sum())
        first, *others = [(word, int(count)) for word, count in how[rows.index].value_counts().items()]
        ended = " and ".join([str(first[0]), *(f"{count} {word}" for word, count in others)])
        rates = ", ".join(f"{lr:g}" for lr in sorted(set(rows["lr"])))
        if stable is None:
            instead, sure = known_above(study, runs, rows, output_dir).lower(rows["lr"].min())
        else:
            instead = f"take {stable:g}, the best rate at which none did"
            sure = _resting_on(total, int((_alike(finished, rows) & (finished["lr"] == stable)).sum()), stable)
        sentences.append(
            f"{first[1]} of {total} runs of {full_label(study, str(setting))} {ended} at rate {rates}: "
            f"{instead}{_warmup(rows)}. {sure}"
        )
    return sentences


def _warmup(rows: pd.DataFrame) -> str:
    """A warmup as the other remedy, where it could be one."""
    # The curvature of a linear network's loss is the same everywhere: what is too high at first stays so.
    if set(rows.get("model", ())) == {"linear"} or not (rows["status"] == "diverged").any():
        return ""
    if any(str(sequence).startswith("warmup") for sequence in rows.get("sequence", ())):
        return ""
    return ", or, as a guess, put a warmup before it (warmup=linear)"


def _resting_on(total: int, count: int, stable: float) -> str:
    return f"{_level(min(count, total))}: it rests on {total} run{'s' * (total > 1)} there and {count} at {stable:g}."


def _alike(finished: pd.DataFrame, these: pd.DataFrame) -> pd.Series:
    """Which runs differ from these in rate and seed alone."""
    groups = groups_of(finished)
    return groups.isin(groups[these.index])


def _best_stable(values: Values, finished: pd.DataFrame, lost: pd.DataFrame, metric: str) -> float | None:
    """The best rate below those of the lost runs, all else equal, at which no run failed; None without one."""
    below = finished[_alike(finished, lost) & (finished["lr"] < lost["lr"].min())]
    failed = failures(below).notna().groupby(below["lr"]).any()
    stable = below[below["lr"].isin(failed.index[~failed])].sort_values("lr", ascending=False)
    rates = dict(zip(stable["setting"], stable["lr"], strict=True))  # of two that are as good the higher comes first
    measured = {name: series for name in rates if (series := values.series(name, metric))}
    return (
        rates[inference.leader(measured, METRICS[metric].lower_is_better)]
        if measured
        else max(rates.values(), default=None)
    )


def _not_told_apart(
    study: Study, values: Values, candidates: Mapping[str, inference.Series], best: str, metric: str
) -> list[str]:
    """On the nearest of the rivals that the best setting is not known to be ahead of."""
    sign = -1 if METRICS[metric].lower_is_better else 1
    rivals = {}
    for name, series in candidates.items():
        # Two that never got there tie, as everywhere (inference.py).
        pairs = [(candidates[best][s], series[s]) for s in candidates[best] if s in series]
        leads = [0.0 if a == b else sign * (a - b) for a, b in pairs]
        # A rival may be ahead on seeds that others lack.
        if name == best or not leads or _mean(leads) < 0:
            continue
        if not _ahead({best: candidates[best], name: series}, best, metric):
            rivals[name] = leads
    if not rivals:
        return []
    rival = min(rivals, key=lambda name: _mean(rivals[name]))
    leads = rivals[rival]
    names = f"{full_label(study, best)} and {full_label(study, rival)}"
    if not all(map(isfinite, leads)):
        return [
            f"{names} are not told apart by {len(leads)} seeds, in {METRICS[metric].label}: where runs never get there "
            f"only who is ahead counts, and that takes {SEEDS_FOR_SIGNS} seeds at least."
        ]
    lead = fmean(leads)
    gap = f"{number(lead, metric)}{unit_of_difference(metric)} of {METRICS[metric].label}"
    if len(leads) < 2:
        return [f"{names} differ by {gap} in the one seed they share: no verdict comes from one; add seed=1,2."]
    spread = inference.compare(candidates[best], candidates[rival])
    bounds = interval(*((spread.low, spread.high) if sign > 0 else (-spread.high, -spread.low)), metric)
    said = f"{names} are not told apart by {len(leads)} seeds: {gap} apart{bounds and f', {bounds}'}."
    if lead > 0 and not bounds:
        return [
            f"{said} Where all differ by the same only who is ahead counts, and that takes {SEEDS_FOR_SIGNS} seeds."
        ]
    return [f"{said} {_seeds(leads, 1 + ('convergence_epoch' in table_metrics(study, values)[1:]))}"]


def _seeds(leads: Sequence[float], questions: int) -> str:
    """How many seeds would show the mean lead, and how far the present ones leave that open.

    Args:
        questions: how many leads the page decides together.
    """

    def needed(lead: float) -> int | None:
        # One-sided at half of the level, because the better was picked on the same runs: two-sided at the whole.
        count = inference.seeds_needed(lead, stdev(leads), alpha=0.05 / questions) if lead > 0 else None
        return count and max(count, len(leads) + 1)  # fewer than the present ones did not show it

    error = stdev(leads) / sqrt(len(leads))
    expected, fewest, most = (needed(fmean(leads) + shift) for shift in (0.0, error, -error))
    if expected is None or expected > MOST_SEEDS:
        count = f"over {MOST_SEEDS} seeds" if expected is None else f"about {expected} seeds"
        least = "" if fewest is None else f", and {fewest} if it is a standard error larger"
        return f"If the difference is what it seems, to show it takes {count}{least}: choose by something else."
    more = "no number of seeds does" if most is None else f"{most} do"
    return (
        f"If the difference is what it seems, about {expected} seeds show it with 80% power, corrections included; "
        f"if it is a standard error larger, {fewest} do, and if it is one smaller, {more}."
    )


def _mean(leads: Sequence[float]) -> float:
    """Infinite where one of the two never got there for some seed, and 0 where each did so for another."""
    mean = sum(leads) / len(leads)
    return 0.0 if isnan(mean) else mean


def _ahead(candidates: Mapping[str, inference.Series], best: str, metric: str) -> bool:
    """True if the setting is known to be the best of the candidates."""
    name, evidence = inference.winner(candidates, METRICS[metric].lower_is_better)
    return name == best and inference.judge({name: evidence})[name].verdict == "reproduced"


def _edges(study: Study, values: Values, runs: Runs, metric: str, output_dir: Path | None) -> list[str]:
    """Per optimizer: whether the best rate is the highest or lowest of those tried with all else equal."""
    finished = runs.finished
    lowest = METRICS[metric].lower_is_better
    found: dict[str, tuple[inference.Series, str]] = {}
    for _, rows in finished.groupby(groups_of(finished), sort=False):
        settings = rows.groupby("lr")["setting"].first()
        series = {name: values.series(name, metric) for name in settings}
        means = settings.map(inference.centres(series))
        if len(means) < 2 or means.isna().all() or (rows["status"] == "diverged").all():
            continue
        best = float(settings.index[settings == inference.leader(series, lowest)][0])
        optimizer = str(rows["optimizer"].iloc[0])
        rivals = {"before": found[optimizer][0]} if optimizer in found else {}
        rivals["this"] = series[settings[best]]
        if inference.leader(rivals, lowest) == "this":
            found[optimizer] = rivals["this"], _edge(study, runs, rows, means, best, metric, output_dir)
    return [sentence for _, sentence in found.values() if sentence]


def _edge(
    study: Study, runs: Runs, rows: pd.DataFrame, means: pd.Series, best: float, metric: str, output_dir: Path | None
) -> str:
    rates = sorted(means.index)
    if best not in (rates[0], rates[-1]):
        return ""
    inner = rates[1] if best == rates[0] else rates[-2]
    if number(means[best], metric) == number(means[inner], metric):  # a tie asks for nothing
        return ""
    side = "lowest" if best == rates[0] else "highest"
    row = rows[rows["lr"] == best].iloc[0]
    setting = study.setting(row["setting"])
    sequence = row.get("sequence", "constant")
    how = "" if sequence == "constant" else f" with {sequence} by {row.get('strategy')}"
    where = f" ({setting.group})" if setting.group else ""
    farthest = best * min(max(best / inner, 1 / FARTHEST), FARTHEST)
    if side == "highest":
        then = known_above(study, runs, rows, output_dir).next_higher(best, farthest)
    else:
        then = (
            f"extend the grid, lr={farthest:.2g} next. Certain to be stable, as this one is; whether it is better "
            "only training tells."
        )
    return (
        f"The best rate of {row['optimizer']}{how}{where}, {best:g}, is the "
        f"{side} of the {len(rates)} tried ({METRICS[metric].label} {number(means[best], metric)}, and "
        f"{number(means[inner], metric)} at {inner:g}): {then}"
    )


def _overfitting(study: Study, runs: Runs, best: str) -> list[str]:
    val, train = runs.curve(best, "val_loss"), runs.curve(best, "train_loss")
    labels = runs.finished.loc[runs.finished["setting"] == best].get("diagnosis", pd.Series(dtype=str)).dropna()
    if len(val) < 3 or (len(labels) and (labels == "overfitting").mean() < 0.5):
        return []
    least = int(val["mean"].idxmin())
    start, end = val["mean"].iloc[least], val["mean"].iloc[-1]
    before, after = train["mean"].iloc[least], train["mean"].iloc[-1]
    if not (end > RISEN * start and after < before):
        return []
    epoch = int(val["epoch"].iloc[least])
    accuracy = runs.curve(best, "val_accuracy")["mean"]
    gained = accuracy.iloc[-1] - accuracy.iloc[least] if len(accuracy) == len(val) else 0
    has = runs.finished[runs.finished["setting"] == best].iloc[0]
    # What a network or an optimizer does not know it has no number for.
    remedies = [f"try {words}" for key, words in _REMEDIES.items() if has.get(key) == 0]
    if gained < RISING and has.get("sequence") not in _ENDING:
        remedies = [f"stop there (epochs={epoch})", *remedies]
    yet = f" (the accuracy still gains {100 * gained:.2f} points after that: only the probabilities get worse)"
    remedy = ", or ".join(remedies)
    return [
        f"The winner, {full_label(study, best)}, overfits from epoch {epoch}: its validation loss rises from "
        f"{start:.4g} to {end:.4g} while its training loss falls from {before:.4g} to {after:.4g}"
        f"{yet if gained >= RISING else ''}{f'; {remedy}' if remedy else ''}. {_by_mean(val)}"
    ]


def _rising(study: Study, runs: Runs, best: str) -> list[str]:
    table = runs.curve(best, "val_accuracy")
    if len(table) < 8:
        return []
    quarter = ceil(len(table) / 4)
    # Means of the last and of the first epochs of the last quarter: a single epoch's noise is not a trend.
    part = max(1, quarter // 2)
    last = table["mean"].iloc[-quarter:]
    gain = last.iloc[-part:].mean() - last.iloc[:part].mean()
    if gain < max(RISING, RISING_TO_SWING * swing(table["mean"].tolist())):
        return []
    epochs = int(table["epoch"].iloc[-1])
    return [
        f"The winner, {full_label(study, best)}, still gains {100 * gain:.2f} points of validation accuracy within its "
        f"last {quarter} epochs: train longer, epochs={2 * epochs}. {_by_mean(table)}"
    ]


def _by_mean(curve: pd.DataFrame) -> str:
    """How sure advice is that rests on the mean curve of a setting."""
    count = int(curve["runs"].iloc[-1])
    if count == 1:
        return "A guess: it rests on one run."
    return f"{_level(count)}: it rests on the mean of {count} runs."


def _level(runs: int) -> str:
    return "Likely" if runs >= RUNS_FOR_LIKELY else "A guess"
