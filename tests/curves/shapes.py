"""Curves made for the tests: each function gives losses of a known shape."""

from __future__ import annotations

import math
from collections.abc import Sequence

from lr_lab.curves.curve import Curve

GUESS = math.log(10)


def curve(train: Sequence[float], val: Sequence[float] | None = None, **more: object) -> Curve:
    """A curve by epochs counted from 1; the validation loss is the training loss where it is not given."""
    known = {"classes": 10, "name": "log", **more}
    losses = {"train_loss": tuple(train), "val_loss": tuple(train if val is None else val)}
    return Curve(at=tuple(float(epoch) for epoch in range(1, len(train) + 1)), **(losses | known))  # type: ignore[arg-type]


def falling(epochs: int = 20, by: float = 0.6, to: float = 0.0) -> list[float]:
    return [to + (GUESS - to) * by**epoch for epoch in range(epochs)]


def jumping(level: float, by: float, epochs: int) -> list[float]:
    return [level + (by if epoch % 2 else -by) for epoch in range(epochs)]
