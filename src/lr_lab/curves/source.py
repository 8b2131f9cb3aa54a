"""A file, a folder or text from standard input, looked into once and shared by all readers."""

from __future__ import annotations

import codecs
import re
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

ANSI = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)|\x1b[@-Z\\-_]")
LARGEST = 200 * 2**20  # bytes; a larger file is not read


@dataclass(frozen=True)
class Source:
    """
    Attributes:
        path: None for text from standard input.
        given: the bytes of that text.
    """

    path: Path | None
    given: bytes = b""

    @property
    def name(self) -> str:
        return "standard input" if self.path is None else str(self.path)

    @cached_property
    def is_folder(self) -> bool:
        return self.path is not None and self.path.is_dir()

    @cached_property
    def data(self) -> bytes:
        """The content; empty for a folder and for a file over the largest size."""
        if self.path is None:
            return self.given
        if self.is_folder or self.path.stat().st_size > LARGEST:
            return b""
        return self.path.read_bytes()

    @cached_property
    def text(self) -> str:
        """The content as text without colour codes; bytes that are not UTF-8 become a replacement sign."""
        if self.data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
            text = self.data.decode("utf-16", errors="replace")
        else:
            text = self.data.decode("utf-8-sig", errors="replace")
        return ANSI.sub("", text)

    @cached_property
    def is_text(self) -> bool:
        head = self.data[:4096]
        return bool(head) and (b"\0" not in head or head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)))

    @cached_property
    def lines(self) -> list[str]:
        """Lines of the text; a progress bar that redraws itself is one line per drawing."""
        return [line for line in re.split(r"[\r\n\x08\x0b\x0c\u2028]+", self.text) if line.strip()]
