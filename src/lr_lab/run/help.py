"""The text of --help for each choice and each number: the comments of conf/, so that a new choice needs no list.

A file says on its first comment line what it is, and behind each value what that is.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from lr_lab.run.config import CONFIG_DIR

_LAUNCHER = "hydra/launcher"
_NO_NUMBERS = ("hydra", "names", "_target_", "_partial_")
_KEY = re.compile(r"(?P<indent> *)(?P<item>- )?(?P<key>[\w/]+):(?P<value>.*?)(\s#\s*(?P<comment>.*))?")
_WIDTH = 118
_COLUMN = 32


def register() -> None:
    """Makes `${choices:}` and `${numbers:}` known to the help of conf/*.yaml."""
    OmegaConf.register_new_resolver("choices", choices, replace=True)
    OmegaConf.register_new_resolver("numbers", numbers, replace=True)


def summary(file: Path) -> str:
    """The first line of a file's comment; "" without one."""
    lines = file.read_text(encoding="utf-8").splitlines()
    said = (line for line in lines if not line.startswith("# @package"))
    first = next(said, "")
    return first.removeprefix("#").strip() if first.startswith("#") else ""


def comments(file: Path) -> dict[str, str]:
    """Path of a key in the file (`diagnosis.gap`) -> the comment behind its value, where there is one."""
    found = {}
    above: list[tuple[int, str]] = []
    for line in file.read_text(encoding="utf-8").splitlines():
        if not (match := _KEY.fullmatch(line)):
            continue
        depth = len(match["indent"])
        above = [(at, key) for at, key in above if at < depth]
        path = ".".join([key for _, key in above] + [match["key"]])
        if match["comment"]:
            found[path] = match["comment"]
        if not match["item"]:
            above.append((depth, match["key"]))
    return found


def choices() -> str:
    """Each group of choices, each choice with its line."""
    blocks = []
    for group, says in group_comments().items():
        files = sorted((CONFIG_DIR / group).glob("*.yaml"))
        lines = [_line(f"{group}={file.stem}", summary(file)) for file in files]
        blocks.append("\n".join([f"{group}: {says}", *lines]))
    return _for_hydra("\n\n".join(blocks))


def group_comments() -> dict[str, str]:
    """Group of choices -> the comment on it in the defaults of conf/train.yaml."""
    said = comments(CONFIG_DIR / "train.yaml")
    groups = {key.removeprefix("defaults."): comment for key, comment in said.items() if key.startswith("defaults.")}
    return groups | {_LAUNCHER: "how the runs of a sweep are trained"}


def numbers(*, _root_: DictConfig) -> str:
    """Each value of the configuration that a person may set, with its path and what it is."""
    config: dict[str, Any] = OmegaConf.to_container(_root_)  # type: ignore[assignment]
    program = _root_.hydra.job.config_name
    said = comments(CONFIG_DIR / "train.yaml") if "train" in _defaults(program) else {}
    said |= comments(CONFIG_DIR / f"{program}.yaml")
    chosen = {group.replace("/", "."): (group, _root_.hydra.runtime.choices.get(group)) for group in group_comments()}
    chosen |= {f"probes.{name}": ("probes", name) for name in config.get("probes", {})}
    for path, (group, name) in chosen.items():
        file = CONFIG_DIR / group / f"{name}.yaml"
        said |= {f"{path}.{key}": comment for key, comment in _inherited(file).items()}
    values = dict(_flat({key: value for key, value in config.items() if key not in _NO_NUMBERS}))
    if "train" in (program, *_defaults(program)):
        values |= _flat(config["hydra"]["launcher"], "hydra.launcher.")
    return _for_hydra("\n".join(_line(f"{key}={_shown(value)}", said.get(key, "")) for key, value in values.items()))


def _defaults(program: str) -> list[Any]:
    return _content(CONFIG_DIR / f"{program}.yaml").get("defaults", [])


def _content(file: Path) -> dict[str, Any]:
    return OmegaConf.to_container(OmegaConf.load(file))  # type: ignore[return-value]


def _inherited(file: Path) -> dict[str, str]:
    """The comments of a choice and of those that it begins with (seq1: inverse)."""
    if not file.exists():
        return {}
    bases = [base for base in _content(file).get("defaults", []) if isinstance(base, str) and base != "_self_"]
    said: dict[str, str] = {}
    for base in bases:
        said |= _inherited(file.with_stem(base))
    return said | comments(file)


def _flat(config: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in config.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{key}.")
        elif key not in _NO_NUMBERS:
            yield f"{prefix}{key}", value


def _shown(value: Any) -> str:
    words = {None: "null", True: "true", False: "false", "???": "..."}
    return words[value] if isinstance(value, str | bool | None) and value in words else str(value)


def _line(name: str, says: str) -> str:
    """A name with its comment beside it, or below it where the name is long."""
    indent = " " * _COLUMN
    said = textwrap.fill(says, _WIDTH, initial_indent=indent, subsequent_indent=indent, break_on_hyphens=False)
    start = f"  {name}"
    return f"{start:<{_COLUMN}}{said.lstrip()}".rstrip() if len(start) < _COLUMN else f"{start}\n{said}"


def _for_hydra(text: str) -> str:
    """Hydra's template reads a dollar sign as the start of a name."""
    return text.replace("$", "$$")
