"""Reading what people write in YAML: every mistake becomes one sentence that names the place."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import MISSING, fields
from pathlib import Path
from typing import Any

import yaml

from lr_lab.errors import UserError, not_yaml


class _Loader(yaml.SafeLoader):
    """YAML in which 1e-3 is a number, as on the command line; YAML 1.1 asks for a point, 1.0e-3."""


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"^[-+]?\d[\d_]*(\.\d*)?[eE][-+]?\d+$"), list("-+0123456789")
)


def read_yaml(file: Path) -> Any:
    """Raises UserError, with the place, if the file is not YAML."""
    try:
        return yaml.load(file.read_text(encoding="utf-8"), _Loader)
    except yaml.YAMLError as error:
        raise not_yaml(error, file) from error
    except UnicodeError as error:
        raise UserError(f"{file} is not text in UTF-8 ({error}); save it as UTF-8.") from error


def mapping(place: str, content: Any) -> Mapping[str, Any]:
    """Raises UserError if the content is not a mapping; nothing counts as an empty one."""
    if not isinstance(content or {}, Mapping):
        raise UserError(f"{place}: {content} is not a mapping; write each entry as key: value.")
    return content or {}


def check_keys(place: str, content: Any, kind: type, given: Collection[str] = ()) -> None:
    """Raises UserError for a key that the dataclass does not have, and for one that it needs.

    Args:
        given: fields that come from elsewhere.
    """
    allowed = {f.name: f for f in fields(kind) if f.name not in given}
    content = mapping(place, content)
    if unknown := sorted(map(str, set(content) - set(allowed))):
        raise UserError(f"{place} has {', '.join(unknown)}; allowed are {', '.join(sorted(allowed))}.")
    for name, each in allowed.items():
        if each.default is MISSING and each.default_factory is MISSING and name not in content:
            raise UserError(f"{place} has no {name}; give it one.")
