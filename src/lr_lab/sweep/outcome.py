"""The end of a sweep, for a terminal: its settings, the best first, how sure the seeds are, and how to go on."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

from rich import box
from rich.console import Console, JustifyMethod
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from lr_lab.run.folder import write_results
from lr_lab.run.training import FAILED
from lr_lab.sweep.probed import probed
from lr_lab.sweep.runs import Run, last_line

_STYLES = {"completed": "green", "diverged": "yellow", "stopped": "yellow", "failed": "red"}
_WIDEST_PLOT = 100
_MOST_PLOTTED = 20

Setting = tuple[str, Mapping[str, str], Sequence[Mapping[str, Any]]]  # name, what was typed, results


def settings_table(settings: Sequence[Setting], intervals: Mapping[str, str], title: str | None = None) -> Table:
    """One row per setting: rate, strategy, what else varies, then the results, as means over its seeds.

    Args:
        intervals: setting -> its 95% interval; shown if any setting has several seeds.
    """
    results = [result for _, _, its in settings for result in its]
    by_accuracy = any(result.get("val_accuracy") is not None for result in results)
    has_seeds = any(len(its) > 1 for _, _, its in settings)
    has_best = by_accuracy and not has_seeds
    says_status = len(results) == 1 or any(result["status"] != "completed" for result in results)
    typed = [key for key in dict.fromkeys(k for _, t, _ in settings for k in t) if key not in ("lr", "strategy")]
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), title=title, title_justify="left")
    table.caption, table.caption_justify = _caption(by_accuracy, has_seeds), "left"
    numbers = ["seeds", "final", "95%\ninterval"] if has_seeds else ["final"]
    numbers += [*["best"] * has_best, "conv.\nepoch", "rate\nupdates"]
    for heading in ("rate", "strategy", *typed, *numbers):
        justify: JustifyMethod = "right" if heading in ("rate", *numbers) else "left"
        table.add_column(heading, justify=justify, vertical="bottom", no_wrap=True)
    table.add_column("diagnosis", vertical="bottom", min_width=len("1 overfitting,"))
    if says_status:
        table.add_column("status", vertical="bottom", no_wrap=True)
    for name, values, its in settings:
        cells = [f"{its[0]['lr']:g}", str(its[0]["strategy"]), *(values.get(key, "") for key in typed)]
        cells += [str(len(its))] * has_seeds
        cells.append(_mean(its, "val_accuracy", "{:.2%}") if by_accuracy else _mean(its, "val_loss", "{:.4g}"))
        cells += [intervals.get(name, "")] * has_seeds + [_mean(its, "best_val_accuracy", "{:.2%}")] * has_best
        cells += [_mean(its, "convergence_epoch", "{:.3g}"), _mean(its, "lr_updates", "{:.3g}")]
        cells.append(_counts(result["diagnosis"] for result in its if result.get("diagnosis")))
        table.add_row(*map(Text, cells), *[_status(its)] * says_status)
    return table


def _caption(by_accuracy: bool, has_seeds: bool) -> str:
    means = "means over seeds; " if has_seeds else ""
    measure = "final, best: validation accuracy" if by_accuracy else "final: validation loss"
    measure = measure.replace(", best", "") if has_seeds else measure
    return f"{means}{measure}; conv. epoch: where it came within tolerance of the final value"


def _mean(results: Sequence[Mapping[str, Any]], key: str, shown: str) -> str:
    """The mean over the runs that have the value, with their number if some lack it; "" if all do."""
    known = [result[key] for result in results if result.get(key) is not None]
    if not known:
        return ""
    return shown.format(fmean(known)) + (f" ({len(known)} of {len(results)})" if len(known) < len(results) else "")


def _counts(words: Iterable[str]) -> str:
    """The words, each with its number if they differ."""
    counts = Counter(words).most_common()
    return ", ".join(f"{count} {word}" if len(counts) > 1 else word for word, count in counts)


def _status(results: Sequence[Mapping[str, Any]]) -> Text:
    states = [result["status"] for result in results]
    worst = next((state for state in ("failed", "stopped", "diverged") if state in states), states[0])
    alone = len(states) == 1 and worst == "diverged"
    return Text(_counts(states) + (f" after {results[0]['epochs_run']}" if alone else ""), _STYLES.get(worst, ""))


def report_outcome(runs: Sequence[Run], console: Console) -> int:
    """Writes results.csv of every study of the sweep and prints how its runs ended.

    Returns:
        How many runs failed.

    Raises:
        UserError: results.csv cannot be written; the rest has been printed.
    """
    results = {run: run.result() for run in runs}
    open_question = _show_settings(results, console)
    failed = [run for run in runs if results[run]["status"] == FAILED]
    for run in failed:
        say(console, f"failed: {run.name}\n  {last_line(results[run]['error'])}\n  log: {run.folder.log_file}")
    for note in dict.fromkeys(note for result in results.values() for note in result.get("data_notes") or ()):
        say(console, f"Data:    {note}")
    for line in _probes(runs):
        say(console, f"Probes:  {line}")
    studies = {run.folder.path.parent: run.config for run in runs}
    for folder in studies:
        say(console, f"Results: {write_results(folder)}")
    for folder, config in studies.items():
        here = config["output_dir"] == "outputs"
        place = [f"study={config['study']}", *([] if here else [f"output_dir={config['output_dir']}"])]
        say(console, f"Report:  {shlex.join(['python', '-m', 'src.report', *place])}")
        board = ["make", "tensorboard", f"STUDY={config['study']}"] if here else _tensorboard(folder)
        say(console, f"Curves:  {shlex.join(board)}")
        if open_question:
            say(console, f"Decide:  {shlex.join(['python', '-m', 'src.study', *place, 'budget=20min'])}")
    return len(failed)


def _probes(runs: Sequence[Run]) -> list[str]:
    """What the probes of a single run measured, and where the rest is; of a sweep only where."""
    names = list(dict.fromkeys(name for run in runs for name in run.config["probes"]))
    if not names:
        return []
    (found, file) = (probed(runs[0].folder.history()), runs[0].folder.history_file) if len(runs) == 1 else ([], "")
    where = file or "each run's history.csv"
    return [*found, f"{', '.join(names)} by epoch: in {where}, in TensorBoard (measured), on the report's page"]


def _tensorboard(folder: Path) -> list[str]:
    return ["tensorboard", "--logdir", str(folder)]


def _show_settings(results: Mapping[Run, Mapping[str, Any]], console: Console) -> bool:
    """Prints a table for each dataset and network; returns whether more seeds could tell which setting is best."""
    if len(results) == 1:
        ((run, result),) = results.items()
        _print(console, settings_table([("", run.settings, [result])], {}))
        return False
    # Imported here, because a single run should not wait for pandas and scipy.
    from lr_lab.sweep.standings import intervals, plot, standings, verdict

    datasets: dict[str, dict[str, list[Run]]] = {}
    for run in results:
        datasets.setdefault(run.config["names"]["data"], {}).setdefault(run.setting, []).append(run)
    kinds = {(run.config["names"]["data"], run.config["names"]["model"]) for run in results}
    for data, settings in datasets.items():
        found = standings({name: [results[run] for run in runs] for name, runs in settings.items()})
        order = [*found.order, *(name for name in settings if name not in found.order)]
        by_model: dict[str, list[Setting]] = {}
        for name in order:
            first = settings[name][0]
            typed = {key: value for key, value in first.settings.items() if key != "seed"}
            its = [results[run] for run in settings[name]]
            by_model.setdefault(first.config["names"]["model"], []).append((name, typed, its))
        for model, rows in by_model.items():
            _print(console, settings_table(rows, intervals(found), f"{data}, {model}" if len(kinds) > 1 else None))
        if console.is_terminal and console.encoding.startswith("utf") and len(order) <= _MOST_PLOTTED:
            for line in plot(found, min(console.width, _WIDEST_PLOT)):
                say(console, line)
        say(console, f"{data}: {verdict(found)}" if len(datasets) > 1 else verdict(found))
    return len(datasets) == 1 and len(found.left) > 1


def _print(console: Console, table: Table) -> None:
    # If the table is wider than the terminal, let the terminal wrap it: rich would cut cells short.
    least = Measurement.get(console, console.options.update_width(1000), table).minimum
    console.width = max(least, console.width)
    console.print(table)


def say(console: Console, text: str) -> None:
    """Prints a line as it is, however wide."""
    console.print(text, markup=False, highlight=False, soft_wrap=True)
