"""Run folders as a study leaves them, without the training: for the tests of the report."""

import copy
import functools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from lr_lab.run.config import compose
from lr_lab.run.folder import RunFolder
from lr_lab.run.summary import summarise
from lr_lab.study.measured import with_metrics
from lr_lab.study.runs import Runs, read_runs
from lr_lab.study.study_file import Setting, Study

SEQUENCES = {"seq1": "inverse", "seq2": "inverse_sqrt", "seq3": "exponential", "seq4": "cyclic"}
STRATEGIES = ("epoch", "cutoff", "oscillate")


@functools.cache
def _base() -> dict[str, Any]:
    return compose("data=digits", "trainer.accelerator=cpu")


def write_run(
    output_dir: Path,
    study: str,
    accuracy: Sequence[float],
    *,
    seed: int = 0,
    lr: float = 0.01,
    val_loss: Sequence[float] | None = None,
    train_loss: Sequence[float] | None = None,
    updates: int = 3,
    status: str | None = None,
    tolerance: float = 0.01,
    config: dict[str, Any] | None = None,
    **names: str,
) -> RunFolder:
    """A finished run with this validation accuracy per epoch, whose rate changes after each of the first epochs.

    Args:
        updates: how often it changes.
        names: data, optimizer, sequence, strategy.
    """
    content = copy.deepcopy(_base()) | {"output_dir": str(output_dir), "study": study, "seed": seed, "lr": lr}
    content |= {"epochs": len(accuracy)} | (config or {})
    content["names"] |= names
    content["analysis"]["convergence_tolerance"] = tolerance
    losses = val_loss or [2.3 * (1 - a) for a in accuracy]
    rows = [
        {
            "epoch": epoch,
            "lr": lr * 0.9 ** min(epoch, updates),
            "train_loss": (train_loss or losses)[epoch],
            "train_accuracy": a,
            "val_loss": losses[epoch],
            "val_accuracy": a,
            "gradient_norm": 1.0,
            "seconds": 0.1,
        }
        for epoch, a in enumerate(accuracy)
    ]
    words = [content["names"][group] for group in ("optimizer", "sequence", "strategy")]
    folder = RunFolder(output_dir / study / "-".join([*words, f"lr{lr:g}", f"seed{seed}", *(config or {})]))
    folder.path.mkdir(parents=True)
    folder.config_file.write_text(yaml.safe_dump(content))
    folder.write_history(rows)
    result = summarise(content, rows, updates)
    versions = {"python": "3.11", "torch": "2.13"}
    folder.write_result(result | {"status": status or result["status"], "wall_seconds": 36.0, "versions": versions})
    return folder


def write_rates_study(output_dir: Path) -> tuple[Runs, Study]:
    """A benchmark and two rates with 8 seeds each; `low` has a published number that ours is far from."""
    finals = {"sgd": 0.80, "low": 0.85, "high": 0.90}
    rates = {"sgd": 0.001, "low": 0.01, "high": 0.1}
    for setting, final in finals.items():
        for seed in range(8):
            end = final + 0.004 * ((seed * 3 + len(setting)) % 8 - 3.5) / 8
            write_run(output_dir, "mine", [0.5, 0.7, 0.75, end, end, end, end, end], seed=seed, lr=rates[setting])
    settings = [
        Setting(name, name.upper(), {"lr": rates[name]}, "Benchmark" if name == "sgd" else "Rates", published)
        for name, published in zip(finals, ({"val_accuracy": 0.81}, {"val_accuracy": 0.95}, {}), strict=True)
    ]
    study = Study("mine", "Mine", settings=settings, benchmark="sgd", tolerance=0.01)
    return with_metrics(read_runs(output_dir / "mine", study.tolerance), study), study


def curve(final: float, epochs: int, noise: float, chance: np.random.Generator) -> list[float]:
    """An accuracy that rises to `final` and stays there but for noise."""
    epoch = np.arange(epochs)
    return (final * (1 - 0.8 ** (epoch + 3)) + chance.normal(0, noise, epochs)).clip(0, 1).tolist()


def write_decay_study(
    output_dir: Path, study: str, finals: dict[str, float], seeds: Sequence[int], epochs: int = 8, noise: float = 0.001
) -> None:
    """The 14 settings of Yang & Huang 2019; `finals` maps some, as seq1_epoch, to accuracies; the others get 0.9."""
    for name in ("sgd", "adam", *(f"{seq}_{strategy}" for seq in SEQUENCES for strategy in STRATEGIES)):
        seq, _, strategy = name.partition("_")
        names: dict[str, Any] = {"optimizer": seq if seq in ("sgd", "adam") else "sgd"}
        names |= {"sequence": SEQUENCES.get(seq, "constant"), "strategy": strategy or "epoch"}
        names["data"] = study.removeprefix("decay_")
        for seed in seeds:
            chance = np.random.default_rng([seed, *study.encode(), *name.encode()])
            accuracy = curve(finals.get(name, 0.9), epochs, noise, chance)
            write_run(
                output_dir, study, accuracy, seed=seed, lr=0.001 if names["sequence"] == "constant" else 0.01, **names
            )
