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
from lr_lab.probes.probe import probe_batch, undisturbed
from lr_lab.probes.sharpness import Sharpness
from lr_lab.probes.stability import largest_stable_rate
from lr_lab.run.folder import write_csv
from lr_lab.run.parts import Parts, build_trainer
from lr_lab.run.process import prepare_process
from lr_lab.run.range_reading import Reading, has_blown_up, is_adaptive, read, result_folder, sentences, suggestion

_SETTINGS = {"lr_min", "lr_max", "steps", "repeats", "blow_up"}
_LEAST_STEPS = 100


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
        dict(zip(["lr", *columns], row, strict=True))
        for row in itertools.zip_longest(rates.tolist(), *columns.values())
    ]
    write_csv(folder / "losses.csv", ["lr", *columns], rows)
    reading = read(rates, curves)
    adaptive = is_adaptive(config)
    says = [*sentences(reading, adaptive), *_theory(config)]
    return RangeTest(rates, curves, reading, suggestion(reading, adaptive), says, folder)


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
        raise UserError(f"lr_find.lr_min={low} and lr_max={high} are not a range; give 0 < lr_min < lr_max.")


def losses_at(rates: np.ndarray, config: Mapping[str, Any]) -> np.ndarray:
    """The loss in nats of each batch before its step, (steps,), as the rate of a fresh network goes through `rates`.

    Batches, dropout, label smoothing, clipping, precision and device are those of a run. Shorter than `rates` if the
    loss blows up.
    """
    prepare_process()
    parts = Parts.of(config).read()
    data, module = parts.data, parts.module
    trainer = build_trainer(config, [])
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
                loss = module.objective(module.net(inputs), targets)
            losses.append(loss.item())
            if has_blown_up(losses, config["lr_find"]["blow_up"]):
                break
            loss.backward()
            module.clip(module.net.parameters())
            optimizer.step()
    return np.array(losses)


def _batches(data: InMemoryDataModule) -> Iterator[tuple[Tensor, Tensor]]:
    """Batches, epoch after epoch, without end."""
    for epoch in itertools.count():
        torch.manual_seed(stream(data.seed, "dropout", epoch))
        yield from data.train_epoch(epoch)


def _theory(config: Mapping[str, Any]) -> list[str]:
    """A sentence on the curvature at the initial weights; none for Adam, whose preconditioner has yet to form."""
    parts = Parts.of(config).read()
    data, module = parts.data, parts.module
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
