"""A command line as people type it, put as Hydra reads it."""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence

from hydra.errors import OverrideParseException
from omegaconf import DictConfig
from omegaconf.errors import ConfigAttributeError, ConfigKeyError

from lr_lab.errors import UserError, first_line

# A name that Hydra would read as a number, dropping underscores: 2024_11_27.
_NUMBER_LIKE = re.compile(r"[-+]?[\d_.]+(e[-+]?\d+)?", re.IGNORECASE)
_NAMES = ("study", "output_dir")
_MULTIRUN = ("-m", "--multirun")


def tidied(arguments: Sequence[str], keys: Sequence[str]) -> list[str]:
    """The arguments with `-m` first and names that look like numbers quoted.

    Args:
        arguments: the command line, such as ``["study=2024", "-m", "lr=0.1,0.01"]``.
        keys: what a person may set, to recognise ``--lr 0.1``.

    Raises:
        UserError: an argument is written as an option that Hydra does not have, or a value has an unquoted `=`.
    """
    for number, argument in enumerate(arguments):
        key, _, value = argument.lstrip("-").partition("=")
        if argument.startswith("--") and key.partition(".")[0] in keys:
            value = value or next(iter(arguments[number + 1 :]), "")
            raise UserError(f"{argument} is not an option; write {key}={value or 'value'}, without dashes.")
        if not argument.startswith("-") and "=" in value and not any(mark in value for mark in "'\"{[("):
            raise UserError(f"{argument} has a second =, which Hydra does not read; quote it: \"{key}='{value}'\"")
    multirun = [argument for argument in arguments if argument in _MULTIRUN]
    rest = [_quoted(argument) for argument in arguments if argument not in _MULTIRUN]
    return [*multirun[:1], *rest]


def _quoted(argument: str) -> str:
    key, separator, value = argument.partition("=")
    if separator and key.lstrip("+") in _NAMES and all(map(_NUMBER_LIKE.fullmatch, value.split(","))):
        return f"{key}=" + ",".join(f"'{name}'" for name in value.split(","))
    return argument


def did_you_mean(word: str, known: Sequence[str]) -> str:
    """The end of a sentence that refuses `word`: the closest known one, if any is close."""
    close = difflib.get_close_matches(word, known, n=1)
    return f"; did you mean {close[0]}?" if close else "."


def in_one_sentence(error: Exception) -> str:
    """What Hydra says over several lines about a command line, with the known keys where a key is unknown."""
    cause = error.__cause__
    if isinstance(cause, ConfigAttributeError | ConfigKeyError) and isinstance(cause.parent_node, DictConfig):
        key = str(cause.full_key)
        place = key.rpartition(".")[0]
        names = [str(name) for name in cause.parent_node]
        known = [f"{place}.{name}".lstrip(".") for name in names if not name.startswith("_")]
        return f"{key} is not a key; allowed are {', '.join(known)}{did_you_mean(key, known)}"
    if isinstance(error, OverrideParseException):
        return f"{error.override} is not a key and a value ({first_line(error)}); write key=value, such as lr=0.1."
    return first_line(error)
