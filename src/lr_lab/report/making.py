"""A report from the runs of a study: what it says, and its files."""

from __future__ import annotations

import sys
from collections import defaultdict
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np

from lr_lab.errors import UserError, listed
from lr_lab.report import figures, page, tables
from lr_lab.report.advice import advise, missing
from lr_lab.report.answer import answer, answers_by, closest, first_to_converge, outcomes
from lr_lab.report.evidence import shown_claim
from lr_lab.report.formats import interval, quantity
from lr_lab.report.illustrations import Drawn, Illustrations
from lr_lab.report.index import write_summary
from lr_lab.report.rates import with_networks
from lr_lab.report.selection import Pick, pick, ranked
from lr_lab.report.tables import Table
from lr_lab.run.config import CONFIG_DIR
from lr_lab.run.folder import run_folders, write_text
from lr_lab.run.inputs import Today
from lr_lab.study.judgement import further_looks, judge, write_looks
from lr_lab.study.measured import combined, read_study_runs, with_metrics
from lr_lab.study.metrics import METRICS
from lr_lab.study.runs import Runs, read_table, write_runs
from lr_lab.study.study_file import Study, discover, read_study
from lr_lab.study.values import Values

_UNKNOWN = (
    "Validation sets are finite: intervals are over seeds, for this validation set, and say nothing about other data.",
)
_READS_OTHERS = "Train the studies that this one reads; their reports name the runs that they lack."


@dataclass(frozen=True)
class _Measured:
    """A study with the runs of its settings; `all_runs` has those of none as well, None where nothing is kept."""

    study: Study
    runs: Runs
    all_runs: Runs | None = None


def make_report(
    name: str,
    output_dir: Path,
    results: Path | None = None,
    report_dir: Path | None = None,
    fewer: bool = False,
) -> tuple[page.Report, Path]:
    """Writes the report of a study and returns it with its folder.

    The runs come from `<output_dir>/<name>`; where that is missing, from what an earlier report kept; or from the
    table `results` alone.

    Args:
        fewer: whether it may replace a report of more finished runs.

    Raises:
        UserError: there is nothing to report on, the folder has a report of more runs, or a file is not as it must be;
            the sentence says what to do.
    """
    folder = report_dir or output_dir / "reports" / (f"{name}_from_table" if results else name)
    measured = _measure(name, output_dir, results)
    if measured.all_runs:
        if not fewer:
            _check_not_fewer(name, measured.all_runs, folder)
        write_runs(measured.all_runs, measured.runs, folder)
    report = _report(measured, folder, output_dir / name)
    _write(report, folder)
    write_summary(report, measured.runs, folder)
    return report, folder


def _check_not_fewer(name: str, runs: Runs, folder: Path) -> None:
    """Raises UserError if the folder has a report of more finished runs."""
    before = 0
    with suppress(UserError):  # there is none, or its table is spoiled
        before = len(read_table(folder / "results.csv").finished)
    if len(runs.finished) < before:
        raise UserError(
            f"{folder} reports on {before} finished runs and there are {len(runs.finished)} now, so it stays as it is; "
            f"bring the others back (make restore STUDY={name}), or give fewer=true to report on these alone."
        )


def _measure(name: str, output_dir: Path, results: Path | None) -> _Measured:
    study = read_study(CONFIG_DIR, name)
    if study and study.reads:
        if results:
            raise UserError(f"{name} reads {' and '.join(study.reads)}; it cannot be judged from one table.")
        measured = _Measured(*combined(study, output_dir, CONFIG_DIR))
    else:
        found = read_table(results) if results else read_study_runs(name, study, output_dir)
        all_runs = found if results else with_networks(found, output_dir / name)
        if all_runs.finished.empty:
            raise _no_finished_run(name)
        study = study or discover(name, all_runs.results)
        measured = _Measured(study, with_metrics(all_runs, study), all_runs)
    if measured.runs.finished.empty:
        raise _no_finished_run(name)
    return measured


def _no_finished_run(name: str) -> UserError:
    return UserError(f"Study {name} has no finished run of any of its settings; let its sweep finish, then report.")


def _report(measured: _Measured, folder: Path, run_dir: Path) -> page.Report:
    study, runs = measured.study, measured.runs
    values = Values(runs.results, [setting.name for setting in study.settings], f"The table of {study.name}")
    outcome, findings = judge(study, values, Values.published(study), further_looks(study, folder))
    write_looks(outcome, folder)
    # Settings that explore are shown, but none of them wins. A study that reads others leaves winners to them.
    contest = replace(study.without_exploration, settings=[]) if study.reads else study.without_exploration
    contenders = Values(runs.results, [setting.name for setting in contest.settings], values.place)
    contests = [
        (part, Values(runs.results, [s.name for s in part.settings], values.place)) for part in contest.contests
    ]
    picks = pick(contest, contenders) if contest.settings else []
    second = tables.against_benchmarks(contest, contenders, picks) if picks else None
    claims = [shown_claim(finding, values) for finding in findings]
    drawn = Drawn()
    if not study.reads:
        samples = partial(_samples, run_dir)
        drawn = Illustrations(study, runs, values, picks, folder / "figures", samples, claims).draw()
    shown_tables = _tables(study, values, runs, contest, picks, second)
    return page.Report(
        study=replace(study, figures=drawn.entries),
        notices=_notices(study, runs, run_dir),
        answer=[sentence for part, its in contests for sentence in answer(part, its, claims, second)]
        or _nearest(study, shown_tables),
        picture=_picture(contest, contenders, drawn, folder / "figures"),
        decided=[
            *(sentence for part, its in contests if part.settings for sentence in first_to_converge(part, its)),
            *(outcomes(contest, second) if second else []),
        ],
        claims=claims,
        tables=shown_tables,
        advice=[_READS_OTHERS] if study.reads else _advice(study, runs, contests, run_dir.parent),
        facts=page.facts(study, runs) | _left_out(measured),
        unknown=study.unknown or _UNKNOWN,
        illustrations=drawn.shown,
        drawing=drawn.drawing,
    )


def _notices(study: Study, runs: Runs, run_dir: Path) -> list[str]:
    """What a reader must know first: of the runs' files, and what the study's file says."""
    applying = [notice.says for notice in study.notices if notice.applies(runs.results)]
    return [*_unreadable(run_dir), *_old(runs, run_dir), *applying]


def _unreadable(run_dir: Path) -> list[str]:
    """A sentence that names the runs whose result cannot be read."""
    names = [f.path.name for f in run_folders(run_dir) if f.result_file.exists() and f.result() is None]
    said = "result.json cannot be read, so these runs are left out until their sweep has written it anew"
    return [f"{said}: {listed(names)}."] if names else []


def _old(runs: Runs, run_dir: Path) -> list[str]:
    """Sentences that mark the runs whose code or data changed since they were trained."""
    settings = dict(zip(runs.results["run"], runs.results["setting"], strict=True))
    today = Today()
    found: dict[tuple[str, ...], list[str]] = defaultdict(list)
    for folder in run_folders(run_dir):
        if folder.path.name in settings and folder.finished():
            changed = today.changes(folder, folder.config()) or []
            found[tuple(changed)].append(settings[folder.path.name])
    return [
        f"{len(its)} runs are older than their inputs: {listed(changed)} changed since "
        f"(settings: {', '.join(dict.fromkeys(its))}). Their sweep trains them anew with retrain=true."
        for changed, its in found.items()
        if changed
    ]


def _nearest(study: Study, shown: Sequence[Table]) -> list[str]:
    """The answer of a study that only explores: what comes nearest to the document."""
    return next((closest(study, table) for table in shown if table.name == "likeness"), [])


def _picture(contest: Study, values: Values, drawn: Drawn, folder: Path) -> page.Picture | None:
    """The picture of the answer: the settings in order, or the study's first figure if it asks for something else."""
    metric = answers_by(contest, values)
    order = ranked(values, metric) if metric else {}
    if len(order) > 1 and len(contest.contests) == 1:
        figures.save(figures.ranking(contest, order, metric), folder / "answer")
        title = f"Settings by {METRICS[metric].label}, the best on top, with 95% intervals over seeds"
        named = figures.labels(contest, list(order))
        said = [
            f"{named[name]} {quantity(found.centre, metric)} {interval(found.low, found.high, metric)}".rstrip()
            for name, found in order.items()
        ]
        return page.Picture(f"{title}.", figures.file(folder / "answer", "svg"), f"{title}: {'; '.join(said)}.")
    for entry in drawn.entries:
        for ending in ("svg", "png", "gif"):
            if (found := figures.file(folder / entry["name"], ending)).exists():
                return page.Picture(entry["caption"], found)
    return None


def _tables(
    study: Study, values: Values, runs: Runs, contest: Study, picks: list[Pick], second: Table | None
) -> list[Table]:
    found = [tables.comparison(study, values, runs), tables.likeness(study, values)]
    found += [tables.selection(contest, picks) if picks else None, second, tables.diagnoses(study, values, runs)]
    return [table for table in found if table]


def _advice(study: Study, runs: Runs, contests: Sequence[tuple[Study, Values]], output_dir: Path) -> list[str]:
    found = missing(study, runs)
    for part, values in contests:
        if part.settings:
            found += advise(part, values, runs.of(values.settings), output_dir)
    return found


def _left_out(measured: _Measured) -> dict[str, str]:
    count = len(measured.all_runs.results) - len(measured.runs.results) if measured.all_runs else 0
    return {"Left out": f"{count} runs that belong to none of the settings"} if count else {}


def _samples(folder: Path, split: str, run: str | None) -> tuple[np.ndarray, np.ndarray] | None:
    """As illustrations.Samples, of the runs in a study's folder."""
    found = [one for one in run_folders(folder) if run in (None, one.path.name)]
    if not found:
        return None
    # Here and not above, because nothing else in a report needs torch.
    from lr_lab.run.parts import build_data

    data = build_data(found[0].config())
    try:
        data.setup()
    except UserError as error:
        print(f"A figure is left out: {error}", file=sys.stderr)
        return None
    part = getattr(data, split)
    inputs = part.inputs.movedim(1, -1) if part.inputs.ndim == 4 else part.inputs
    return inputs.numpy(), part.targets.numpy()


def _write(report: page.Report, folder: Path) -> None:
    for table in report.tables:
        table.write(folder)
    if report.claims:
        findings = [shown.finding for shown in report.claims]
        write_text(folder / "verdicts.csv", tables.verdict_frame(findings).to_csv(index=False))
    write_text(folder / "report.md", page.markdown(report, folder))
    write_text(folder / "index.html", page.html(report))
