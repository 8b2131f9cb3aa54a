"""Learning-rate range test: the rate is raised exponentially over a few hundred steps, and the loss says which to use.

`python -m src.lr_find --help` says how. After Smith 2017, "Cyclical learning rates for training neural networks",
section 3.3, which raises the rate linearly.
"""

from __future__ import annotations

import itertools
import math
import shlex
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import hydra
import numpy as np
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from lr_lab.errors import UserError
from lr_lab.run.config import resolve, start
from lr_lab.run.folder import config_hash, write_csv

if TYPE_CHECKING:
    from torch import Tensor

    from lr_lab.data.in_memory import InMemoryDataModule
    from lr_lab.modules.block import BlockModule

_SETTINGS = {"lr_min", "lr_max", "steps", "repeats", "blow_up"}
_LEAST_STEPS = 100
_NOT_TESTED = ("lr", "epochs", "sequence", "strategy", "warmup", "probes", "range_test")


def range_test(config: Mapping[str, Any]) -> tuple[float, list[str]]:
    """Tests the rates that `config["range_test"]` names, writes figure and CSV, returns the suggested rate and why.

    Args:
        config: a resolved configuration of conf/range_test.yaml.

    Raises:
        UserError: the settings allow no test, or no rate lowers the loss.
    """
    from lr_lab.report.figures import save
    from lr_lab.report.lr_find import draw
    from lr_lab.run import lr_find as analysis

    _check(config.get("range_test"))
    settings = config["range_test"]
    rates = np.geomspace(settings["lr_min"], settings["lr_max"], settings["steps"])
    seeds = range(config["seed"], config["seed"] + settings["repeats"])
    curves = [losses_at(rates, {**config, "seed": seed}) for seed in seeds]
    folder = result_folder(config)
    for figure in folder.glob("range_test.*"):  # of an earlier test, which is not that of the losses below
        figure.unlink()
    # The losses as measured go to disk before they are judged: whoever is told that no rate works can look.
    columns = {f"loss_seed{seed}": curve.tolist() for seed, curve in zip(seeds, curves, strict=True)}
    rows = [
        {"lr": rate} | dict(zip(columns, losses, strict=True))
        for rate, losses in zip(rates.tolist(), itertools.zip_longest(*columns.values()), strict=False)
    ]
    write_csv(folder / "losses.csv", ["lr", *columns], rows)
    reading = analysis.read(rates, curves)
    adaptive = config["optimizer"]["_target_"] != "torch.optim.SGD"
    suggested = analysis.suggestion(reading, adaptive)
    save(draw(reading, rates, curves, suggested), folder / "range_test")
    return suggested, [*analysis.sentences(reading, adaptive), *_theory(config), f"Figure and losses: {folder}"]


def result_folder(config: Mapping[str, Any]) -> Path:
    """Where the test of a configuration is kept; what is for training only, or for the test, makes no difference."""
    names = config["names"]
    tested = {key: config[key] for key in config if key not in _NOT_TESTED}
    words = (names["data"], names["model"], names["optimizer"], f"seed{config['seed']}", config_hash(tested)[:8])
    return Path(config["output_dir"]) / "range_tests" / "-".join(words)


def _check(settings: Any) -> None:
    if not isinstance(settings, Mapping):
        raise UserError(f"range_test={settings} is not allowed; set what belongs to it, such as range_test.steps=500.")
    if odd := sorted(_SETTINGS ^ set(settings)):
        raise UserError(f"range_test needs {', '.join(sorted(_SETTINGS))} and nothing else; look at {', '.join(odd)}.")
    low, high, blow_up = (settings[key] for key in ("lr_min", "lr_max", "blow_up"))
    for key in ("lr_min", "lr_max", "blow_up"):
        if isinstance(settings[key], bool) or not isinstance(settings[key], int | float):
            raise UserError(f"range_test.{key}={settings[key]} is not a number; give one, such as 0.1.")
    if not 0 < low < high < math.inf:
        raise UserError(f"range_test.lr_min={low} and lr_max={high} are no range; give 0 < lr_min < lr_max.")
    for key, least in (("steps", _LEAST_STEPS), ("repeats", 1)):
        if not isinstance(settings[key], int) or settings[key] < least:
            raise UserError(
                f"range_test.{key}={settings[key]} is not allowed; give a whole number of at least {least}."
            )
    if not 1 < blow_up < math.inf:
        raise UserError(f"range_test.blow_up={blow_up} is not allowed; give a finite number above 1, such as 4.")


def losses_at(rates: np.ndarray, config: Mapping[str, Any]) -> np.ndarray:
    """The loss in nats of each batch before its step, (steps,), as the rate of a fresh network goes through `rates`.

    Batches, dropout, precision and device are those of a run. Shorter than `rates` if the loss blows up.
    """
    import torch

    from lr_lab.run import parts
    from lr_lab.run.lr_find import has_blown_up

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
            if has_blown_up(losses, config["range_test"]["blow_up"]):
                break
            loss.backward()
            optimizer.step()
    return np.array(losses)


def _parts(config: Mapping[str, Any]) -> tuple[InMemoryDataModule, BlockModule]:
    from lr_lab.run import parts

    data = parts.build_data(config)
    net = parts.build_network(config, data)
    data.setup()
    parts.check_smallest_batch(config, net, data)
    return data, parts.build_module(config, net, data, config["lr"])


def _batches(data: InMemoryDataModule) -> Iterator[tuple[Tensor, Tensor]]:
    """Epoch after epoch, without end."""
    import torch

    from lr_lab.chance import stream

    for epoch in itertools.count():
        torch.manual_seed(stream(data.seed, "dropout", epoch))
        yield from data.train_epoch(epoch)


def _theory(config: Mapping[str, Any]) -> list[str]:
    """What the curvature at the initial weights says; nothing for Adam, whose preconditioner has yet to form."""
    import torch

    from lr_lab.probes.probe import probe_batch, undisturbed
    from lr_lab.probes.sharpness import Sharpness
    from lr_lab.probes.stability import largest_stable_rate

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
    kept = [each for each in overrides if not each.lstrip("+").startswith(("range_test", "lr="))]
    return shlex.join(["python", "-m", "src.train", *kept, f"lr={rate:.2g}"])


@hydra.main(version_base="1.3", config_path="../conf", config_name="lr_find")
def main(cfg: DictConfig) -> None:
    try:
        suggested, sentences = range_test(resolve(cfg))
    except UserError as error:
        sys.exit(f"error: {error}")
    print("\n".join(sentences))
    print(f"Train with it: {training_command(suggested, HydraConfig.get().overrides.task)}")


if __name__ == "__main__":
    start(main, "Interrupted; a range test keeps nothing, so the same command starts anew.")
