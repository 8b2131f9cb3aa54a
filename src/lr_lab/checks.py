"""Checks of values that a person gives: whole numbers, numbers, fractions and choices. No torch.

Every check raises `NotAllowed` with one sentence: the value, and what is allowed.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from lr_lab.errors import NotAllowed, did_you_mean

_LARGEST = 2**63 - 1  # the largest whole number of torch


def is_whole_number(value: Any, least: int) -> bool:
    """Whether `value` is an int of at least `least`, and one that torch takes; True and False are not numbers."""
    return isinstance(value, int) and not isinstance(value, bool) and least <= value <= _LARGEST


def is_number(value: Any) -> bool:
    """Whether `value` is a finite int or float; True and False are not numbers."""
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < math.inf


def check_whole_number(name: str, value: Any, least: int, optional: bool = False) -> None:
    """Raises NotAllowed unless `value` is a whole number of at least `least`, or None if optional."""
    if not (is_whole_number(value, least) or (optional and value is None)):
        choice = ", or null" if optional else ""
        most = f" and at most {_LARGEST}" if isinstance(value, int) and value > _LARGEST else ""
        raise NotAllowed(
            f"{name}={typed(value)} is not allowed; give a whole number of at least {least}{most}{choice}."
        )


def check_number(name: str, value: Any, allowed: str, valid: Callable[[float], bool]) -> None:
    """Raises NotAllowed unless `value` is a finite number and `valid`; `allowed` says that in words."""
    if not (is_number(value) and valid(value)):
        raise NotAllowed(f"{name}={typed(value)} is not allowed; give {allowed}.")


def check_fraction(name: str, value: Any) -> None:
    """Raises NotAllowed unless `value` is a number from 0 to 1."""
    check_number(name, value, "a number from 0 to 1", lambda x: 0 <= x <= 1)


def check_choice(name: str, value: Any, choices: Sequence[Any]) -> None:
    """Raises NotAllowed unless `value` is one of the choices; true is not 1."""
    if not any(value == choice and isinstance(value, bool) == isinstance(choice, bool) for choice in choices):
        known = list(map(typed, choices))
        hint = did_you_mean(typed(value), [choice for choice in known if choice != typed(value)])
        raise NotAllowed(f"{name}={typed(value)} is not allowed; choose one of {', '.join(known)}{hint}")


def check_list(name: str, values: Any, check: Callable[[str, Any], None]) -> None:
    """Raises NotAllowed unless `values` is a list with at least one value, and `check(name, value)` allows each."""
    if isinstance(values, str) or not isinstance(values, Sequence) or not values:
        raise NotAllowed(f"{name}={typed(values)} is not a list; write {name}=[...], with at least one value.")
    for value in values:
        check(name, value)


def typed(value: Any) -> str:
    """A value as YAML and command lines have it."""
    return {"None": "null", "True": "true", "False": "false"}.get(str(value), str(value))
