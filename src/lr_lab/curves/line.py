"""One line of a printed log: its epoch, and its numbers, each named by the words before it."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from lr_lab.curves.names import BEST_SO_FAR, PLAIN, TEST, TRAIN, VAL, Named, named, words
from lr_lab.curves.numbers import NUMBER

SPLITS = TRAIN | VAL | TEST
STAMP = re.compile(
    r"\d{4}[-/]\d\d?[-/]\d\d?(?:[ T_]+\d\d?:\d\d(?::\d\d)?(?:[.,]\d+)?)?|\b\d+:\d\d(?::\d\d)?(?:\.\d+)?\b"
)
FOUND = re.compile(
    rf"(?<![\w@.])(?P<number>{NUMBER})"
    r"(?P<of>\s*/\s*(?P<whole>\d+))?"
    rf"(?:\s*\(\s*(?P<average>{NUMBER})\s*(?P<signed>%?)\s*\))?"
    r"(?P<unit>\s?%|\s?(?:it|s|ms|us|sec|secs|seconds|min|mins|h|GB|MB|GiB|MiB|G|M|K|k)(?![\w])(?:/\w+)?|[A-Za-z/]\w*)?"
)
# timm's "Train: 3 [  10/196 (  5%)]", and the "[3] train-logloss:0.4" of boosted trees.
HEAD = re.compile(r"(?i)^\W*(?:train|test|val)\w*:\s*\[?(\d+)\]?\s*\[\s*\d+/\d+|^\[(\d+)\]\s+[a-z]")
# Hugging Face's Trainer prints 0 for a loss that is not finite.
LOST = re.compile(r"grad_norm\W{1,5}nan")
BAR = re.compile(r"\d+%\||it/s|s/it|━|█|\[=*>?\.*\]|ms/step|us/step|s/step|ETA")
SEPARATORS = re.compile(r"[,;|•\t\[\]{}()]|\s[-–—]+\s|\s{3,}")


@dataclass
class Line:
    """
    Attributes:
        values: losses, accuracies, rates and steps by their words.
        percent: words whose numbers carry a percent sign.
        epoch: the epoch that the line names.
        within: whether it describes a part of an epoch.
        split: "train", "val" or "test", which a line without numbers announces for those that follow.
        bar: whether it is one drawing of a progress bar, or tells means so far: of several the last one counts.
    """

    values: dict[str, float] = field(default_factory=dict)
    percent: set[str] = field(default_factory=set)
    epoch: float | None = None
    within: bool = False
    split: str = ""
    bar: bool = False


class _Scan:
    """Goes through a line from left to right; a split and a metric hold for the words that follow them."""

    def __init__(self, bar: bool, within: bool, epoch: float | None) -> None:
        self.line = Line(bar=bar, within=within, epoch=epoch)
        self.split = self.metric = ""

    def take(self, found: re.Match[str], before: list[str]) -> None:
        """One number, and the pieces of text since the one before."""
        key = next((piece for piece in reversed(before) if re.search(r"[A-Za-z]", piece)), "")
        if self.metric and set(words(key)) and set(words(key)) <= SPLITS and not found["unit"]:
            key = f"{key} {self.metric}"  # "loss train 0.5 val 0.6"
        known = named(key)
        for piece in before:
            # A split before a time, as in "train 2.2s", does not name other numbers.
            if piece.strip() not in key or known.kind or found["of"]:
                self.split = named(f"{piece} loss").split or self.split
        if found["of"] and known.kind not in ("epoch", "accuracy"):
            self.line.within = float(found["number"]) < float(found["whole"]) or not self.line.bar
        elif known.kind == "epoch":
            if not self.line.values.keys() - {"lr"} and "epochs" not in words(key):
                self.line.epoch = float(found["number"])
        elif known.kind and not set(words(key)) & BEST_SO_FAR:
            self._metric(found, key, known)

    def _metric(self, found: re.Match[str], key: str, known: Named) -> None:
        told = _told(found)
        if told is None:
            return
        name = " ".join(re.sub(r"[^\w@.\-/ ]", " ", key).replace("tensor", " ").split())
        if known.kind in ("loss", "accuracy"):
            name = f"{self.split} {name}" if self.split and not known.split else name
            self.metric = known.kind
        self.line.values.setdefault(name, told[0])
        self.line.percent |= {name} if told[1] else set()
        self.line.bar = self.line.bar or bool(found["average"] and known.kind == "loss")
        self.line.within = self.line.within or known.kind == "step"


def parse(text: str) -> Line:
    """The contents of a line; no values if it has no loss, accuracy, rate or step."""
    head, bar = HEAD.search(text), bool(BAR.search(text))
    text = re.sub(r"(\w)\(([A-Za-z]+)\)", r"\1 \2", STAMP.sub(" ; ", text))  # "loss(val)" is "loss val"
    scan = _Scan(bar, bar and "/" in text, float(head[1] or head[2]) if head else None)
    end = 0
    for found in FOUND.finditer(text):
        scan.take(found, SEPARATORS.split(text[end : found.start()]))
        end = found.end()
    line = scan.line
    line.values = _corrected(line.values)
    if LOST.search(text):
        line.values |= {name: float("nan") for name, value in line.values.items() if value == 0 and "loss" in name}
    if not line.values and set(words(text)) <= SPLITS | PLAIN:  # "--- Validation phase ---"
        line.split = scan.split or named(f"{text} loss").split
    return line


def _told(found: re.Match[str]) -> tuple[float, bool] | None:
    """The number and whether it is a percentage; None for a time, a size or a rate of work."""
    value, unit = float(found["number"]), (found["unit"] or "").strip()
    if found["of"]:  # hits of all: "Accuracy: 9120/10000 (91%)"
        return (float(found["average"]), True) if found["signed"] else (value / max(float(found["whole"]), 1.0), False)
    if unit and unit != "%":
        return None
    if found["average"] and not found["signed"]:  # value (its mean so far)
        value = float(found["average"])
    return value, unit == "%" or bool(found["signed"])


def _corrected(values: dict[str, float]) -> dict[str, float]:
    """The names. One loses the split of its neighbour if the line has that name with that split already.

    "loss: 1.2 - val_loss: 1.3 - accuracy: 0.5 - val_accuracy: 0.4" has one accuracy of training.
    """
    own = [name for name in values if named(name).split in ("val", "test") and " " not in name.replace("val ", "", 1)]
    made = {}
    for name, value in values.items():
        split, _, rest = name.partition(" ")
        twins = [other for other in own if other != name and named(other).kind == named(name).kind]
        taken_over = split in ("val", "test") and rest and not named(rest).split
        made[rest if taken_over and twins and rest not in values else name] = value
    return made
