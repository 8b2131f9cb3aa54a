"""CSV that a W&B panel offers: a column per run and metric, "RUN - METRIC", each with its __MIN and __MAX."""

from __future__ import annotations

from lr_lab.curves.names import named
from lr_lab.curves.numbers import number
from lr_lab.curves.readers.base import Reader
from lr_lab.curves.readers.delimited import grid
from lr_lab.curves.source import Source
from lr_lab.curves.table import Row, Table


class WandbCsv(Reader):
    format = "W&B's CSV of a panel"

    def sure(self, source: Source) -> float:
        if not source.is_text:
            return 0.0
        header = grid(source)[0]
        pairs = [name for name in header[1:] if " - " in name]
        return (
            0.97 if pairs and len(pairs) == len(header) - 1 and any(name.endswith("__MIN") for name in pairs) else 0.0
        )

    def tables(self, source: Source) -> list[Table]:
        header, rows, _ = grid(source)
        axis = "epoch" if named(header[0]).kind == "epoch" else "step"
        runs: dict[str, list[Row]] = {}
        for row in rows:
            place = number(row[0])
            for name, cell in zip(header[1:], row[1:], strict=False):
                run, _, metric = name.rpartition(" - ")
                if place and not metric.endswith(("__MIN", "__MAX")) and metric != "_step" and (found := number(cell)):
                    runs.setdefault(run, []).append(Row({axis: place[0], metric: found[0]}))
        folder = source.path.parent if source.path else ""  # a panel is downloaded one at a time: a file a metric
        return [Table(made, f"{source.name}: {run}", part_of=f"{folder}: {run}") for run, made in runs.items()]
