"""The table that every reader makes of a log: rows of named numbers in the order of the file."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Row:
    """
    Attributes:
        values: numbers by name; the epoch and the step are among them where the row has them.
        within: whether the row was logged inside an epoch, so that another may sum the epoch up.
        split: "train", "val" or "test" where the row as a whole says so.
    """

    values: dict[str, float]
    within: bool = False
    split: str = ""


@dataclass(frozen=True)
class Table:
    """
    Attributes:
        rows: in the order of the file.
        name: of the run, for people.
        percent: names whose numbers carry a percent sign.
        classes: how many, where the log says.
        guess_loss: loss of always answering with the shares of the classes, where the log says (nats).
        notes: sentences about how the log was read.
        part_of: files with the same word here hold one run together.
    """

    rows: list[Row]
    name: str = ""
    percent: frozenset[str] = frozenset()
    classes: int | None = None
    guess_loss: float | None = None
    notes: tuple[str, ...] = ()
    part_of: str = ""
