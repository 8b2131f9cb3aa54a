"""Curves over epochs: means and ranges of seeds, and single seeds."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lr_lab.report import figures, interactive
from lr_lab.report.formats import quantity
from lr_lab.report.interactive import Panel
from lr_lab.report.kinds.kind import Entry, Kind, Shown, Subject
from lr_lab.report.selection import best

MOST_CURVES_IN_A_FIGURE = 12


class Curves(Kind):
    """One column of the histories over epochs; on the right a closer look at the last quarter.

    `settings` (names or patterns), or `select` (a metric: the best of each group by it, with the benchmarks); `column`
    (validation accuracy); `epochs` (only the first so many, without a closer look); `scale: log`. Figures of the same
    column in a study share their vertical axis.
    """

    name = "curves"

    @classmethod
    def columns(cls, entry: Entry) -> Sequence[str]:
        return [entry.get("column", "val_accuracy")]

    @classmethod
    def suggested(cls, of: Subject) -> Entry | None:
        if of.study.figures:
            return None
        names, all_names = best(of.values, MOST_CURVES_IN_A_FIGURE), of.values.settings
        few = "" if len(names) == len(all_names) else f" of the best {len(names)} of {len(all_names)} settings"
        caption = (
            f"{figures.COLUMN_LABELS[of.metric].capitalize()}{few}; on the right a closer look at the last quarter."
        )
        return {"name": "curves", "kind": "curves", "settings": names, "column": of.metric, "caption": caption}

    def draw(self, path: Path) -> Shown | None:
        of = self.of
        chosen = figures.chosen_settings(self.entry, of.study, of.values, of.picks)
        names = [name for name in chosen if name in of.sources]
        if not names:
            return None
        axis = figures.Axis.of(self.entry, of.study, of.runs, names)
        figures.save(figures.curves(of.study, of.runs, names, axis), path)
        lines = of.lines(names)
        alt = in_numbers(of, names, axis.column)
        return Panel(self.entry["caption"], interactive.curves(self.entry["name"], lines, axis), lines, alt)


class Panels(Kind):
    """A panel per column of the histories, all epochs: `settings`, `columns`."""

    name = "panels"
    needs = ("settings", "columns")

    @classmethod
    def columns(cls, entry: Entry) -> Sequence[str]:
        return entry.get("columns", ())

    def draw(self, path: Path) -> Shown | None:
        of, columns = self.of, self.entry["columns"]
        names = of.drawable(self.entry["settings"])
        if not names:
            return None
        figures.save(figures.panels(of.study, of.runs, names, columns), path)
        alt = " ".join(in_numbers(of, names, column) for column in columns)
        return Panel(self.entry["caption"], panel_plots(of, self.entry["name"], names, columns), of.lines(names), alt)


class Seeds(Kind):
    """A line per run, for what a mean over seeds would smear, such as a jump that comes at another epoch in each.

    `settings`, `columns`; `limits` of a column's axis, beyond which lines leave the picture; columns that are `log`.
    """

    name = "seeds"
    needs = ("settings", "columns")

    def draw(self, path: Path) -> Shown | None:
        of = self.of
        names = of.drawable(self.entry["settings"])
        # A probe's column is missing where it did not run.
        measured = of.runs.histories if of.runs.histories is not None else ()
        columns = [column for column in self.entry["columns"] if column in measured]
        if not (names and columns):
            return None
        limits, log = self.entry.get("limits", {}), self.entry.get("log", ())
        drawn = figures.seeds(of.study, of.runs, names, columns, limits, log)
        return self.saved(drawn, path, " ".join(in_numbers(of, names, column) for column in columns))


def in_numbers(of: Subject, names: Sequence[str], column: str) -> str:
    """A sentence with the mean over seeds of each setting's last epoch."""
    labels = figures.labels(of.study, names)
    ends = {name: of.runs.curve(name, column) for name in names}
    said = [f"{labels[name]} {quantity(end['mean'].iloc[-1], column)}" for name, end in ends.items() if len(end)]
    return f"{figures.COLUMN_LABELS.get(column, column).capitalize()} at the last epoch: {', '.join(said)}."


def panel_plots(
    of: Subject, name: str, names: Sequence[str], columns: Sequence[str], log: Sequence[str] = ()
) -> dict[str, Any]:
    """A plot per column, by name; as `figures.panels`, but for columns that are to be `log`."""
    scales = figures.scales(of.runs, names, columns) | dict.fromkeys(log, "log")
    plots: dict[str, Any] = {}
    ranges: dict[str, Any] = {}
    for column in columns:
        kind, title = figures.quantity(column), f"{name}_{column}"
        beside = [other for other in columns if figures.quantity(other) == kind]
        plots[title] = interactive.plot(title, of.lines(names), column, scale=scales[kind], beside=beside)
        plots[title].y_range = ranges.setdefault(kind, plots[title].y_range)
    return plots
