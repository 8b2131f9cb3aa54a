"""From a group of the configuration to the object that it describes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import hydra
from hydra.errors import InstantiationException

from lr_lab.errors import UserError, first_line

Config = Mapping[str, Any]


def build(group: Config, **arguments: Any) -> Any:
    """Hydra's instantiate; a refused argument raises our sentence, not Hydra's.

    Raises:
        UserError: the class cannot be imported, does not know an argument, or does not allow its value.
    """
    try:
        return hydra.utils.instantiate(dict(group), **arguments, _convert_="all")
    except InstantiationException as error:
        raise UserError(reason(error)) from error


def reason(error: BaseException) -> str:
    """The first line of an error, or of its cause, and the second line if the first ends with a colon."""
    first, *rest = (str(error.__cause__ or "") or str(error)).splitlines() or [first_line(error)]
    return f"{first} {rest[0].strip()}" if first.endswith(":") and rest else first
