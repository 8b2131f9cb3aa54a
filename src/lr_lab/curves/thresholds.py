"""The thresholds of the rules on curves."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from lr_lab.errors import UserError


@dataclass(frozen=True)
class Thresholds:
    """The thresholds of the rules; conf/analysis/default.yaml explains each one and holds the same values."""

    learned: float = 0.05
    collapse: float = 0.2
    rise: float = 0.045
    rise_to_swing: float = 1.7
    rise_ratio: float = 0.4
    rise_ratio_to_swing: float = 2.0
    swing: float = 0.06
    rises_from: float = 5
    late_fall: float = 0.1
    late_fall_to_swing: float = 3.0
    arrived: float = 0.5
    same_answer_fall: float = 0.25
    rate_gone: float = 0.05
    early: float = 0.5
    level_to_swing: float = 2.0
    spike: float = 1.5
    accuracy_lost: float = 0.015
    val_below: float = 0.05
    gap: float = 2.0
    gap_of_way: float = 0.1
    jump: float = 0.1
    jump_to_noise: float = 2.0
    alike: float = 0.4
    rate_jump: float = 3.0
    loss_jump: float = 0.3

    @classmethod
    def of(cls, config: Any) -> Thresholds:
        """From the part `analysis.diagnosis` of a configuration; one that is missing there has its default.

        Raises:
            UserError: one is not known, or not a finite number above 0.
        """
        names = [field.name for field in fields(cls)]
        if not isinstance(config, Mapping):
            raise UserError(f"analysis.diagnosis={config} is not a group of thresholds; leave it out.")
        if odd := sorted(set(config) - set(names)):
            raise UserError(f"analysis.diagnosis has no {', '.join(odd)}; its thresholds are {', '.join(names)}.")
        for name, value in config.items():
            if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < math.inf:
                raise UserError(f"analysis.diagnosis.{name}={value} is not a threshold; give a finite number above 0.")
        return cls(**config)
