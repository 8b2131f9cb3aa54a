"""An explanation for the terminal, with a small picture of the curve."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Sequence

from lr_lab.curves.advice import FRAMEWORKS
from lr_lab.curves.curve import Curve
from lr_lab.curves.explanation import Explanation, best

BLOCKS = "▁▂▃▄▅▆▇█"
ASCII_BLOCKS = "_.-~=+*#"
WIDTH = 60  # columns of the picture
LINE = 100


def sure(confidence: float) -> str:
    return "sure" if confidence >= 0.8 else "likely" if confidence >= 0.6 else "not sure"


def sparkline(
    points: Sequence[tuple[float, float]], span: tuple[float, float], low: float, high: float, width: int, blocks: str
) -> str:
    """One character per stretch of the axis; the height is on a logarithmic scale where the losses span decades."""
    columns: list[list[float]] = [[] for _ in range(width)]
    first, last = span
    for at, value in points:
        columns[round((at - first) / max(last - first, 1e-12) * (width - 1))].append(value)
    log = low > 0 and high / low > 50
    scale = (lambda value: math.log(value)) if log else (lambda value: value)
    bottom, top = scale(low), scale(high)

    def block(values: list[float]) -> str:
        share = (scale(sum(values) / len(values)) - bottom) / max(top - bottom, 1e-12)
        return blocks[min(len(blocks) - 1, max(0, round(share * (len(blocks) - 1))))]

    return "".join(block(values) if values else " " for values in columns).rstrip()


def picture(curve: Curve, blocks: str = BLOCKS) -> list[str]:
    """A line per series; the losses share one scale."""
    series = {name: curve.points(name) for name in ("train_loss", "val_loss", "val_accuracy", "lr")}
    losses = [value for name in ("train_loss", "val_loss") for _, value in series[name]]
    width = min(WIDTH, len(curve))
    shown = []
    for name, points in series.items():
        if len(points) < 2:
            continue
        values = losses if name.endswith("loss") else [value for _, value in points]
        drawn = sparkline(points, (curve.at[0], curve.at[-1]), min(values), max(values), width, blocks)
        ends = f"{points[0][1]:.4g} -> {points[-1][1]:.4g}"
        shown.append(f"  {name:<13}{drawn:<{width}}  {ends}")
    return shown


def wrapped(words: str, first: str = "", later: str | None = None) -> list[str]:
    return textwrap.wrap(
        words, LINE, initial_indent=first, subsequent_indent=first if later is None else later, break_on_hyphens=False
    )


def head(explained: Explanation) -> str:
    curve, diagnosis = explained.curve, explained.diagnosis
    since = f" since {curve.unit} {diagnosis.since}" if diagnosis.since else ""
    return f"{curve.name}: {diagnosis.label}{since} ({sure(diagnosis.confidence)}, {diagnosis.confidence:.0%})"


def as_text(explained: Explanation, framework: str | None = None, blocks: str = BLOCKS) -> str:
    """One run in full.

    Args:
        framework: whose line of code is shown; None shows all four.
    """
    curve = explained.curve
    lines = [head(explained), *wrapped(explained.diagnosis.evidence, "  ")]
    if explained.diagnosis.alternatives:
        lines += wrapped(f"It could also be called {' or '.join(explained.diagnosis.alternatives)}.", "  ")
    lines += ["", *picture(curve, blocks), ""]
    lines += [
        line for finding in explained.findings for line in wrapped(f"{finding.says} ({finding.sure})", "  - ", "    ")
    ]
    if not explained.findings and explained.diagnosis.label == "healthy":
        lines.append("  Nothing else stands out.")
    if explained.advice:
        lines += ["", "Try next:"]
    for number, advice in enumerate(explained.advice, 1):
        lines += wrapped(f"{advice.do} {advice.why}", f"  {number}. ", "     ")
        lines += wrapped(f"It helped if: {advice.check[0].lower()}{advice.check[1:]}", "     ")
        shown = [framework] if framework else FRAMEWORKS
        lines += [f"       {name + ':':<14}{advice.code[name]}" for name in shown]
    read = "; ".join(f"{role} = {column}" for role, column in curve.read)
    lines += ["", *wrapped(f"Read: {read}; {len(curve)} points by {curve.unit}. {' '.join(curve.notes)}", "  ")]
    if curve.read:
        lines += wrapped("If a column was taken for the wrong thing: --column train_loss=COLUMN.", "  ")
    return "\n".join(lines)


def side_by_side(explained: Sequence[Explanation]) -> str:
    """Several runs, a line each, and the best of them."""
    width = min(60, max(len(one.curve.name) for one in explained))
    lines = []
    for one in explained:
        name = one.curve.name if len(one.curve.name) <= width else f"...{one.curve.name[3 - width :]}"
        numbers = [
            f"{short} {top[1]:.4g} @ {top[0]:g}"
            for short, series in (("val loss", "val_loss"), ("val acc", "val_accuracy"), ("train loss", "train_loss"))
            if (top := one.curve.best(series))
        ]
        lines.append(f"  {name:<{width}}  {one.diagnosis.label:<12} {'  '.join(numbers)}")
    found = best(explained)
    if found:
        lines += ["", f"Best: {explained[found[0]].curve.name}, {found[1]}."]
    return "\n".join(lines)
