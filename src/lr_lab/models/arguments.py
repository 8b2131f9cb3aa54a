"""Checks of the arguments that all networks share."""

from collections.abc import Mapping
from typing import Any

from lr_lab.checks import is_number, is_whole_number
from lr_lab.errors import NotAllowed


def check_arguments(
    network: str, min_size: int, in_channels: Any, size: Any, classes: Any, width: Any, dropout: Any
) -> None:
    """Raise NotAllowed, which is a ValueError, for the first argument that no such network can be built from.

    `min_size` is the smallest image side, in pixels, that the network's poolings do not shrink to nothing.
    """
    check_counts(network, {"in_channels": (in_channels, 1), "size": (size, min_size), "classes": (classes, 2)})
    if not (is_number(width) and width > 0):
        raise NotAllowed(f"{network} needs width to be a number above 0, such as 0.5 or 2, not {width!r}.")
    if not (is_number(dropout) and 0 <= dropout < 1):
        raise NotAllowed(f"{network} needs dropout to be a probability in [0, 1), not {dropout!r}.")


def check_counts(network: str, counts: Mapping[str, tuple[Any, int]]) -> None:
    """Raise NotAllowed for the first argument, (value, least), that is not a whole number of at least `least`."""
    for name, (value, least) in counts.items():
        if not is_whole_number(value, least):
            raise NotAllowed(f"{network} needs {name} to be a whole number of at least {least}, not {value!r}.")


def scaled(width: float, *units: int) -> list[int]:
    """The source's filters and hidden units times `width`, rounded, at least one each."""
    return [max(1, round(width * unit)) for unit in units]
