"""The index of all reports: every study with its answer, how many of its claims hold, and what it cost.

The top of README has the answers of the leading studies, so that it cannot say what the reports do not.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from matplotlib.figure import Figure

from lr_lab.errors import UserError
from lr_lab.report import figures
from lr_lab.report.evidence import OUTCOMES
from lr_lab.report.page import Report, counts, figure_file
from lr_lab.run.config import CONFIG_DIR
from lr_lab.run.folder import write_text
from lr_lab.study.runs import Runs

SUMMARY = "summary.json"
REPORTS = "outputs/reports"  # in the checkout
_BEGIN = "<!-- answer: `python -m src.report index=true` writes this from the reports -->"
_END = "<!-- end of answer -->"
_COLORS = {"holds": "#009E73", "does not hold": "#D55E00", "no difference that matters": "#7F7F7F", "open": "#D9D9D9"}


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
    """Writes index.md, index.html and their picture into the folder of all reports, from the summary in each of them.

    Returns:
        The page, index.html.

    Raises:
        UserError: the folder has no report with a summary, or a summary is damaged.
    """
    summaries = read_summaries(reports)
    if any(summary["claims"] for summary in summaries.values()):
        figures.save(_picture(summaries), reports / "index")
    write_text(reports / "index.md", _markdown(summaries))
    write_text(reports / "index.html", _html(summaries))
    return reports / "index.html"


def read_summaries(reports: Path) -> dict[str, dict[str, Any]]:
    """The summary of each report in the folder, by the name of its study.

    Raises:
        UserError: there is none, or one is damaged.
    """
    summaries = {file.parent.name: _summary(file) for file in sorted(reports.glob(f"*/{SUMMARY}"))}
    if not summaries:
        raise UserError(f"{reports} has no report yet; make one first: python -m src.report study=NAME")
    return summaries


def _summary(file: Path) -> dict[str, Any]:
    try:
        return json.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:
        study = file.parent.name
        raise UserError(f"{file} is damaged; write that report anew: python -m src.report study={study}") from error


def write_answers(reports: Path, leading: Sequence[str]) -> None:
    """Writes the answers of the leading studies into the checkout's README, if the reports are the checkout's own.

    Raises:
        UserError: a leading study has no report.
    """
    checkout = CONFIG_DIR.parent
    if reports.resolve() == checkout / REPORTS:
        readme = checkout / "README.md"
        write_text(readme, with_answers(readme.read_text(), described(read_summaries(reports)), leading))


def described(summaries: Mapping[str, Mapping[str, Any]]) -> dict[str, Mapping[str, Any]]:
    """The summaries of studies that a file in conf/studies describes: README counts no one's first looks."""
    return {name: one for name, one in summaries.items() if (CONFIG_DIR / "studies" / f"{name}.yaml").exists()}


def with_answers(readme: str, summaries: Mapping[str, Mapping[str, Any]], leading: Sequence[str]) -> str:
    """The text of README with the answers of the leading studies between its two marks.

    Args:
        readme: its text; without the marks it stays as it is.
        leading: names of studies; the picture is that of the first.

    Raises:
        UserError: a leading study has no report.
    """
    if missing := [name for name in leading if name not in summaries]:
        raise UserError(
            f"README's answer needs a report of {missing[0]}; make it: python -m src.report study={missing[0]}"
        )
    before, _, rest = readme.partition(_BEGIN)
    _, end, after = rest.partition(_END)
    if not end:
        return readme
    lines = [f"- [{name}]({REPORTS}/{name}/report.md): {' '.join(summaries[name]['answer'])}" for name in leading]
    first = summaries[leading[0]]
    parts = ["\n".join(lines), f"{_sum(summaries)} [All studies]({REPORTS}/index.md)."]
    if first["picture"]:
        parts.append(f"![{first['title']}]({REPORTS}/{leading[0]}/{first['picture']})")
    return before + _BEGIN + "\n" + "\n\n".join(parts) + "\n" + _END + after


def _sum(summaries: Mapping[str, Mapping[str, Any]]) -> str:
    """How many studies, runs, hours and claims there are, and how the claims came out, in a sentence or two."""
    own = [summary for summary in summaries.values() if not summary["reads"]]
    runs, hours = sum(summary["runs"] for summary in own), sum(summary["hours"] or 0 for summary in own)
    studies = "1 study" if len(summaries) == 1 else f"{len(summaries)} studies"
    said = f"{studies}, {runs:,} runs, {hours:,.3g} hours of training summed over runs."
    total = _total(summaries)
    return f"{said} {counts(total)}." if total else said


def _total(summaries: Mapping[str, Mapping[str, Any]]) -> dict[str, int]:
    """The number of claims by outcome, over all studies; an outcome that no claim has is left out."""
    total: Counter[str] = Counter()
    for summary in summaries.values():
        total.update(summary["claims"])
    return {name: total[name] for name in OUTCOMES.values() if total[name]}


def _picture(summaries: Mapping[str, Mapping[str, Any]]) -> Figure:
    """A bar for each study that makes claims: how many of them have which outcome."""
    claiming = [name for name, summary in summaries.items() if any(summary["claims"].values())]
    figure = Figure(figsize=(9, 0.9 + 0.36 * len(claiming)), layout="constrained")
    axes = figure.add_subplot()
    left = dict.fromkeys(claiming, 0)
    for outcome in _total(summaries):
        widths = {name: summaries[name]["claims"].get(outcome, 0) for name in claiming}
        bars = axes.barh(
            claiming, list(widths.values()), left=list(left.values()), color=_COLORS[outcome], label=outcome, height=0.7
        )
        color = "black" if outcome == "open" else "white"
        axes.bar_label(
            bars, [f"{n}" if n else "" for n in widths.values()], label_type="center", color=color, fontsize=9
        )
        left = {name: left[name] + widths[name] for name in claiming}
    axes.invert_yaxis()
    axes.set_xlabel("claims")
    axes.spines[["top", "right"]].set_visible(False)
    figure.legend(loc="outside upper left", ncols=4, frameon=False, fontsize=9)
    return figure


def _html(summaries: Mapping[str, Mapping[str, Any]]) -> str:
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    outcomes = list(_total(summaries))
    return environment.get_template("index.html.j2").render(
        summaries=summaries, sum=_sum(summaries), outcomes=outcomes, alternative=_alternative(summaries)
    )


def _alternative(summaries: Mapping[str, Mapping[str, Any]]) -> str:
    """The picture in words, for those who cannot see it."""
    found = {name: {k: n for k, n in one["claims"].items() if n} for name, one in summaries.items()}
    return ". ".join(
        f"{name}: {', '.join(f'{n} {k}' for k, n in claims.items())}" for name, claims in found.items() if claims
    )


def _markdown(summaries: Mapping[str, Mapping[str, Any]]) -> str:
    columns = list(_total(summaries))
    header = ["Study", *(f"Claims: {name}" for name in columns), "Runs", "Hours"]
    lines = [f"| {' | '.join(header)} |", "|" + " --- |" * len(header)]
    lines += [f"| {' | '.join(_row(name, summary, columns))} |" for name, summary in summaries.items()]
    parts = [
        "# All studies",
        _sum(summaries),
        *([f"![{_alternative(summaries)}](index.png)"] if columns else []),
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
