"""A table with a row per number: a column names the metric, another holds its value (W&B, pandas, MLflow exports)."""

from __future__ import annotations

from lr_lab.curves.names import named, words
from lr_lab.curves.numbers import number
from lr_lab.curves.readers.base import Reader
from lr_lab.curves.readers.delimited import RUN_COLUMNS, grid
from lr_lab.curves.source import Source
from lr_lab.curves.table import Row, Table

METRIC = {"metric", "metrics", "tag", "key", "variable", "name", "metricname"}
VALUE = {"value", "metricvalue"}


class LongTable(Reader):
    format = "table with a row per number"

    def sure(self, source: Source) -> float:
        if not source.is_text or not (columns := _columns(grid(source)[0])):
            return 0.0
        return (
            0.95
            if any(named(row[columns[0]]).kind == "loss" for row in grid(source)[1] if len(row) > max(columns))
            else 0.0
        )

    def tables(self, source: Source) -> list[Table]:
        header, rows, comma = grid(source)
        metric, value = _columns(header)
        run = next((i for i, name in enumerate(header) if "".join(words(name)) in RUN_COLUMNS), None)
        axes = [i for i, name in enumerate(header) if named(name).kind in ("epoch", "step")]
        runs: dict[str, list[Row]] = {}
        for row in rows:
            if len(row) < len(header) or not (found := number(row[value], comma)):
                continue
            places = {header[i]: place[0] for i in axes if (place := number(row[i], comma))}
            runs.setdefault("" if run is None else row[run], []).append(Row({row[metric]: found[0]} | places))
        return [Table(made, f"{source.name}: {name}" if name else source.name) for name, made in runs.items()]


def _columns(header: list[str]) -> tuple[int, ...]:
    """The columns of the metric's name and of its value; none if the header has not both."""
    squeezed = ["".join(words(name)) for name in header]
    metric = [i for i, name in enumerate(squeezed) if name in METRIC]
    value = [i for i, name in enumerate(squeezed) if name in VALUE]
    return (metric[0], value[0]) if metric and value else ()
