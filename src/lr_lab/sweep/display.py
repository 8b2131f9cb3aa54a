"""The lines that show a sweep while it trains, read from the run folders.

On a terminal: a line for the sweep and one for each slot, and above them a line for each run that has ended. Without
one: a line for each run that starts or ends.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from lr_lab.run.training import FAILED
from lr_lab.sweep.pace import Pace, time_left
from lr_lab.sweep.runs import Run, last_line


class Display:
    """Shows a sweep; a context manager.

    Args:
        console: prints the lines.
        slots: runs at a time.
        kept: runs that were finished before this sweep started.
        total: runs of the sweep.

    Attributes:
        failed: runs that have failed so far.
    """

    def __init__(self, console: Console, slots: int, kept: int, total: int) -> None:
        self.failed = 0
        self._console = console
        self._slots = slots
        self._kept = kept
        self._done = kept
        self._total = total
        self._pace = Pace()
        self._before: dict[Run, dict[str, Any]] = {}
        self._live = Live(console=console, auto_refresh=False, transient=True) if console.is_terminal else None

    def __enter__(self) -> Display:
        kept = f", {self._kept} of them finished before" if self._kept else ""
        self.say(f"{self._total} runs{kept}; {self._slots} at a time")
        if self._live:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live:
            self._live.stop()

    def say(self, text: str) -> None:
        self._console.print(text, markup=False, highlight=False, soft_wrap=True)

    def started(self, run: Run) -> None:
        if not self._live:
            self.say(f"started   {run.name}")

    def ended(self, run: Run) -> None:
        result = run.result()
        if result["status"] == FAILED:
            self.failed += 1
            self.say(f"failed    {run.name}: {last_line(result['error'])}")
            return
        self._done += 1
        self._pace.observe(result)
        self.say(f"{result['status']:<9} {run.name}  {_progress(result)}")

    def refresh(self, running: Mapping[Any, Run], waiting: Sequence[Run]) -> None:
        """Brings a terminal's lines up to date; `running` by slot, or by the number of a job."""
        if not self._live:
            return
        results = {slot: run.result() for slot, run in running.items()}
        slots = Table.grid(padding=(0, 2))
        for slot, run in sorted(running.items()):
            slots.add_row(str(slot), Text(run.name), Text(_progress(results[slot])))
        line = f"{self._done} of {self._total} done, {len(running)} running, {self.failed} failed"
        seconds = self._seconds_left([(running[slot], result) for slot, result in results.items()], waiting)
        left = "" if seconds is None else f", {duration(seconds)} left"
        self._live.update(Group(Text(line + left, style="bold"), slots), refresh=True)

    def _seconds_left(self, running: Sequence[tuple[Run, Mapping[str, Any]]], waiting: Sequence[Run]) -> float | None:
        for run, result in running:
            self._pace.observe(result)
            self._before.pop(run, None)
        for run in waiting:
            # No process of this sweep trains it, so one look is enough.
            self._before.setdefault(run, run.result())
        now = [self._pace.seconds_left(result, _since(run)) for run, result in running]
        later = [self._pace.seconds_left(self._before[run]) for run in waiting]
        if None in now or None in later:
            return None
        return time_left(now, later, self._slots)  # type: ignore[arg-type]


def _since(run: Run) -> float:
    """Seconds since the end of its last epoch, or its start."""
    try:
        return time.time() - run.folder.result_file.stat().st_mtime
    except OSError:
        return 0.0


def _progress(result: Mapping[str, Any]) -> str:
    parts = [f"epoch {result['epochs_run']}/{result['epochs']}"]
    parts += [
        f"{name} {result[key]:.4f}" for name, key in (("train", "train_loss"), ("val", "val_loss")) if result[key]
    ]
    if result["val_accuracy"] is not None:
        parts.append(f"{result['val_accuracy']:.2%}")
    return "  ".join(parts)


def duration(seconds: float) -> str:
    """Seconds as a person says them: 40 s, 3 min, 2 h 05 min."""
    if round(seconds) < 60:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02} min"
