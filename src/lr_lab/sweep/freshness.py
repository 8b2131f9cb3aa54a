"""Finished runs whose code or data changed since: a person is told of them, and they can be trained anew."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence

from lr_lab.errors import listed
from lr_lab.run.inputs import Today
from lr_lab.sweep.runs import Run


def settle_finished(runs: Sequence[Run], retrain: bool, say: Callable[[str], None]) -> None:
    """Prints the changes since the finished runs were trained, one line for all runs with the same changes.

    Args:
        retrain: whether these runs are trained anew; what they left is then removed.

    Raises:
        RunBusy: another process is training such a run.
        UserError: what such a run left cannot be removed.
    """
    today = Today()
    changed: dict[tuple[str, ...], list[Run]] = defaultdict(list)
    unrecorded = 0
    for run in runs:
        if run.is_finished:
            found = today.changes(run.folder, run.config)
            unrecorded += found is None
            if found:
                changed[tuple(found)].append(run)
    for what, its in changed.items():
        then = "they are trained anew" if retrain else "their results are old (retrain=true trains them anew)"
        were = "1 finished run was" if len(its) == 1 else f"{len(its)} finished runs were"
        names = listed([run.name for run in its])
        say(f"Since {were} trained, this changed: {listed(what)}; {then}: {names}.")
        for run in its if retrain else ():
            run.folder.clear()
    if unrecorded:
        say(f"{unrecorded} finished runs did not record what they were made from; they count as unchanged.")
