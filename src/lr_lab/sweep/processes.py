"""Function calls in fresh processes, forked from a server that has imported the heavy libraries already.

A forked process starts in a tenth of a second where a new interpreter would import torch for seconds. The server is
multiprocessing's; it ends when this process and all its children have ended. Needs no torch itself.
"""

from __future__ import annotations

import atexit
import contextlib
import multiprocessing
import multiprocessing.forkserver
import os
import shutil
import signal
import sys
import tempfile
import threading
import time
import traceback
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection, wait
from pathlib import Path
from types import ModuleType, TracebackType
from typing import Any

import cloudpickle

from lr_lab.sweep import preload as preloader

_LONGEST_TMPDIR = 60  # leaves room for multiprocessing's own names

_CONTEXT = multiprocessing.get_context("forkserver")


@dataclass(frozen=True)
class Answer:
    """The value that a call returned, or the reason why it returned none, in words."""

    value: Any = None
    error: str | None = None


def start_server(preload: Sequence[str], targets: Collection[str] = ()) -> None:
    """Starts the server, which imports modules while this process goes on. Only the first call counts.

    Args:
        preload: modules that must be importable.
        targets: classes, as `module.Class`. They may be a person's own; the server skips one that cannot be imported.
    """
    _shorten_socket_paths()
    os.environ[preloader.TARGETS] = " ".join(sorted(targets))
    _CONTEXT.set_forkserver_preload([*preload, preloader.__name__])
    resource_tracker.ensure_running()  # the server would start it, and it lets interrupts through again (Python 3.11)
    with _interrupts_held(), _path_handed_on():
        multiprocessing.forkserver.ensure_running()


@contextlib.contextmanager
def _path_handed_on() -> Iterator[None]:
    """A Python started in this block looks for modules where this process does: first in the checkout's own src."""
    before = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = os.pathsep.join(path or str(Path.cwd()) for path in sys.path)
    try:
        yield
    finally:
        if before is None:
            del os.environ["PYTHONPATH"]
        else:
            os.environ["PYTHONPATH"] = before


def _shorten_socket_paths() -> None:
    """Puts the server's socket below /tmp if TMPDIR is long: the path of a Unix socket holds about 100 characters."""
    if len(tempfile.gettempdir()) > _LONGEST_TMPDIR and Path("/tmp").is_dir():
        folder = tempfile.mkdtemp(prefix="lr-lab-", dir="/tmp")
        atexit.register(shutil.rmtree, folder, ignore_errors=True)
        multiprocessing.current_process()._config["tempdir"] = folder  # type: ignore[attr-defined]


@contextlib.contextmanager
def _interrupts_held() -> Iterator[None]:
    """Processes started in this block ignore the Ctrl-C that a terminal sends to all; this module ends them."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextlib.contextmanager
def _main_left_out() -> Iterator[None]:
    """Processes started in this block do not import this program's main module again.

    They do not need it: a function arrives by value, or by its name in a module that the server has imported. And they
    would import the program as it is on disk by then, perhaps in the middle of an edit.
    """
    main = sys.modules["__main__"]
    sys.modules["__main__"] = ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = main


class Pool:
    """Slots, in each of which one call at a time runs in a fresh process. Leaving the context kills what still runs.

    Args:
        environments: per slot, the variables that its processes see beside this process's own.
    """

    def __init__(self, environments: Sequence[Mapping[str, str]]) -> None:
        self._environments = environments
        self._children: dict[int, _Child] = {}

    def __enter__(self) -> Pool:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()

    @property
    def free(self) -> list[int]:
        """The slots in which nothing runs."""
        return [slot for slot in range(len(self._environments)) if slot not in self._children]

    def start(self, slot: int, function: Callable[..., Any], *arguments: Any, output: Path | None = None) -> None:
        """Calls `function(*arguments)` in a free slot and appends its printed lines to `output`, if given."""
        environment = {**os.environ, **self._environments[slot]}
        self._children[slot] = _Child(cloudpickle.dumps((function, arguments)), environment, output)

    def wait(self, timeout: float | None = None) -> list[tuple[int, Answer]]:
        """Waits at most `timeout` seconds for a call to end; (slot, answer) of each call that has ended."""
        deadline = None if timeout is None else time.monotonic() + timeout
        ended: list[tuple[int, Answer]] = []
        while not ended and (timeout is None or timeout >= 0):
            ready = wait([source for child in self._children.values() for source in child.sources], timeout)
            ended = [(slot, child.answer()) for slot, child in self._children.items() if child.has_ended(ready)]
            timeout = None if deadline is None else deadline - time.monotonic()
        for slot, _ in ended:
            del self._children[slot]
        return ended

    def kill(self) -> None:
        for child in self._children.values():
            child.kill()
        self._children.clear()


class _Child:
    def __init__(self, call: bytes, environment: Mapping[str, str], output: Path | None) -> None:
        self._answers, theirs = _CONTEXT.Pipe(duplex=False)
        self._answer: Answer | None = None
        self._process = _CONTEXT.Process(target=_serve, args=(call, dict(environment), output, theirs))
        with _interrupts_held(), _main_left_out():
            self._process.start()
        theirs.close()
        # An answer larger than a pipe holds is only finished once it is being read, hence both.
        self.sources: list[Any] = [self._answers, self._process.sentinel]

    def has_ended(self, ready: Sequence[Any]) -> bool:
        if self._answers in ready:
            self._read()
        return self._process.sentinel in ready

    def _read(self) -> None:
        self.sources.remove(self._answers)
        with contextlib.suppress(EOFError):
            self._answer = cloudpickle.loads(self._answers.recv_bytes())
        self._answers.close()

    def answer(self) -> Answer:
        self._process.join()
        if self._answers in self.sources:
            self._read()
        return self._answer or Answer(error=ending(self._process.exitcode))

    def kill(self) -> None:
        self._process.kill()
        self._process.join()


def ending(code: int | None) -> str:
    """The exit code of a process that ended without an answer, in words."""
    if code is None or code >= 0:
        return f"The process ended with exit code {code} before the run was done."
    try:
        name = signal.Signals(-code).name
    except ValueError:
        name = f"signal {-code}"
    cause = ", by somebody or by the system for want of memory" if -code == signal.SIGKILL else ""
    return f"The process was killed ({name}{cause}) before the run was done."


def _serve(call: bytes, environment: Mapping[str, str], output: Path | None, answers: Connection) -> None:
    """Runs in a child: makes one call in the caller's present environment. The child ends when the caller does."""
    threading.Thread(target=_end_with_parent, daemon=True).start()
    os.environ.clear()
    os.environ.update(environment)
    if output is not None:
        _redirect(output)
    try:
        function, arguments = cloudpickle.loads(call)
        answer = cloudpickle.dumps(Answer(function(*arguments)))
    except Exception:
        answer = cloudpickle.dumps(Answer(error=traceback.format_exc()))
    answers.send_bytes(answer)
    sys.stdout.flush()
    sys.stderr.flush()
    # Skip the interpreter's shutdown: a library's thread that hangs there would hold the slot.
    os._exit(0)


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)


def _redirect(output: Path) -> None:
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
        file = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)
    except OSError:  # a full disk; the call itself will report it
        file = os.open(os.devnull, os.O_WRONLY)
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
        os.dup2(file, stream.fileno())
    os.close(file)
