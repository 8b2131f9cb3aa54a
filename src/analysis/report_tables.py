"""The tables of a report: ours beside the document's, and the two stages in which it selects its best settings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import inf, isfinite, isnan
from pathlib import Path
from typing import Any

import pandas as pd

from src.analysis import statistics
from src.analysis.aggregate import METRICS, Metric, Runs, Values
from src.analysis.claims import Finding
from src.analysis.statistics import Estimate, Evidence, Verdict
from src.analysis.study import Setting, Study
from src.run_folder import write_text


@dataclass(frozen=True)
class Table:
    """A table for people (`header`, `rows` of Markdown cells, `notes`) and for programs (`frame`, unrounded)."""

    name: str
    title: str
    header: Sequence[str]
    rows: Sequence[Sequence[str]]
    frame: pd.DataFrame
    notes: Sequence[str] = ()

    def markdown(self) -> str:
        lines = [f"### {self.title}", "", f"| {' | '.join(self.header)} |", "|" + " --- |" * len(self.header)]
        lines += [f"| {' | '.join(cell.replace('|', '/') for cell in row)} |" for row in self.rows]
        return "\n".join([*lines, "", *(f"{note}\n" for note in self.notes)])

    def write(self, folder: Path) -> None:
        write_text(folder / f"{self.name}.csv", self.frame.to_csv(index=False))
        write_text(folder / f"{self.name}.md", self.markdown())


@dataclass(frozen=True)
class Pick:
    """The best setting of a group by a metric, and how far it is known to be the best."""

    group: str
    metric: str
    setting: str
    verdict: Verdict | None


def number(value: float, metric: str, signed: bool = False) -> str:
    """A value as a person reads it: fractions as percent, what never happened as "never"."""
    kind = METRICS.get(metric, Metric(metric))
    if isnan(value):
        return "–"
    if not isfinite(value):
        return "never" if value > 0 else "–"
    sign = "+" if signed else ""
    if kind.fraction:
        return f"{100 * value:{sign}.2f}"
    return f"{value:{sign}.4g}" if "loss" in metric else f"{value:{sign}.1f}"


def interval(low: float, high: float, metric: str, signed: bool = False) -> str:
    """A 95% interval; an open end where the seeds give no bound."""
    if low == -inf and high == inf:
        return ""
    left = "…" if low == -inf else number(low, metric, signed)
    right = "…" if high == inf else number(high, metric, signed)
    return f"[{left}, {right}]"


def _estimate(values: Values, setting: str, metric: str) -> Estimate | None:
    series = values.series(setting, metric) if metric in values.metrics else {}
    return statistics.estimate(series) if series else None


def main_metric(values: Values) -> str:
    """What settings are judged by first: the final accuracy, or the final loss where there is no accuracy."""
    measured = any(values.series(setting, "val_accuracy") for setting in values.settings)
    return "val_accuracy" if measured else "val_loss"


def comparison(study: Study, values: Values, runs: Runs) -> Table:
    """One row per setting: what it reached over the seeds, beside the document's number and the difference to it."""
    metrics = [m for m in (main_metric(values), "convergence_epoch") if m in values.metrics]
    published = any(setting.published for setting in study.settings)
    timed = "benchmark_epoch" in values.metrics
    rows = [_comparison_row(setting, values, metrics, timed) for setting in study.settings]
    frame = pd.DataFrame(rows)
    header = ["Setting"] if set(study.groups) == {""} else ["Strategy", "Setting"]
    for metric in metrics:
        header.append(_heading(metric))
        header += ["document", "difference"] if published else []
    header += [f"Epochs to the accuracy of {study.setting(study.benchmark).label}"] if timed and study.benchmark else []
    header += ["Rate updates", "Runs"]
    best = {m: _best(frame[m], m) for m in metrics}
    best_published = {m: _best(frame[f"document_{m}"], m) for m in metrics if published}
    cells = []
    for setting, row in zip(study.settings, rows, strict=True):
        line = [setting.label] if len(header) and header[0] == "Setting" else [setting.group, setting.label]
        for metric in metrics:
            text = number(row[metric], metric)
            spread = interval(row[f"{metric}_low"], row[f"{metric}_high"], metric)
            line.append(f"{_bold(text, row[metric] == best[metric])} {spread}".strip())
            if published:
                line.append(
                    _bold(
                        number(row[f"document_{metric}"], metric), row[f"document_{metric}"] == best_published[metric]
                    )
                )
                line.append(number(row[f"difference_{metric}"], metric, signed=True))
        if timed and study.benchmark:
            line.append(_reached(row))
        line += [number(row["lr_updates"], "lr_updates"), _run_count(row)]
        cells.append(line)
    return Table("comparison", f"{study.title}: all settings", header, cells, frame, _notes(study, runs, metrics))


def _comparison_row(setting: Setting, values: Values, metrics: Sequence[str], timed: bool) -> dict[str, Any]:
    row: dict[str, Any] = {"setting": setting.name, "group": setting.group}
    for metric in metrics:
        found = _estimate(values, setting.name, metric)
        ours = found.centre if found else float("nan")
        document = setting.published.get(metric, float("nan"))
        row |= {
            metric: ours,
            f"{metric}_low": found.low if found else -inf,
            f"{metric}_high": found.high if found else inf,
        }
        row |= {f"document_{metric}": document, f"difference_{metric}": ours - document}
    if timed:
        epochs = values.series(setting.name, "benchmark_epoch")
        row["benchmark_epoch"] = pd.Series(epochs, dtype=float).median()
        row["benchmark_reached"] = sum(isfinite(epoch) for epoch in epochs.values())
    updates = _estimate(values, setting.name, "lr_updates")
    row["lr_updates"] = updates.centre if updates else float("nan")
    return row | {"runs": values.run_count(setting.name), "diverged": values.run_count(setting.name, "diverged")}


def _heading(metric: str) -> str:
    kind = METRICS[metric]
    return f"{kind.label.capitalize()}{' (%)' if kind.fraction else ''}"


def _best(column: pd.Series, metric: str) -> float:
    known = column[column.abs() < inf]
    return float(known.min() if METRICS[metric].lowest else known.max()) if len(known) else float("nan")


def _bold(text: str, bold: bool) -> str:
    return f"**{text}**" if bold else text


def _reached(row: Mapping[str, Any]) -> str:
    if not row["runs"]:
        return "–"
    reached = f"{row['benchmark_reached']} of {row['runs']}"
    return f"{number(row['benchmark_epoch'], 'benchmark_epoch')} ({reached})"


def _run_count(row: Mapping[str, Any]) -> str:
    return f"{row['runs']} ({row['diverged']} diverged)" if row["diverged"] else str(row["runs"])


def _notes(study: Study, runs: Runs, metrics: Sequence[str]) -> list[str]:
    notes = [
        "Mean and 95% interval over seeds, for this test set; best of a column in bold. "
        "Where a run never gets there, or all seeds agree, the median stands for the mean.",
    ]
    tolerances = sorted(set(runs.results.get("convergence_tolerance", pd.Series(dtype=float)).dropna()))
    tolerances = tolerances or [study.tolerance] if study.tolerance else tolerances
    if "convergence_epoch" in metrics and tolerances:
        notes.append(
            f"Converged: the first epoch, counted from 1, whose validation accuracy (centred mean over 3 epochs) is within "
            f"{' or '.join(f'{100 * t:g}' for t in tolerances)} points of the final one (mean of the last 5). "
            "A run that ends over twice that below its best has not settled and counts with its last epoch."
        )
    if study.benchmark and "benchmark_epoch" in runs.results:
        notes.append(
            f"Epochs to the accuracy of {study.setting(study.benchmark).label}: median over seeds of the first epoch whose "
            "smoothed accuracy reaches that setting's final accuracy, with the number of runs that ever do; "
            "the others are censored at their last epoch."
        )
    for optimizer, rows in runs.results.groupby("optimizer") if "momentum" in runs.results else ():
        momenta = sorted(set(rows["momentum"].dropna()))
        if momenta:
            notes.append(f"Momentum of {optimizer}: {', '.join(f'{m:g}' for m in momenta)}.")
    return notes


def pick(study: Study, values: Values) -> list[Pick]:
    """The best setting of each group by each metric (first stage), told apart over all picks at once."""
    metrics = [m for m in (main_metric(values), "convergence_epoch") if m in values.metrics]
    picks: dict[str, tuple[str, str, str]] = {}
    evidence: dict[str, Evidence] = {}
    for group, settings in study.compared_groups.items():
        for metric in metrics:
            series = {s.name: x for s in settings if (x := values.series(s.name, metric))}
            if len(series) == 1:
                picks[f"{group}/{metric}"] = group, metric, next(iter(series))
            elif series:
                name, found = statistics.winner(series, METRICS[metric].lowest)
                if found.seeds:
                    picks[f"{group}/{metric}"] = group, metric, name
                    evidence[f"{group}/{metric}"] = found
    verdicts = statistics.judge(evidence) if evidence else {}
    return [Pick(*chosen, verdicts.get(key)) for key, chosen in picks.items()]


def selection(study: Study, picks: Sequence[Pick]) -> Table:
    """First stage: the best setting of each group, its lead over the nearest rival, the document's choice."""
    records, cells = [], []
    for chosen in picks:
        document = _published_best(study.compared_groups[chosen.group], chosen.metric)
        record = {
            "group": chosen.group,
            "metric": chosen.metric,
            "setting": chosen.setting,
            "document": document.name if document else "",
        }
        line = [chosen.group, METRICS[chosen.metric].label, study.setting(chosen.setting).label]
        if chosen.verdict:
            record |= _lead_record(chosen.verdict, told_apart=chosen.verdict.verdict == "reproduced")
            line += [*_lead_cells(chosen.verdict, chosen.metric), "yes" if record["told_apart"] else "no"]
        else:
            line += ["–", "–", "–"]
        cells.append([*line, document.label if document else "–"])
        records.append(record)
    return Table(
        "selection",
        "First stage: the best of each strategy" if any(p.group for p in picks) else "The best setting",
        ["Strategy", "By", "Best", "Lead over the nearest rival", "p", "Told apart", "Document's best"],
        cells,
        pd.DataFrame(records),
        [
            "p is that of being the best, corrected for "
            "having been picked on the same runs and, by Holm, for all rows. Told apart: p of at most 0.05."
        ],
    )


def _published_best(settings: Sequence[Setting], metric: str) -> Setting | None:
    known = [setting for setting in settings if metric in setting.published]
    if not known:
        return None
    return (min if METRICS[metric].lowest else max)(known, key=lambda setting: setting.published[metric])


def _lead_record(verdict: Verdict, **more: Any) -> dict[str, Any]:
    return {
        "lead": verdict.effect,
        "low": verdict.low,
        "high": verdict.high,
        "seeds": verdict.seeds,
        "p": verdict.p,
        **more,
    }


def _lead_cells(verdict: Verdict, metric: str) -> list[str]:
    spread = interval(verdict.low, verdict.high, metric, signed=True)
    return [f"{number(verdict.effect, metric, signed=True)} {spread}".strip(), p_value(verdict.p)]


def p_value(p: float) -> str:
    return "< 0.001" if p < 0.001 else f"{p:.3f}" if p < 0.995 else "1"


def against_benchmarks(study: Study, values: Values, picks: Sequence[Pick]) -> Table | None:
    """Second stage: the best of each group against the benchmarks; None without benchmarks."""
    if study.benchmark is None or not picks:
        return None
    benchmarks = study.groups[study.setting(study.benchmark).group]
    rows: dict[str, tuple[Pick, Setting]] = {}
    evidence = {}
    for chosen in picks:
        group = [values.series(setting.name, chosen.metric) for setting in study.compared_groups[chosen.group]]
        for benchmark in benchmarks:
            base = values.series(benchmark.name, chosen.metric)
            if base:
                key = f"{chosen.group}/{chosen.metric}/{benchmark.name}"
                rows[key] = chosen, benchmark
                evidence[key] = statistics.picked([x for x in group if x], base, METRICS[chosen.metric].lowest)
    verdicts = statistics.judge(evidence) if evidence else {}
    words = {"reproduced": "better", "not reproduced": "worse", "undecided": "not told apart"}
    records, cells = [], []
    for key, (chosen, benchmark) in rows.items():
        verdict = verdicts[key]
        word = words[verdict.verdict]
        records.append(
            {"group": chosen.group, "metric": chosen.metric, "setting": chosen.setting, "benchmark": benchmark.name}
            | _lead_record(verdict, outcome=word)
        )
        cells.append(
            [
                chosen.group,
                METRICS[chosen.metric].label,
                study.setting(chosen.setting).label,
                benchmark.label,
                *_lead_cells(verdict, chosen.metric),
                word,
            ]
        )
    return Table(
        "benchmarks",
        "Second stage: the best of each strategy against the benchmarks",
        ["Strategy", "By", "Best", "Benchmark", "Lead over the benchmark", "p", "So it is"],
        cells,
        pd.DataFrame(records),
        [
            "The best was picked on these same runs: p is corrected for all that it was picked from, and by Holm for all rows."
        ],
    )


def verdict_frame(findings: Sequence[Finding]) -> pd.DataFrame:
    """The content of verdicts.csv: a row per claim."""
    columns = ["claim", "verdict", "effect", "low", "high", "seeds", "p", "document", "place", "metric", "says"]
    rows = [
        {
            "claim": f.claim.name,
            "verdict": f.verdict.verdict,
            "effect": f.verdict.effect,
            "low": f.verdict.low,
            "high": f.verdict.high,
            "seeds": f.verdict.seeds,
            "p": f.verdict.p,
            "document": f.document,
            "place": f.claim.place,
            "metric": f.claim.arguments.get("metric", ""),
            "says": f.claim.says,
        }
        for f in findings
    ]
    return pd.DataFrame(rows, columns=columns)
