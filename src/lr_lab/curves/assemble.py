"""From a table of a log to the curves of its runs: rows are split into runs, and the rows of an epoch joined."""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from statistics import fmean
from typing import Any

from lr_lab.curves.curve import SERIES, Curve
from lr_lab.curves.roles import ROLES, Roles, choose, qualified
from lr_lab.curves.table import Table
from lr_lab.errors import UserError

FEW_EPOCHS = 5  # with fewer epochs, single steps or evaluations show more
MOST_EPOCHS = 1000  # a longer series of consecutive steps counts steps
RAREST = 7  # if validations are further apart, the numbers count steps and not epochs


@dataclass(frozen=True)
class Wishes:
    """Facts that a person gives about a log; they overrule the reading.

    Attributes:
        columns: column by role.
        unit: "epoch" or "step".
        percent: whether accuracies are in percent.
        classes: their number.
    """

    columns: Mapping[str, str] = field(default_factory=dict)
    unit: str | None = None
    percent: bool | None = None
    classes: int | None = None


@dataclass(frozen=True)
class _Entry:
    """One row in terms of roles; `index` is its place in the file."""

    index: int
    epoch: float | None
    step: float | None
    values: dict[str, float]
    within: bool


def curves(table: Table, wishes: Wishes | None = None) -> list[Curve]:
    """The runs of a table, in the order of the file.

    Raises:
        UserError: no column is a loss, or a wished column is not there.
    """
    wishes = wishes or Wishes()
    rows = qualified(table)
    columns = {name: None for row in rows for name in row.values}
    for role, column in wishes.columns.items():
        if role not in ROLES or column not in columns:
            kind = "role" if role not in ROLES else "column"
            raise UserError(
                f"--column {role}={column}: {table.name or 'the log'} has no such {kind}. "
                f"Roles are {', '.join(ROLES)}; columns are {', '.join(list(columns)[:40])}."
            )
    roles = choose(rows, wishes.columns)
    if not {"train_loss", "val_loss"} & set(roles):
        raise UserError(
            f"{table.name or 'The log'} has no column that is a loss; its columns are {', '.join(list(columns)[:40])}. "
            "Name one: --column train_loss=COLUMN."
        )
    entries = [
        _Entry(
            index,
            _place(row.values, roles.get("epoch")),
            _place(row.values, roles.get("step")),
            _of_roles(row.values, roles),
            row.within,
        )
        for index, row in enumerate(rows)
    ]
    entries = [entry for entry in _with_axes(entries, wishes) if entry.values]
    runs = _runs(entries)
    return [
        _curve(run, resumed, table, roles, wishes, f" (run {number} of {len(runs)})" if len(runs) > 1 else "")
        for number, (run, resumed) in enumerate(runs, 1)
    ]


def _value(values: Mapping[str, float], columns: tuple[str, ...] | None) -> float | None:
    """The number in a column, or the sum of several columns; None if the row lacks one."""
    if not columns or not all(column in values for column in columns):
        return None
    return math.fsum(values[column] for column in columns) if len(columns) > 1 else values[columns[0]]


def _place(values: Mapping[str, float], columns: tuple[str, ...] | None) -> float | None:
    """An epoch or step; None for NaN and infinity."""
    value = _value(values, columns)
    return value if value is not None and math.isfinite(value) else None


def _of_roles(values: Mapping[str, float], roles: Roles) -> dict[str, float]:
    found = {role: _value(values, roles.get(role)) for role in SERIES}
    return {role: value for role, value in found.items() if value is not None}


def _with_axes(entries: list[_Entry], wishes: Wishes) -> list[_Entry]:
    """Every entry with an epoch, if the log has any or its steps count epochs; epochs counted from 1."""
    if wishes.unit == "step" and any(entry.step is not None for entry in entries):
        return [replace(e, epoch=None) for e in entries]
    if not any(entry.epoch is not None for entry in entries):
        entries = [entry for entry in entries if entry.values]
        if not any(entry.step is not None for entry in entries):
            entries = [replace(e, epoch=float(n)) for n, e in enumerate(entries, 1)]
        elif wishes.unit == "epoch" or _steps_are_epochs(entries):
            entries = [replace(e, epoch=e.step, step=None) for e in entries]
        else:
            return _filled(entries, "step")
    return _from_one(_filled(entries, "epoch"))


def _steps_are_epochs(entries: Sequence[_Entry]) -> bool:
    """Whether the steps of the training loss count up by one, as of a log with a row per epoch."""
    roles = ("train_loss", "val_loss")
    steps = {role: {e.step for e in entries if role in e.values and e.step is not None} for role in roles}
    train = sorted(steps["train_loss"] or steps["val_loss"])
    consecutive = bool(train) and train[0] in (0, 1) and train[-1] - train[0] + 1 == len(train) > 1
    rarest = RAREST * len(steps["val_loss"]) if steps["val_loss"] else len(train)
    return consecutive and len(train) <= MOST_EPOCHS and len(train) <= rarest


def _filled(entries: list[_Entry], axis: str) -> list[_Entry]:
    """The entries, each with an axis: that of the row before or, if the log names it last, that of the next row."""
    if axis == "epoch" and (found := _by_steps(entries)):
        return found
    last = next((value for e in entries if (value := getattr(e, axis)) is not None), None)
    filled = []
    for e in entries:
        value = getattr(e, axis)
        last = last if value is None else value
        filled.append(replace(e, epoch=last) if axis == "epoch" else replace(e, step=last))
    return filled


def _by_steps(entries: list[_Entry]) -> list[_Entry]:
    """Step -> epoch named there; empty if every row names its own epoch, or if some rows have no step."""
    told = sorted({(e.step, e.epoch) for e in entries if e.step is not None and e.epoch is not None})
    steps = [step for step, _ in told]
    if any(e.step is None for e in entries) or all(e.epoch is not None for e in entries) or steps != sorted(set(steps)):
        return []
    at_ends = steps[0] > min(e.step for e in entries if e.step is not None)
    made = []
    for e in entries:
        place = bisect_left(steps, e.step or 0.0) if at_ends else bisect_right(steps, e.step or 0.0) - 1
        epoch = told[min(max(place, 0), len(told) - 1)][1] if e.epoch is None else e.epoch
        made.append(replace(e, epoch=epoch))
    return made


def _from_one(entries: list[_Entry]) -> list[_Entry]:
    """Epochs counted from 1; a part of an epoch belongs to the one that it is part of."""
    epochs = [entry.epoch for entry in entries if entry.epoch is not None]
    if any(epoch != int(epoch) for epoch in epochs):
        return [replace(e, epoch=float(max(1, math.ceil(e.epoch - 1e-6)))) for e in entries if e.epoch is not None]
    shift = 1.0 if epochs and min(epochs) == 0 else 0.0
    return [replace(e, epoch=(e.epoch or 0.0) + shift) for e in entries]


def _runs(entries: Sequence[_Entry]) -> list[tuple[list[_Entry], list[float]]]:
    """The rows of each run, and the places where it was taken up again.

    If the axis falls back to the run's first value, another run begins. If it falls back less far, the run was resumed
    there, and its later rows were lost. Rows that only begin new series do neither.
    """
    runs: list[tuple[list[_Entry], list[float]]] = []
    seen: dict[float, set[str]] = defaultdict(set)
    run: list[_Entry] = []
    resumed: list[float] = []
    highest: dict[str, float] = {}
    for entry in entries:
        at = entry.epoch if entry.epoch is not None else entry.step
        assert at is not None
        if any(at < highest.get(role, at) and role in seen[at] for role in entry.values):
            first = min(seen)
            if at <= first:
                runs.append((run, resumed))
                run, resumed, seen, highest = [], [], defaultdict(set), {}
            else:
                run = [e for e in run if (e.epoch if e.epoch is not None else e.step or 0.0) < at]
                resumed = [place for place in resumed if place < at] + [at]
                seen = defaultdict(set, {place: names for place, names in seen.items() if place < at})
                highest = dict.fromkeys(highest, at)
        run.append(entry)
        seen[at] |= set(entry.values)
        highest |= {role: max(at, highest.get(role, at)) for role in entry.values}
    return [*runs, (run, resumed)] if run else runs


def _curve(
    run: Sequence[_Entry], resumed: Sequence[float], table: Table, roles: Roles, wishes: Wishes, suffix: str
) -> Curve:
    run, notes = _without_tail_of_nan(run)
    by_epoch = run[0].epoch is not None and wishes.unit != "step"
    by_step = not by_epoch
    if by_epoch and wishes.unit is None and _has_few_epochs(run):
        by_step = True
    groups = _groups(run, by_step)
    at = sorted(groups)
    series: dict[str, Any] = {role: tuple(_drawn_together(groups[place], role) for place in at) for role in SERIES}
    kept = [i for i in range(len(at)) if series["train_loss"][i] is not None or series["val_loss"][i] is not None]
    series = {role: tuple(values[i] for i in kept) for role, values in series.items()}
    for role in ("train_accuracy", "val_accuracy"):
        series[role], note = _as_fraction(series[role], roles.get(role, ("",))[0] in table.percent, wishes.percent)
        notes += [f"{' + '.join(roles[role])} was read as {note}."] if note else []
    rates = [entry.values["lr"] for entry in run if "lr" in entry.values]
    return Curve(
        at=tuple(at[i] for i in kept),
        **series,
        unit="step" if by_step else "epoch",
        name=f"{table.name}{suffix}",
        classes=wishes.classes or table.classes,
        guess_loss=None if wishes.classes else table.guess_loss,
        initial_lr=rates[0] if rates else None,
        within=() if by_step else _within(groups, at),
        resumed=tuple(resumed),
        read=tuple((role, " + ".join(columns)) for role, columns in roles.items()),
        notes=(*table.notes, *notes),
    )


def _without_tail_of_nan(run: Sequence[_Entry]) -> tuple[Sequence[_Entry], list[str]]:
    """The rows without the losses that are not finite, if the training loss is finite again after them."""
    losses = [(n, e.values["train_loss"]) for n, e in enumerate(run) if "train_loss" in e.values]
    finite = [n for n, loss in losses if math.isfinite(loss)]
    lost = {n for n, loss in losses if not math.isfinite(loss) and finite and n < finite[-1]}
    if not lost:
        return run, []
    note = f"{len(lost)} of {len(losses)} training losses are not finite, but the run went on; they are left out."
    return [entry for n, entry in enumerate(run) if n not in lost], [note]


def _has_few_epochs(run: Sequence[_Entry]) -> bool:
    """True if single evaluations or logged steps show more of the run than its epochs."""
    epochs = len({entry.epoch for entry in run})
    steps = {entry.step for entry in run if entry.step is not None and "train_loss" in entry.values}
    return epochs < FEW_EPOCHS and len(steps) >= 2 * FEW_EPOCHS


def _groups(run: Sequence[_Entry], by_step: bool) -> dict[float, list[_Entry]]:
    groups: dict[float, list[_Entry]] = defaultdict(list)
    if not by_step:
        for entry in run:
            groups[entry.epoch or 0.0].append(entry)
        return groups
    evaluations = sorted({entry.step for entry in run if entry.step is not None and "val_loss" in entry.values})
    few = run[0].epoch is not None and len(evaluations) >= FEW_EPOCHS
    for entry in run:
        place = entry.step if entry.step is not None else 0.0
        if few:
            later = [step for step in evaluations if step >= place]
            if not later:
                continue
            place = later[0]
        groups[place].append(entry)
    return groups


def _drawn_together(entries: Sequence[_Entry], role: str) -> float | None:
    """One number of an epoch: the mean of training, the last of validation, the rate at its start."""
    told = [entry for entry in entries if role in entry.values]
    whole = [entry.values[role] for entry in told if not entry.within] or [entry.values[role] for entry in told]
    if not whole:
        return None
    if role == "lr":
        return whole[0]
    return whole[-1] if role.startswith("val") or len(whole) == 1 else fmean(whole)


def _within(groups: Mapping[float, Sequence[_Entry]], at: Sequence[float]) -> tuple[tuple[float, float], ...]:
    places = []
    for epoch in at:
        losses = [entry.values["train_loss"] for entry in groups[epoch] if "train_loss" in entry.values]
        if len(losses) > 2:
            places += [(epoch - 1 + (n + 0.5) / len(losses), loss) for n, loss in enumerate(losses)]
    return tuple(places)


def _as_fraction(
    values: tuple[float | None, ...], signed: bool, wished: bool | None
) -> tuple[tuple[float | None, ...], str]:
    known = [value for value in values if value is not None and math.isfinite(value)]
    percent = wished if wished is not None else signed or max(known, default=0.0) > 1.5
    if not percent or not known:
        return values, ""
    return tuple(None if value is None else value / 100 for value in values), "percent"
