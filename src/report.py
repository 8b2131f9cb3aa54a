"""One study: run folders -> tables, figures, verdicts, one web page; and the index of all reports.

`python -m src.report --help` says how.
"""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import TYPE_CHECKING

from lr_lab.checks import check_choice
from lr_lab.errors import UserError
from lr_lab.program import program

if TYPE_CHECKING:
    from omegaconf import DictConfig

    from lr_lab.report import page


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
    from omegaconf import OmegaConf

    from lr_lab.report.index import write_answers, write_index
    from lr_lab.report.making import make_report

    for key in ("index", "fewer"):
        check_choice(key, cfg[key], (True, False))
    has_study = not OmegaConf.is_missing(cfg, "study")
    if not (has_study or cfg.index):
        raise UserError("Name the study to report on: python -m src.report study=decay_mnist")
    output_dir = Path(cfg.output_dir)
    results, report_dir = (Path(path) if path else None for path in (cfg.results, cfg.report_dir))
    if has_study:
        _say(*make_report(str(cfg.study), output_dir, results, report_dir, cfg.fewer))
    if cfg.index:
        print(f"The index is {write_index(output_dir / 'reports')}.")
        write_answers(output_dir / "reports", list(cfg.leading))


if __name__ == "__main__":
    main()
