"""A table with a header: CSV of Keras, Lightning, timm, fastai, Ultralytics, and anybody's."""

from __future__ import annotations

import csv
from collections.abc import Sequence

from lr_lab.curves.names import TEST, TRAIN, VAL, named, split_of, words
from lr_lab.curves.numbers import number
from lr_lab.curves.readers.base import Reader
from lr_lab.curves.source import Source
from lr_lab.curves.table import Row, Table

DELIMITERS = ",;\t|"
SPLIT_COLUMNS = {"split", "phase", "mode", "stage", "subset", "set", "partition", "dataset"}
RUN_COLUMNS = {"run", "runid", "runname", "experiment", "trial", "fold", "runuuid"}


def grid(source: Source) -> tuple[list[str], list[list[str]], bool]:
    """Header, rows, and whether numbers have a decimal comma; an empty header if the text is not a table."""
    lines = [line for line in source.text.splitlines() if line.strip()]
    if lines and lines[0].startswith("#"):  # a header as numpy.savetxt writes it, or a remark
        lines[0] = lines[0].lstrip("# ")
        while len(lines) > 1 and not any(sign in lines[0] for sign in DELIMITERS):
            lines[:2] = [lines[1].lstrip("# ")]
    lines = [line for line in lines if not line.startswith("#")]
    if not lines:
        return [], [], False
    delimiter = max(DELIMITERS, key=lines[0].count)
    if delimiter not in lines[0]:
        return [], [], False
    cells = [[cell.strip() for cell in row] for row in csv.reader(lines, delimiter=delimiter, skipinitialspace=True)]
    if delimiter == "|":
        cells = [row[1:-1] if not row[0] and not row[-1] else row for row in cells if set("".join(row)) - set("-: ")]
    return (cells[0], cells[1:], delimiter in ";\t|") if cells else ([], [], False)


class Delimited(Reader):
    format = "table with a header"

    def sure(self, source: Source) -> float:
        if not source.is_text or source.text.lstrip()[:1] in "{[":
            return 0.0
        header, rows, comma = grid(source)
        known = [name for name in header if named(name).kind]
        if len(header) < 2 or any(number(name) for name in header if name):
            return 0.0
        full = [row for row in rows if len(row) in (len(header), len(header) + 1)]
        numeric = [row for row in full if any(number(cell, comma) for cell in row)]
        if len(numeric) < 0.7 * len(rows) or not numeric:
            return 0.0
        return 0.9 if any(named(name).kind in ("loss", "accuracy") for name in known) else 0.3

    def tables(self, source: Source) -> list[Table]:
        header, rows, comma = grid(source)
        return [
            _table(f"{source.name}: {run}" if run else source.name, header, chosen, comma)
            for run, chosen in _by_run(header, rows).items()
        ]


def _by_run(header: Sequence[str], rows: Sequence[list[str]]) -> dict[str, list[list[str]]]:
    """The rows of each run, if a column names runs; otherwise all of them under no name."""
    columns = [i for i, name in enumerate(header) if "".join(words(name)) in RUN_COLUMNS]
    runs: dict[str, list[list[str]]] = {}
    for row in rows:
        if len(row) >= len(header):
            runs.setdefault(row[columns[0]] if columns else "", []).append(row)
    return runs


def _table(name: str, header: Sequence[str], rows: Sequence[list[str]], comma: bool) -> Table:
    splits = [i for i, name in enumerate(header) if "".join(words(name)) in SPLIT_COLUMNS]
    percent: set[str] = set()
    made = []
    for row in rows:
        values = {}
        for column, cell in zip(header, row, strict=False):
            if found := number(cell, comma):
                values[column], signed = found
                percent |= {column} if signed else set()
        word = set(words(row[splits[0]])) if splits else set()
        made.append(Row(values, split=split_of(word & (TRAIN | VAL | TEST))))
    return Table(_with_nan(header, made), name, frozenset(percent))


def _with_nan(header: Sequence[str], rows: list[Row]) -> list[Row]:
    """The rows with NaN for every loss where a table with one row an epoch leaves all of them blank, as pandas does."""
    losses = [name for name in header if named(name).kind == "loss"]
    epoch = next((name for name in header if named(name).kind == "epoch"), None)
    epochs = [row.values[epoch] for row in rows if epoch in row.values] if epoch else []
    if len(set(epochs)) != len(rows) or not losses:
        return rows
    nan = dict.fromkeys(losses, float("nan"))
    return [row if row.values.keys() & set(losses) else Row(row.values | nan, row.within, row.split) for row in rows]
