"""The output of training loops: words and numbers on lines, among time stamps, progress bars and warnings.

Also Keras' bar, Lightning's bar and Hugging Face's printed dictionaries: all of them are words before numbers.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import islice

from lr_lab.curves.line import Line, parse
from lr_lab.curves.names import named
from lr_lab.curves.numbers import NUMBER
from lr_lab.curves.readers.base import Reader
from lr_lab.curves.source import Source
from lr_lab.curves.table import Row, Table

# Programs that print the best so far repeat numbers of earlier epochs.
REPEATS = re.compile(
    r"(?i)improved from|not improve|-->|train_runtime|\bbest\b.*(?:so far|epoch)|early ?stopping|checkpoint|"
    r"\bsaving\b|\bsaved\b"
)
REDUCING = re.compile(rf"(?i)(?:reducing|adjusting|reduced?|setting) learning rate.*? to ({NUMBER})")
CLASSES = re.compile(r"(?i)\b(\d{1,5})[ -]classes\b|\b(?:num|nb|n)_?classes\W{1,4}(\d{1,5})\b")


class Printed(Reader):
    format = "printed log"
    order = 2

    def sure(self, source: Source) -> float:
        if not source.is_text:
            return 0.0
        told = len(list(islice(filter(_tells_loss, _lines(source.lines)), 2)))
        return (0.0, 0.4, 0.6)[told]

    def tables(self, source: Source) -> list[Table]:
        lines = _with_epochs(_last_of_bars(list(_lines(source.lines))))
        percent = frozenset(name for line in lines for name in line.percent)
        rows = [Row(line.values, line.within, line.split) for line in lines if line.values]
        return [Table(rows, source.name, percent, classes_in(source.text))]


def classes_in(text: str) -> int | None:
    """The number of classes that a log names."""
    found = CLASSES.search(text)
    count = int(found[1] or found[2]) if found else 0
    return count if count > 1 else None


def _tells_loss(line: Line) -> bool:
    return any(named(name).kind == "loss" for name in line.values)


def _lines(lines: Iterable[str]) -> Iterable[Line]:
    """Each line parsed; a title such as "Validation:" holds until an epoch or another split is named."""
    section, before = "", ""
    for text in lines:
        if rate := REDUCING.search(text):
            yield Line({"lr": float(rate[1])})
        elif not REPEATS.search(text):
            line = parse(text)
            before = next((split for name in line.values if (split := named(name).split)), before)
            if line.values and text.lstrip().startswith("*"):  # "* Acc@1 76.1" sums up the lines before
                line.split = before
            if line.split or line.epoch is not None:
                section = line.split if not line.values and line.epoch is None else ""
            line.split = line.split or section
            yield line


def _last_of_bars(lines: Sequence[Line]) -> list[Line]:
    """The last drawing of each progress bar."""
    kept: list[Line] = []
    last = -1  # place of the drawing before, while nothing but empty lines follows it
    for line in lines:
        before = kept[last] if last >= 0 else None
        if before and line.bar and line.values.keys() >= before.values.keys() and line.epoch == before.epoch:
            del kept[last]
        kept.append(line)
        if line.values:
            last = len(kept) - 1 if line.bar else -1
        elif line.epoch is not None:
            last = -1
    return kept


def _with_epochs(lines: Sequence[Line]) -> list[Line]:
    """Every line with its epoch: the one last named, or the next one where the log names it after the numbers."""
    marks = [n for n, line in enumerate(lines) if line.epoch is not None]
    if not marks:
        return _numbered(lines)
    told = [n for n, line in enumerate(lines) if _tells_loss(line)]
    closes = len(marks) > 1 and bool(told) and marks[0] > told[0] and marks[-1] > told[-1]
    backwards = closes and not lines[marks[0]].values
    made, epoch = [], None
    for line in reversed(lines) if backwards else lines:
        epoch = epoch if line.epoch is None else line.epoch
        made.append(_in_epoch(line, epoch))
    return made[::-1] if backwards else made


def _in_epoch(line: Line, epoch: float | None) -> Line:
    return replace(line, values=line.values | {"epoch": epoch}) if line.values and epoch is not None else line


def _numbered(lines: Sequence[Line]) -> list[Line]:
    """Epochs where none is named: one ends where a name comes again. Steps, where they are told, count instead."""
    if any(named(name).kind == "step" for line in lines for name in line.values):
        return list(lines)
    made, epoch = [], 1.0
    seen: set[str] = set()
    for line in lines:
        if seen & set(line.values):
            epoch, seen = epoch + 1, set()
        seen |= set(line.values)
        made.append(_in_epoch(line, epoch))
    return made
