"""One study: run folders -> tables, figures, verdicts, one web page. `python -m src.report --help` says how."""

from __future__ import annotations

import itertools
import os
import sys
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
from omegaconf import DictConfig, OmegaConf

from lr_lab.errors import UserError
from lr_lab.program import program
from lr_lab.report import page
from lr_lab.report import tables as report_tables
from lr_lab.report.advice import advise, headline, missing, outcomes
from lr_lab.report.illustrations import Illustrations
from lr_lab.run.config import CONFIG_DIR
from lr_lab.run.folder import run_folders, write_text
from lr_lab.study.judgement import further_looks, judge, write_looks
from lr_lab.study.measured import combined, read_study_runs, with_metrics
from lr_lab.study.runs import Runs, read_table, write_runs
from lr_lab.study.study_file import Study, discover, read_study
from lr_lab.study.values import Values

UNKNOWN = (
    "Validation sets are finite: intervals are over seeds, for this validation set, and say nothing about other data.",
)


def report(
    name: str, output_dir: Path, results: Path | None = None, report_dir: Path | None = None
) -> tuple[page.Report, Path]:
    """Writes the report of a study and returns it with its folder.

    The runs come from `<output_dir>/<name>`; where that is missing, from what an earlier report kept; or from the
    table `results` alone.

    Raises:
        UserError: there is nothing to report on, or a file is not as it must be; the sentence says what to do.
    """
    folder = report_dir or output_dir / "reports" / (f"{name}_from_table" if results else name)
    study = read_study(CONFIG_DIR, name)
    every = None
    if study and study.reads:
        if results:
            raise UserError(f"{name} reads {' and '.join(study.reads)}; it cannot be judged from one table.")
        study, runs = combined(study, output_dir, CONFIG_DIR)
    else:
        runs = read_table(results) if results else read_study_runs(name, study, output_dir)
        if not runs.finished.empty:
            study = study or discover(name, runs.results)
            every, runs = runs, with_metrics(runs, study)
    if study is None or runs.finished.empty:
        raise UserError(f"Study {name} has no finished run of any of its settings; let its sweep finish, then report.")
    if every:
        write_runs(every, runs, folder)
    made = _assemble(study, runs, folder, output_dir)
    if every and (left_out := len(every.results) - len(runs.results)):
        made = replace(made, facts={**made.facts, "Left out": f"{left_out} runs that belong to none of the settings"})
    _write(made, folder)
    return made, folder


def _assemble(study: Study, runs: Runs, folder: Path, output_dir: Path) -> page.Report:
    values = Values(runs.results, [setting.name for setting in study.settings], f"The table of {study.name}")
    tables = [report_tables.comparison(study, values, runs)]
    if like := report_tables.likeness(study, values):
        tables.append(like)
    outcome, findings = judge(study, values, Values.published(study), further_looks(study, folder))
    write_looks(outcome, folder)
    notices = [notice.says for notice in study.notices if notice.applies(runs.results)]
    made = page.Report(
        study=study,
        headline=notices,
        tables=tables,
        findings=findings,
        advice=["Runs are added to the studies that this one reads; their reports say what they lack."],
        facts=page.facts(study, runs),
        unknown=study.unknown or UNKNOWN,
    )
    if study.reads:  # selection, curves and advice stand in the reports of the studies read
        return made
    samples = partial(_samples, output_dir / study.name)
    contest = study.without_exploration
    contenders = Values(runs.results, [setting.name for setting in contest.settings], values.place)
    picks = report_tables.pick(contest, contenders) if contest.settings else []
    came_out = headline(contest, contenders) if contest.settings else []
    if picks:
        tables.append(report_tables.selection(contest, picks))
        if second := report_tables.against_benchmarks(contest, contenders, picks):
            tables.append(second)
            came_out += outcomes(contest, second)
    illustrations = Illustrations(study, runs, values, picks, folder / "figures", samples)
    drawing = illustrations.draw()
    lacking = missing(study, runs)
    told = replace(study, figures=illustrations.entries)
    made = replace(made, study=told, illustrations=illustrations.shown, drawing=drawing, advice=lacking)
    if not contest.settings:  # a study that only explores has no winner, and nobody to advise
        return made
    return replace(
        made,
        headline=[*notices, *came_out],
        advice=[*made.advice, *advise(contest, contenders, runs.of(contenders.settings))],
    )


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


def _write(made: page.Report, folder: Path) -> None:
    for table in made.tables:
        table.write(folder)
    if made.findings:
        write_text(folder / "verdicts.csv", report_tables.verdict_frame(made.findings).to_csv(index=False))
    write_text(folder / "report.md", page.markdown(made, folder))
    write_text(folder / "index.html", page.html(made))


def _say(made: page.Report, folder: Path) -> None:
    """What a person at a terminal wants to know, and where the rest is."""
    for sentence in made.headline:
        print(sentence)
    for finding in itertools.chain.from_iterable(made.verdicts.values()):
        print(f"{finding.verdict.verdict:15} {finding.claim.place:8} {finding.claim.says} ({page.effect(finding)})")
    if made.advice:
        print("What to do next:")
        for sentence in made.advice:
            print(f"- {sentence}")
    print(f"The report is {folder / 'index.html'}.")


@program("report")
def main(cfg: DictConfig) -> None:
    if OmegaConf.is_missing(cfg, "study"):
        raise UserError("Name the study to report on: python -m src.report study=decay_mnist")
    made, folder = report(
        str(cfg.study),
        Path(cfg.output_dir),
        Path(cfg.results) if cfg.results else None,
        Path(cfg.report_dir) if cfg.report_dir else None,
    )
    try:
        _say(made, folder)
        sys.stdout.flush()
    except BrokenPipeError:  # the report is written; whoever reads what is said, head say, has read enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # where Python flushes as it ends


if __name__ == "__main__":
    main()
