"""One study: run folders -> tables, figures, verdicts, one web page. `python -m src.report --help` says how."""

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
        if OmegaConf.is_missing(cfg, "study"):
            raise UserError("Name the study to report on: python -m src.report study=decay_mnist")
        report, folder = make_report(
            str(cfg.study),
            Path(cfg.output_dir),
            Path(cfg.results) if cfg.results else None,
            Path(cfg.report_dir) if cfg.report_dir else None,
        )
        try:
            _say(report, folder)
            sys.stdout.flush()
        except BrokenPipeError:  # the report is written; its reader, such as head, has read enough
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # Python flushes once more as it ends
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":
    main()
