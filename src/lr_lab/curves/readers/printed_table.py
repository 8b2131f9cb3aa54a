"""A printed table: a line of names, then lines of numbers under them (fastai, many loops)."""

from __future__ import annotations

import re
from collections.abc import Sequence

from lr_lab.curves.names import named
from lr_lab.curves.numbers import number
from lr_lab.curves.readers.base import Reader
from lr_lab.curves.readers.printed import classes_in
from lr_lab.curves.source import Source
from lr_lab.curves.table import Row, Table


def cells(line: str) -> list[str]:
    """The cells of a line, between bars or blanks; a single blank may be within a name where there are wider gaps."""
    if "|" in line or "│" in line:
        return [cell.strip() for cell in re.split(r"[|│]", line.strip().strip("|│"))]
    return re.split(r"\s{2,}|\t", line.strip()) if re.search(r"\S\s{2,}\S", line.strip()) else line.split()


def is_header(found: Sequence[str]) -> bool:
    kinds = [named(name).kind for name in found]
    return len(found) > 1 and "loss" in kinds and not any(number(name) for name in found)


class PrintedTable(Reader):
    format = "printed table"
    order = 2

    def sure(self, source: Source) -> float:
        if not source.is_text:
            return 0.0
        rows = [row for _, row in _rows(source.lines)]
        return 0.75 if len(rows) > 1 else 0.45 if rows else 0.0

    def tables(self, source: Source) -> list[Table]:
        made, percent = [], set()
        for header, row in _rows(source.lines):
            found = [
                (name, number(re.sub(r"^(\d+)/\d+$", r"\1", cell))) for name, cell in zip(header, row, strict=True)
            ]
            made.append(Row({name: told[0] for name, told in found if told}))
            percent |= {name for name, told in found if told and told[1]}
        return [Table(made, source.name, frozenset(percent), classes_in(source.text))]


def _rows(lines: Sequence[str]) -> list[tuple[Sequence[str], list[str]]]:
    """Each line of numbers with the header above it."""
    header: Sequence[str] = ()
    rows = []
    for line in lines:
        found = cells(line)
        if is_header(found):
            header = found
        elif header:
            row = found if len(found) == len(header) else line.split()[: len(header)]
            known = [i for i, name in enumerate(header) if named(name).kind == "loss"]
            if len(row) == len(header) and row[0][:1].isdigit() and any(number(row[i]) for i in known):
                rows.append((header, row))
    return rows
