"""JSON, one object a line: DETR, the mm* projects, timm's and anybody's own loops; other lines between are skipped."""

from __future__ import annotations

import json
from typing import Any

from lr_lab.curves.names import named
from lr_lab.curves.readers.base import Reader
from lr_lab.curves.readers.json_document import row_of
from lr_lab.curves.source import Source
from lr_lab.curves.table import Table


def _objects(source: Source) -> list[dict[str, Any]]:
    found = []
    for line in source.lines:
        if line.lstrip().startswith("{"):
            try:
                found.append(json.loads(line))
            except ValueError:
                continue
    return [line for line in found if isinstance(line, dict)]


class JsonLines(Reader):
    format = "JSON lines"

    def sure(self, source: Source) -> float:
        if not source.is_text or "{" not in source.text:
            return 0.0
        rows = [row_of(line) for line in _objects(source)]
        told = [row for row in rows if any(named(name).kind in ("loss", "accuracy") for name in row.values)]
        return 0.92 if len(told) > 1 else 0.5 if told and len(source.lines) == 1 else 0.0

    def tables(self, source: Source) -> list[Table]:
        return [Table([row_of(line) for line in _objects(source)], source.name)]
