"""What the probes of a run measured, in lines for a terminal."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

from lr_lab.run.folder import HISTORY_COLUMNS, Row

_MOST_NAMED = 3  # columns of one kind whose values are told one by one


def probed(history: Sequence[Row]) -> list[str]:
    """A line for each kind of column that probes added: its first and its last value, or the range over layers.

    Epochs are counted from 1. A column is of the kind that stands before its slash (`dead_units/conv1`).
    """
    columns = [column for column in (history[0] if history else ()) if column not in HISTORY_COLUMNS]
    lines = []
    for kind, its in groupby(columns, key=lambda column: column.partition("/")[0]):
        names = list(its)
        measured = [row for row in history if row.get(names[0]) is not None]
        if measured and len(names) <= _MOST_NAMED:
            lines += [_first_and_last(name, measured) for name in names]
        elif measured:
            end = measured[-1]
            known = [name for name in names if end[name] is not None]
            least, most = min(known, key=end.__getitem__), max(known, key=end.__getitem__)
            lines.append(
                f"{kind} from {end[least]:.4g} ({least.partition('/')[2]}) to {end[most]:.4g} "
                f"({most.partition('/')[2]}) over {len(known)} columns, epoch {end['epoch'] + 1}"
            )
    return lines


def _first_and_last(name: str, measured: Sequence[Row]) -> str:
    first, last = measured[0], measured[-1]
    start = f"{first[name]:.4g} (epoch {first['epoch'] + 1}), then " if len(measured) > 1 else ""
    return f"{name} {start}{last[name]:.4g} (epoch {last['epoch'] + 1})"
