"""The rule that decides which runs share a population. Needs no torch."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from lr_lab.run.folder import identity

# Settings in which the members of a population may differ.
_OWN = ("lr", "sequence", "warmup", "strategy", "seed", "init_from")
_OWN_IN_OPTIMIZER = ("momentum", "weight_decay")

# Further settings that optimizers.py implements; all members share their values.
_SHARED_IN_OPTIMIZER = {
    "torch.optim.SGD": {"nesterov"},
    "torch.optim.Adam": {"betas", "eps"},
    "torch.optim.AdamW": {"betas", "eps"},
}
# Keys that the identity holds where they are not off.
_NOT_STACKED = {"ema", "decay_norms_and_biases"}
_TRAINER = {"_target_", "accelerator", "devices", "precision"}


def shared_settings(optimizer: Mapping[str, Any]) -> dict[str, Any] | None:
    """The part of an optimizer's configuration that all members share; None if a population cannot use it."""
    own = {"weight_decay"} if "Adam" in optimizer["_target_"] else set(_OWN_IN_OPTIMIZER)
    shared = {key: value for key, value in optimizer.items() if key not in own | {"_target_", "_partial_"}}
    if not shared.keys() <= _SHARED_IN_OPTIMIZER.get(optimizer["_target_"], set()):
        return None
    return shared if optimizer["_target_"] in _SHARED_IN_OPTIMIZER else None


def population_key(config: Mapping[str, Any]) -> str | None:
    """A key that the runs of one population have in common; None for a run that must be trained singly.

    Members share network, data, batch size, epochs, precision and kind of optimizer. A run is trained singly if it has
    probes, an optimizer that a population cannot use, an average of its weights (`ema`), weight decay that spares norms
    and biases, or Trainer settings other than device and precision.
    """
    optimizer, trainer = config["optimizer"], config["trainer"]
    shared = shared_settings(optimizer)
    if shared is None or config["probes"] or not trainer.keys() <= _TRAINER:
        return None
    rest = {key: value for key, value in identity(config).items() if key not in _OWN}
    if rest.keys() & _NOT_STACKED:
        return None
    place = {key: config[key] for key in ("output_dir", "study")}
    kind = {"optimizer": {"_target_": optimizer["_target_"], **shared}, "trainer": trainer}
    return json.dumps(rest | place | kind, sort_keys=True)
