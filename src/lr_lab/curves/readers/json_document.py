"""JSON of a whole run: Keras' history (lists by name), a list of rows, a data frame, Hugging Face's trainer_state."""

from __future__ import annotations

import ast
import json
import math
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

from lr_lab.curves.names import TEST, TRAIN, VAL, named, split_of, words
from lr_lab.curves.readers.base import Reader
from lr_lab.curves.readers.delimited import SPLIT_COLUMNS
from lr_lab.curves.source import Source
from lr_lab.curves.table import Row, Table


def row_of(record: Mapping[str, Any]) -> Row:
    """The numbers of one record; nested ones under the names of both levels."""
    split = next(
        (
            split_of(set(words(value)) & (TRAIN | VAL | TEST))
            for key, value in record.items()
            if key in SPLIT_COLUMNS and isinstance(value, str)
        ),
        "",
    )
    values = _numbers(record)
    if math.isnan(values.get("grad_norm", 0.0)) and values.get("loss") == 0.0:
        values["loss"] = math.nan  # Hugging Face's Trainer writes 0 for a loss that is not finite
    return Row(values, split=split)


def _numbers(record: Mapping[str, Any], before: str = "") -> dict[str, float]:
    values: dict[str, float] = {}
    for key, value in record.items():
        name = f"{before}{key}"
        if isinstance(value, Mapping):
            values |= _numbers(value, f"{name}/")
        elif (told := _number(value)) is not None:
            values[name] = told
    return values


def _number(value: Any) -> float | None:
    """A number, also one written as a string (Keras' old NaN, Hugging Face's printed values)."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        return float(value)
    except ValueError:
        return None


def parsed(text: str) -> Any:
    """The document, of JSON or of Python's own brackets; None if it is neither."""
    try:
        return json.loads(text)
    except ValueError:
        pass
    try:
        with warnings.catch_warnings(action="ignore"):  # a text may look like Python and fail to parse
            return ast.literal_eval(text.strip()) if len(text) < 10**7 else None
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return None


def records(document: Any) -> list[Mapping[str, Any]]:
    """Its rows, wherever they are in it; empty if it has none with a loss or an accuracy."""
    if isinstance(document, Sequence) and not isinstance(document, str):
        rows = [row for row in document if isinstance(row, Mapping)]
        return rows if any(named(name).kind in ("loss", "accuracy") for row in rows for name in _numbers(row)) else []
    if not isinstance(document, Mapping):
        return []
    columns = {str(name): _column(value) for name, value in document.items()}
    columns = {name: column for name, column in columns.items() if len(column) > 0}
    if any(named(name).kind in ("loss", "accuracy") for name in columns):
        length = max(map(len, columns.values()))
        return [{name: column[i] for name, column in columns.items() if i < len(column)} for i in range(length)]
    flattened = {
        f"{outer}/{name}": value
        for outer, inner in document.items()
        if isinstance(inner, Mapping)
        for name, value in inner.items()
    }
    if any(_column(value) for name, value in flattened.items() if named(name).kind == "loss"):
        inner = next(
            (found for value in document.values() if isinstance(value, Mapping) and (found := records(value))), []
        )
        whole = records(flattened)
        return whole if {split_of(set(words(str(key)))) for key in document} & {"train", "val"} else inner or whole
    return next((rows for value in document.values() if (rows := records(value))), [])


def _column(value: Any) -> Sequence[Any]:
    """A list of numbers, or a data frame's column by row number."""
    if isinstance(value, Mapping) and value and all(str(key).isdigit() for key in value):
        value = list(value.values())
    if isinstance(value, list) and value and all(item is None or _number(item) is not None for item in value):
        return value
    return ()


class JsonDocument(Reader):
    format = "JSON of a run"

    def sure(self, source: Source) -> float:
        if not source.is_text or source.text.lstrip()[:1] not in ("{", "["):
            return 0.0
        return 0.9 if records(parsed(source.text)) else 0.0

    def tables(self, source: Source) -> list[Table]:
        return [Table([row_of(row) for row in records(parsed(source.text))], source.name)]


class TrainerState(JsonDocument):
    format = "Hugging Face's trainer_state.json"

    def sure(self, source: Source) -> float:
        if not source.is_text or '"log_history"' not in source.text:
            return 0.0
        return 1.0 if super().sure(source) else 0.0

    def tables(self, source: Source) -> list[Table]:
        """The rows without the last one, which sums up the whole run."""
        document = parsed(source.text)
        rows = [row for row in document["log_history"] if "train_runtime" not in row]
        return [Table([row_of(row) for row in rows], source.name)]
