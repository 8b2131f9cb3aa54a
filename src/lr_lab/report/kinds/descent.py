"""Gradient descent on two weights: `settings` whose weights were followed (probes=descent), at the points of `seed`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

from lr_lab.report import descent_figures, figures
from lr_lab.report.kinds.kind import Kind, Shown


class _Followed(Kind):
    needs: ClassVar[Sequence[str]] = ("settings", "seed")

    def followed(self) -> tuple[descent_figures.Surface, list[descent_figures.Way]] | None:
        """The loss surface of the points and the ways of the runs; None where either is not at hand."""
        ways = descent_figures.followed(self.of.study, self.of.runs, self.entry["settings"], self.entry["seed"])
        samples = self.of.samples("train", next(iter(ways))) if ways else None
        return (descent_figures.Surface(*samples), list(ways.values())) if samples else None


class Fit(_Followed):
    """The points, and the line that is fitted to them."""

    name = "fit"

    def draw(self, path: Path) -> Shown | None:
        if descent := self.followed():
            figures.save(descent_figures.fit(*descent), path)
        return self.drawn_before(path)


class Way(_Followed):
    """The path of the weights on the loss surface."""

    name = "path"

    def draw(self, path: Path) -> Shown | None:
        if descent := self.followed():
            figures.save(descent_figures.path(*descent), path)
        return self.drawn_before(path)


class Animation(_Followed):
    """Both, step by step, over the first `steps` steps."""

    name = "animation"
    needs = ("settings", "seed", "steps")

    def draw(self, path: Path) -> Shown | None:
        if descent := self.followed():
            descent_figures.save_animation(*descent, self.entry["steps"], figures.file(path, "gif"))
        return self.drawn_before(path)


class Contraction(Kind):
    """By how much a step shrinks the error, measured and by theory: `settings`."""

    name = "contraction"
    needs = ("settings",)

    def draw(self, path: Path) -> Shown | None:
        rows = self.of.runs.finished
        rows = rows[rows["setting"].isin(self.of.values.match(self.entry["settings"]))]
        if "contraction" not in rows or rows.empty:  # a table alone lacks it
            return None
        return self.saved(descent_figures.contraction(rows), path)
