"""Watches a log that still grows, and reports each change of label or finding once."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence

from lr_lab.curves.assemble import Wishes
from lr_lab.curves.curve import Curve
from lr_lab.curves.explanation import explain
from lr_lab.curves.find import read
from lr_lab.errors import UserError

TURNS = ("diverged", "collapsed", "overfitting", "oscillating", "stuck")
# A young run shows shapes that pass, so a report needs so many points, unless the loss is not finite.
YOUNG = 8


def news(curves: Sequence[Curve], said: set[tuple[str, str]]) -> Iterator[tuple[str, str]]:
    """(label or kind, sentence) of everything new; remembers it in `said`."""
    for curve in curves:
        explained = explain(curve)
        diagnosis = explained.diagnosis
        told = [(diagnosis.label, diagnosis.evidence)] if diagnosis.label in TURNS else []
        told += [
            (finding.kind, finding.says)
            for finding in explained.findings
            if finding.kind in ("not_finite", "taken_up_wrongly")
        ]
        for kind, sentence in told:
            if (curve.name, kind) not in said and (len(curve) >= YOUNG or kind in ("diverged", "not_finite")):
                said.add((curve.name, kind))
                yield kind, f"{curve.name}: {kind.replace('_', ' ')}: {sentence}"


def follow(
    paths: Sequence[str],
    wishes: Wishes,
    every: float,
    labels: set[str],
    pause: Callable[[float], None] = time.sleep,
    rounds: int | None = None,
) -> int:
    """Looks again and again until it is stopped; 1 as soon as a run has one of the labels.

    Args:
        every: seconds between two looks.
        rounds: how many looks; None never ends.
    """
    if "-" in paths:
        raise UserError("--follow needs a file or a folder, not standard input.")
    said: set[tuple[str, str]] = set()
    print(f"Watching {', '.join(paths)}; Ctrl-C ends it.", flush=True)
    looks = 0
    while rounds is None or looks < rounds:
        looks += 1
        try:
            curves = read(paths, wishes)
        except UserError as error:
            curves = []
            if (str(error), "") not in said:  # a log may be empty at first
                said.add((str(error), ""))
                print(f"{error} Waiting for it.", flush=True)
        for kind, sentence in news(curves, said):
            print(sentence, flush=True)
            if kind in labels:
                return 1
        if rounds is None or looks < rounds:
            pause(every)
    return 0
