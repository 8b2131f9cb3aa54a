"""The figures of a report: drawn into its folder as files, and as its page shows them.

figures.py lists the kinds of figures and what each takes from a study's file. A new kind is a method here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from lr_lab.errors import UserError
from lr_lab.report import descent_figures, figures, interactive
from lr_lab.report.interactive import Drawing, Line, Panel
from lr_lab.report.page import Picture, figure_file
from lr_lab.report.selection import Pick, main_metric
from lr_lab.study import inference
from lr_lab.study.metrics import METRICS
from lr_lab.study.runs import Runs
from lr_lab.study.study_file import Study
from lr_lab.study.values import Values

# What an entry of a kind must have beside name, kind and caption.
NEEDS: Mapping[str, Sequence[str]] = {
    "sequences": ("lr", "length"),
    "panels": ("settings", "columns"),
    "seeds": ("settings", "columns"),
    "fit": ("settings", "seed"),
    "path": ("settings", "seed"),
    "animation": ("settings", "seed", "steps"),
    "contraction": ("settings",),
}

# More lines than this cannot be told apart; the best are shown.
MOST_CURVES = 40
MOST_CURVES_IN_A_FIGURE = 12

Entry = Mapping[str, Any]
# Of a split ("train" or "val") of the data of a run, or of any for None: inputs, images as (N, H, W, C), and targets;
# None where the run or its data are not at hand.
Samples = Callable[[str, str | None], tuple[np.ndarray, np.ndarray] | None]
Shown = Picture | Panel


@dataclass(frozen=True)
class Drawn:
    """The figures of a report.

    Attributes:
        entries: the figures, as in the study's file.
        shown: what the page shows, in order.
        drawing: the HTML of what moves on the page.
    """

    entries: Sequence[Entry] = ()
    shown: Sequence[Shown] = ()
    drawing: Drawing = field(default_factory=lambda: Drawing("", {}))


class Illustrations:
    """Draws the figures of a study.

    Args:
        study, runs, values: what the report is of.
        picks: the best setting of each group, for figures that show those.
        folder: where the files go.
        samples: the data that runs were trained on.
    """

    def __init__(
        self, study: Study, runs: Runs, values: Values, picks: Sequence[Pick], folder: Path, samples: Samples
    ) -> None:
        self._study, self._runs, self._values = study, runs, values
        self._picks, self._folder, self._samples = picks, folder, samples
        self._kinds: Mapping[str, Callable[[Entry, Path], Shown | None]] = {
            "sequences": self._sequences,
            "curves": self._curves,
            "panels": self._panels,
            "seeds": self._seeds,
            "examples": self._examples,
            "fit": self._fit,
            "path": self._path,
            "animation": self._animation,
            "contraction": self._contraction,
        }
        self._look = figures.styles(study)
        metric = main_metric(values)
        self._together = [metric, "train_loss" if metric == "val_loss" else "val_loss", "lr"]
        self._entries = study.figures or [self._figure_of_a_study_without_a_file(metric)]
        columns = dict.fromkeys(self._together)
        for entry in self._entries:
            columns |= dict.fromkeys(entry.get("columns", ()) if entry["kind"] == "panels" else ())
            columns |= dict.fromkeys([entry.get("column", "val_accuracy")] if entry["kind"] == "curves" else ())
        drawable = [name for name in values.settings if len(runs.curve(name, "lr"))]
        self._sources = {name: interactive.source(runs, name, list(columns)) for name in drawable}

    def draw(self) -> Drawn:
        """Draws all figures, and at the end the curves of all settings.

        Raises:
            UserError: a figure is of no known kind, or lacks what its kind needs.
        """
        for entry in self._entries:
            self._check(entry)
        drawn = [self._kinds[entry["kind"]](entry, self._folder / entry["name"]) for entry in self._entries]
        shown = [each for each in (*drawn, self._all_settings()) if each]
        plots = {name: plot for each in shown if isinstance(each, Panel) for name, plot in each.plots.items()}
        return Drawn(self._entries, shown, interactive.draw(plots))

    def _check(self, entry: Entry) -> None:
        if entry["kind"] not in self._kinds:
            raise UserError(
                f"Figure {entry['name']} of study {self._study.name}: kind={entry['kind']} is not known; "
                f"known are {', '.join(self._kinds)}."
            )
        if missing := [key for key in NEEDS.get(entry["kind"], ()) if key not in entry]:
            raise UserError(
                f"Figure {entry['name']} of study {self._study.name} has no {missing[0]}; "
                f"kind={entry['kind']} needs {', '.join(NEEDS[entry['kind']])}."
            )

    def _all_settings(self) -> Panel | None:
        names = [name for name in _best(self._values, MOST_CURVES) if name in self._sources]
        if not names:
            return None
        few = "" if len(names) == len(self._sources) else f", the best {len(names)} of {len(self._sources)}"
        columns = ", ".join(figures.COLUMN_LABELS[column] for column in self._together)
        plots = self._panel_plots("all", names, self._together, log=("lr",))
        return Panel(f"All settings{few}: {columns}.", plots, self._lines(names))

    def _figure_of_a_study_without_a_file(self, metric: str) -> Entry:
        names, all_names = _best(self._values, MOST_CURVES_IN_A_FIGURE), self._values.settings
        few = "" if len(names) == len(all_names) else f" of the best {len(names)} of {len(all_names)} settings"
        caption = f"{figures.COLUMN_LABELS[metric].capitalize()}{few}; on the right a closer look at the last quarter."
        return {"name": "curves", "kind": "curves", "settings": names, "column": metric, "caption": caption}

    def _sequences(self, entry: Entry, path: Path) -> Shown | None:
        figures.save(figures.sequences(entry["lr"], entry["length"]), path)
        return Picture(entry["caption"], figures.file(path, "svg"))

    def _curves(self, entry: Entry, path: Path) -> Shown | None:
        chosen = figures.chosen_settings(entry, self._study, self._values, self._picks)
        names = [name for name in chosen if name in self._sources]
        if not names:
            return None
        axis = figures.Axis.of(entry, self._study, self._runs, names)
        figures.save(figures.curves(self._study, self._runs, names, axis), path)
        lines = self._lines(names)
        return Panel(entry["caption"], interactive.curves(entry["name"], lines, axis), lines)

    def _panels(self, entry: Entry, path: Path) -> Shown | None:
        names = [name for name in self._values.match(entry["settings"]) if name in self._sources]
        if not names:
            return None
        figures.save(figures.panels(self._study, self._runs, names, entry["columns"]), path)
        plots = self._panel_plots(entry["name"], names, entry["columns"])
        return Panel(entry["caption"], plots, self._lines(names))

    def _seeds(self, entry: Entry, path: Path) -> Shown | None:
        names = [name for name in self._values.match(entry["settings"]) if name in self._sources]
        # A probe's column is missing where it did not run.
        measured = self._runs.histories if self._runs.histories is not None else ()
        columns = [column for column in entry["columns"] if column in measured]
        if not (names and columns):
            return None
        limits, log = entry.get("limits", {}), entry.get("log", ())
        figures.save(figures.seeds(self._study, self._runs, names, columns, limits, log), path)
        return Picture(entry["caption"], figures.file(path, "svg"))

    def _examples(self, entry: Entry, path: Path) -> Shown | None:
        # What an earlier report drew stays where the data are not at hand.
        if samples := self._samples("val", None):
            figures.save(figures.examples(*samples), path)
        return _picture(entry, path)

    def _fit(self, entry: Entry, path: Path) -> Shown | None:
        if descent := self._descent(entry):
            figures.save(descent_figures.fit(*descent), path)
        return _picture(entry, path)

    def _path(self, entry: Entry, path: Path) -> Shown | None:
        if descent := self._descent(entry):
            figures.save(descent_figures.path(*descent), path)
        return _picture(entry, path)

    def _animation(self, entry: Entry, path: Path) -> Shown | None:
        if descent := self._descent(entry):
            descent_figures.save_animation(*descent, entry["steps"], figures.file(path, "gif"))
        return _picture(entry, path)

    def _descent(self, entry: Entry) -> tuple[descent_figures.Surface, list[descent_figures.Way]] | None:
        ways = descent_figures.followed(self._study, self._runs, entry["settings"], entry["seed"])
        samples = self._samples("train", next(iter(ways))) if ways else None
        return (descent_figures.Surface(*samples), list(ways.values())) if samples else None

    def _contraction(self, entry: Entry, path: Path) -> Shown | None:
        rows = self._runs.finished
        rows = rows[rows["setting"].isin(self._values.match(entry["settings"]))]
        if "contraction" not in rows or rows.empty:  # a table alone lacks it
            return None
        figures.save(descent_figures.contraction(rows), path)
        return Picture(entry["caption"], figures.file(path, "svg"))

    def _lines(self, names: Sequence[str]) -> list[Line]:
        labels = figures.labels(self._study, names)
        return [Line(self._sources[name], labels[name], self._look[name]) for name in names]

    def _panel_plots(
        self, name: str, names: Sequence[str], columns: Sequence[str], log: Sequence[str] = ()
    ) -> dict[str, Any]:
        """A plot per column, by name; as `figures.panels`, but for columns that are to be `log`."""
        scales = figures.scales(self._runs, names, columns) | dict.fromkeys(log, "log")
        plots: dict[str, Any] = {}
        ranges: dict[str, Any] = {}
        for column in columns:
            kind, title = figures.quantity(column), f"{name}_{column}"
            beside = [other for other in columns if figures.quantity(other) == kind]
            plots[title] = interactive.plot(title, self._lines(names), column, scale=scales[kind], beside=beside)
            plots[title].y_range = ranges.setdefault(kind, plots[title].y_range)
        return plots


def _picture(entry: Entry, path: Path) -> Picture | None:
    """The picture under this path, which an earlier report may have drawn."""
    found = figure_file(path)
    return Picture(entry["caption"], found) if found else None


def _best(values: Values, most: int) -> list[str]:
    """The settings, or the best of them where there are more than `most`, in the study's order."""
    if len(values.settings) <= most:
        return values.settings
    metric = main_metric(values)
    measured = {name: series for name in values.settings if (series := values.series(name, metric))}
    best: list[str] = []
    while measured and len(best) < most:
        best.append(inference.leader(measured, METRICS[metric].lower_is_better))
        del measured[best[-1]]
    return [name for name in values.settings if name in best]
