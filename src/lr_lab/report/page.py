"""The report as one web page that needs nothing else, and as Markdown."""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import isfinite
from pathlib import Path
from typing import get_args

import pandas as pd
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

from lr_lab.report.figures import file
from lr_lab.report.formats import interval, number, p_value, unit_of_difference
from lr_lab.report.interactive import Drawing, Panel
from lr_lab.report.tables import Table, momenta_of
from lr_lab.study.claims import Finding
from lr_lab.study.runs import Runs
from lr_lab.study.study_file import Study
from lr_lab.study.verdicts import Kind

_DOCUMENT_SAYS = {
    "holds": "The document's own table agrees with it.",
    "fails": "The document's own table contradicts it.",
    "tie": "In the document's own table it is a tie.",
    "silent": "",
}

_HOW_VERDICTS_READ = (
    "The chance that any verdict here is false is at most 5%, over all claims and all looks at the results. That was "
    "shown by simulation for normal, heavy-tailed, skewed, two-humped and rounded values, and for spreads that differ "
    "sixty-fold; not for a single setting that is unlike all others of its group. An effect is by how much a claim "
    "holds; negative: by how much it fails; with its 95% interval over seeds, for this validation set and this claim "
    "alone. No verdict comes from one seed."
)


@dataclass(frozen=True)
class Picture:
    title: str
    file: Path

    @property
    def data(self) -> str:
        """The file as a data URI."""
        kind = "image/svg+xml" if self.file.suffix == ".svg" else f"image/{self.file.suffix[1:]}"
        return f"data:{kind};base64,{base64.b64encode(self.file.read_bytes()).decode()}"


@dataclass(frozen=True)
class Report:
    """Everything that a report says."""

    study: Study
    headline: Sequence[str]
    tables: Sequence[Table]
    findings: Sequence[Finding]
    advice: Sequence[str]
    facts: Mapping[str, str]
    unknown: Sequence[str]
    illustrations: Sequence[Picture | Panel] = ()
    drawing: Drawing = field(default_factory=lambda: Drawing("", {}))

    @property
    def verdicts(self) -> dict[str, list[Finding]]:
        """Verdict -> the findings that have it; what is decided first."""
        return {
            verdict: [finding for finding in self.findings if finding.verdict.verdict == verdict]
            for verdict in get_args(Kind)
        }


def effect(finding: Finding) -> str:
    """The numbers behind a verdict, in one line."""
    verdict = finding.verdict
    metric = str(finding.claim.arguments.get("metric", ""))
    if verdict.seeds == 0:
        if only := finding.claim.arguments.get("among"):
            return f"no run of which it can be said ({only})"
        return "nothing measured with a seed that all of its settings have"
    spread = interval(verdict.low, verdict.high, metric, signed=True)
    seeds = f"{verdict.seeds} seed{'s' if verdict.seeds > 1 else ''}"
    middle = f"{number(verdict.effect, metric, signed=True)}{unit_of_difference(metric)} {spread}".strip()
    told = f"{middle} · {seeds} · p {p_value(verdict.p) if verdict.p < 0.001 else '= ' + p_value(verdict.p)}"
    return f"{told} · {bound(finding)}" if verdict.verdict == "undecided" and bound(finding) else told


def bound(finding: Finding) -> str:
    """What is known of a claim's lead that is too small, or too uncertain, to be decided; "" without a bound."""
    if not isfinite(finding.verdict.bound) or not finding.claim.asks_which_is_better:
        return ""
    metric = finding.claim.arguments["metric"]
    least = f"{number(finding.verdict.bound, metric)}{unit_of_difference(metric)}"
    return f"if there is a difference, it is below {least} (95%)"


def figure_file(path: Path) -> Path | None:
    """The picture that was drawn under this path, which has no suffix; None if there is none."""
    return next((found for ending in ("png", "gif") if (found := file(path, ending)).exists()), None)


def document(finding: Finding) -> str:
    return _DOCUMENT_SAYS[finding.document]


def _bold(cell: str) -> Markup:
    return Markup(re.sub(r"\*\*(.+?)\*\*", r"<strong>\1</strong>", str(escape(cell))))


def facts(study: Study, runs: Runs) -> dict[str, str]:
    """How the runs came about: what was trained, on what, for how long."""
    results = runs.results
    found = {"Runs": ", ".join(f"{count} {status}" for status, count in results["status"].value_counts().items())}
    for label, column in (
        ("Data", "data"),
        ("Training samples", "train_samples"),
        ("Network", "model"),
        ("Epochs", "epochs"),
        ("Batch size", "batch_size"),
    ):
        found[label] = _distinct(results, column)
    found["Seeds"] = _seeds(results)
    found["Momentum"] = ", ".join(f"{name}: {momenta}" for name, momenta in momenta_of(results).items())
    if "wall_seconds" in results:
        hours = results["wall_seconds"].sum() / 3600
        found["Hours"] = f"{hours:.3g}, summed over runs" + (
            "; several may have shared a machine" if len(results) > 1 else ""
        )
    found |= {"Device": _distinct(results, "device"), "Versions": _distinct(results, "versions")}
    settings = {k: v for k, v in study.training.items() if k != "defaults"}
    if settings:
        found["Configuration"] = f"conf/experiment/{study.name}.yaml: " + ", ".join(
            f"{k}={v}" for k, v in settings.items()
        )
    return {what: value for what, value in found.items() if value}


def _seeds(results: pd.DataFrame) -> str:
    """The seeds; where settings differ in theirs, how many have which."""
    if "setting" not in results:
        return _distinct(results, "seed")
    of_settings = results.groupby("setting")["seed"].agg(lambda seeds: ", ".join(f"{s:g}" for s in sorted(set(seeds))))
    counts = of_settings.value_counts()
    if len(counts) == 1:
        return str(counts.index[0])
    return "; ".join(f"{seeds} ({count} setting{'s' * (count > 1)})" for seeds, count in counts.items())


def _distinct(results: pd.DataFrame, column: str) -> str:
    if column not in results:
        return ""
    return ", ".join(
        f"{value:g}" if isinstance(value, float) else str(value) for value in sorted(results[column].dropna().unique())
    )


def html(report: Report) -> str:
    """The page; it needs no network and no other file."""
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    environment.filters |= {"bold": _bold, "effect": effect, "document": document}
    return environment.get_template("page.html.j2").render(
        {name: getattr(report, name) for name in report.__dataclass_fields__}
        | {
            "verdicts": report.verdicts,
            "how_verdicts_read": _HOW_VERDICTS_READ,
            "drawing": Drawing(Markup(report.drawing.script), {n: Markup(d) for n, d in report.drawing.divs.items()}),
        }
    )


def markdown(report: Report, folder: Path) -> str:
    """The report with the figures that lie in its folder, instead of curves that move."""
    study = report.study
    files = [found for f in study.figures if (found := figure_file(folder / "figures" / f["name"]))]
    captions = {f["name"]: f["caption"] for f in study.figures}
    parts = [f"# {study.title}", f"After {study.source}." if study.source else "", study.question]
    if report.headline:
        parts += ["## What came out", "\n".join(f"- {sentence}" for sentence in report.headline)]
    if report.findings:
        counts = (f"{len(findings)} {verdict}" for verdict, findings in report.verdicts.items())
        parts += ["## Verdicts", f"{', '.join(counts)}. {_HOW_VERDICTS_READ}"]
        parts.append(
            "\n".join(
                f"- **{f.verdict.verdict}** ({f.claim.place}) {f.claim.says}"
                f"{f' Read as: {f.claim.reading}.' if f.claim.reading else ''} {effect(f)}. {document(f)}".rstrip()
                for findings in report.verdicts.values()
                for f in findings
            )
        )
    parts += ["## Tables", *(table.markdown() for table in report.tables)]
    if files:
        parts += ["## Figures", *(f"![{captions[found.stem]}](figures/{found.name})" for found in files)]
    parts += [
        "## What to do next",
        "\n".join(f"- {s}" for s in report.advice) or "Nothing in these runs asks for more.",
    ]
    parts += ["## How it was run", "\n".join(f"- {what}: {value}" for what, value in report.facts.items())]
    parts += ["\n".join(f"- {c['what']}: {c['value']} ({c['why']})" for c in study.choices)]
    parts += ["## What could not be known", "\n".join(f"- {sentence}" for sentence in report.unknown)]
    return "\n\n".join(part.strip() for part in parts if part.strip()) + "\n"
