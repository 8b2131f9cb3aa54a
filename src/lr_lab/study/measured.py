"""A study with its runs, from run folders or from what an earlier report kept."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pandas as pd

from lr_lab.errors import UserError
from lr_lab.run.folder import run_folders
from lr_lab.study.measures import with_metrics
from lr_lab.study.runs import Runs, read_report, read_runs
from lr_lab.study.study_file import Setting, Study, read_study


def read_study_runs(name: str, study: Study | None, output_dir: Path) -> Runs:
    """The runs of `<output_dir>/<name>`; where that is missing, what an earlier report kept.

    Raises:
        UserError: there is neither.
    """
    if run_folders(output_dir / name):
        if study is None:
            return read_runs(output_dir / name)
        told_by = {column for setting in study.settings for column in setting.where}
        told_by |= {column for notice in study.notices for column in notice.when}
        return read_runs(output_dir / name, study.tolerance, sorted(told_by))
    kept = output_dir / "reports" / name
    if (kept / "results.csv").exists():
        return read_report(kept)
    found = dict.fromkeys(path.parent.parent.name for path in sorted(output_dir.glob("*/*/config.yaml")))
    hint = f", or name another; there are {', '.join(found)}." if found else "."
    training = f"python -m src.study study={name}" if study else f"python -m src.train -m study={name} lr=0.1,0.01"
    raise UserError(
        f"study={name} has no runs in {output_dir / name} and no report in {kept}; train it with `{training}`{hint}"
    )


def combined(study: Study, output_dir: Path, conf: Path) -> tuple[Study, Runs]:
    """The studies that this one reads, as one: their settings carry the name of their study."""
    settings: list[Setting] = []
    results = []
    for name in study.reads:
        part = read_study(conf, name)
        if part is None:
            raise UserError(f"{study.name} reads {name}, but there is no conf/studies/{name}.yaml.")
        runs = with_metrics(read_study_runs(name, part, output_dir), part)
        settings += [replace(s, name=f"{name}/{s.name}", group=f"{name}: {s.group}") for s in part.settings]
        results.append(runs.results.assign(setting=f"{name}/" + runs.results["setting"]))
    return replace(study, settings=settings), Runs(pd.concat(results, ignore_index=True))
