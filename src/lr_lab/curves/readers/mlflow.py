"""MLflow's store: the folder of a run or of an experiment, or the database that newer versions write."""

from __future__ import annotations

import sqlite3
from collections import defaultdict
from pathlib import Path

from lr_lab.curves.readers.base import Reader
from lr_lab.curves.source import Source
from lr_lab.curves.table import Row, Table

RUNS = "*/metrics", "metrics", "*/*/metrics"


class Mlflow(Reader):
    format = "MLflow's folder"

    def sure(self, source: Source) -> float:
        if not source.is_folder or not source.path:
            return 0.0
        return 0.95 if any((folder.parent / "meta.yaml").is_file() for folder in _runs(source.path)) else 0.0

    def tables(self, source: Source) -> list[Table]:
        assert source.path is not None
        return [
            Table(_rows(folder), str(folder.parent))
            for folder in _runs(source.path)
            if (folder.parent / "meta.yaml").is_file()
        ]


def _runs(folder: Path) -> list[Path]:
    return sorted(path for pattern in RUNS for path in folder.glob(pattern) if path.is_dir())


def _rows(metrics: Path) -> list[Row]:
    """A file per metric, whose name may hold folders; a line is timestamp, value, step."""
    rows = []
    for path in sorted(path for path in metrics.rglob("*") if path.is_file()):
        name = path.relative_to(metrics).as_posix()
        cells = (line.split() for line in path.read_text().splitlines())
        rows += [Row({"step": float(cell[2]), name: float(cell[1])}) for cell in cells if len(cell) >= 3]
    return rows


class MlflowDatabase(Reader):
    format = "MLflow's database"

    def sure(self, source: Source) -> float:
        return 1.0 if source.data.startswith(b"SQLite format 3\0") and b"run_uuid" in source.data else 0.0

    def tables(self, source: Source) -> list[Table]:
        runs: dict[str, list[Row]] = defaultdict(list)
        with sqlite3.connect(f"file:{source.path}?mode=ro", uri=True) as database:
            names = dict(database.execute("select run_uuid, name from runs").fetchall())
            told = database.execute("select run_uuid, key, value, step, is_nan from metrics order by timestamp, step")
            for run, key, value, step, is_nan in told:
                runs[run].append(Row({"step": float(step), key: float("nan") if is_nan else float(value)}))
        return [Table(rows, f"{source.name}: {names.get(run) or run}") for run, rows in runs.items()]
