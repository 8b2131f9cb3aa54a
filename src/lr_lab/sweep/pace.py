"""The time that a sweep still takes, estimated from the epochs that its runs have had."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Mapping
from typing import Any


class Pace:
    """The seconds that epochs take, learned from results."""

    def __init__(self) -> None:
        self._seconds: dict[tuple[Any, ...], dict[str, float]] = {}

    def observe(self, result: Mapping[str, Any]) -> None:
        """Adds a result.json, finished or not. A later one of the same run replaces an earlier one."""
        if result.get("wall_seconds") and result["epochs_run"]:
            kind = self._seconds.setdefault(self._kind(result), {})
            kind[result["config_hash"]] = result["wall_seconds"] / result["epochs_run"]

    def seconds_left(self, result: Mapping[str, Any], since: float = 0.0) -> float | None:
        """Seconds that a run still takes, by its own pace, that of similar runs or that of all; None if none is known.

        Args:
            result: of the run so far.
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
    """Seconds until the last run ends, if each waiting run takes, in turn, the first slot that becomes free.

    Args:
        running: seconds left of each run that is training.
        waiting: seconds that each waiting run will take.
        slots: runs at a time; at least as many as are running.
    """
    free = list(running)
    free += [0.0] * (slots - len(free))
    heapq.heapify(free)
    for seconds in waiting:
        heapq.heapreplace(free, free[0] + seconds)
    return max(free, default=0.0)
