"""One study: run folders -> tables, figures, verdicts, one web page; and the index of all reports.

`python -m src.report --help` says how.
"""

from __future__ import annotations

import itertools
import os
import sys
from pathlib import Path

import hydra
from omegaconf import DictConfig, OmegaConf

from lr_lab.errors import UserError
from lr_lab.program import program
from lr_lab.report import page
from lr_lab.report.index import write_index
from lr_lab.report.making import make_report


def _say(report: page.Report, folder: Path) -> None:
    """Prints what came out, what to do next, and where the rest is."""
    for sentence in (*report.notices, *report.answer, *report.decided):
        print(sentence)
    for shown in itertools.chain.from_iterable(report.outcomes.values()):
        print(f"{shown.outcome:13} {shown.claim.place:8} {shown.claim.says} ({shown.evidence})")
    if report.advice:
        print("What to do next:")
        for sentence in report.advice:
            print(f"- {sentence}")
    print(f"The report is {folder / 'index.html'}.")


def _make(cfg: DictConfig) -> tuple[page.Report, Path]:
    results, report_dir = (Path(path) if path else None for path in (cfg.results, cfg.report_dir))
    return make_report(str(cfg.study), Path(cfg.output_dir), results, report_dir)


@hydra.main(version_base="1.3", config_path="../conf", config_name="report")
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
        if not isinstance(cfg.index, bool):
            raise UserError(f"index={cfg.index} is not allowed; give true or false.")
        has_study = not OmegaConf.is_missing(cfg, "study")
        if not (has_study or cfg.index):
            raise UserError("Name the study to report on: python -m src.report study=decay_mnist")
        try:
            if has_study:
                _say(*_make(cfg))
            if cfg.index:
                print(f"The index is {write_index(Path(cfg.output_dir) / 'reports')}.")
            sys.stdout.flush()
        except BrokenPipeError:  # the report is written; its reader, such as head, has read enough
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # Python flushes once more as it ends
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":
    main()
