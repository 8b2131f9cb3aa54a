"""The reading of a range test: the rates that its losses show, and the test kept for a configuration. No torch."""

from __future__ import annotations

import csv
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from lr_lab.errors import UserError
from lr_lab.run.folder import config_hash

RANGE_TESTS = "range_tests"  # the folder of them, below output_dir
_NOT_TESTED = ("lr", "epochs", "sequence", "strategy", "warmup", "probes", "ema", "lr_find")

# A running mean of the last ten or so losses. It lags behind by as many steps as a loss is old on average,
# decay / (1 - decay), and by one more, because a loss is measured before the step that its rate takes.
_DECAY = 0.9
_LAG = round(_DECAY / (1 - _DECAY)) + 1

# The slope is fitted over a quarter of a decade to each side.
_SLOPE_REACH = 0.25

# A fall of the loss that counts, as a part of the loss at the start.
_LEAST_FALL = 0.02

# A rise off the lowest that counts, as a part of the whole fall: half of what was gained is lost. Smaller rises come
# and go, as a network catapults out of one place into a flatter one, and train best of all on some data.
_RISE = 0.5


class Reading(NamedTuple):
    """The rates that a range test shows.

    Attributes:
        rates: (n,), ascending; those that all networks went through.
        losses: (n,), nats: mean over the networks of the smoothed loss, each put at the rate it is the outcome of.
        steepest: the rate at which the loss falls fastest per decade.
        largest_stable: the last rate before the loss rises for good, by half of its whole fall, off its lowest.
        slope: of the loss at `steepest`, nats per decade.
        rose: whether the loss was seen to rise so, or to blow up; if not, `largest_stable` is the last rate whose
            outcome was seen.
    """

    rates: np.ndarray
    losses: np.ndarray
    steepest: float
    largest_stable: float
    slope: float
    rose: bool


def result_folder(config: Mapping[str, Any]) -> Path:
    """Where the test of a configuration is kept; settings of training alone and of the test make no difference."""
    names = config["names"]
    tested = {key: config[key] for key in config if key not in _NOT_TESTED}
    words = (names["data"], names["model"], names["optimizer"], f"seed{config['seed']}", config_hash(tested)[:8])
    return Path(config["output_dir"]) / RANGE_TESTS / "-".join(words)


def is_adaptive(config: Mapping[str, Any]) -> bool:
    """Whether the optimizer's steps have a length that the gradient does not set, as Adam's."""
    return config["optimizer"]["_target_"] != "torch.optim.SGD"


def kept_reading(config: Mapping[str, Any]) -> Reading | None:
    """The reading of the test that was kept for a configuration; None without one, or if no rate worked.

    Args:
        config: resolved; `output_dir` and `seed` are those of the test.
    """
    file = result_folder(config) / "losses.csv"
    try:
        with file.open(encoding="utf-8", newline="") as lines:
            rows = list(csv.reader(lines))[1:]
        rates, *curves = ([float(cell) for cell in column if cell] for column in zip(*rows, strict=True))
        return read(np.array(rates), [np.array(curve) for curve in curves])
    except (OSError, ValueError, IndexError, UserError):  # missing, damaged, or without a rate that works
        return None


def suggestion(reading: Reading, adaptive: bool) -> float:
    """The rate to train with, by what trained best after range tests of simple_cnn and mnist_cnn on digits and MNIST.

    - Steps proportional to the gradient (SGD): half of the largest stable rate. Beyond what the curvature at hand
      allows, the loss rises only until the network has moved to where the curvature is lower (Lewkowycz et al. 2020,
      "The large learning rate phase of deep learning: the catapult mechanism"), so high rates train well; but at the
      largest itself single seeds die. The steepest fall is too low by a factor of 3 to 15.
    - Adaptive steps (Adam and its kin), whose length the gradient does not set: half way, on the logarithmic axis,
      from `steepest` to `largest_stable`. The loss stays low long after steps have become too coarse to train with.
    """
    return math.sqrt(reading.steepest * reading.largest_stable) if adaptive else reading.largest_stable / 2


def smoothed(losses: Sequence[float] | np.ndarray) -> np.ndarray:
    """The exponential moving average, corrected for its start at zero (Kingma & Ba 2015, section 3): (n,) -> (n,)."""
    mean, means = 0.0, []
    for step, loss in enumerate(losses, start=1):
        mean = _DECAY * mean + (1 - _DECAY) * loss
        means.append(mean / (1 - _DECAY**step))
    return np.array(means)


def has_blown_up(losses: Sequence[float], factor: float) -> bool:
    """Whether the last loss is not finite, or the smoothed loss has come to over `factor` times its lowest."""
    if not math.isfinite(losses[-1]):
        return True
    means = smoothed(losses)
    return bool(means[-1] > factor * means.min())


def read(rates: np.ndarray, curves: Sequence[np.ndarray]) -> Reading:
    """From the rates tried, (steps,), and the loss of each network at each, (steps,) or shorter.

    Raises:
        UserError: the loss fell at none of the rates.
    """
    steps = len(rates)
    length = min(len(curve) - (not math.isfinite(curve[-1])) for curve in curves)
    if length <= 2 * _LAG:
        raise UserError(
            f"The loss blew up within {length} steps, by the rate {rates[length]:.2g}; lower lr_find.lr_min."
        )
    losses = np.mean([smoothed(curve[:length]) for curve in curves], axis=0)[_LAG:]
    rates = rates[: len(losses)]
    lowest = int(losses.argmin())
    if losses[lowest] > (1 - _LEAST_FALL) * losses[0]:
        raise UserError(
            f"The loss never fell below {losses[lowest]:.3g} from {losses[0]:.3g} at any rate from {rates[0]:.2g} to "
            f"{rates[-1]:.2g}; widen lr_find.lr_min and lr_find.lr_max, or raise lr_find.steps."
        )
    decades = np.log10(rates)
    slopes = np.array([_slope(decades, losses, at) for at in range(lowest + 1)])
    steepest = int(slopes.argmin())
    band = losses[lowest] + _RISE * (losses[0] - losses[lowest])
    stable = int(np.flatnonzero(losses <= band)[-1])
    return Reading(
        rates=rates,
        losses=losses,
        steepest=float(rates[steepest]),
        largest_stable=float(rates[stable]),
        slope=float(slopes[steepest]),
        rose=stable < len(rates) - 1 or length < steps,
    )


def _slope(decades: np.ndarray, losses: np.ndarray, at: int) -> float:
    near = np.abs(decades - decades[at]) <= max(_SLOPE_REACH, decades[1] - decades[0])
    return float(np.polyfit(decades[near], losses[near], 1)[0])


def sentences(reading: Reading, adaptive: bool) -> list[str]:
    """The reading in sentences, with the reason for the suggestion."""
    start, lowest = reading.losses[0], reading.losses.min()
    if reading.rose:
        top = (
            f"Above {reading.largest_stable:.2g}, the largest stable rate, it blows up or loses over half of what it "
            "had gained."
        )
    else:
        top = (
            f"It lost no half of that up to {reading.largest_stable:.2g}, the last rate whose outcome was seen, so the "
            "largest stable rate lies above: raise lr_find.lr_max."
        )
    reason = (
        "half way between these two on the logarithmic axis, because an adaptive optimizer keeps the loss low at "
        "rates already too coarse to train with"
        if adaptive
        else "half of the largest stable rate, because gradient descent trains best not far below it, but not every "
        "seed survives at it"
    )
    return [
        f"The loss starts at {start:.3g}, falls fastest at the rate {reading.steepest:.2g}, by {-reading.slope:.2g} "
        f"per decade of the rate, and gets down to {lowest:.3g}. {top}",
        f"Suggested rate: {suggestion(reading, adaptive):.2g}, {reason}.",
    ]
