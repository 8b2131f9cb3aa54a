"""Figures of gradient descent on two weights: the line it fits, its path on the loss surface, theory beside it.

The runs are those whose weights were followed (probes=descent).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from PIL import Image

from lr_lab.report.figures import PALETTE, Style, styles
from lr_lab.run.folder import written_aside
from lr_lab.study.descent import predicted_contraction
from lr_lab.study.runs import Runs
from lr_lab.study.study_file import Study

_SOFT = "#7F7F7F"
# Early lines lie far apart and late ones on top of each other: these show the way.
_SHOWN_STEPS = (0, 1, 2, 4, 8, 16, 32, 64)
_FRAME_MILLISECONDS = 300


@dataclass(frozen=True)
class Way:
    """The way of one run: its weights (steps, 2), slope and intercept, before each step."""

    label: str
    style: Style
    weights: np.ndarray


@dataclass(frozen=True)
class Surface:
    """The mean squared error of a line on given points: inputs (N, 2), whose second column is ones, targets (N,)."""

    inputs: np.ndarray
    targets: np.ndarray

    @property
    def minimum(self) -> np.ndarray:
        return np.linalg.lstsq(self.inputs, self.targets, rcond=None)[0]

    def loss(self, weights: np.ndarray) -> np.ndarray:
        """(...,) of weights (..., 2)."""
        return np.mean((weights @ self.inputs.T - self.targets) ** 2, axis=-1)


def followed(study: Study, runs: Runs, settings: Sequence[str], seed: int) -> dict[str, Way]:
    """The ways of the settings' finished runs with that seed, by the names of their folders."""
    if runs.histories is None:
        return {}
    finished, histories = runs.finished, runs.histories
    look = styles(study)
    found: dict[str, Way] = {}
    for name in settings:
        for run in finished.loc[(finished["setting"] == name) & (finished["seed"] == seed), "run"]:
            weights = histories[histories["run"] == run].filter(like="weight/").to_numpy()
            found[str(run)] = Way(study.setting(name).label, look[name], weights)
    return found


def fit(surface: Surface, ways: Sequence[Way]) -> Figure:
    """The points, and the fitted line at the start, after 1, 2, 4, ... steps and at the end; one panel per way."""
    figure = Figure(figsize=(3.6 * len(ways), 3.6), layout="constrained")
    for axes, way in zip(_panels(figure, 1, ways)[0], ways, strict=True):
        _draw_points(axes, surface, way.label)
        for step in (step for step in _SHOWN_STEPS if step < len(way.weights) - 1):
            alpha = 0.35 if step else 1
            axes.plot(*_line(surface, way.weights[step]), color=way.style.colour, alpha=alpha, linestyle="dashed")
        axes.plot(*_line(surface, way.weights[-1]), color=way.style.colour, linewidth=2)
    return figure


def path(surface: Surface, ways: Sequence[Way]) -> Figure:
    """The weights over contours of the loss; one panel per way, on the same axes."""
    figure = Figure(figsize=(3.6 * len(ways), 3.8), layout="constrained")
    limits = _limits(surface, ways)
    for axes, way in zip(_panels(figure, 1, ways)[0], ways, strict=True):
        _draw_surface(axes, surface, limits)
        axes.plot(*way.weights.T, color=way.style.colour, marker="o", markersize=3, linewidth=1)
        axes.set_title(way.label, fontsize=10)
    return figure


def contraction(results: pd.DataFrame) -> Figure:
    """The measured factor by which a step shrinks the error, over the curve that theory gives for each draw of points.

    Args:
        results: rows with `lr`, `seed`, `contraction`, `curvature/<i>`, `best_rate` and `rate_limit`.
    """
    figure = Figure(figsize=(6.4, 4), layout="constrained")
    axes = figure.subplots()
    rates = np.linspace(0, 1.1 * results["lr"].max(), 200)
    draws = results.drop_duplicates("seed").filter(like="curvature/").to_numpy()
    curves = np.array([[predicted_contraction(rate, draw) for rate in rates] for draw in draws])
    label, *rest = ["theory, a line per draw of points", *[None] * (len(draws) - 1)]
    axes.plot(rates, curves.T, color=_SOFT, linewidth=0.8, label=[label, *rest] if rest else label)
    axes.plot(results["lr"], results["contraction"], "o", color=PALETTE[0], markersize=4, label="measured")
    for column, words in (("best_rate", "best"), ("rate_limit", "limit")):
        rate = results[column].mean()
        axes.axvline(rate, color="black", linewidth=0.8, linestyle="dotted")
        axes.annotate(
            f"{words} {rate:.3f}", (rate, 0.03), xytext=(-4, 0), textcoords="offset points", rotation=90, ha="right"
        )
    axes.axhline(1, color="black", linewidth=0.8)
    axes.set(xlabel="learning rate", ylabel="error after a step / error before it", ylim=(0, None), xlim=(0, rates[-1]))
    axes.grid(alpha=0.3)
    axes.legend(loc="lower left")
    return figure


def save_animation(surface: Surface, ways: Sequence[Way], steps: int, file: Path) -> None:
    """Writes a GIF of the first `steps` steps: above the fitted line, below the path; one column per way."""
    figure = Figure(figsize=(2.8 * len(ways), 5.2), layout="constrained", dpi=80)
    canvas = FigureCanvasAgg(figure)
    limits = _limits(surface, ways)
    title = figure.suptitle("step 0", fontsize=10, animated=True)
    lines, traces = [], []
    for top, bottom, way in zip(*_panels(figure, 2, ways), ways, strict=True):
        _draw_points(top, surface, way.label)
        _draw_surface(bottom, surface, limits)
        look = {"color": way.style.colour, "animated": True}
        lines += top.plot([], [], linewidth=2, **look)
        traces += bottom.plot([], [], marker="o", markersize=3, linewidth=1, **look)
    canvas.draw()
    still = canvas.copy_from_bbox(figure.bbox)  # drawn once: the contours take long
    frames = []
    for step in range(steps + 1):
        canvas.restore_region(still)
        title.set_text(f"step {step}")
        for way, line, trace in zip(ways, lines, traces, strict=True):
            line.set_data(*_line(surface, way.weights[min(step, len(way.weights) - 1)]))
            trace.set_data(*way.weights[: step + 1].T)
        for artist in (title, *lines, *traces):
            figure.draw_artist(artist)
        frames.append(Image.fromarray(np.asarray(canvas.buffer_rgba())).convert("RGB").quantize(64))
    with written_aside(file) as aside:
        frames[0].save(aside, "GIF", save_all=True, append_images=frames[1:], duration=_FRAME_MILLISECONDS, loop=0)


def _panels(figure: Figure, rows: int, ways: Sequence[Way]) -> np.ndarray:
    return figure.subplots(rows, len(ways), squeeze=False, sharex="row", sharey="row")


def _draw_points(axes: Axes, surface: Surface, title: str) -> None:
    axes.plot(surface.inputs[:, 0], surface.targets, "o", color=_SOFT, markersize=2.5)
    low, high = surface.targets.min(), surface.targets.max()
    axes.set(xlabel="x", ylim=(low - 0.3 * (high - low), high + 0.3 * (high - low)))
    axes.set_title(title, fontsize=10)


def _line(surface: Surface, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    x = np.array([surface.inputs[:, 0].min(), surface.inputs[:, 0].max()])
    return x, weights[0] * x + weights[1]


def _limits(surface: Surface, ways: Sequence[Way]) -> np.ndarray:
    """(2, 2): low and high of slope and bias, around the minimum with the start inside; what leaves is cut off."""
    reach = 1.4 * np.abs(ways[0].weights[0] - surface.minimum).max()
    return np.stack([surface.minimum - reach, surface.minimum + reach], axis=1)


def _draw_surface(axes: Axes, surface: Surface, limits: np.ndarray) -> None:
    slope, bias = np.linspace(limits[:, 0], limits[:, 1], 120, axis=1)
    losses = surface.loss(np.stack(np.meshgrid(slope, bias), axis=-1))
    levels = np.geomspace(1.02 * losses.min(), losses.max(), 14)
    axes.contour(slope, bias, losses, levels, norm=LogNorm(), cmap="Greys_r", linewidths=0.6)
    axes.plot(*surface.minimum, "+", color="black")
    axes.set(xlabel="slope", ylabel="bias", xlim=limits[0], ylim=limits[1])
