"""The learning-rate range test: the rate rises exponentially over a few hundred steps, and the loss says which to use.

After Smith 2017, "Cyclical learning rates for training neural networks", section 3.3, which raises the rate linearly.
"""

from __future__ import annotations

import itertools
import math
import shlex
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from lr_lab.chance import stream
from lr_lab.checks import check_number, check_whole_number
from lr_lab.data.in_memory import InMemoryDataModule
from lr_lab.errors import UserError
from lr_lab.modules.block import BlockModule
from lr_lab.probes.probe import probe_batch, undisturbed
from lr_lab.probes.sharpness import Sharpness
from lr_lab.probes.stability import largest_stable_rate
from lr_lab.run import parts
from lr_lab.run.folder import config_hash, write_csv

_SETTINGS = {"lr_min", "lr_max", "steps", "repeats", "blow_up"}
_LEAST_STEPS = 100
_NOT_TESTED = ("lr", "epochs", "sequence", "strategy", "warmup", "probes", "lr_find")

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
    """What a range test says.

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


class RangeTest(NamedTuple):
    """A range test that was made.

    Attributes:
        rates: (steps,), ascending.
        curves: one per network, (steps,) or shorter: the losses in nats that it went through.
        reading: what the curves say.
        suggested: the rate to train with.
        sentences: what was read, and why the suggestion follows from it.
        folder: where the losses are.
    """

    rates: np.ndarray
    curves: list[np.ndarray]
    reading: Reading
    suggested: float
    sentences: list[str]
    folder: Path


def range_test(config: Mapping[str, Any]) -> RangeTest:
    """Tests the rates that `config["lr_find"]` names and writes the losses.

    Args:
        config: a resolved configuration of conf/lr_find.yaml.

    Raises:
        UserError: the settings allow no test, or no rate lowers the loss.
    """
    check_settings(config.get("lr_find"))
    settings = config["lr_find"]
    rates = np.geomspace(settings["lr_min"], settings["lr_max"], settings["steps"])
    seeds = range(config["seed"], config["seed"] + settings["repeats"])
    curves = [losses_at(rates, {**config, "seed": seed}) for seed in seeds]
    folder = result_folder(config)
    for figure in folder.glob("range_test.*"):  # an earlier test drew it, from other losses than those below
        figure.unlink()
    # The losses go to disk before they are judged, so that they can be looked at if no rate works.
    columns = {f"loss_seed{seed}": curve.tolist() for seed, curve in zip(seeds, curves, strict=True)}
    rows = [
        {"lr": rate} | dict(zip(columns, losses, strict=True))
        for rate, losses in zip(rates.tolist(), itertools.zip_longest(*columns.values()), strict=False)
    ]
    write_csv(folder / "losses.csv", ["lr", *columns], rows)
    reading = read(rates, curves)
    adaptive = config["optimizer"]["_target_"] != "torch.optim.SGD"
    says = [*sentences(reading, adaptive), *_theory(config)]
    return RangeTest(rates, curves, reading, suggestion(reading, adaptive), says, folder)


def result_folder(config: Mapping[str, Any]) -> Path:
    """Where the test of a configuration is kept; settings of training alone and of the test make no difference."""
    names = config["names"]
    tested = {key: config[key] for key in config if key not in _NOT_TESTED}
    words = (names["data"], names["model"], names["optimizer"], f"seed{config['seed']}", config_hash(tested)[:8])
    return Path(config["output_dir"]) / "range_tests" / "-".join(words)


def check_settings(settings: Any) -> None:
    """Raises UserError unless these are the settings of a range test, as in conf/lr_find.yaml."""
    if not isinstance(settings, Mapping):
        raise UserError(f"lr_find={settings} is not allowed; set one of its own keys, such as lr_find.steps=500.")
    if odd := sorted(_SETTINGS ^ set(settings)):
        raise UserError(f"lr_find needs {', '.join(sorted(_SETTINGS))} and nothing else; look at {', '.join(odd)}.")
    check_whole_number("lr_find.steps", settings["steps"], _LEAST_STEPS)
    check_whole_number("lr_find.repeats", settings["repeats"], 1)
    for key in ("lr_min", "lr_max"):
        check_number(f"lr_find.{key}", settings[key], "a number above 0, such as 0.1", lambda x: x > 0)
    check_number("lr_find.blow_up", settings["blow_up"], "a number above 1, such as 4", lambda x: x > 1)
    low, high = settings["lr_min"], settings["lr_max"]
    if not low < high:
        raise UserError(f"lr_find.lr_min={low} and lr_max={high} are no range; give 0 < lr_min < lr_max.")


def losses_at(rates: np.ndarray, config: Mapping[str, Any]) -> np.ndarray:
    """The loss in nats of each batch before its step, (steps,), as the rate of a fresh network goes through `rates`.

    Batches, dropout, precision and device are those of a run. Shorter than `rates` if the loss blows up.
    """
    parts.prepare_process()
    data, module = _parts(config)
    trainer = parts.build_trainer(config, [])
    device = trainer.strategy.root_device
    data.to(device)
    module.to(device).train()
    optimizer = module.configure_optimizers()
    losses: list[float] = []
    with torch.random.fork_rng([device] if device.type == "cuda" else []):
        for rate, (inputs, targets) in zip(rates, _batches(data), strict=False):
            for group in optimizer.param_groups:
                group["lr"] = rate
            optimizer.zero_grad()
            with trainer.precision_plugin.forward_context():
                loss = module.criterion(module.net(inputs), targets)
            losses.append(loss.item())
            if has_blown_up(losses, config["lr_find"]["blow_up"]):
                break
            loss.backward()
            optimizer.step()
    return np.array(losses)


def _parts(config: Mapping[str, Any]) -> tuple[InMemoryDataModule, BlockModule]:
    data = parts.build_data(config)
    net = parts.build_network(config, data)
    data.setup()
    parts.check_smallest_batch(config, net, data)
    return data, parts.build_module(config, net, data, config["lr"])


def _batches(data: InMemoryDataModule) -> Iterator[tuple[Tensor, Tensor]]:
    """Epoch after epoch, without end."""
    for epoch in itertools.count():
        torch.manual_seed(stream(data.seed, "dropout", epoch))
        yield from data.train_epoch(epoch)


def _theory(config: Mapping[str, Any]) -> list[str]:
    """What the curvature at the initial weights says; nothing for Adam, whose preconditioner has yet to form."""
    data, module = _parts(config)
    optimizer = module.configure_optimizers()
    if not isinstance(optimizer, torch.optim.SGD):
        return []
    probe = Sharpness()
    with undisturbed(module):
        sharpness = probe.measure(module, optimizer, *probe_batch(data, probe.samples))["sharpness"]
    limit = largest_stable_rate("SGD", optimizer.param_groups[0], sharpness)
    if limit is None or not math.isfinite(sharpness):
        return []
    return [
        f"For comparison: at the initial weights the sharpness is {sharpness:.3g}, and gradient descent on the whole "
        f"training set would be stable there up to the rate {limit:.2g}; the sharpness changes as training goes on."
    ]


def training_command(rate: float, overrides: Sequence[str]) -> str:
    """The command line that trains with `rate` what a range test with these overrides tested."""
    kept = [each for each in overrides if not each.lstrip("+").startswith(("lr_find", "lr="))]
    return shlex.join(["python", "-m", "src.train", *kept, f"lr={rate:.2g}"])


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
    """What was read, and why the suggestion follows from it."""
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
