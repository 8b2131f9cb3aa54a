"""Which runs can be trained as one stack; needs no torch."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from lr_lab.run.folder import identity

# What the members of a stack may each have in their own way.
_OWN = ("lr", "sequence", "warmup", "strategy", "seed", "init_from")
_OWN_IN_OPTIMIZER = ("momentum", "weight_decay")

# What src/lr_lab/population/optimizers.py knows of an optimizer beside them; members of a stack share it.
_SHARED_IN_OPTIMIZER = {
    "torch.optim.SGD": {"nesterov"},
    "torch.optim.Adam": {"betas", "eps"},
    "torch.optim.AdamW": {"betas", "eps"},
}
_TRAINER = {"_target_", "accelerator", "devices", "precision"}


def shared_settings(optimizer: Mapping[str, Any]) -> dict[str, Any] | None:
    """The part of an optimizer's configuration that members of a stack have in common; None: it cannot be stacked."""
    own = {"weight_decay"} if "Adam" in optimizer["_target_"] else set(_OWN_IN_OPTIMIZER)
    shared = {key: value for key, value in optimizer.items() if key not in own | {"_target_", "_partial_"}}
    if not shared.keys() <= _SHARED_IN_OPTIMIZER.get(optimizer["_target_"], set()):
        return None
    return shared if optimizer["_target_"] in _SHARED_IN_OPTIMIZER else None


def stack_key(config: Mapping[str, Any]) -> str | None:
    """Equal for runs that can be members of one stack; None for a run that has to be trained singly.

    Members share network, data, batch size, epochs, precision and kind of optimizer. A run with probes, with an
    optimizer that cannot be stacked or with more asked of the Trainer than a device and a precision is trained singly.
    """
    optimizer, trainer = config["optimizer"], config["trainer"]
    shared = shared_settings(optimizer)
    if shared is None or config["probes"] or not trainer.keys() <= _TRAINER:
        return None
    rest = {key: value for key, value in identity(config).items() if key not in _OWN}
    place = {key: config[key] for key in ("output_dir", "study")}
    kind = {"optimizer": {"_target_": optimizer["_target_"], **shared}, "trainer": trainer}
    return json.dumps(rest | place | kind, sort_keys=True)
