"""A run's configuration put back into the words of a command line."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any

from omegaconf import OmegaConf

from lr_lab.run.config import CONFIG_DIR, compose
from lr_lab.run.folder import flat, later_values

_CHOSEN = ("data", "model", "optimizer")


def network_overrides(config: Mapping[str, Any]) -> list[str]:
    """Overrides that give a run's network, data and optimizer: its choices, and each value that they do not bring.

    Raises:
        UserError, HydraException: conf/ no longer has one of the choices.
    """
    chosen = [f"{group}={config['names'][group]}" for group in _CHOSEN] + _augmentation(config)
    brought = _brought_by(tuple(chosen))
    return chosen + [
        f"{'' if key in brought else '+'}{key}={_typed(value)}"
        for key, value in _values(config).items()
        if key not in brought or brought[key] != value
    ]


@functools.cache
def _brought_by(choices: tuple[str, ...]) -> dict[str, Any]:
    return _values(compose(*choices))


def _augmentation(config: Mapping[str, Any]) -> list[str]:
    """The first choice of `augment` that has the run's class; [] without augmentation."""
    target = (config.get("augment") or {}).get("_target_")
    files = sorted((CONFIG_DIR / "augment").glob("*.yaml")) if target else []
    return [f"augment={file.stem}" for file in files if OmegaConf.select(OmegaConf.load(file), "_target_") == target][
        :1
    ]


def _values(config: Mapping[str, Any]) -> dict[str, Any]:
    """The values that shape a training, but for its rates and length, by their paths."""
    groups: dict[str, Any] = {group: config.get(group) or {} for group in ("augment", *_CHOSEN)}
    groups["trainer"] = {"precision": config["trainer"]["precision"]}
    alone = {key: config[key] for key in ("batch_size", "init_from")}
    return alone | later_values(config) | dict(flat(groups))


def _typed(value: Any) -> str:
    """A value as Hydra reads it."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    return str(value)
