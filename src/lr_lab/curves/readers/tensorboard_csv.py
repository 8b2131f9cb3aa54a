"""CSV or JSON that TensorBoard's page offers for one tag: wall time, step, value."""

from __future__ import annotations

import json
import re
from pathlib import Path

from lr_lab.curves.numbers import number
from lr_lab.curves.readers.base import Reader
from lr_lab.curves.readers.delimited import grid
from lr_lab.curves.source import Source
from lr_lab.curves.table import Row, Table

HEADER = ["wall time", "step", "value"]
# The page names the file run-RUN-tag-TAG.csv, with _ for / in both; older ones run_RUN-tag-TAG.csv.
NAME = re.compile(r"run[-_](?P<run>.*?)-tag-(?P<tag>.*)")


class TensorboardCsv(Reader):
    format = "TensorBoard's download of one tag"

    def sure(self, source: Source) -> float:
        return 1.0 if source.is_text and _cells(source) else 0.0

    def tables(self, source: Source) -> list[Table]:
        """One table; which tag it holds is in the file's name alone. Those of one run are joined by `part_of`."""
        path = source.path or Path("loss.csv")
        found = NAME.fullmatch(path.stem)
        run, tag = (found["run"], found["tag"]) if found else ("", path.stem)
        rows = [Row({"step": step, _named(run, tag): value}) for step, value in _cells(source)]
        whole = re.sub(r"[_-]?(train|validation|val|test|eval)$", "", run)
        return [Table(rows, f"{path.parent}: {whole or 'run'}", part_of=f"{path.parent}/{whole}")]


def _cells(source: Source) -> list[tuple[float, float]]:
    """(step, value) of each row; empty if the content is neither of the two."""
    if source.text.lstrip().startswith("[["):
        try:
            rows = json.loads(source.text)
        except ValueError:
            return []
        whole = all(len(row) == 3 and all(isinstance(cell, int | float) for cell in row) for row in rows)
        return [(float(step), float(value)) for _, step, value in rows] if whole else []
    header, lines, _ = grid(source)
    if [name.lower() for name in header] != HEADER:
        return []
    cells = [(number(step), number(value)) for _, step, value in (row for row in lines if len(row) == 3)]
    return [(step[0], value[0]) for step, value in cells if step and value]


def _named(run: str, tag: str) -> str:
    """The tag, with the end of the run's name before it where that is a split (Keras writes train and validation)."""
    split = re.search(r"(train|validation|val|test|eval)$", run)
    return f"{split[0]} {tag}" if split else tag
