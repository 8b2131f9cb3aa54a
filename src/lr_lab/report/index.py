"""The index of all reports: every study with its answer, how many of its claims hold, and what it cost."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from lr_lab.errors import UserError
from lr_lab.report.evidence import OUTCOMES
from lr_lab.report.page import Report, counts, figure_file
from lr_lab.run.folder import write_text
from lr_lab.study.runs import Runs

SUMMARY = "summary.json"


def write_summary(report: Report, runs: Runs, folder: Path) -> None:
    """Keeps what the index says of a report, in its folder."""
    seconds = runs.results["wall_seconds"].sum() if "wall_seconds" in runs.results else None
    picture = figure_file(report.picture.file.with_suffix("")) if report.picture else None
    content = {
        "title": report.study.title,
        "question": report.study.question,
        "notices": list(report.notices),
        "answer": list(report.answer),
        "picture": f"figures/{picture.name}" if picture else None,
        "claims": {outcome: len(claims) for outcome, claims in report.outcomes.items()},
        "reads": list(report.study.reads),
        "runs": len(runs.results),
        "hours": None if seconds is None else round(float(seconds) / 3600, 4),
    }
    write_text(folder / SUMMARY, json.dumps(content, indent=1, ensure_ascii=False) + "\n")


def write_index(reports: Path) -> Path:
    """Writes index.md into the folder of all reports, from the summary in each of them.

    Raises:
        UserError: the folder has no report with a summary.
    """
    summaries = {file.parent.name: json.loads(file.read_text()) for file in sorted(reports.glob(f"*/{SUMMARY}"))}
    if not summaries:
        raise UserError(f"{reports} has no report yet; make one first: python -m src.report study=NAME")
    write_text(reports / "index.md", _markdown(summaries))
    return reports / "index.md"


def _markdown(summaries: Mapping[str, Mapping[str, Any]]) -> str:
    total: Counter[str] = Counter()
    for summary in summaries.values():
        total.update(summary["claims"])
    columns = [name for name in OUTCOMES.values() if total[name]]
    header = ["Study", *(f"Claims: {name}" for name in columns), "Runs", "Hours"]
    lines = [f"| {' | '.join(header)} |", "|" + " --- |" * len(header)]
    lines += [f"| {' | '.join(_row(name, summary, columns))} |" for name, summary in summaries.items()]
    own = [summary for summary in summaries.values() if not summary["reads"]]
    runs, hours = sum(summary["runs"] for summary in own), sum(summary["hours"] or 0 for summary in own)
    parts = [
        "# All studies",
        f"{len(summaries)} studies, {runs:,} runs, {hours:,.3g} hours of training summed over runs."
        + (f" {counts({name: total[name] for name in columns})}." if columns else ""),
        "\n".join(lines),
        *(_section(name, summary) for name, summary in summaries.items()),
        "Made by `python -m src.report index=true`.",
    ]
    return "\n\n".join(parts) + "\n"


def _row(name: str, summary: Mapping[str, Any], columns: Sequence[str]) -> list[str]:
    claims = [str(summary["claims"].get(column, 0)) for column in columns]
    hours = "–" if summary["hours"] is None else f"{summary['hours']:.3g}"
    cost = [f"those of {' and '.join(summary['reads'])}", ""] if summary["reads"] else [f"{summary['runs']}", hours]
    return [f"[{name}]({name}/report.md)", *(claims if summary["claims"] else [""] * len(columns)), *cost]


def _section(name: str, summary: Mapping[str, Any]) -> str:
    parts = [f"## [{summary['title']}]({name}/report.md)", summary["question"]]
    parts += summary["notices"][:1]
    parts.append(f"**Answer.** {' '.join(summary['answer'])}" if summary["answer"] else "")
    parts.append(f"![{summary['title']}]({name}/{summary['picture']})" if summary["picture"] else "")
    return "\n\n".join(part for part in parts if part)
