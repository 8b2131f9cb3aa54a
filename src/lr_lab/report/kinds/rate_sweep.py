"""The outcome against the base rate: the curve by which a person chooses a rate."""

from __future__ import annotations

from pathlib import Path

from matplotlib.figure import Figure

from lr_lab.report import figures
from lr_lab.report.formats import quantity
from lr_lab.report.kinds import factors
from lr_lab.report.kinds.kind import Entry, Kind, Shown, Subject
from lr_lab.report.selection import estimate, ranked
from lr_lab.study.metrics import METRICS

_MARKERS = "osD^vP"  # of lines, beside their dashes


class RateSweep(Kind):
    """The final metric over the base rate, with 95% intervals: a line for settings that differ in the rate alone.

    `metric` (what settings are judged by). On the right a closer look at the best.
    """

    name = "rate_sweep"

    @classmethod
    def suggested(cls, of: Subject) -> Entry | None:
        if not factors.sweeps(of):
            return None
        caption = f"{METRICS[of.metric].label.capitalize()} over the base rate; on the right a closer look at the best."
        return {"name": "rate_sweep", "kind": "rate_sweep", "caption": caption}

    def draw(self, path: Path) -> Shown | None:
        of, metric = self.of, self.entry.get("metric", self.of.metric)
        sweeps, rates = factors.sweeps(of), factors.rates(of)
        order = ranked(of.values, metric)
        sweeps = {label: [name for name in names if name in order] for label, names in sweeps.items()}
        shown = [name for names in sweeps.values() for name in names]
        if not shown:
            return None
        figure = Figure(figsize=(10, 4), layout="constrained")
        panels = figure.subplots(1, 2)
        for axes in panels:
            for place, (label, names) in enumerate(sweeps.items()):
                found = [estimate(of.values, name, metric) for name in names]
                x = [rates[name] for name in names]
                dash = figures.DASHES[place % len(figures.DASHES)]
                axes.plot(x, [each.centre for each in found], color=figures.NEUTRAL[1], linestyle=dash)
                for rate, name, each in zip(x, names, found, strict=True):
                    colour = of.look[name].colour
                    axes.plot([rate, rate], [each.low, each.high], color=colour, linewidth=2.2, alpha=0.45)
                    axes.plot([rate], [each.centre], _MARKERS[place % len(_MARKERS)], color=colour, markersize=6)
                axes.plot([], [], _MARKERS[place % len(_MARKERS)], color=figures.NEUTRAL[1], ls=dash, label=label)
            axes.set(xscale="log", xlabel="base rate", ylabel=METRICS[metric].label)
            axes.grid(alpha=0.3)
            figures.in_percent(axes, metric)
        panels[1].set_ylim(figures.range_of_ranking([order[name] for name in order if name in shown]))
        figures.legend(figure)
        said = [f"{label}: {self._said(names, rates, metric)}" for label, names in sweeps.items()]
        return self.saved(figure, path, f"{METRICS[metric].label.capitalize()} by base rate. {'. '.join(said)}.")

    def _said(self, names: list[str], rates: dict[str, float], metric: str) -> str:
        found = {rates[name]: estimate(self.of.values, name, metric).centre for name in names}
        return ", ".join(f"{quantity(centre, metric)} at {rate:g}" for rate, centre in found.items())
