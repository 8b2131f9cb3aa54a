"""A standard output that may fail while something trains: its reader leaves, or its disk is full."""

from __future__ import annotations

import errno
import io
import os
import sys
from pathlib import Path
from typing import Any


def keep_printing_harmless() -> None:
    """From here on nothing that is printed on standard output can end the program.

    Signs that the terminal cannot show become `?`. What cannot be written is dropped, and so is all after it: without a
    word if the reader left (`| head`), with a sentence on standard error otherwise (`> /dev/full`).
    """
    own = sys.stdout
    if own is None:  # it was closed: `>&-`
        sys.stdout = Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115
    elif (own := sys.stdout) is sys.__stdout__:  # not if somebody, such as a test, reads along
        raw = io.BufferedWriter(_Harmless(sys.stdout.fileno()))
        sys.stdout = io.TextIOWrapper(raw, sys.stdout.encoding, "replace", line_buffering=True)


class _Harmless(io.RawIOBase):
    """Writes to a file descriptor until that fails once."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._works = True

    def writable(self) -> bool:
        return True

    def fileno(self) -> int:
        return self._descriptor

    def isatty(self) -> bool:
        return os.isatty(self._descriptor)

    def write(self, data: Any, /) -> int:
        if not self._works:
            return len(data)
        try:
            return os.write(self._descriptor, data)
        except OSError as error:
            self._works = False
            if error.errno != errno.EPIPE:
                print(f"Standard output cannot be written ({error.strerror}); the work goes on.", file=sys.stderr)
            return len(data)
