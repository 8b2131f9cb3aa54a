"""How long the rest of a sweep takes, judged by the epochs that its runs have had."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Mapping
from typing import Any


class Pace:
    """How long epochs take, from the results of the runs that have had some: for the time left."""

    def __init__(self) -> None:
        self._seconds: dict[tuple[Any, ...], dict[str, float]] = {}

    def observe(self, result: Mapping[str, Any]) -> None:
        """Takes in a result.json, finished or not; a later one of the same run replaces an earlier."""
        if result.get("wall_seconds") and result["epochs_run"]:
            kind = self._seconds.setdefault(self._kind(result), {})
            kind[result["config_hash"]] = result["wall_seconds"] / result["epochs_run"]

    def seconds_left(self, result: Mapping[str, Any], since: float = 0.0) -> float | None:
        """Seconds that a run still takes, by its own pace, or that of its like, or of all; None if none is known.

        Args:
            result: of the run, as far as it has come.
            since: seconds since its last epoch ended.
        """
        like = self._seconds.get(self._kind(result), {})
        own = [like[result["config_hash"]]] if result["config_hash"] in like else []
        known = own or list(like.values()) or [seconds for kind in self._seconds.values() for seconds in kind.values()]
        if not known:
            return None
        epoch = sum(known) / len(known)
        return (result["epochs"] - result["epochs_run"]) * epoch - min(since, epoch)

    @staticmethod
    def _kind(result: Mapping[str, Any]) -> tuple[Any, ...]:
        return tuple(result[key] for key in ("data", "model", "optimizer", "batch_size"))


def time_left(running: Iterable[float], waiting: Iterable[float], slots: int) -> float:
    """Seconds until the last run ends, if each that waits takes, in turn, the first slot to become free.

    Args:
        running: seconds left of each run that is training.
        waiting: seconds that each run will take that is not.
        slots: runs at a time; at least as many as are running.
    """
    free = list(running)
    free += [0.0] * (slots - len(free))
    heapq.heapify(free)
    for seconds in waiting:
        heapq.heapreplace(free, free[0] + seconds)
    return max(free, default=0.0)
