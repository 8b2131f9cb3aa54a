"""A kind of figure: what it needs, its picture as a file, and the form in which a page shows it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from bokeh.models import ColumnDataSource
from matplotlib.figure import Figure

from lr_lab.report import figures, interactive
from lr_lab.report.evidence import ShownClaim
from lr_lab.report.figures import Style
from lr_lab.report.interactive import Line, Panel
from lr_lab.report.page import Picture, figure_file
from lr_lab.report.selection import Pick, main_metric, ranked
from lr_lab.study.runs import Runs
from lr_lab.study.study_file import Study
from lr_lab.study.values import Values

Entry = Mapping[str, Any]
# Of a split ("train" or "val") of the data of a run, or of any for None: inputs, images as (N, H, W, C), and targets;
# None where the run or its data are not at hand.
Samples = Callable[[str, str | None], tuple[np.ndarray, np.ndarray] | None]
Shown = Picture | Panel
LINES_AT_FIRST = 6


@dataclass(frozen=True)
class Subject:
    """The study that figures are of, with what they share.

    Attributes:
        picks: the best setting of each group, for figures that show those.
        samples: the data that runs were trained on.
        claims: as the report shows them.
        columns: of the histories, those that plots of the page hold.
    """

    study: Study
    runs: Runs
    values: Values
    picks: Sequence[Pick]
    samples: Samples
    claims: Sequence[ShownClaim] = ()
    columns: Sequence[str] = field(default_factory=tuple)

    @cached_property
    def metric(self) -> str:
        return main_metric(self.values)

    @cached_property
    def look(self) -> Mapping[str, Style]:
        return figures.styles(self.study)

    @cached_property
    def with_curves(self) -> list[str]:
        """The settings that have any."""
        return [name for name in self.values.settings if len(self.runs.curve(name, "lr"))]

    @cached_property
    def sources(self) -> Mapping[str, ColumnDataSource]:
        """Setting -> its numbers by epoch, of those that have curves."""
        return {name: interactive.source(self.runs, name, self.columns) for name in self.with_curves}

    def drawable(self, names: str | Sequence[str]) -> list[str]:
        """The settings of these names or patterns that have curves."""
        return [name for name in self.values.match(names) if name in self.with_curves]

    def lines(self, names: Sequence[str]) -> list[Line]:
        """Of the settings; of more than LINES_AT_FIRST only the best are on at first."""
        labels = figures.labels(self.study, names)
        order = [name for name in ranked(self.values, self.metric) if name in names]
        first = names if len(names) <= LINES_AT_FIRST else order[:LINES_AT_FIRST]
        return [Line(self.sources[name], labels[name], self.look[name], name in first) for name in names]


class Kind(ABC):
    """A figure of one kind. A new kind is a subclass in a file of its own, and its name in `kinds.KINDS`.

    Args:
        entry: of the study's `figures`: `name`, `kind`, `caption` and what the kind needs.
    """

    name: ClassVar[str]
    needs: ClassVar[Sequence[str]] = ()

    def __init__(self, entry: Entry, of: Subject) -> None:
        self.entry, self.of = entry, of

    @classmethod
    def columns(cls, entry: Entry) -> Sequence[str]:
        """The columns of the histories that its plots on the page draw."""
        return ()

    @classmethod
    def suggested(cls, of: Subject) -> Entry | None:
        """The figure of this kind that a study gets unasked; None where it would show nothing."""
        return None

    @abstractmethod
    def draw(self, path: Path) -> Shown | None:
        """Writes its files, named path with an ending, and returns what the page shows; None without numbers."""

    def saved(self, figure: Figure, path: Path, alt: str = "") -> Picture:
        figures.save(figure, path)
        return Picture(self.entry["caption"], figures.file(path, "svg"), alt)

    def drawn_before(self, path: Path) -> Picture | None:
        """The picture of an earlier report, for a figure whose data are not at hand."""
        found = figure_file(path)
        return Picture(self.entry["caption"], found) if found else None
