"""The figure and the one offline page of explained curves."""

from __future__ import annotations

import base64
import html
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lr_lab.curves.advice import FRAMEWORKS
from lr_lab.curves.explanation import Explanation, best
from lr_lab.curves.text import sure
from lr_lab.errors import UserError

# Colours that people with any colour vision tell apart (Okabe and Ito).
TRAIN, VAL, RATE, MARK = "#0072B2", "#D55E00", "#777777", "#CC79A7"
MOST_COLUMNS = 4
STYLE = """
body{font:16px/1.5 system-ui,sans-serif;max-width:70rem;margin:2rem auto;padding:0 1rem;color:#222;background:#fff}
img{max-width:100%}h2{margin-bottom:0}.sure{color:#666;font-size:1rem;font-weight:normal}
pre{background:#f4f4f4;padding:.5rem;white-space:pre-wrap;font-size:.85rem}table{border-collapse:collapse}
td,th{padding:.2rem .8rem;text-align:left;border-bottom:1px solid #ddd}small{color:#666}
"""


def figure(explained: Sequence[Explanation]) -> Figure:
    """Losses above, accuracies below, a column per run, on shared axes; evidence is marked."""
    shown = list(explained)[:MOST_COLUMNS]
    has_accuracy = any(one.curve.has("val_accuracy") or one.curve.has("train_accuracy") for one in shown)
    rows = 1 + has_accuracy
    made = Figure(figsize=(max(6.0, 4.2 * len(shown)), 3.4 * rows), layout="constrained")
    shared: Literal["all", "col"] = "all" if len({one.curve.unit for one in shown}) == 1 else "col"
    axes = made.subplots(rows, len(shown), squeeze=False, sharex=shared, sharey="row")
    wide = _spans_decades(shown)
    for column, one in enumerate(shown):
        _losses(axes[0][column], one, wide)
        if has_accuracy:
            _accuracies(axes[1][column], one)
        axes[-1][column].set_xlabel(one.curve.unit)
    axes[0][0].set_ylabel("loss" + (" (log scale)" if wide else ""))
    if has_accuracy:
        axes[1][0].set_ylabel("accuracy")
    return made


def _spans_decades(shown: Sequence[Explanation]) -> bool:
    values = [value for one in shown for name in ("train_loss", "val_loss") for _, value in one.curve.points(name)]
    return bool(values) and min(values) > 0 and max(values) > 20 * min(values)


def _losses(axes: Axes, one: Explanation, wide: bool) -> None:
    curve = one.curve
    for name, colour, label in (("train_loss", TRAIN, "training"), ("val_loss", VAL, "validation")):
        points = curve.points(name)
        if points:
            axes.plot(*zip(*points, strict=True), color=colour, label=label, marker="." if len(points) < 60 else "")
    if wide:
        axes.set_yscale("log")
    for number, mark in enumerate(one.diagnosis.marks):
        axes.axvline(mark, color=MARK, linestyle="--", label=one.diagnosis.label if number == 0 else None)
    for finding in one.findings:
        for mark in finding.marks[:1]:
            axes.axvline(mark, color=MARK, linewidth=0.7, linestyle=":")
    rates = curve.points("lr")
    if rates:
        beside = axes.twinx()
        beside.plot(*zip(*rates, strict=True), color=RATE, linewidth=0.8, label="rate")
        beside.set_ylabel("rate", fontsize="x-small", color=RATE)
        beside.tick_params(axis="y", labelsize="x-small", colors=RATE)
        if min(rate for _, rate in rates) > 0:
            beside.set_yscale("log")
    name = curve.name if len(curve.name) < 45 else f"...{curve.name[-42:]}"
    axes.set_title(f"{name}\n{one.diagnosis.label}", fontsize="small")
    axes.legend(fontsize="x-small")


def _accuracies(axes: Axes, one: Explanation) -> None:
    for name, colour, label in (("train_accuracy", TRAIN, "training"), ("val_accuracy", VAL, "validation")):
        points = one.curve.points(name)
        if points:
            axes.plot(*zip(*points, strict=True), color=colour, label=label, marker="." if len(points) < 60 else "")
    if axes.lines:
        axes.legend(fontsize="x-small")


def write_png(explained: Sequence[Explanation], path: Path) -> None:
    """Raises UserError if the file can't be written."""
    try:
        figure(explained).savefig(path, format="png", dpi=150)
    except OSError as error:
        raise UserError(f"--png {path} can't be written: {error.strerror or error}.") from error


def write_page(explained: Sequence[Explanation], path: Path) -> None:
    """Raises UserError if the file can't be written."""
    try:
        path.write_text(page(explained), encoding="utf-8")
    except OSError as error:
        raise UserError(f"--page {path} can't be written: {error.strerror or error}.") from error


def page(explained: Sequence[Explanation]) -> str:
    """HTML that needs nothing beside itself."""
    picture = io.BytesIO()
    figure(explained).savefig(picture, format="png", dpi=110)
    encoded = base64.b64encode(picture.getvalue()).decode()
    found = best(explained)
    top = (
        f"<p><b>Best: {html.escape(explained[found[0]].curve.name)}</b>, {html.escape(found[1])}.</p>" if found else ""
    )
    more = len(explained) - MOST_COLUMNS
    note = (
        f"<p><small>The figure shows the first {MOST_COLUMNS} runs; {more} more are below.</small></p>"
        if more > 0
        else ""
    )
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>What the training curves show</title>'
        f'<meta name="viewport" content="width=device-width"><style>{STYLE}</style></head><body>'
        f"<h1>What the training curves show</h1>{top}{_table(explained) if len(explained) > 1 else ''}"
        f'<p><img alt="losses and accuracies of the runs" src="data:image/png;base64,{encoded}"></p>{note}'
        f"{''.join(map(_section, explained))}</body></html>\n"
    )


def _table(explained: Sequence[Explanation]) -> str:
    def cell(one: Explanation, name: str) -> str:
        top = one.curve.best(name)
        return f"<td>{top[1]:.4g} @ {top[0]:g}</td>" if top else "<td></td>"

    rows = "".join(
        f"<tr><td>{html.escape(one.curve.name)}</td><td>{one.diagnosis.label}</td>"
        f"{cell(one, 'val_loss')}{cell(one, 'val_accuracy')}</tr>"
        for one in explained
    )
    return f"<table><tr><th>run</th><th>label</th><th>lowest val loss</th><th>best val accuracy</th></tr>{rows}</table>"


def _section(one: Explanation) -> str:
    diagnosis = one.diagnosis
    other = f" It could also be called {' or '.join(diagnosis.alternatives)}." if diagnosis.alternatives else ""
    findings = "".join(f"<li>{html.escape(found.says)} <small>({found.sure})</small></li>" for found in one.findings)
    advice = "".join(
        f"<li><b>{html.escape(tip.do)}</b> {html.escape(tip.why)} It helped if: {html.escape(tip.check)}"
        f"<pre>{html.escape(chr(10).join(f'{name}: {tip.code[name]}' for name in FRAMEWORKS))}</pre></li>"
        for tip in one.advice
    )
    read = html.escape("; ".join(f"{role} = {column}" for role, column in one.curve.read))
    return (
        f"<h2>{html.escape(one.curve.name)}: {diagnosis.label} "
        f'<span class="sure">({sure(diagnosis.confidence)}, {diagnosis.confidence:.0%})</span></h2>'
        f"<p>{html.escape(diagnosis.evidence)}{other}</p><ul>{findings}</ul>"
        f"{'<h3>Try next</h3><ol>' + advice + '</ol>' if advice else ''}"
        f"<p><small>Read: {read}; {len(one.curve)} points by {one.curve.unit}. "
        f"{html.escape(' '.join(one.curve.notes))}</small></p>"
    )
