"""Finds the curves in the files and folders that a person names."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from lr_lab.curves.assemble import Wishes, curves
from lr_lab.curves.curve import Curve
from lr_lab.curves.readers import readers
from lr_lab.curves.readers.base import Reader
from lr_lab.curves.source import LARGEST, Source
from lr_lab.curves.table import Table
from lr_lab.errors import UserError, not_there

SURE = 0.35  # a reader less sure than this does not count
SKIPPED = {"checkpoints", "weights", "__pycache__", "node_modules", "artifacts"}


def read(paths: Sequence[str], wishes: Wishes | None = None) -> list[Curve]:
    """The curves of files, folders, or "-" for standard input, in that order.

    Raises:
        UserError: a path is not there, holds no log, or the log holds no loss.
    """
    found: list[tuple[Reader, Table]] = []
    for path in paths:
        found += _of_standard_input() if path == "-" else _of_path(Path(path))
    made, refused = [], []
    for reader, table in _joined(found):
        try:
            made += [
                replace(curve, notes=(f"Read as {reader.format}.", *curve.notes))
                for curve in curves(table, wishes)
                if len(curve)
            ]
        except UserError as error:  # a table beside others may hold only rates or times
            refused.append(error)
    if refused and not made:
        raise refused[0]
    if not made:
        raise UserError(f"{', '.join(paths)}: no line has a loss with a number.")
    return made


def reader_of(source: Source) -> Reader | None:
    """The reader that is surest of a source; None if none is sure enough."""
    sure, _, best = max(
        ((reader.sure(source), -reader.order, reader) for reader in readers()), key=lambda found: found[:2]
    )
    return best if sure >= SURE else None


def _of_standard_input() -> list[tuple[Reader, Table]]:
    source = Source(None, sys.stdin.buffer.read())
    if not source.data.strip():
        raise UserError("Standard input is empty; paste a log into it or pipe a file to it.")
    return _tables(source)


def _of_path(path: Path) -> list[tuple[Reader, Table]]:
    if not path.exists():
        raise not_there(path, "name a log file, a folder with logs, or - for standard input")
    if not path.is_dir():
        if path.stat().st_size > LARGEST:
            raise UserError(f"{path} has {path.stat().st_size / 2**20:.0f} MiB; a log may have {LARGEST // 2**20}.")
        return _tables(Source(path))
    found = _of_folder(path)
    if not found:
        raise UserError(f"{path} holds no file that reads as a training log; name the file if you know it.")
    return found


def _tables(source: Source) -> list[tuple[Reader, Table]]:
    reader = reader_of(source)
    if reader is None:
        raise UserError(
            f"{source.name} does not read as a training log: no table, JSON, event file or printed line with a loss. "
            "If it is a table, its first line has to name the columns."
        )
    return [(reader, table) for table in reader.tables(source)]


def _of_folder(folder: Path) -> list[tuple[Reader, Table]]:
    """The logs below a folder; if several describe one run, the most complete one."""
    if reader := reader_of(Source(folder)):
        whole = [(reader, table) for table in reader.tables(Source(folder))]
        files = [] if reader.order == 0 else [found for found in _of_files(folder) if found[0].order < reader.order]
        return files or whole
    inner = [
        path for path in sorted(folder.iterdir()) if path.is_dir() and path.name not in SKIPPED and path.name[0] != "."
    ]
    return _of_files(folder) + [found for path in inner for found in _of_folder(path)]


def _of_files(folder: Path) -> list[tuple[Reader, Table]]:
    found = []
    for path in sorted(path for path in folder.iterdir() if path.is_file() and path.stat().st_size <= LARGEST):
        source = Source(path)
        if reader := reader_of(source):
            found += [(reader, table) for table in reader.tables(source)]
    lowest = min((reader.order for reader, _ in found), default=0)
    return [(reader, table) for reader, table in found if reader.order == lowest]


def _joined(found: Sequence[tuple[Reader, Table]]) -> list[tuple[Reader, Table]]:
    """Joins tables that hold one run together."""
    joined: dict[str, tuple[Reader, Table]] = {}
    for number, (reader, table) in enumerate(found):
        key = table.part_of or f"#{number}"
        before = joined.get(key)
        rows = [*before[1].rows, *table.rows] if before else table.rows
        joined[key] = (reader, replace(table, rows=rows))
    return list(joined.values())
