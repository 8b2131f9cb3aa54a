"""Turns a command line as people type it into one that Hydra reads."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from hydra._internal.utils import get_args_parser
from hydra.errors import MissingConfigException, OverrideParseException
from omegaconf import DictConfig
from omegaconf.errors import ConfigAttributeError, ConfigKeyError

from lr_lab.errors import UserError, did_you_mean, first_line

# Text that Hydra reads as it was typed. It reads other text as a number, dropping underscores (2024_11_27), as no value
# (null), as several values (a,b), or not at all (größe).
_PLAIN = re.compile(r"[A-Za-z/.][\w/.:+-]*", re.ASCII)
_NUMBER_LIKE = re.compile(r"[-+]?(\.?\d[\d_.]*(e[-+]?\d+)?|inf|nan)", re.IGNORECASE)
_WORDS_OF_YAML = ("true", "false", "null")
# Quoted already, a list, a function of Hydra's, an interpolation.
_HYDRAS = re.compile(r"['\"\[{].*|(choice|range|interval|glob|shuffle|sort|tag|str)\(.*\)|.*\$\{.*", re.DOTALL)
_PATHS = ("output_dir", "init_from", "data.root", "data.images", "results", "report_dir")
_NEVER_NULL = ("study", "output_dir")
_OVERRIDES = "also"  # a list of overrides, in which Hydra does not expect `=`
_MULTIRUN = ("-m", "--multirun")


def tidied(arguments: Sequence[str], keys: Sequence[str]) -> list[str]:
    """The arguments with `-m` first, names and paths quoted where Hydra would read something else, and `~` expanded.

    Args:
        arguments: the command line, such as ``["study=2024", "-m", "lr=0.1,0.01"]``.
        keys: what a person may set, to recognise ``--lr 0.1``.

    Raises:
        UserError: an argument is written as an option that Hydra does not have, a key and its value stand apart, a
            value has an unquoted `=`, or a sweep has a key twice.
    """
    _refuse_options(arguments, keys)
    _refuse_spaces(arguments, keys)
    multirun = [argument for argument in arguments if argument in _MULTIRUN]
    if multirun:
        _refuse_twice(arguments)
    rest = [_quoted(argument, bool(multirun)) for argument in arguments if argument not in _MULTIRUN]
    for argument in rest:
        key, _, value = argument.partition("=")
        if not argument.startswith("-") and "=" in value and not any(mark in value for mark in "'\"{[("):
            raise UserError(f"{argument} has a second =, which Hydra does not read; quote it: \"{key}='{value}'\"")
    return [*multirun[:1], *with_network_keys(rest)]


def with_network_keys(arguments: Sequence[str]) -> list[str]:
    """The arguments, in which a network named by `model._target_=` may have keys that no file in conf/model has."""
    if not any(argument.lstrip("+").startswith("model._target_=") for argument in arguments):
        return list(arguments)
    return [f"++{argument}" if argument.startswith("model.") else argument for argument in arguments]


def _refuse_options(arguments: Sequence[str], keys: Sequence[str]) -> None:
    """Raises UserError for the first argument with dashes that Hydra does not know."""
    known = get_args_parser()

    def refuse(message: str) -> NoReturn:
        raise UserError(f"{message}; --help tells what there is.")

    known.error = refuse  # type: ignore[method-assign]  # its own prints how all options are used
    for argument in known.parse_known_args([a for a in arguments if a not in _MULTIRUN])[1]:
        if not argument.startswith("-"):
            continue
        key, _, value = argument.lstrip("-").partition("=")
        if key.partition(".")[0] in keys:
            value = value or next(iter(arguments[arguments.index(argument) + 1 :]), "value")
            raise UserError(f"{argument} is not an option; write {key}={value}, without dashes.")
        hint = did_you_mean(argument, [*known._option_string_actions])
        raise UserError(f"{argument} is not an option{hint} A value is set by key=value, such as lr=0.1.")


def _refuse_spaces(arguments: Sequence[str], keys: Sequence[str]) -> None:
    """Raises UserError for `lr = 0.1`, `lr= 0.1`, `lr =0.1` and `lr 0.1`."""
    for number, argument in enumerate(arguments):
        following = list(arguments[number + 1 : number + 3])
        key, _, value = argument.partition("=")
        apart = following and (following[0].startswith("=") or "=" not in following[0])
        if key.partition(".")[0] in keys and not value and apart and not following[0].startswith(("-", "~")):
            value = "".join(following if following[0] == "=" else following[:1]).removeprefix("=")
            raise UserError(f"{key} and {value} stand apart; write {key}={value}, without spaces.")


def _refuse_twice(arguments: Sequence[str]) -> None:
    """Raises UserError for a sweep over `lr=0.1 lr=0.2`, of which Hydra would train the last alone."""
    values: dict[str, list[str]] = {}
    for argument in arguments:
        key, equals, value = argument.partition("=")
        if equals and not argument.startswith("-"):
            values.setdefault(key.lstrip("+"), []).append(value)
    for key, several in values.items():
        if len(several) > 1:
            raise UserError(f"{key} is given {len(several)} times; write all values once: {key}={','.join(several)}")


def _quoted(argument: str, multirun: bool) -> str:
    key, separator, value = argument.partition("=")
    key_in_yaml = key.lstrip("+")
    if separator and key_in_yaml == _OVERRIDES and not re.search("['\"]", value):
        typed = re.split(r",(?=[^,\[\]]+=)", value.removeprefix("[").removesuffix("]"))
        return f"{key}=[" + ",".join(map(_in_quotes, filter(None, typed))) + "]"
    if not separator or key_in_yaml not in ("study", *_PATHS) or _HYDRAS.fullmatch(value):
        return argument
    # A path may have a comma in it, but in a sweep the comma stands between values.
    names = value.split(",") if multirun or key_in_yaml == "study" else [value]
    optional = key_in_yaml not in _NEVER_NULL
    return f"{key}=" + ",".join(_name(name, optional) for name in names)


def _name(name: str, optional: bool) -> str:
    if name == "" or (optional and name == "null"):
        return name
    if name.startswith("~/"):
        name = str(Path(name).expanduser())  # some shells do this, others do not
    if _PLAIN.fullmatch(name) and not _NUMBER_LIKE.fullmatch(name) and name.lower() not in _WORDS_OF_YAML:
        return name
    return _in_quotes(name)


def _in_quotes(text: str) -> str:
    """As Hydra's grammar has it, in which backslashes count before a quote only."""
    escaped = re.sub(r"(\\*)('|\Z)", lambda m: m[1] * 2 + ("\\'" if m[2] else ""), text)
    return f"'{escaped}'"


def in_one_sentence(error: Exception) -> str:
    """Hydra's message of several lines about a command line, in one, with the known keys if a key is unknown."""
    cause = error.__cause__
    if isinstance(cause, ConfigAttributeError | ConfigKeyError) and isinstance(cause.parent_node, DictConfig):
        key = str(cause.full_key)
        place = key.rpartition(".")[0]
        names = [str(name) for name in cause.parent_node]
        known = [f"{place}.{name}".lstrip(".") for name in names if not name.startswith("_")]
        return f"{key} is not a key; allowed are {', '.join(known)}{did_you_mean(key, known)}"
    if isinstance(error, MissingConfigException) and error.options and error.missing_cfg_file:
        group, _, choice = error.missing_cfg_file.rpartition("/")
        hint = did_you_mean(choice, error.options)
        return f"{group}={choice} is not a choice; allowed are {', '.join(error.options)}{hint}"
    if isinstance(error, OverrideParseException):
        return _misread(error.override)
    if match := re.search(r"'(.+)'", first_line(error)) if "--multirun" in str(error) else None:
        key, _, value = match[1].partition("=")
        return (
            f"{key}={value} has several values; start the program with -m to train one run for each, or give one (a "
            f"number has a point: 0.1; text with a comma is quoted: \"{key}='{value}'\")."
        )
    return first_line(error)


def _misread(override: str) -> str:
    """The fault of an override that Hydra cannot parse."""
    key, equals, value = override.partition("=")
    if not equals:
        return f"{override} is not a key and a value; write key=value, such as lr=0.1."
    if value.endswith(","):
        return f"{override} ends with a comma; leave it out, or give another value after it."
    return f"{override} has signs that Hydra reads otherwise; close all brackets, and quote text: \"{key}='text'\""
