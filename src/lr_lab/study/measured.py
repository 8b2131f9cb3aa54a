"""A study with its runs, from run folders or from what an earlier report kept, and the metrics of each run."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from lr_lab.errors import UserError, did_you_mean
from lr_lab.run.convergence import final_accuracy
from lr_lab.run.folder import HISTORY_COLUMNS, run_folders
from lr_lab.study import plateau
from lr_lab.study.measures import MeasuredRun
from lr_lab.study.metrics import METRICS
from lr_lab.study.runs import Runs, read_report, read_runs
from lr_lab.study.study_file import Setting, Study, assign, read_study


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
    results = (*output_dir.glob("*/*/config.yaml"), *output_dir.glob("reports/*/results.csv"))
    found = sorted({path.parents[path.name == "config.yaml"].name for path in results})
    hint = f", or name another; there are {', '.join(found)}{did_you_mean(name, found)}" if found else "."
    training = f"python -m src.study study={name}" if study else f"python -m src.train -m study={name} lr=0.1,0.01"
    raise UserError(
        f"study={name} has no runs in {output_dir / name} and no report in {kept}; train it with `{training}`{hint}"
    )


def with_metrics(runs: Runs, study: Study) -> Runs:
    """The runs with their `setting` and computed metrics, without runs of no setting.

    Raises:
        UserError: as `assign`.
    """
    results = runs.results.drop(columns="setting", errors="ignore")
    results = results.assign(setting=assign(runs.results, study.settings)).dropna(subset="setting")
    histories = None
    by_run: dict[str, pd.DataFrame] = {}
    if runs.histories is not None:
        histories = plateau.whole_network(runs.histories[runs.histories["run"].isin(results["run"])])
        by_run = {str(run): history for run, history in histories.groupby("run")}
        results = _with_probes(results, histories)
    target = benchmark_accuracy(results, by_run, study.benchmark)
    nothing = pd.DataFrame()
    for name, metric in METRICS.items():
        source = histories if metric.from_history else results
        if metric.of_run is None or source is None or not _has(source, metric.needs):
            continue
        if name == "benchmark_epoch" and target is None:
            continue
        rows = results.to_dict("records")
        values = [metric.of_run(MeasuredRun(row, by_run.get(row["run"], nothing), target)) for row in rows]
        results[name] = pd.Series(values, index=results.index, dtype=float)
    return replace(runs, results=results, histories=histories)


def _has(table: pd.DataFrame, columns: Sequence[str]) -> bool:
    """Whether the table has these columns, a history with a number in each."""
    return {*columns} <= {*table} and ("run" not in table or all(table[c].notna().any() for c in columns))


def _with_probes(results: pd.DataFrame, histories: pd.DataFrame) -> pd.DataFrame:
    """The results with the last value of each probe."""
    by_run = histories.groupby("run")
    # A value measured before a loss broke does not describe the end.
    ends = by_run.tail(1).set_index("run")[["train_loss", "val_loss"]]
    unbroken = np.isfinite(ends.astype(float)).all(axis=1)
    probed = [column for column in histories if column not in ("run", *HISTORY_COLUMNS)]
    return results.assign(**{column: results["run"].map(by_run[column].last().where(unbroken)) for column in probed})


def benchmark_accuracy(
    results: pd.DataFrame, histories: Mapping[str, pd.DataFrame], benchmark: str | None
) -> float | None:
    """Mean over seeds of the benchmark's final accuracy (mean of its last 5 epochs); None without such a run."""
    runs = results[(results["setting"] == benchmark) & (results["status"] == "completed")]["run"]
    known = [histories[run]["val_accuracy"].dropna().tolist() for run in runs if run in histories]
    finals = [final_accuracy(accuracies) for accuracies in known if accuracies]
    return math.fsum(finals) / len(finals) if finals else None


def combined(study: Study, output_dir: Path, conf: Path) -> tuple[Study, Runs]:
    """The studies that this one reads, joined: each setting carries the name of its study."""
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
