"""The state of each run of a sweep: one state machine for all launchers, shown on one display.

A run waits, runs at a place (a slot of this machine or a job of a cluster), or another process trains it elsewhere. It
ends once, with a result or as failed.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from enum import Enum
from types import TracebackType

from rich.console import Console

from lr_lab.run.training import FAILED
from lr_lab.sweep.display import Display
from lr_lab.sweep.runs import Run

Place = int | str


class State(Enum):
    """The states of a run."""

    WAITING = "waiting"
    RUNNING = "running"
    ELSEWHERE = "elsewhere"
    ENDED = "ended"
    FAILED = "failed"


class Progress:
    """The states of a sweep's runs. A context manager, inside which the display is shown.

    Args:
        runs: all runs of the sweep; finished ones count as ended.
        slots: runs at a time.
        console: shows the display.
        max_failures: the sweep stops after this many failed runs.
    """

    def __init__(self, runs: Sequence[Run], slots: int, console: Console, max_failures: float = math.inf) -> None:
        self.max_failures = max_failures
        self._states = {run: State.ENDED if run.is_finished else State.WAITING for run in runs}
        self._places: dict[Run, Place] = {}
        self._display = Display(console, slots, kept=len(self._in(State.ENDED)), total=len(runs))

    def __enter__(self) -> Progress:
        self._display.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._display.__exit__(kind, error, trace)

    def _in(self, state: State) -> list[Run]:
        return [run for run, its in self._states.items() if its == state]

    @property
    def waiting(self) -> list[Run]:
        return self._in(State.WAITING)

    @property
    def running(self) -> list[Run]:
        return self._in(State.RUNNING)

    @property
    def elsewhere(self) -> list[Run]:
        """The runs that another process was training when they were last looked at."""
        return self._in(State.ELSEWHERE)

    @property
    def failed(self) -> int:
        """How many runs have failed."""
        return Counter(self._states.values())[State.FAILED]

    @property
    def is_over(self) -> bool:
        return not (self.waiting or self.running or self.elsewhere)

    def at(self, place: Place) -> list[Run]:
        """The runs at a place: one, or the members of a population that have not ended."""
        return [run for run, its in self._places.items() if its == place]

    def start(self, run: Run, place: Place, announce: bool = True) -> None:
        self._move(run, State.RUNNING)
        self._places[run] = place
        if announce:
            self._display.started(run)

    def wait(self, run: Run) -> None:
        """The run is back in the queue."""
        self._move(run, State.WAITING)

    def leave(self, run: Run) -> None:
        """Another process trains the run; the sweep says so once."""
        if self._states[run] != State.ELSEWHERE:
            self._move(run, State.ELSEWHERE)
            self.say(f"elsewhere {run.name}: another process is training it")

    def end(self, run: Run) -> None:
        """The run has ended, as its result says."""
        self._move(run, State.FAILED if run.result()["status"] == FAILED else State.ENDED)
        self._display.ended(run)

    def _move(self, run: Run, state: State) -> None:
        assert self._states[run] not in (State.ENDED, State.FAILED), f"{run.name} has ended already"
        self._states[run] = state
        self._places.pop(run, None)

    def stops(self) -> bool:
        """Whether the sweep ends here because too many runs have failed; if so, it says so."""
        if self.failed < self.max_failures:
            return False
        self.say("The sweep stops here; started again, it goes on from here.")
        return True

    def say(self, text: str) -> None:
        self._display.say(text)

    def refresh(self) -> None:
        """Brings the display up to date. It shows the first run of each population."""
        shown: dict[Place, Run] = {}
        for run, place in self._places.items():
            shown.setdefault(place, run)
        first = set(shown.values())
        others = [run for run in self.running if run not in first]
        self._display.refresh(shown, [*others, *self.waiting, *self.elsewhere])
