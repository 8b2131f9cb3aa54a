"""In which choices the settings of a study differ."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from lr_lab.report.kinds.kind import Subject
from lr_lab.study.study_file import Setting


def rates(of: Subject) -> dict[str, float]:
    """Setting -> its base rate, of those whose finished runs share one."""
    found = of.runs.finished.dropna(subset="setting").groupby("setting")["lr"].unique()
    return {str(name): float(values[0]) for name, values in found.items() if len(values) == 1}


def sweeps(of: Subject) -> dict[str, list[str]]:
    """Label -> the settings that differ in nothing but their base rate, by rate, where there are three or more."""
    known, alike = rates(of), dict[tuple[str, tuple[tuple[str, str], ...]], list[str]]()
    for setting in of.study.settings:
        if setting.name in known:
            choices = sorted((key, said(value)) for key, value in setting.where.items() if key != "lr")
            alike.setdefault((setting.group, tuple(choices)), []).append(setting.name)
    found = {place: sorted(names, key=known.__getitem__) for place, names in alike.items()}
    found = {place: names for place, names in found.items() if len({known[name] for name in names}) >= 3}
    shared = set.intersection(*(set(others) for _, others in found)) if found else set()
    labels = {}
    for group, others in found:
        is_told = [other for other, _ in found].count(group) == 1
        told = () if group and is_told else (value for pair in others if pair not in shared for value in pair[1:])
        labels[group, others] = ", ".join([*([group] if group else []), *told]) or "all settings"
    return {labels[place]: names for place, names in found.items()}


def grid(settings: Sequence[Setting]) -> dict[str, tuple[str, str]]:
    """Setting -> its row and column, where settings differ in two things; {} where they do not, or gaps are many.

    The two are label and group where groups share their labels, else the two choices by which settings are told.
    """
    labels, groups = ({getattr(setting, of) for setting in settings} for of in ("label", "group"))
    if len(groups) > 1 and len(labels) < len(settings):
        places = {setting.name: (setting.label, setting.group) for setting in settings}
    else:
        keys = {key for setting in settings for key in setting.where}
        varied = [key for key in keys if len({str(setting.where.get(key)) for setting in settings}) > 1]
        if len(varied) != 2:
            return {}
        first, second = sorted(varied, key=lambda key: (key != "lr", key != "sequence", key))
        places = {s.name: (said(s.where.get(first)), said(s.where.get(second))) for s in settings}
    rows, columns = ({place[at] for place in places.values()} for at in (0, 1))
    is_full = len(set(places.values())) == len(places) >= 0.7 * len(rows) * len(columns)
    return places if len(rows) > 1 and len(columns) > 1 and is_full else {}


def said(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)
