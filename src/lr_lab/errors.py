"""Errors that a person can correct, each with a sentence that says how."""

import contextlib
import difflib
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

_SHOWN = 5


class UserError(Exception):
    """One sentence for a person: what is wrong, what is allowed, what to do. Shown without a traceback."""


class NotAllowed(UserError, ValueError):
    """A value is refused. A ValueError too, as Python code that calls the library expects."""


class Unwritable(UserError):
    """A file of a run, or its folder, cannot be written; the cause is the system's error."""


class RunBusy(UserError):
    """Another process is training the run."""


def first_line(error: BaseException) -> str:
    """The first line of what an exception says; the name of its class if it says nothing."""
    return next(iter(str(error).splitlines()), "") or type(error).__name__


def listed(items: Sequence[object]) -> str:
    """At most five of them, for a sentence: "a, b, c, d, e and 3 more"."""
    more = f" and {len(items) - _SHOWN} more" if len(items) > _SHOWN else ""
    return ", ".join(map(str, items[:_SHOWN])) + more


def not_yaml(error: Any, file: Path | None = None) -> UserError:
    """A yaml.YAMLError in one sentence: the place in the file, and the problem there.

    Args:
        file: which it is, where the error does not know.
    """
    mark = getattr(error, "problem_mark", None)
    place = str(file) if file else str(getattr(mark or error, "name", "YAML"))
    line = f", line {mark.line + 1}" if mark else ""
    why = getattr(error, "problem", None) or getattr(error, "reason", None) or first_line(error)
    return UserError(f"{place}{line} is not valid YAML: {why}; correct it there.")


def did_you_mean(word: str, known: Sequence[str]) -> str:
    """The end of a sentence that refuses `word`: the closest known one, if any is close."""
    lowered = {name.lower(): name for name in known}
    close = difflib.get_close_matches(word.lower(), lowered, n=1)
    return f"; did you mean {lowered[close[0]]}?" if close else "."


def not_there(path: Path, advice: str) -> UserError:
    """A path that does not exist; the sentence ends with a name beside it that is close, if there is one."""
    return UserError(f"{path} is not there; {advice}{did_you_mean(path.name, [p.name for p in path.parent.glob('*')])}")


def shown(text: str) -> str:
    """A text for a sentence, cut after 40 characters."""
    return text if len(text) <= 40 else f"{text[:40]}..."


def end(error: object) -> NoReturn:
    """Ends the process as every program answers a mistake: one sentence on standard error, exit code 2."""
    with contextlib.suppress(OSError):  # of a standard error that is full
        print(f"error: {error}", file=sys.stderr)
    sys.exit(2)
