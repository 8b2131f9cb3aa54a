"""The figure of a learning-rate range test."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from lr_lab.report.figures import NEUTRAL, PALETTE
from lr_lab.run.range_reading import Reading


def draw(reading: Reading, rates: np.ndarray, curves: Sequence[np.ndarray], suggested: float) -> Figure:
    """Loss against rate on a logarithmic axis: each network faint, their smoothed mean, and the rates read off it."""
    figure = Figure(figsize=(7.5, 4.5), layout="constrained")
    axes = figure.subplots()
    for curve in curves:
        axes.plot(rates[: len(curve)], curve, color=NEUTRAL[1], alpha=0.3, linewidth=0.6)
    axes.plot(reading.rates, reading.losses, color=PALETTE[0], linewidth=2, label="smoothed mean")
    marks = {
        "steepest fall": (reading.steepest, PALETTE[2], "dotted"),
        "largest stable": (reading.largest_stable, PALETTE[1], "dashed"),
        "suggested": (suggested, NEUTRAL[0], "solid"),
    }
    for label, (rate, colour, dash) in marks.items():
        axes.axvline(rate, color=colour, linestyle=dash, label=f"{label}: {rate:.2g}")
    axes.set(xscale="log", xlabel="learning rate", ylabel="training loss (nats)")
    axes.set_ylim(0.9 * reading.losses.min(), 1.5 * reading.losses[0])
    axes.legend()
    return figure
