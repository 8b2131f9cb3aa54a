"""The report as one web page that needs nothing else, and as Markdown."""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

from lr_lab.report.evidence import OUTCOMES, ShownClaim
from lr_lab.report.figures import file
from lr_lab.report.interactive import Drawing, Panel
from lr_lab.report.tables import Table, momenta_of
from lr_lab.study.runs import Runs
from lr_lab.study.study_file import Study

_HOW_VERDICTS_READ = (
    "A claim is decided when its corrected p-value is at most 0.05. The chance that any verdict of this page is false "
    "is then at most 5%, over all claims and all looks at the results. Simulations show this for normal, heavy-tailed, "
    "skewed, two-humped and rounded values, and for spreads that differ sixty-fold. They do not show it for a single "
    "setting that is unlike all others of its group. Intervals are 95% intervals over seeds, for this validation set "
    "and for one claim alone. One seed alone decides nothing."
)


@dataclass(frozen=True)
class Picture:
    """A picture in a file.

    Attributes:
        alt: what it shows, in numbers, for a person who does not see it.
        keeps_colours: brightness means something in it, so that a dark page must not turn it over.
    """

    title: str
    file: Path
    alt: str = ""
    keeps_colours: bool = False

    @property
    def surface(self) -> str:
        """Its class on the page: a page in the dark turns a chart over, and shows photographs as they are."""
        return "chart" if self.file.suffix == ".svg" and not self.keeps_colours else "paper"

    @property
    def data(self) -> str:
        """The file as a data URI."""
        kind = "image/svg+xml" if self.file.suffix == ".svg" else f"image/{self.file.suffix[1:]}"
        return f"data:{kind};base64,{base64.b64encode(self.file.read_bytes()).decode()}"


@dataclass(frozen=True)
class Report:
    """Everything that a report says.

    Attributes:
        notices: what a reader must know before the answer.
        answer: one to three sentences; [] where the study asks for none.
        picture: shows the answer.
        decided: what else came out, in sentences.
    """

    study: Study
    notices: Sequence[str]
    answer: Sequence[str]
    picture: Picture | None
    decided: Sequence[str]
    claims: Sequence[ShownClaim]
    tables: Sequence[Table]
    advice: Sequence[str]
    facts: Mapping[str, str]
    unknown: Sequence[str]
    illustrations: Sequence[Picture | Panel] = ()
    drawing: Drawing = field(default_factory=lambda: Drawing("", {}))

    @property
    def counts(self) -> str:
        """As `counts`, of its claims; "" without one."""
        return counts({name: len(claims) for name, claims in self.outcomes.items()}) if self.claims else ""

    @property
    def outcomes(self) -> dict[str, list[ShownClaim]]:
        """Outcome -> the claims that have it, in the order of a page."""
        found = {name: [shown for shown in self.claims if shown.outcome == name] for name in OUTCOMES.values()}
        return {name: claims for name, claims in found.items() if claims}


def figure_file(path: Path) -> Path | None:
    """The picture that was drawn under this path, which has no suffix; None if there is none."""
    return next((found for ending in ("png", "gif") if (found := file(path, ending)).exists()), None)


def _cell(cell: str) -> Markup:
    """A cell of Markdown as HTML; its interval does not break, and may stand on a line of its own."""
    bold = re.sub(r"\*\*(.+?)\*\*", r"<strong>\1</strong>", str(escape(cell)))
    return Markup(re.sub(r" (\[[^]]*\])$", r' <span class="interval">\1</span>', bold))


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
    environment.filters["cell"] = _cell
    return environment.get_template("page.html.j2").render(
        {name: getattr(report, name) for name in report.__dataclass_fields__}
        | {
            "outcomes": report.outcomes,
            "counts": report.counts,
            "how_verdicts_read": _HOW_VERDICTS_READ,
            "drawing": Drawing(Markup(report.drawing.script), {n: Markup(d) for n, d in report.drawing.divs.items()}),
        }
    )


def markdown(report: Report, folder: Path) -> str:
    """The report with the figures that lie in its folder, instead of curves that move."""
    study = report.study
    parts = [f"# {study.title}", f"After {study.source}." if study.source else ""]
    parts += [f"**Asked.** {study.question}" if study.question else "", *report.notices]
    if report.answer:
        parts.append(f"**Answer.** {' '.join(report.answer)}")
    if report.picture and (found := figure_file(report.picture.file.with_suffix(""))):
        parts.append(f"![{report.picture.title}](figures/{found.name})")
    if report.decided:
        parts.append("\n".join(f"- {sentence}" for sentence in report.decided))
    if report.claims:
        parts += _claims_in_markdown(report)
    parts += ["## Tables", *(table.markdown() for table in report.tables)]
    captions = {f["name"]: f["caption"] for f in study.figures}
    if files := [found for name in captions if (found := figure_file(folder / "figures" / name))]:
        parts += ["## Figures", *(f"![{captions[found.stem]}](figures/{found.name})" for found in files)]
    parts += [
        "## What to do next",
        "\n".join(f"- {s}" for s in report.advice) or "These runs ask for nothing more.",
    ]
    parts += ["## How it was run", "\n".join(f"- {what}: {value}" for what, value in report.facts.items())]
    parts += ["\n".join(f"- {c['what']}: {c['value']} ({c['why']})" for c in study.choices)]
    parts += ["## What could not be known", "\n".join(f"- {sentence}" for sentence in report.unknown)]
    return "\n\n".join(part.strip() for part in parts if part.strip()) + "\n"


def _claims_in_markdown(report: Report) -> list[str]:
    parts = ["## Claims", f"{report.counts}."]
    for outcome, claims in report.outcomes.items():
        lines = ["| Place | Claim | Measured | It needs | Seeds | In the source's own table |", "|" + " --- |" * 6]
        for shown in claims:
            claim = shown.claim
            says = f"{claim.says}{f' Read as: {claim.reading}.' if claim.reading else ''}"
            cells = [claim.place, says, shown.measured, shown.limit, f"{shown.seeds}", shown.source]
            lines.append(f"| {' | '.join(cell.replace('|', '/') for cell in cells)} |")
        parts += [f"### {outcome.capitalize()} ({len(claims)})", "\n".join(lines)]
    statistics = "\n".join(f"- {shown.claim.place}, {shown.claim.name}: {shown.statistics}" for shown in report.claims)
    summary = "<summary>p-values and corrections</summary>"
    return [*parts, f"<details>{summary}\n\n{_HOW_VERDICTS_READ}\n\n{statistics}\n\n</details>"]


def counts(outcomes: Mapping[str, int]) -> str:
    """The number of claims by outcome, in words: "Of 3 claims 2 hold, 1 is open"."""
    words = {
        "holds": ("holds", "hold"),
        "does not hold": ("does not hold", "do not hold"),
        "no difference that matters": ("shows no difference that matters", "show no difference that matters"),
        "open": ("is open", "are open"),
    }
    total = sum(outcomes.values())
    parts = [f"{count} {words[name][count > 1]}" for name, count in outcomes.items() if count]
    return f"Of {total} claim{'s' * (total > 1)} {', '.join(parts)}"
