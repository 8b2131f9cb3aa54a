"""A run's configuration put back into the words of a command line."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from lr_lab.run.config import CONFIG_DIR, compose
from lr_lab.run.folder import flat

_CHOSEN = ("data", "model", "optimizer")
_DEFAULT_OUTPUT = "outputs"


def range_test_command(config: Mapping[str, Any], output_dir: Path) -> str:
    """The command line of the range test of a run's network: its choices, and each value that they do not bring.

    Args:
        config: resolved, of any run.
        output_dir: where the test is kept.
    """
    typed = [f"{group}={config['names'][group]}" for group in _CHOSEN] + _augmentation(config)
    brought = _tested(compose(*typed))
    for key, value in _tested(config).items():
        if key not in brought or brought[key] != value:
            typed.append(f"{'' if key in brought else '+'}{key}={_typed(value)}")
    if str(output_dir) != _DEFAULT_OUTPUT:
        typed.append(f"output_dir={output_dir}")
    return shlex.join(["python", "-m", "src.lr_find", *typed])


def _augmentation(config: Mapping[str, Any]) -> list[str]:
    """The first choice of `augment` that has the run's class; [] without augmentation."""
    target = (config.get("augment") or {}).get("_target_")
    files = sorted((CONFIG_DIR / "augment").glob("*.yaml")) if target else []
    return [f"augment={file.stem}" for file in files if OmegaConf.load(file).get("_target_") == target][:1]


def _tested(config: Mapping[str, Any]) -> dict[str, Any]:
    """The values that a range test depends on, by their paths."""
    groups: dict[str, Any] = {group: config.get(group) or {} for group in ("augment", *_CHOSEN)}
    groups["trainer"] = {"precision": config["trainer"]["precision"]}
    alone = {key: config[key] for key in ("batch_size", "init_from")}
    return alone | dict(flat(groups))


def _typed(value: Any) -> str:
    """A value as Hydra reads it."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    return str(value)
