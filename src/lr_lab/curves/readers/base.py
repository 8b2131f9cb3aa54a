"""The interface of a reader of one format."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

from lr_lab.curves.source import Source
from lr_lab.curves.table import Table


class Reader(ABC):
    """One format of training logs.

    Attributes:
        format: its name for people.
        order: which of several logs in one folder is read; the lowest is.
    """

    format: ClassVar[str]
    order: ClassVar[int] = 0

    @abstractmethod
    def sure(self, source: Source) -> float:
        """How sure it is that the content is of this format, from 0 to 1."""

    @abstractmethod
    def tables(self, source: Source) -> list[Table]:
        """The rows of each run; several where the content names its runs."""
