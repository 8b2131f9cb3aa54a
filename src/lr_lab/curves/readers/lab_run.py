"""The folder of a run of this laboratory: config.yaml, history.csv, result.json."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import yaml

from lr_lab.curves.numbers import number
from lr_lab.curves.readers.base import Reader
from lr_lab.curves.source import Source
from lr_lab.curves.table import Row, Table
from lr_lab.errors import UserError

COLUMNS = {"epoch", "lr", "train_loss", "val_loss", "train_accuracy", "val_accuracy"}


class LabRun(Reader):
    format = "a run of lr-lab"

    def sure(self, source: Source) -> float:
        if not source.is_folder or not source.path:
            return 0.0
        history = source.path / "history.csv"
        if not history.is_file() or not (source.path / "config.yaml").is_file():
            return 0.0
        with history.open() as lines:
            return 1.0 if set(next(csv.reader(lines), [])) >= COLUMNS else 0.0

    def tables(self, source: Source) -> list[Table]:
        assert source.path is not None
        config = _document(source.path / "config.yaml", yaml.safe_load)
        with (source.path / "history.csv").open() as lines:
            rows = [
                Row(
                    {
                        name: told[0]
                        for name, cell in line.items()
                        if name in COLUMNS and cell and (told := number(cell))
                    }
                )
                for line in csv.DictReader(lines)
            ]
        result = source.path / "result.json"
        known = _document(result, json.loads) if result.is_file() else {}
        return [Table(rows, source.name, classes=classes_of(config), guess_loss=known.get("guess_loss"))]


def classes_of(config: Mapping[str, Any]) -> int | None:
    """How many classes a run's data have, by its configuration: an argument of its network, or noted beside it.

    None for regression.
    """
    return config.get("classes") or (config.get("model") or {}).get("classes")


def _document(file: Path, parse: Callable[[str], Any]) -> dict[str, Any]:
    """The mapping that a file holds.

    Raises:
        UserError: the file is cut short or holds something else.
    """
    try:
        content = parse(file.read_text(encoding="utf-8"))
    except (yaml.YAMLError, ValueError):
        content = None
    if not isinstance(content, dict):
        raise UserError(f"{file} is damaged; explain {file.with_name('history.csv')} instead, or train that run anew.")
    return content
