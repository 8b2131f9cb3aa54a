"""Rows that fastai prints outside of a notebook: one bracketed row an epoch, without names, the time at its end."""

from __future__ import annotations

import re

from lr_lab.curves.numbers import NUMBER, number
from lr_lab.curves.readers.base import Reader
from lr_lab.curves.source import Source
from lr_lab.curves.table import Row, Table

ROW = re.compile(rf"^\[(\d+), ((?:(?:{NUMBER}|None), )+)'\d+:\d\d(?::\d\d)?'\]$")


class FastaiLists(Reader):
    format = "fastai's printed rows"

    def sure(self, source: Source) -> float:
        return 0.95 if source.is_text and sum(bool(ROW.match(line.strip())) for line in source.lines) > 1 else 0.0

    def tables(self, source: Source) -> list[Table]:
        """Epoch, training loss, validation loss; the metrics that follow have no names, so they are numbered."""
        rows = []
        for found in filter(None, (ROW.match(line.strip()) for line in source.lines)):
            cells = found[2].strip(", ").split(", ")
            names = ["train_loss", "valid_loss", *(f"metric {n}" for n in range(1, len(cells)))]
            told = {name: value[0] for name, cell in zip(names, cells, strict=False) if (value := number(cell))}
            rows.append(Row({"epoch": float(found[1])} | told))
        return [Table(rows, source.name)]
