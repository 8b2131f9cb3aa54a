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
        order: of several logs in one folder, the reader with the lowest order is used.
    """

    format: ClassVar[str]
    order: ClassVar[int] = 0

    @abstractmethod
    def sure(self, source: Source) -> float:
        """The confidence, from 0 to 1, that the content has this format."""

    @abstractmethod
    def tables(self, source: Source) -> list[Table]:
        """The rows of each run; several where the content names its runs."""
