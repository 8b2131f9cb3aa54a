"""The zoo's book of true values agrees with its folders, so that whoever scores a reader on it scores what is there."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from lr_lab.curves.diagnosis import LABELS

ZOO = Path(__file__).parent / "zoo"
with (ZOO / "truth.csv").open(newline="") as f:
    TRUTH = list(csv.DictReader(f))


def test_every_folder_has_a_row_and_every_row_a_file() -> None:
    folders = {path.name for path in ZOO.iterdir() if path.is_dir() and path.name not in ("make", "__pycache__")}
    assert folders == {row["folder"] for row in TRUTH}
    assert all((ZOO / row["folder"] / row["file"]).exists() for row in TRUTH)


def test_labels_are_those_of_the_diagnosis() -> None:
    given = {label for row in TRUTH for label in (row["label"], *row["other_label"].split(";")) if label}
    assert given == set(LABELS)
    assert all(row["label"] for row in TRUTH)


@pytest.mark.parametrize("column", ["library", "fault"])
def test_each_library_and_fault_is_on_both_sides(column: str) -> None:
    sides = {split: {row[column] for row in TRUTH if row["split"] == split} for split in ("tuning", "scoring")}
    assert sides["tuning"] == sides["scoring"]


def test_a_library_and_a_fault_together_are_on_one_side() -> None:
    current = [row for row in TRUTH if "older version" not in row["notes"]]
    sides = {(row["library"], row["fault"]): row["split"] for row in current}
    assert all(sides[row["library"], row["fault"]] == row["split"] for row in current)


def test_curves_are_as_long_as_the_book_says() -> None:
    curves = json.loads((ZOO / "curves.json").read_text())
    assert {row["folder"]: int(row["epochs"]) for row in TRUTH} == {n: len(c["train_loss"]) for n, c in curves.items()}


def test_files_are_small() -> None:
    logs = [path for row in TRUTH for path in (ZOO / row["folder"]).rglob("*") if path.is_file()]
    assert max(path.stat().st_size for path in logs) < 60_000
    assert sum(path.stat().st_size for path in logs) < 2_500_000
