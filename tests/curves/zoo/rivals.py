"""Two public tools on the same logs: runmedic 0.1.1 reads them itself, sk-autod 0.1.1 is fed with the numbers.

Not a test and not a dependency. In an environment of its own:

    pip install runmedic==0.1.1 sk-autod==0.1.1
    python rivals.py > answers.csv                    # the zoo
    python rivals.py path/to/logs > answers.csv       # a folder with logs.csv (id, file, label) and <id>/curve.csv

It prints a row per log and tool: the labels that the tool's first telling finding stands for (empty: it read nothing or
answered with an error), and whether one of them is the label or one that can be defended. On standard error: how many
are right.
"""

from __future__ import annotations

import csv
import json
import math
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import runmedic.checks
import runmedic.loaders
import runmedic.roles
import sk_autod

ZOO = Path(__file__).parent

# Generous: a finding stands for every label that a person could take it for. Findings not named here, such as slow
# steps or a validation loss below the training loss, say nothing about the label.
RUNMEDIC = {
    "non_finite": ("diverged",),
    "divergence": ("collapsed", "diverged"),
    "no_learning": ("stuck", "crawling"),
    "overfitting": ("overfitting",),
    "loss_spikes": ("oscillating",),
}
SK_AUTOD = {
    "Classic overfitting": ("overfitting",),
    "Missed early stopping": ("overfitting",),
    "Exploding gradient": ("diverged", "collapsed"),
    "LR too high": ("oscillating", "diverged", "collapsed"),
    "Noisy training": ("oscillating",),
    "LR too low": ("crawling", "stuck"),
    "Underfitting": ("stuck", "crawling"),
    "Dying ReLU proxy": ("stuck", "collapsed"),
    "Label noise floor": ("stuck", "crawling"),
}


@dataclass(frozen=True)
class Log:
    name: str
    path: Path
    format: str
    split: str
    right: frozenset[str]
    label: str
    train: list[float]
    val: list[float]


def zoo() -> Iterator[Log]:
    curves = json.loads((ZOO / "curves.json").read_text())
    with (ZOO / "truth.csv").open(newline="") as f:
        for row in csv.DictReader(f):
            curve = curves[row["folder"]]
            train, val = ([math.nan if v is None else v for v in curve[part]] for part in ("train_loss", "val_loss"))
            path = ZOO / row["folder"] / row["file"]
            yield Log(row["folder"], path, row["format"], row["split"], _right(row), row["label"], train, val)


def folder(root: Path) -> Iterator[Log]:
    with (root / "logs.csv").open(newline="") as f:
        for row in csv.DictReader(f):
            with (root / row["id"] / "curve.csv").open(newline="") as g:
                pairs = [(r["train_loss"], r["val_loss"]) for r in csv.DictReader(g)]
            both = [(float(t), float(v)) for t, v in pairs if t and v]
            train, val = [t for t, _ in both], [v for _, v in both]
            path = root / row["file"]
            yield Log(row["id"], path, row["format"], "logs", _right(row), row["label"], train, val)


def _right(row: dict[str, str]) -> frozenset[str]:
    return frozenset({row["label"], *filter(None, row["other_label"].split(";"))})


def ask_runmedic(log: Log) -> tuple[str, ...]:
    try:
        runs = runmedic.loaders.load(str(log.path))
    except Exception:  # whatever it cannot read
        return ()
    # Several files of one run are read as several runs: the one with the most values counts.
    run = max(runs, key=lambda r: sum(map(len, r.series.values())), default=None)
    if run is None:
        return ()
    roles = runmedic.roles.detect(run)
    if "train_loss" not in roles and "val_loss" not in roles:
        return ()
    found = [f.check for f in runmedic.checks.run_checks(run, roles)]
    return next((RUNMEDIC[check] for check in found if check in RUNMEDIC), ("healthy",))


def ask_sk_autod(log: Log) -> tuple[str, ...]:
    try:
        found = [f.detector_name for f in sk_autod.diagnose(log.train, log.val).findings]
    except Exception:  # too short, or not finite
        return ()
    return next((SK_AUTOD[name] for name in found if name in SK_AUTOD), ("healthy",))


def main() -> None:
    logs = list(folder(Path(sys.argv[1])) if len(sys.argv) > 1 else zoo())
    out = csv.writer(sys.stdout)
    out.writerow(["tool", "log", "format", "split", "label", "answer", "right"])
    counts: dict[tuple[str, str], list[int]] = {}
    for tool, ask in (("runmedic", ask_runmedic), ("sk-autod", ask_sk_autod)):
        for log in logs:
            answer = ask(log)
            right = not log.right.isdisjoint(answer)
            out.writerow([tool, log.name, log.format, log.split, log.label, "|".join(answer), int(right)])
            kind = "healthy" if log.label == "healthy" else "not healthy"
            for key in (f"{log.split}, all", f"{log.split}, {kind}", f"{log.split}, {log.format}"):
                count = counts.setdefault((tool, key), [0, 0, 0])
                for i, holds in enumerate((right, bool(answer), True)):
                    count[i] += holds
    for (tool, key), (correct, answered, total) in counts.items():
        print(f"{tool}: {key}: {correct} right, {answered} answered, of {total}", file=sys.stderr)


if __name__ == "__main__":
    main()
