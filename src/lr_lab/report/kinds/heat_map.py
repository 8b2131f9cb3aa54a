"""A grid of settings that differ in two things, such as sequence and strategy."""

from __future__ import annotations

from dataclasses import replace
from math import nan
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from lr_lab.report.formats import interval, number, quantity
from lr_lab.report.kinds import factors
from lr_lab.report.kinds.kind import Entry, Kind, Shown, Subject
from lr_lab.report.selection import estimate
from lr_lab.study.metrics import METRICS
from lr_lab.study.study_file import Setting


class HeatMap(Kind):
    """The final metric of each setting in a grid, with its 95% interval in the cell: `metric`."""

    name = "heat_map"

    @classmethod
    def suggested(cls, of: Subject) -> Entry | None:
        if not factors.grid(_grid_settings(of)):
            return None
        caption = f"{METRICS[of.metric].label.capitalize()} of each combination, with its 95% interval over seeds."
        return {"name": "heat_map", "kind": "heat_map", "caption": caption}

    def draw(self, path: Path) -> Shown | None:
        metric = self.entry.get("metric", self.of.metric)
        places = factors.grid(_grid_settings(self.of))
        found = {place: estimate(self.of.values, name, metric) for name, place in places.items()}
        rows, columns = (list(dict.fromkeys(place[at] for place in found)) for at in (0, 1))
        table = np.array([[found[r, c].centre if (r, c) in found else nan for c in columns] for r in rows], dtype=float)
        table[~np.isfinite(table)] = nan
        if np.isnan(table).all():
            return None
        figure = Figure(figsize=(2.2 + 1.7 * len(columns), 0.9 + 0.62 * len(rows)), layout="constrained")
        axes = figure.subplots()
        # cividis looks the same to people who are colour-blind; the better a cell, the brighter.
        quality = -table if METRICS[metric].lower_is_better else table
        axes.imshow(quality, cmap="cividis", aspect="auto")
        middle = (np.nanmin(quality) + np.nanmax(quality)) / 2
        for (row, column), each in found.items():
            at = rows.index(row), columns.index(column)
            colour = "white" if quality[at] < middle else "black"  # a cell without a number is white
            text = f"{number(each.centre, metric)}\n{interval(each.low, each.high, metric)}".rstrip()
            axes.text(at[1], at[0], text, ha="center", va="center", color=colour, fontsize=9)
        axes.set_xticks(range(len(columns)), columns)
        axes.set_yticks(range(len(rows)), rows)
        axes.tick_params(length=0)
        said = [f"{row}, {column}: {quantity(each.centre, metric)}" for (row, column), each in found.items()]
        alt = f"{METRICS[metric].label.capitalize()}. {'; '.join(said)}."
        return replace(self.saved(figure, path, alt), keeps_colours=True)


def _grid_settings(of: Subject) -> list[Setting]:
    """The contenders except benchmarks, which have no place in the grid."""
    bench = {setting.name for setting in of.study.benchmarks} if of.study.benchmark else set()
    return [setting for setting in of.study.without_exploration.settings if setting.name not in bench]
