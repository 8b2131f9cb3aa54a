"""The zoo's book of true values: how often readings and labels agree with it."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from lr_lab.curves.curve import Curve
from lr_lab.curves.find import read

ZOO = Path(__file__).parent / "zoo"
TOLERANCE = 0.006  # printed logs hold two to four digits
Row = Mapping[str, str]


def rows(split: str) -> list[Row]:
    """The lines of truth.csv of one split."""
    with (ZOO / "truth.csv").open() as file:
        return [row for row in csv.DictReader(file) if row["split"] == split]


def path(row: Row) -> Path:
    """The file, or the folder where a run is several files."""
    return ZOO / row["folder"] / row["file"] if row["file"] not in ("", ".") else ZOO / row["folder"]


def curve(row: Row) -> Curve:
    """The last run of a log.

    Raises:
        UserError: the log can't be read.
    """
    return read([str(path(row))])[-1]


def wrong(found: Curve, row: Row) -> list[str]:
    """Which numbers of a reading are not the true ones; the training loss counts where the log tells it by epoch."""
    checks = [("val_loss", "val_loss_last")]
    if "step" not in row["notes"] and "smoothed" not in row["notes"]:
        checks.append(("train_loss", "train_loss_last"))
    bad = [name for name, column in checks if row[column] and not _same(_last(found, name), float(row[column]))]
    if found.unit == "epoch" and row["epochs"] and len(found) != int(row["epochs"]):
        bad.append("epochs")
    best = found.best("val_loss")
    if found.unit == "epoch" and row["best_val_epoch"] and best:
        at = dict(found.points("val_loss")).get(float(row["best_val_epoch"]), math.inf)
        bad += ["best_val_epoch"] if not _same(at, best[1]) else []  # digits that were not printed may make a tie
    return bad


def _last(found: Curve, name: str) -> float:
    told = [value for value in getattr(found, name) if value is not None]
    return told[-1] if told else -math.inf


def _same(value: float, true: float) -> bool:
    both_lost = math.isnan(value) and math.isnan(true)
    return both_lost or math.isclose(value, true, rel_tol=TOLERANCE, abs_tol=1e-4)


def accepted(row: Row) -> set[str]:
    """The labels that are right for a log; empty where nobody labelled it."""
    return {label for label in (row["label"], *row["other_label"].split(";")) if label}


def score(pairs: Sequence[tuple[str, Row]]) -> tuple[int, int, int, int]:
    """(right, all, right of those that are not healthy, all of those) of (label, line of truth)."""
    judged = [(row["label"], label in accepted(row)) for label, row in pairs if accepted(row)]
    ill = [right for label, right in judged if label != "healthy"]
    return sum(right for _, right in judged), len(judged), sum(ill), len(ill)


def by_format(pairs: Sequence[tuple[str, Row]]) -> Iterator[tuple[str, int, int]]:
    """(format, right, all) of each."""
    for name in sorted({row["format"] for _, row in pairs}):
        right, total, *_ = score([pair for pair in pairs if pair[1]["format"] == name])
        yield name, right, total
