"""Checks of values that a person gives. No torch."""

from __future__ import annotations

from typing import Any

from lr_lab.errors import UserError


def check_whole_number(name: str, value: Any, least: int, optional: bool = False) -> None:
    """Raises UserError unless `value` is a whole number of at least `least`, or None if optional."""
    if value is None and optional:
        return
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        choice = ", or null" if optional else ""
        raise UserError(f"{name}={value} is not allowed; give a whole number of at least {least}{choice}.")
