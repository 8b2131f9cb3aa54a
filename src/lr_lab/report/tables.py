"""The tables of a report: ours beside the document's, and the two stages in which it selects its best settings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import exp, isfinite, isnan, log, nan
from pathlib import Path
from statistics import fmean, median
from typing import Any

import pandas as pd

from lr_lab.report.formats import NOTHING, interval, number, p_value
from lr_lab.report.selection import Pick, estimate, ranked, table_metrics
from lr_lab.run.folder import write_text
from lr_lab.study import inference
from lr_lab.study.claims import Finding
from lr_lab.study.inference import Verdict
from lr_lab.study.metrics import METRICS
from lr_lab.study.published import chance_of_fit, smallest_set
from lr_lab.study.runs import Runs
from lr_lab.study.study_file import Setting, Study
from lr_lab.study.values import Values

_MOST_TIES = 5  # more are counted and not named
_DIAGNOSIS = (
    "A diagnosis is the first rule that the curves of loss and accuracy meet; a run that meets no rule is healthy. "
    "The rules err at times: README has their score, results.csv the numbers that decided."
)


@dataclass(frozen=True)
class Table:
    """A table for people (`header`, `rows` of Markdown cells, `notes`) and for programs (`frame`, unrounded).

    Attributes:
        keys: how many cells at the start of a row name it.
    """

    name: str
    title: str
    header: Sequence[str]
    rows: Sequence[Sequence[str]]
    frame: pd.DataFrame
    notes: Sequence[str] = ()
    keys: int = 1

    def with_one_key(self) -> Table:
        """The same with one cell that names a row, so that a narrow page has one column to hold still."""
        if self.keys == 1:
            return self

        def joined(cells: Sequence[str]) -> list[str]:
            *groups, name = (cell for cell in cells[: self.keys] if cell)
            return [", ".join([name, *groups]), *cells[self.keys :]]

        return replace(self, header=joined(self.header), rows=[joined(row) for row in self.rows], keys=1)

    def markdown(self) -> str:
        lines = [f"### {self.title}", "", f"| {' | '.join(self.header)} |", "|" + " --- |" * len(self.header)]
        lines += [f"| {' | '.join(cell.replace('|', '/') for cell in row)} |" for row in self.rows]
        return "\n".join([*lines, "", *(f"{note}\n" for note in self.notes)])

    def write(self, folder: Path) -> None:
        write_text(folder / f"{self.name}.csv", self.frame.to_csv(index=False))
        write_text(folder / f"{self.name}.md", self.markdown())


def _table(
    name: str,
    title: str,
    rows: Sequence[Mapping[str, str]],
    records: Sequence[Mapping[str, Any]],
    notes: Sequence[str],
    keys: int = 1,
) -> Table:
    """A table of rows that map headings to cells; a column in which every cell is empty is left out."""
    header = [heading for heading in rows[0] if any(row[heading] not in ("", NOTHING) for row in rows)]
    cells = [[row[heading] for heading in header] for row in rows]
    keys = max(1, len([heading for heading in list(rows[0])[:keys] if heading in header]))
    return Table(name, title, header, cells, pd.DataFrame(records), notes, keys)


def comparison(study: Study, values: Values, runs: Runs) -> Table:
    """One row per setting: what it reached over the seeds, beside the document's number and the difference to it."""
    metrics = table_metrics(study, values)
    settings = _best_first(study, values, metrics[0])
    records = [_comparison_record(setting, values, runs, metrics) for setting in settings]
    columns = [*metrics, *(f"document_{metric}" for metric in metrics)]
    # Results of several studies, each on its own data, have no common best.
    rivals = [] if study.reads else [record for record in records if record["group"] not in study.exploration]
    best: dict[str, list[str]] = {column: [] for column in columns}
    for names in ({setting.name for setting in contest.settings} for contest in study.contests):
        contestants = [record for record in rivals if record["setting"] in names]
        for column in columns:
            # A setting whose runs do not all get there is behind those whose do (inference.leader).
            there = [r for r in contestants if _all_finite(values, r["setting"], column)] or contestants
            reached = _best([record[column] for record in there], column)
            best[column] += [record["setting"] for record in there if record[column] == reached]
    rows = []
    for setting, record in zip(settings, records, strict=True):
        row = {study.grouped_by.capitalize(): setting.group, "Setting": setting.label}
        for metric in metrics:
            unit = _unit(metric)
            document = f"document_{metric}"
            spread = interval(record[f"{metric}_low"], record[f"{metric}_high"], metric)
            heading = METRICS[metric].label.capitalize() + f" ({METRICS[metric].unit})" * bool(METRICS[metric].unit)
            row[heading] = f"{_bold(record, metric, best)} {spread}".rstrip()
            if any(metric in setting.published for setting in study.settings):
                row[f"Document ({unit})"] = _bold(record, document, best)
                row[f"Difference ({unit.replace('%', 'points')})"] = number(
                    record[f"difference_{metric}"], metric, signed=True
                )
        if study.benchmark:
            row[f"Epochs to the accuracy of {study.setting(study.benchmark).label}"] = _reached(record)
        row["Diagnosis"] = record["diagnosis"]
        row["Rate updates"] = number(record["lr_updates"], "lr_updates")
        row["Runs"] = f"{record['runs']}" + (f" ({record['diverged']} diverged)" if record["diverged"] else "")
        rows.append(row)
    notes = _notes(study, runs, metrics, has_best=bool(rivals))
    return _table("comparison", "All settings", rows, records, notes, keys=2)


def diagnoses(study: Study, values: Values, runs: Runs) -> Table | None:
    """The most common diagnosis of each setting's curves, with the sentence of one run; None where nothing is told."""
    metric = table_metrics(study, values)[0]
    if "diagnosis_evidence" not in runs.finished:
        return None
    records, rows = [], []
    for setting in _best_first(study, values, metric):
        finished = runs.of([setting.name]).finished.dropna(subset=["diagnosis", "diagnosis_evidence"])
        if finished.empty:
            continue
        label = str(finished["diagnosis"].value_counts().index[0])
        alike = finished[finished["diagnosis"] == label].sort_values("seed")
        seed, sentence = int(alike["seed"].iloc[0]), str(alike["diagnosis_evidence"].iloc[0])
        records.append({"setting": setting.name, "diagnosis": label, "runs": len(alike), "of": len(finished)})
        records[-1] |= {"seed": seed, "evidence": sentence}
        row = {study.grouped_by.capitalize(): setting.group, "Setting": setting.label}
        row |= {"Curve": label, "Runs": f"{len(alike)} of {len(finished)}", "For example": f"Seed {seed}: {sentence}"}
        rows.append(row)
    note = f"The most common diagnosis among a setting's runs, and the sentence of its first such run. {_DIAGNOSIS}"
    return _table("diagnoses", "What the curves show", rows, records, [note], keys=2) if rows else None


def _best_first(study: Study, values: Values, metric: str) -> list[Setting]:
    """Settings that explore, and then those without a run, come last; contests and studies that are read stay apart."""
    if METRICS[metric].neutral:
        return list(study.settings)
    places = {name: place for place, name in enumerate(ranked(values, metric))}
    contests = {setting.name: n for n, contest in enumerate(study.contests) for setting in contest.settings}

    def key(setting: Setting) -> tuple[bool, int, int, int]:
        read = next((n for n, name in enumerate(study.reads) if setting.name.startswith(f"{name}/")), 0)
        place = places.get(setting.name, len(places))
        return setting.group in study.exploration, read, contests[setting.name], place

    return sorted(study.settings, key=key)


def _unit(metric: str) -> str:
    """The word in the heading of a metric's column that tells it from the document's other columns."""
    if METRICS[metric].unit:
        return METRICS[metric].unit
    return METRICS[metric].label.removeprefix("final ").partition(" ")[0]


def _comparison_record(setting: Setting, values: Values, runs: Runs, metrics: Sequence[str]) -> dict[str, Any]:
    record: dict[str, Any] = {"setting": setting.name, "group": setting.group}
    for metric in metrics:
        found = estimate(values, setting.name, metric)
        document = setting.published.get(metric, nan)
        record |= {
            metric: found.centre,
            f"{metric}_low": found.low,
            f"{metric}_high": found.high,
            f"document_{metric}": document,
            f"difference_{metric}": found.centre - document,
        }
    epochs = values.series(setting.name, "benchmark_epoch")
    return record | {
        "benchmark_epoch": median(epochs.values()) if epochs else nan,
        "benchmark_reached": sum(map(isfinite, epochs.values())),
        "lr_updates": estimate(values, setting.name, "lr_updates").centre,
        "runs": values.run_count(setting.name),
        "diverged": values.run_count(setting.name, "diverged"),
        "diagnosis": _diagnosis(runs, setting.name),
    }


def _diagnosis(runs: Runs, setting: str) -> str:
    """The labels of the setting's runs, the most common first."""
    if "diagnosis" not in runs.finished:
        return ""
    counts = runs.finished.loc[runs.finished["setting"] == setting, "diagnosis"].value_counts()
    return (
        str(counts.index[0]) if len(counts) == 1 else ", ".join(f"{count} {label}" for label, count in counts.items())
    )


def _all_finite(values: Values, setting: str, column: str) -> bool:
    return column not in values.metrics or all(map(isfinite, values.series(setting, column).values()))


def _best(column: Sequence[float], name: str) -> float:
    metric = METRICS[name.removeprefix("document_")]
    known = [] if metric.neutral else [value for value in column if isfinite(value)]
    return (min if metric.lower_is_better else max)(known, default=nan)


def _bold(record: Mapping[str, Any], column: str, best: Mapping[str, Sequence[str]]) -> str:
    text = number(record[column], column.removeprefix("document_"))
    return f"**{text}**" if record["setting"] in best[column] else text


def _reached(record: Mapping[str, Any]) -> str:
    if isnan(record["benchmark_epoch"]):
        return NOTHING
    count = f"{record['benchmark_reached']} of {record['runs']}"
    return f"{number(record['benchmark_epoch'], 'benchmark_epoch')} ({count})"


def _notes(study: Study, runs: Runs, metrics: Sequence[str], has_best: bool) -> list[str]:
    bold = " The best of a column is bold." if has_best else ""
    notes = [
        f"Each cell has the mean over seeds, with its 95% interval in brackets, for this validation set.{bold} "
        "If a run never gets there, the cell has the median, and the setting ranks behind those whose runs all do. "
        "… marks an end of an interval about which so few seeds say nothing.",
    ]
    tolerances = sorted(set(runs.results.get("convergence_tolerance", pd.Series(dtype=float)).dropna()))
    tolerances = tolerances or [study.tolerance] if study.tolerance else tolerances
    if "convergence_epoch" in metrics and not runs.measures("val_accuracy"):
        notes.append(
            "Converged: the steps until the training loss is within 1% of the way from its lowest to its first value."
        )
    elif "convergence_epoch" in metrics and tolerances:
        notes.append(
            "Converged: the first epoch, counted from 1, at which the validation accuracy (centred mean over 3 epochs) "
            "reaches the final accuracy (mean of the last 5 epochs) less "
            f"{' or '.join(f'{100 * t:.1f}' for t in tolerances)} points"
            f"{', as its study sets it' if study.reads and len(tolerances) > 1 else ''}. "
            "A run that ends more than twice that below its best has not settled: its last epoch counts."
        )
    if study.benchmark and "benchmark_epoch" in runs.results:
        notes.append(
            f"Epochs to the accuracy of {study.setting(study.benchmark).label}: the first epoch at which the smoothed "
            "accuracy reaches that setting's final one (mean of its last 5 epochs, over seeds); median over seeds. In "
            "brackets: how many runs ever reach it. The others count as later than their last epoch."
        )
    if {"inverse", "inverse_sqrt", "cyclic"} & set(runs.results.get("sequence", ())):
        notes.append(
            "Rate updates: how often the rate changed. The first advance of inverse, inverse_sqrt and cyclic leaves it "
            "as it is (r_1 = r_0) and does not count."
        )
    if "val_accuracy" in metrics:
        notes += _size_of_the_documents_set(study)
    if momenta := momenta_of(runs.results):
        notes.append(f"Momentum: {'; '.join(f'{optimizer} {values}' for optimizer, values in momenta.items())}.")
    if "diagnosis" in runs.results:
        notes.append(_DIAGNOSIS)
    return notes


def momenta_of(results: pd.DataFrame) -> dict[str, str]:
    """Optimizer -> the momenta that its runs had, in words; those without one are left out."""
    if "momentum" not in results:
        return {}
    momenta = results.dropna(subset="momentum").groupby("optimizer")["momentum"]
    return {str(name): ", ".join(f"{m:g}" for m in sorted(set(values))) for name, values in momenta}


def _size_of_the_documents_set(study: Study) -> list[str]:
    rivals = study.without_exploration.settings
    percentages = [100 * s.published["val_accuracy"] for s in rivals if "val_accuracy" in s.published]
    if not percentages:
        return []
    decimals = max(len(f"{percentage:.8g}".partition(".")[2]) for percentage in percentages)
    size = smallest_set(percentages, decimals)
    chance = chance_of_fit(percentages, decimals, size) if size else 1.0
    if chance > 0.05:
        return []
    return [
        f"{size:,} is the smallest number of samples on which all of the document's accuracies are possible as counts. "
        f"Numbers fit so small a set by accident with a chance of {chance:.1%}."
    ]


def likeness(study: Study, values: Values) -> Table | None:
    """The distance of each group from the document's numbers, if several follow the same numbers; else None."""
    published = [tuple(sorted(setting.published.items())) for setting in study.settings if setting.published]
    if len(set(published)) == len(published):
        return None
    records, rows = [], []
    compared = {
        group: held
        for group, settings in study.groups.items()
        if (held := [setting for setting in settings if setting.published and values.run_count(setting.name)])
    }
    if not compared:
        return None
    alike = len({tuple(setting.label for setting in held) for held in compared.values()}) == 1
    for group, held in compared.items():
        over = ", ".join(setting.label for setting in held)
        numbers = "; ".join(" ".join(f"{m}={v:g}" for m, v in sorted(setting.published.items())) for setting in held)
        record: dict[str, Any] = {"group": group, "over": over, "document": numbers, "settings": len(held)}
        row = {study.grouped_by.capitalize(): group, "Over": "" if alike else over}
        for metric in (m for m in table_metrics(study, values) if all(m in setting.published for setting in held)):
            pairs = [(estimate(values, setting.name, metric).centre, setting.published[metric]) for setting in held]
            if METRICS[metric].fraction:
                record[metric] = fmean(abs(ours - document) for ours, document in pairs)
                row[f"{METRICS[metric].label.capitalize()}: points apart"] = number(record[metric], metric)
            else:
                record[metric] = exp(fmean(abs(log(ours / document)) for ours, document in pairs))
                times = f"{record[metric]:.3g}" if isfinite(record[metric]) else "∞"
                row[f"{METRICS[metric].label.capitalize()}: times as much, or as little"] = times
        records.append(record)
        rows.append(row)
    note = "Each row averages over the settings that the document has a number for; factors have a geometric mean."
    if not alike:
        note += " The rows cover different settings: compare only rows with the same ones."
    return _table("likeness", "How far each is from the document's numbers", rows, records, [note])


def selection(study: Study, picks: Sequence[Pick]) -> Table:
    """First stage: the best setting of each group, its lead over the nearest rival, the document's choice."""
    records, rows = [], []
    for chosen in picks:
        document = _published_best(study.compared_groups[chosen.group], chosen.metric)
        told_apart = chosen.verdict is not None and chosen.verdict.verdict == "reproduced"
        records.append(
            {"group": chosen.group, "metric": chosen.metric, "setting": chosen.setting, "told_apart": told_apart}
            | {"document": document[0] if document else ""}
            | _lead_record(chosen.verdict)
        )
        rows.append(
            {study.grouped_by.capitalize(): chosen.group}
            | {"By": METRICS[chosen.metric].label, "Best": _with_ties(study, chosen.setting, chosen.ties)}
            | _lead_cells(chosen.verdict, chosen.metric, "Lead over the nearest rival")
            | {"Told apart": NOTHING if chosen.verdict is None else "yes" if told_apart else "no"}
            | {"Document's best": _with_ties(study, document[0], document[1:]) if document else NOTHING}
        )
    note = (
        "The best is picked over the seeds that all settings of a group have. Told apart: other seeds would hardly "
        "make its closest rival the best, p is at most 0.05. That p is doubled because the best was picked on these "
        "very runs, and corrected by Holm's method because the table makes several comparisons."
    )
    several = any(chosen.group for chosen in picks)
    title = f"First stage: the best of each {study.grouped_by}" if several else "The best setting"
    return _table("selection", title, rows, records, [note])


def _published_best(settings: Sequence[Setting], metric: str) -> list[str]:
    """The settings that share the document's best number."""
    known = {setting.name: setting.published[metric] for setting in settings if metric in setting.published}
    best = (min if METRICS[metric].lower_is_better else max)(known.values(), default=nan)
    return [name for name, value in known.items() if value == best]


def _with_ties(study: Study, name: str, ties: Sequence[str]) -> str:
    if len(ties) > _MOST_TIES:
        return f"{study.setting(name).label} (and {len(ties)} others)"
    return study.setting(name).label + (f" (and {', '.join(study.setting(tie).label for tie in ties)})" if ties else "")


def _lead_record(verdict: Verdict | None) -> dict[str, Any]:
    if verdict is None:
        return {}
    return {"lead": verdict.effect, "low": verdict.low, "high": verdict.high, "seeds": verdict.seeds, "p": verdict.p}


def _lead_cells(verdict: Verdict | None, metric: str, heading: str) -> dict[str, str]:
    if verdict is None:
        return {heading: NOTHING, "p": NOTHING}
    spread = interval(verdict.low, verdict.high, metric, signed=True)
    return {heading: f"{number(verdict.effect, metric, signed=True)} {spread}".rstrip(), "p": p_value(verdict.p)}


def against_benchmarks(study: Study, values: Values, picks: Sequence[Pick]) -> Table | None:
    """Second stage: the best of each group against the benchmarks; None where there is nothing to compare."""
    pairs: dict[str, tuple[Pick, Setting]] = {}
    evidence = {}
    for chosen in picks:
        metric, group = chosen.metric, study.compared_groups[chosen.group]
        candidates = sum(bool(values.series(setting.name, metric)) for setting in group)
        for benchmark in study.benchmarks:
            base = values.series(benchmark.name, metric)
            if base:
                key = f"{chosen.group}/{metric}/{benchmark.name}"
                pairs[key] = chosen, benchmark
                pair = values.series(chosen.setting, metric), base
                better, worse = reversed(pair) if METRICS[metric].lower_is_better else pair
                evidence[key] = inference.compare(better, worse, picked_from=candidates)
    if not pairs:
        return None
    words = {"reproduced": "better", "not reproduced": "worse", "undecided": "not told apart"}
    records, rows = [], []
    for key, verdict in inference.judge(evidence).items():
        chosen, benchmark = pairs[key]
        outcome = words[verdict.verdict]
        records.append(
            {"group": chosen.group, "metric": chosen.metric, "setting": chosen.setting, "benchmark": benchmark.name}
            | {"outcome": outcome}
            | _lead_record(verdict)
        )
        rows.append(
            {study.grouped_by.capitalize(): chosen.group}
            | {"By": METRICS[chosen.metric].label, "Best": study.setting(chosen.setting).label}
            | {"Benchmark": benchmark.label}
            | _lead_cells(verdict, chosen.metric, "Lead over the benchmark")
            | {"So it is": outcome}
        )
    note = (
        "The best of many looks better than it is, because it was picked on these very runs. Interval and p allow for "
        "that by Bonferroni's correction, for the number of settings that it was picked from; p is also corrected by "
        "Holm's method, because the table makes several comparisons. Claims have their own corrections: a setting can "
        "be better here while a claim about it is open."
    )
    title = f"Second stage: the best of each {study.grouped_by} against the benchmarks"
    return _table("benchmarks", title, rows, records, [note])


def verdict_frame(findings: Sequence[Finding]) -> pd.DataFrame:
    """The content of verdicts.csv: a row per claim."""
    columns = ["claim", "verdict", "effect", "low", "high", "seeds", "p", "look"]
    columns += ["document", "place", "metric", "says"]
    rows = [
        {
            "claim": f.claim.name,
            "verdict": f.verdict.verdict,
            "effect": f.verdict.effect,
            "low": f.verdict.low,
            "high": f.verdict.high,
            "seeds": f.verdict.seeds,
            "p": f.verdict.p,
            "look": f.verdict.look,
            "document": f.document,
            "place": f.claim.place,
            "metric": f.claim.arguments.get("metric", ""),
            "says": f.claim.says,
        }
        for f in findings
    ]
    return pd.DataFrame(rows, columns=columns)
