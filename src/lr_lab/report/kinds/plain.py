"""Figures without runs: the four sequences of Yang & Huang 2019, and pictures of the data."""

from __future__ import annotations

from pathlib import Path

from lr_lab.report import figures
from lr_lab.report.kinds.kind import Kind, Shown


class Sequences(Kind):
    """The paper's four sequences from r_0 = `lr` over `length` advances."""

    name = "sequences"
    needs = ("lr", "length")

    def draw(self, path: Path) -> Shown | None:
        return self.saved(figures.sequences(self.entry["lr"], self.entry["length"]), path)


class Examples(Kind):
    """Two pictures of each class."""

    name = "examples"

    def draw(self, path: Path) -> Shown | None:
        if samples := self.of.samples("val", None):
            figures.save(figures.examples(*samples), path)
        return self.drawn_before(path)
