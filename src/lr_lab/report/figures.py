"""The drawing of figures, and their files, PNG and SVG. The package `kinds` says which a study may have."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from math import ceil
from pathlib import Path
from textwrap import fill
from typing import Any, Literal

import numpy as np
import pandas as pd
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lr_lab.report.formats import number
from lr_lab.report.selection import Pick
from lr_lab.run.folder import written_aside
from lr_lab.schedule.sequences import Cyclic, Exponential, Inverse, InverseSqrt
from lr_lab.study.inference import Estimate
from lr_lab.study.metrics import METRICS
from lr_lab.study.runs import Runs
from lr_lab.study.study_file import Study
from lr_lab.study.values import Values

# Okabe & Ito's palette, which colour-blind people can tell apart, without its yellow, which is faint on white.
PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
NEUTRAL = ("#000000", "#7F7F7F")
DASHES = ("solid", "dashed", "dotted", "dashdot")

# Losses that differ by more than this factor are drawn on a logarithmic axis.
SPREAD = 100

COLUMN_LABELS = {
    "val_accuracy": "validation accuracy",
    "train_accuracy": "training accuracy",
    "val_loss": "validation loss",
    "train_loss": "training loss",
    "lr": "learning rate",
    "gradient_norm": "gradient norm",
    "probe_gradient": "norm of the probe batch's gradient",
    "dead_units": "largest share of dead units in a layer",
    "sharpness_to_limit": "sharpness over the stability limit",
    "no_eval/val_accuracy": "validation accuracy without eval()",
    "no_eval/val_loss": "validation loss without eval()",
}

# A line's width, and how faint a wider one is that another lies on.
LINE_WIDTH, UNDER = 1.6, 0.45

# A reader cannot distinguish more seeds than these in one panel.
MOST_LINES = 12
# The rows of a ranking that fit the first screen of a page.
MOST_RANKED = 15


@dataclass(frozen=True)
class Style:
    colour: str
    dash: str


def styles(study: Study) -> dict[str, Style]:
    """Setting -> colour and dash, no two alike before all pairs are used up.

    Settings of one label share their colour and settings of a group their dash, where they can; before two of a group
    share a colour, one takes another than its label's. Settings that no file describes share the colour of their
    sequence, or of their rate where all have one sequence, and the dash of all else.
    """
    places: dict[str, int] = {}
    found: dict[str, Style] = {}
    for index, settings in enumerate(_dashed_alike(study)):
        rivals: set[str] = set()
        for name, label in settings.items():
            place = places.setdefault(label, len(places))
            wanted = [
                Style(PALETTE[(place + c) % len(PALETTE)], DASHES[(index + place // len(PALETTE) + d) % len(DASHES)])
                for d in range(len(DASHES))
                for c in range(len(PALETTE))
            ]
            free = sorted(
                (style for style in wanted if style not in found.values()), key=lambda style: style.colour in rivals
            )
            # Once all are used up the farthest, which hardly stands in the same figure, is taken again.
            found[name] = free[0] if free else list(found.values())[len(found) - len(wanted)]
            rivals.add(found[name].colour)
    for place, setting in enumerate(study.benchmarks):
        found.setdefault(setting.name, Style(NEUTRAL[place % len(NEUTRAL)], DASHES[place % 2 * 3]))
    return found


def _dashed_alike(study: Study) -> list[dict[str, str]]:
    """The settings that share a dash: the name of each, and a word for what its colour stands for."""
    groups = list(study.compared_groups.values())
    choices = [dict(setting.where) for settings in groups for setting in settings]
    varied = [key for key in (choices[0] if choices else ()) if len({str(each.get(key)) for each in choices}) > 1]
    colour = next((key for key in ("sequence", "lr") if key in varied), None)
    if len(groups) > 1 or any(setting.group for setting in groups[0]) or colour is None or len(varied) < 2:
        return [{setting.name: setting.label for setting in settings} for settings in groups]
    dashes: dict[tuple[str, ...], dict[str, str]] = {}
    for setting in groups[0]:
        others = tuple(str(setting.where.get(key)) for key in varied if key != colour)
        dashes.setdefault(others, {})[setting.name] = str(setting.where[colour])
    return list(dashes.values())


def ranking(study: Study, estimates: Mapping[str, Estimate], metric: str) -> Figure:
    """A dot per setting with its 95% interval, the best on top; what lies far behind is a number at the edge.

    Args:
        estimates: of the settings that were measured, the best first; of more than MOST_RANKED the first are shown.
    """
    shown = dict(list(estimates.items())[:MOST_RANKED])
    figure = Figure(figsize=(7.6, 0.27 * len(shown) + 0.9), layout="constrained")
    axes = figure.subplots()
    look, caption = styles(study), labels(study, list(shown))
    low, high = range_of_ranking(list(shown.values()))
    axes.set_xlim(low, high)
    for row, (name, found) in enumerate(shown.items()):
        colour = look[name].colour
        ends = [min(max(end, low), high) for end in (found.low, found.high)]
        if low <= found.centre <= high:
            axes.plot(ends, [row, row], color=colour, linewidth=2.2, alpha=0.45, solid_capstyle="butt")
            axes.plot([found.centre], [row], "o", color=colour, markersize=6)
        else:
            edge, side = (low, "left") if found.centre < low else (high, "right")
            text = number(found.centre, metric)
            axes.text(edge, row, f"◂ {text} " if side == "left" else f" {text} ▸", ha=side, va="center", color=colour)
    axes.set_yticks(range(len(shown)), [caption[name] for name in shown])
    axes.set_ylim(len(shown) - 0.5, -0.5)
    kind = METRICS[metric]
    axes.set_xlabel(f"{kind.label}{f' ({kind.unit})' if kind.unit else ''}, mean and 95% interval over seeds")
    if kind.fraction:
        axes.xaxis.set_major_formatter(lambda value, _: f"{100 * value:.4g}")
    axes.grid(axis="x", alpha=0.3)
    return figure


def range_of_ranking(shown: Sequence[Estimate]) -> tuple[float, float]:
    """Wide enough for the better half of the settings with their intervals, and as much again."""
    finite = [each for each in shown if np.isfinite(each.centre)]
    near = finite[: max(2, ceil(len(finite) / 2))]
    ends = [end for each in near for end in (each.low, each.centre, each.high) if np.isfinite(end)]
    if not ends:
        return 0.0, 1.0
    least, most = min(ends), max(ends)
    width = (most - least) or abs(most) or 1.0
    everything = [end for each in finite for end in (each.low, each.centre, each.high) if np.isfinite(end)]
    margin = 0.05 * width
    return max(least - width, min(everything)) - margin, min(most + width, max(everything)) + margin


def chosen_settings(figure: Mapping[str, Any], study: Study, values: Values, picks: Sequence[Pick]) -> list[str]:
    """The settings that a figure of curves shows."""
    if "settings" in figure:
        return values.match(figure["settings"])
    best = [p.setting for p in picks if p.metric == figure["select"]]
    return [*(setting.name for setting in study.benchmarks), *best]


def labels(study: Study, names: Sequence[str]) -> dict[str, str]:
    """Setting -> what a legend calls it: with its group where several are shown."""
    settings = [study.setting(name) for name in names]
    groups = {setting.group for setting in settings}
    return {s.name: f"{s.label}, {s.group}" if s.group and len(groups) > 1 else s.label for s in settings}


def sequences(lr: float, length: int) -> Figure:
    """The four sequences of Yang & Huang 2019, section 3.1: the rate at positions 0 to `length`."""
    figure = Figure(figsize=(6.4, 4), layout="constrained")
    axes = figure.subplots()
    named: dict[str, Callable[[float], Callable[[int], float]]] = {
        "seq1 (inverse)": Inverse,
        "seq2 (inverse sqrt)": InverseSqrt,
        "seq3 (exponential)": Exponential,
        "seq4 (cyclic)": Cyclic,
    }
    positions = range(length + 1)
    for (label, kind), colour, dash in zip(named.items(), PALETTE, DASHES, strict=False):
        sequence = kind(lr)
        axes.plot(positions, [sequence(n) for n in positions], color=colour, label=label, linestyle=dash)
    axes.set(xlabel="advances n", ylabel="learning rate r_n", ylim=(0, None))
    axes.grid(alpha=0.3)
    axes.legend()
    return figure


@dataclass(frozen=True)
class Axis:
    """The column that a figure of curves shows, and its limits.

    Attributes:
        epochs, limits: of the figure; where a study has several of a column, the limits are those of all settings that
            are judged, and of those shown, so that the figures share them.
        closer_epochs, closer_limits: of the closer look; its limits are None where there is none.
    """

    column: str
    epochs: tuple[float, float]
    limits: tuple[float, float]
    closer_epochs: tuple[float, float]
    closer_limits: tuple[float, float] | None
    scale: Literal["linear", "log"] = "linear"

    @classmethod
    def of(cls, figure: Mapping[str, Any], study: Study, runs: Runs, names: Sequence[str]) -> Axis:
        """The axis of a figure, an entry of the study's figures, that shows the settings of these names."""
        column = figure.get("column", "val_accuracy")
        shown = pd.concat([runs.curve(name, column) for name in names])
        last = max(2.0, float(shown["epoch"].max()))
        alike = [f for f in study.figures if f["kind"] == "curves" and f.get("column", "val_accuracy") == column]
        rivals = [setting.name for setting in study.without_exploration.settings] if len(alike) > 1 else []
        every = pd.concat([runs.curve(name, column) for name in dict.fromkeys([*rivals, *names])])
        late = shown[shown["epoch"] >= 0.75 * last]  # empty for a single epoch
        return cls(
            column,
            epochs=(1, min(last, figure.get("epochs", last))),
            limits=_extent(every, 0.03, figure.get("scale", "linear")),
            closer_epochs=(0.75 * last, last),
            closer_limits=None if "epochs" in figure or late.empty else _extent(late, 0.05),
            scale=figure.get("scale", "linear"),
        )


def _extent(curves: pd.DataFrame, part: float, scale: str = "linear") -> tuple[float, float]:
    """From the lowest to the highest seed, with that part of the distance as a margin; 0.1 to 1 without curves."""
    if curves.empty:
        return 0.1, 1.0
    low, high = float(curves["low"].min()), float(curves["high"].max())
    if scale == "log":
        margin = (high / low) ** part
        return low / margin, high * margin
    margin = part * (high - low) or 0.01
    return low - margin, high + margin


def widths(curves: Mapping[str, Any]) -> dict[str, float]:
    """Name -> the width of its line; of lines that coincide for most of their way the first is widest, so all show.

    Args:
        curves: name -> its numbers, by epoch.
    """
    alike: list[list[str]] = []
    for name, curve in curves.items():
        ours = np.asarray(curve, dtype=float)
        same = (names for names in alike if _coincide(ours, np.asarray(curves[names[0]], dtype=float)))
        found = next(same, None)
        alike.append([name]) if found is None else found.append(name)
    return {name: LINE_WIDTH + 2.4 * (len(names) - 1 - place) for names in alike for place, name in enumerate(names)}


def _coincide(first: np.ndarray, second: np.ndarray) -> bool:
    shared = min(len(first), len(second))
    known = np.isfinite(first[:shared]) & np.isfinite(second[:shared])
    close = np.isclose(first[:shared], second[:shared], rtol=1e-3, atol=0)[known]
    return bool(close.size) and bool(close.mean() > 0.5)


def curves(study: Study, runs: Runs, names: Sequence[str], axis: Axis) -> Figure:
    """Mean over seeds, band from the lowest to the highest seed; a dot where a setting converges (median of seeds)."""
    drawn = {name: runs.curve(name, axis.column) for name in names}
    closer = axis.closer_limits is not None
    figure = Figure(figsize=(10, 4.4) if closer else (6.4, 4.4), layout="constrained")
    panels = list(figure.subplots(1, 2, width_ratios=(3, 2))) if closer else [figure.subplots()]
    panels[0].set_yscale(axis.scale)  # first, because it takes the axis' format with it
    look, caption = styles(study), labels(study, names)
    for axes in panels:
        _draw_means(axes, drawn, look, caption)
        axes.set(xlabel="epoch", ylabel=COLUMN_LABELS.get(axis.column, axis.column))
        axes.locator_params(axis="x", integer=True)
        axes.grid(alpha=0.3)
        in_percent(axes, axis.column)
    panels[0].set(xlim=axis.epochs, ylim=axis.limits)
    if closer:
        panels[1].set(xlim=axis.closer_epochs, ylim=axis.closer_limits)
    _mark_convergence(panels[0], runs, drawn, look)
    legend(figure)
    return figure


def _draw_means(
    axes: Axes, tables: Mapping[str, pd.DataFrame], look: Mapping[str, Style], caption: Mapping[str, str]
) -> None:
    width = widths({name: table["mean"] for name, table in tables.items()})
    for name, table in tables.items():
        colour, dash = look[name].colour, look[name].dash
        (line,) = axes.plot(table["epoch"], table["mean"], color=colour, linestyle=dash, label=caption[name])
        line.set(linewidth=width[name], alpha=UNDER if width[name] > LINE_WIDTH else 1)
        axes.fill_between(table["epoch"], table["low"], table["high"], color=colour, alpha=0.15, linewidth=0)


def in_percent(axes: Axes, column: str) -> None:
    """Labels an axis of accuracies with the decimals that tell its ticks apart; PercentFormatter has more or fewer."""
    if "accuracy" in column:
        axes.yaxis.set_major_formatter(lambda value, _: f"{100 * value:.4g}%")


def legend(figure: Figure) -> None:
    """Below the panels, in as many columns as fit; the figure grows with its rows."""
    handles, labels = figure.axes[0].get_legend_handles_labels()
    # A figure of 10 inches is about 120 characters wide; a line's key takes 6.
    fitting = int(12 * figure.get_figwidth()) // (6 + max(map(len, labels)))
    columns = max(1, min(5, len(labels), fitting))
    figure.set_figheight(figure.get_figheight() + 0.22 * (ceil(len(labels) / columns) - 1))  # inches
    figure.legend(handles, labels, loc="outside lower center", ncols=columns)


def quantity(column: str) -> str:
    """The quantity that a column measures; panels of one quantity share an axis, so that curves can be compared."""
    return next((word for word in ("loss", "accuracy") if column.endswith(word)), column)


def scales(runs: Runs, names: Sequence[str], columns: Sequence[str]) -> dict[str, Literal["linear", "log"]]:
    """Quantity -> "log" for losses of these settings that span over a factor of 100, else "linear".

    So they do where one diverges, or where the training set is learned by heart.
    """
    found: dict[str, Literal["linear", "log"]] = dict.fromkeys(map(quantity, columns), "linear")
    curves = [table for name in names for c in columns if quantity(c) == "loss" and len(table := runs.curve(name, c))]
    if not curves:
        return found
    low, high = min(table["low"].min() for table in curves), max(table["high"].max() for table in curves)
    return found | ({"loss": "log"} if 0 < SPREAD * low < high else {})


def panels(study: Study, runs: Runs, names: Sequence[str], columns: Sequence[str]) -> Figure:
    """A panel per column of the histories, two side by side: mean over seeds, band from the lowest to the highest.

    Panels of one quantity share their vertical axis.
    """
    figure = Figure(figsize=(10, 3.4 * ceil(len(columns) / 2)), layout="constrained")
    grid = figure.subplots(ceil(len(columns) / 2), 2, squeeze=False).flat
    look, caption = styles(study), labels(study, names)
    scale = scales(runs, names, columns)
    first: dict[str, Axes] = {}
    for axes, column in zip_longest(grid, columns):
        if column is None:
            axes.set_axis_off()
            continue
        if (alike := first.setdefault(quantity(column), axes)) is not axes:
            axes.sharey(alike)
        _draw_means(axes, {name: runs.curve(name, column) for name in names}, look, caption)
        axes.set(xlabel="epoch", ylabel=COLUMN_LABELS.get(column, column), yscale=scale[quantity(column)])
        axes.locator_params(axis="x", integer=True)
        axes.grid(alpha=0.3)
        in_percent(axes, column)
    if len(names) > 1:
        legend(figure)
    return figure


def seeds(
    study: Study,
    runs: Runs,
    names: Sequence[str],
    columns: Sequence[str],
    limits: Mapping[str, tuple[float, float]],
    log: Sequence[str] = (),
) -> Figure:
    """A row of panels per setting, one per column of the histories, a line per run; a column's panels share its axis.

    A panel with more than `MOST_LINES` seeds shows the first ones and says how many there are.

    Raises:
        ValueError: there are no histories.
    """
    if runs.histories is None:
        raise ValueError("There are no histories to draw; give the runs themselves, not one table.")
    figure = Figure(figsize=(3.5 * len(columns), 2.3 * len(names) + 0.5), layout="constrained")
    grid = figure.subplots(len(names), len(columns), squeeze=False, sharex=True, sharey="col")
    caption, finished = labels(study, names), runs.finished.sort_values("seed")
    by_run = runs.histories.groupby("run")
    shown = {name: finished.loc[finished["setting"] == name, ["run", "seed"]].head(MOST_LINES) for name in names}
    places = {seed: place for place, seed in enumerate(sorted({s for rows in shown.values() for s in rows["seed"]}))}
    lines = {}
    for name, row in zip(names, grid, strict=True):
        for axes, column in zip(row, columns, strict=True):
            for run, seed in shown[name].itertuples(index=False):
                history = by_run.get_group(run).dropna(subset=column)
                dash, colour = DASHES[places[seed] // len(PALETTE) % len(DASHES)], PALETTE[places[seed] % len(PALETTE)]
                (lines[seed],) = axes.plot(
                    history["epoch"] + 1, history[column], color=colour, linestyle=dash, label=f"seed {seed}"
                )
            axes.set_yscale("log" if column in log else "linear")
            in_percent(axes, column)
            if column in limits:  # else None would fix the axis as the first setting leaves it
                axes.set_ylim(limits[column])
            axes.grid(alpha=0.3)
        count = int((finished["setting"] == name).sum())
        parts = [*caption[name].split(", "), *([f"{MOST_LINES} of {count} seeds"] if count > MOST_LINES else [])]
        row[0].set_ylabel("\n".join(fill(part, width=24) for part in parts))  # 24 fit a panel
    for top, bottom, column in zip(grid[0], grid[-1], columns, strict=True):
        top.set_title(COLUMN_LABELS.get(column, column), fontsize="medium")
        bottom.set_xlabel("epoch")
        bottom.locator_params(axis="x", integer=True)
    figure.legend(handles=[lines[seed] for seed in sorted(lines)], loc="outside lower center", ncols=6)
    return figure


def _mark_convergence(axes: Axes, runs: Runs, drawn: Mapping[str, pd.DataFrame], look: Mapping[str, Style]) -> None:
    has_converged = False
    first = 0 if runs.measures("val_accuracy") else 1  # a regression's steps count from 0, the axis' epochs from 1
    for name, table in drawn.items():
        epoch = runs.finished.loc[runs.finished["setting"] == name, "convergence_epoch"].fillna(np.inf).median() + first
        if epoch < table["epoch"].max():  # the last epoch is that of a run that has not settled
            height = np.interp(epoch, table["epoch"], table["mean"])
            axes.plot([epoch], [height], "o", color=look[name].colour, markersize=6, markeredgecolor="white", zorder=3)
            has_converged = True
    if has_converged:
        axes.plot([], [], "o", color="grey", markersize=6, markeredgecolor="white", label="converged, median of seeds")


def examples(pictures: np.ndarray, classes: np.ndarray) -> Figure:
    """Two pictures of each class, side by side.

    Args:
        pictures: uint8 (N, H, W, C) with one or three channels.
        classes: (N,), of the pictures.
    """
    kinds = np.unique(classes)
    figure = Figure(figsize=(0.9 * len(kinds), 2.2), layout="constrained")
    grid = figure.subplots(2, len(kinds), squeeze=False)
    for column, kind in enumerate(kinds):
        found = pictures[classes == kind][:2]
        for row in range(2):
            grid[row][column].set_axis_off()
            if row < len(found):
                grid[row][column].imshow(found[row].squeeze(), cmap="gray", interpolation="nearest")
        grid[0][column].set_title(str(kind), fontsize=9)
    return figure


def file(path: Path, ending: str) -> Path:
    """A figure's file; its name may have dots, as in `lr_0.1`."""
    return path.with_name(f"{path.name}.{ending}")


def save(figure: Figure, path: Path) -> None:
    """Writes path.png and path.svg; the same figure gives the same bytes."""
    if layout := figure.get_layout_engine():  # once is enough for both files
        layout.execute(figure)
        figure.set_layout_engine("none")
    with rc_context({"svg.hashsalt": path.name, "svg.fonttype": "none"}):
        for ending, metadata in (("png", {"Software": None}), ("svg", {"Date": None, "Creator": None})):
            with written_aside(file(path, ending)) as aside:
                figure.savefig(aside, format=ending, dpi=130, metadata=metadata)
