"""All claims of a study in one picture."""

from __future__ import annotations

from math import isfinite
from pathlib import Path
from textwrap import shorten

import numpy as np
from matplotlib.figure import Figure

from lr_lab.report.evidence import OUTCOMES, ShownClaim
from lr_lab.report.figures import NEUTRAL, PALETTE
from lr_lab.report.formats import unit_of_difference
from lr_lab.report.kinds.kind import Entry, Kind, Shown, Subject

_MARKS = ((PALETTE[2], "o"), (PALETTE[1], "X"), (NEUTRAL[1], "D"), (NEUTRAL[0], "|"))
_LOOKS = dict(zip(OUTCOMES.values(), _MARKS, strict=True))
# Tests whose lead is a ratio or a spread, which shares no axis with differences.
_OF_ANOTHER_KIND = ("within_factor", "wider", "share")
_FEWEST = 3


class Forest(Kind):
    """How far each claim is from its limit, with its 95% interval, a panel per unit: right of the line it holds.

    An interval ends at the edge of its panel where the seeds bound it no further. Ratios and shares are left out.
    """

    name = "forest"

    @classmethod
    def suggested(cls, of: Subject) -> Entry | None:
        if sum(map(len, _by_unit(of).values())) < _FEWEST:
            return None
        caption = (
            "The claims about accuracies and epochs: how far each is from the limit that it is held to, with its 95% "
            "interval. Right of the line the claim holds. The intervals are of one claim alone; verdicts are corrected."
        )
        return {"name": "forest", "kind": "forest", "caption": caption}

    def draw(self, path: Path) -> Shown | None:
        by_unit = _by_unit(self.of)
        if not by_unit:
            return None
        counts = [len(claims) for claims in by_unit.values()]
        figure = Figure(figsize=(10, 0.9 * len(counts) + 0.27 * sum(counts)), layout="constrained")
        panels = figure.subplots(len(counts), 1, squeeze=False, height_ratios=[count + 1 for count in counts])[:, 0]
        said = []
        for axes, (unit, claims) in zip(panels, by_unit.items(), strict=True):
            scale = 100 if unit == "points" else 1
            centres = [scale * shown.verdict.effect for shown in claims]
            reach = 1.6 * max(np.percentile(np.abs(centres), 80), 1e-9)
            for row, shown in enumerate(claims):
                colour, marker = _LOOKS[shown.outcome]
                low, high = (np.clip(scale * end, -reach, reach) for end in (shown.verdict.low, shown.verdict.high))
                axes.plot([low, high], [row, row], color=colour, linewidth=2, alpha=0.5)
                axes.plot([np.clip(centres[row], -reach, reach)], [row], marker, color=colour, markersize=7)
                said.append(f"{shown.claim.place} {shown.outcome}, {centres[row]:+.3g} {unit} from its limit")
            axes.axvline(0, color="black", linewidth=0.8)
            names = [f"{shown.claim.place} {shown.claim.says}" for shown in claims]
            axes.set_yticks(range(len(claims)), [shorten(name, 72, placeholder=" …") for name in names], fontsize=8)
            axes.set(
                xlim=(-1.05 * reach, 1.05 * reach), ylim=(len(claims) - 0.5, -0.5), xlabel=f"{unit} from the limit"
            )
            axes.grid(axis="x", alpha=0.3)
        outcomes = {shown.outcome for claims in by_unit.values() for shown in claims}
        for outcome in (name for name in _LOOKS if name in outcomes):
            colour, marker = _LOOKS[outcome]
            panels[0].plot([], [], marker, color=colour, label=outcome)
        figure.legend(loc="outside lower center", ncols=4)
        return self.saved(figure, path, "; ".join(said) + ".")


def _by_unit(of: Subject) -> dict[str, list[ShownClaim]]:
    """Unit -> the claims whose lead is measured in it, in the order of their outcomes."""
    found: dict[str, list[ShownClaim]] = {}
    order = list(OUTCOMES.values())
    for shown in sorted(of.claims, key=lambda shown: order.index(shown.outcome)):
        unit = unit_of_difference(shown.claim.arguments.get("metric", "")).strip()
        if unit and shown.claim.test not in _OF_ANOTHER_KIND and isfinite(shown.verdict.effect) and shown.seeds:
            found.setdefault(unit, []).append(shown)
    return found
