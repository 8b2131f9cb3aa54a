"""Digests of the code and data that a run was made from, kept in its folder, and changes since.

Digests are not part of a run's identity: a finished run keeps its folder when its inputs change, and a person is told.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from lr_lab.curves.readers.lab_run import classes_of
from lr_lab.errors import UserError
from lr_lab.run.folder import RunFolder
from lr_lab.run.source import Source, code_of

if TYPE_CHECKING:
    from lr_lab.data.in_memory import InMemoryDataModule

# Code that trains a run, beside the parts that its configuration names.
_LEARNERS = ("lr_lab.modules.Classification", "lr_lab.modules.Regression")
_POSITION = "lr_lab.schedule.Position"


def targets(config: Any) -> set[str]:
    """All classes and functions that a configuration names."""
    if isinstance(config, Mapping):
        own = {config["_target_"]} if "_target_" in config else set()
        return own.union(*map(targets, config.values()))
    return set().union(*map(targets, config)) if isinstance(config, list | tuple) else set()


def parts_of(config: Mapping[str, Any]) -> set[str]:
    """All classes and functions that a run is trained by."""
    return {*targets(config), _POSITION, _LEARNERS[classes_of(config) is None]}


def code(config: Mapping[str, Any]) -> dict[str, str]:
    """`module.Class` -> digest of the code that a run is trained by, as this process imported it."""
    digests: dict[str, str] = {}
    for part in sorted(parts_of(config)):
        digests |= code_of(part)
    return digests


def files(data: InMemoryDataModule) -> dict[str, Any]:
    """How many files the data are made from and a digest of them; 0 where data are computed, or checked when read."""
    return {"files": 0 if data.published else len(data.files()), "digest": data.inputs_fingerprint()}


class Today:
    """The inputs as they are now. Each source file and each dataset is looked at once, however many runs ask."""

    def __init__(self) -> None:
        self._source = Source()
        self._moved: dict[str, str | None] = {}
        self._data: dict[str, dict[str, Any] | None] = {}
        self._contents: dict[str, str | None] = {}

    def changes(self, folder: RunFolder, config: Mapping[str, Any]) -> list[str] | None:
        """The changes since a run was trained, such as "the code of my_seq.Halving"; None if nothing was recorded.

        Code or data that are not here have not changed. Files of data that were touched are read again: if they have
        the same content, this is noted.

        Args:
            config: the resolved configuration of the run.
        """
        before = folder.inputs()
        if before is None:
            return None
        changed = [name for name, digest in before["code"].items() if self._differs(name, digest, config)]
        data = ["the files of its data"] if self._data_differ(folder, config, before) else []
        return [*(f"the code of {name}" for name in changed), *data]

    def _differs(self, name: str, digest: str, config: Mapping[str, Any]) -> bool:
        module, _, inner = name.rpartition(".")
        now = self._source.digest(module, inner) or self._elsewhere(inner, config)
        return now not in (None, digest)

    def _elsewhere(self, name: str, config: Mapping[str, Any]) -> str | None:
        """The digest of a class that has left its module, if the configuration still leads to it."""
        if name not in self._moved:
            self._moved[name] = None
            for part in sorted(parts_of(config)):
                with suppress(Exception):  # the import of a person's module may raise anything
                    of_part = {found.rpartition(".")[2]: digest for found, digest in code_of(part).items()}
                    self._moved[name] = self._moved[name] or of_part.get(name)
        return self._moved[name]

    def _data_differ(self, folder: RunFolder, config: Mapping[str, Any], before: dict[str, Any]) -> bool:
        if not before["data"]["files"]:
            return False
        now = self._data_now(config)
        if now is None or not now["files"] or now == before["data"]:
            return False
        if self._content_now(config) != (folder.result() or {}).get("data_fingerprint"):
            return True
        with suppress(UserError):
            folder.write_inputs(before["code"], now)
        return False

    def _data_now(self, config: Mapping[str, Any]) -> dict[str, Any] | None:
        key = json.dumps(config["data"], sort_keys=True)
        if key not in self._data:
            self._data[key] = None
            with suppress(UserError, OSError):
                self._data[key] = files(_built(config))
        return self._data[key]

    def _content_now(self, config: Mapping[str, Any]) -> str | None:
        key = json.dumps(config["data"], sort_keys=True)
        if key not in self._contents:
            self._contents[key] = None
            with suppress(UserError, OSError):
                data = _built(config)
                data.setup()
                self._contents[key] = data.fingerprint[:16]
        return self._contents[key]


def _built(config: Mapping[str, Any]) -> InMemoryDataModule:
    from lr_lab.run.parts import build_data  # deferred: it loads torch, and most datasets need no look

    return build_data(config)
