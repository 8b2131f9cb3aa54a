"""Processes that train, and the results they leave, seen from outside."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from lr_lab.run.folder import RunFolder


def holder(folder: RunFolder) -> int:
    """The process that has the lock of a run open."""
    lock = (folder.path / ".lock").resolve()
    for link in Path("/proc").glob("[0-9]*/fd/*"):
        try:
            if link.resolve() == lock:
                return int(link.parts[2])
        except OSError:
            continue
    raise AssertionError(f"nobody holds {lock}")


def is_stopped(process: int) -> bool:
    """Whether all of its threads are: a signal reaches them one after the other."""
    states = [file.read_text().rpartition(")")[2].split()[0] for file in Path(f"/proc/{process}/task").glob("*/stat")]
    return set(states) == {"T"}


def wait_until(condition: Callable[[], Any], seconds: float = 120.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not come to pass"
        time.sleep(0.005)


def result_of(folder: RunFolder) -> dict[str, Any]:
    """The result.json of a run that has one."""
    result = folder.result()
    assert result is not None, f"{folder.path} has no result.json"
    return result
