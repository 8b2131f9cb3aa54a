"""Assigns roles to a table's columns: training loss, validation loss, and so on."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace

from lr_lab.curves.names import SCORE, Named, named, words
from lr_lab.curves.table import Row, Table

ROLES = ("epoch", "step", "train_loss", "val_loss", "train_accuracy", "val_accuracy", "lr")
Roles = dict[str, tuple[str, ...]]

# A detector's loss is the sum of its parts, and its log holds the parts alone.
DETECTOR_PART = re.compile(r"^(train/|val/|)(box|cls|dfl|obj|giou|l1|seg|pose|kobj|angle|mask)(_loss|_om|_oo)?$")
CLASSIFICATION = {"cls", "class", "classification", "classifier", "ce", "label", "labels", "clf"}
WITHIN = 0.3  # rank of a column that describes parts of epochs only, if another column sums the epochs up
RARE = 0.1  # a column with under a tenth of the values of the fullest of its kind is a summary, not a curve


def qualified(table: Table) -> list[Row]:
    """The rows with a row's own split written before each of its losses and accuracies that names none."""
    return [Row(_with_split(row), row.within) if row.split else row for row in table.rows]


def _with_split(row: Row) -> dict[str, float]:
    def rename(name: str) -> str:
        known = named(name)
        return f"{row.split} {name}" if known.kind in ("loss", "accuracy") and not known.split else name

    return {rename(name): value for name, value in row.values.items()}


def choose(rows: Sequence[Row], wished: Mapping[str, str]) -> Roles:
    """The columns of each role, several where their sum is meant.

    Args:
        rows: after `qualified`.
        wished: columns that a person names, by role; they are taken as they are.
    """
    count = Counter(name for row in rows for name in row.values)
    whole = {name for row in rows if not row.within for name in row.values}
    names = {name: named(name) for name in count}
    names |= {name: replace(names[name], rank=names[name].rank + WITHIN) for name in count.keys() - whole}
    found: Roles = {}
    for role in ("epoch", "step", "lr"):
        if name := _best([name for name in names if names[name].kind == role], names, count):
            found[role] = (name,)
    found |= _losses(names, count)
    found |= _accuracies(names, count, found, rows)
    return {role: columns for role, columns in found.items() if role not in wished} | {
        role: (column,) for role, column in wished.items()
    }


def _best(candidates: Sequence[str], names: Mapping[str, Named], count: Counter[str]) -> str | None:
    if not candidates:
        return None
    fullest = max(count[name] for name in candidates)

    def rank(name: str) -> tuple[float, int]:
        rare = "epoch" not in words(name) and (count[name] < RARE * fullest or count[name] == 1 < fullest - 1)
        # "loss" beside "train_loss" is that of a progress bar.
        return names[name].rank + 3.0 * rare + 0.1 * (not names[name].split), -count[name]

    return min(candidates, key=rank)


def _losses(names: Mapping[str, Named], count: Counter[str]) -> Roles:
    def of(*splits: str) -> list[str]:
        return [name for name, known in names.items() if known.kind == "loss" and known.split in splits]

    found: Roles = {}
    explicit, bare = of("train"), of("")
    train = [*explicit, *bare] if explicit and bare else explicit or bare
    val = of("val") or of("test")
    for role, split, candidates in (("train_loss", "train", train), ("val_loss", "val", val)):
        parts = tuple(name for name in names if DETECTOR_PART.match(name) and _split_of_part(name) == split)
        if len(parts) > 1 and not any(names[name].rank < 1 for name in candidates):
            found[role] = parts
        elif candidates:
            found[role] = (_best(_of_classification(candidates, names), names, count) or "",)
    return found


def _split_of_part(name: str) -> str:
    """The split of a part of a detector's loss; without one it belongs to training."""
    return name.split("/")[0] if "/" in name else "train"


def _of_classification(candidates: Sequence[str], names: Mapping[str, Named]) -> Sequence[str]:
    """The losses of the classes among several losses without a total: accuracy and the loss of guessing fit them."""
    if any(names[name].rank < 1 for name in candidates):
        return candidates
    return [name for name in candidates if set(names[name].parts) & CLASSIFICATION] or candidates


def _accuracies(names: Mapping[str, Named], count: Counter[str], losses: Roles, rows: Sequence[Row]) -> Roles:
    def of(*splits: str) -> list[str]:
        return [name for name, known in names.items() if known.kind == "accuracy" and known.split in splits]

    train, val, bare = of("train"), of("val") or of("test"), of("")
    if bare and not val and _is_of_validation(bare, train, losses, names, rows):
        val = bare
    elif bare and not train:
        train = bare
    found = {"train_accuracy": _best(train, names, count), "val_accuracy": _best(val, names, count)}
    return {role: (name,) for role, name in found.items() if name}


def _is_of_validation(
    bare: Sequence[str], train: Sequence[str], losses: Roles, names: Mapping[str, Named], rows: Sequence[Row]
) -> bool:
    """True if an accuracy without a split is that of validation, in a log that names no accuracy of validation."""
    loss = losses.get("train_loss", ("",))[0]
    if train or not loss or set(words(bare[0])) & SCORE:
        return True
    if "val_loss" in losses:
        return named(loss).split == "train"
    beside = [row for row in rows if bare[0] in row.values]
    return any(loss not in row.values for row in beside) or 2 * len(beside) < sum(loss in row.values for row in rows)
