"""The best setting against the next ones, seed by seed."""

from __future__ import annotations

from math import isfinite
from pathlib import Path

from matplotlib.figure import Figure

from lr_lab.report import figures
from lr_lab.report.formats import interval, number, unit_of_difference
from lr_lab.report.kinds.kind import Entry, Kind, Shown, Subject
from lr_lab.report.selection import ranked
from lr_lab.study import inference
from lr_lab.study.metrics import METRICS

_MOST = 8
_FEWEST_SEEDS = 3


class Paired(Kind):
    """The lead of the best setting over each of the next ones: a dot per seed, the mean and its 95% interval.

    Runs with one seed share their first weights and their batches, so that differences within a seed say more than
    those between means. `settings` (the contenders).
    """

    name = "paired"
    needs = ("settings",)

    @classmethod
    def suggested(cls, of: Subject) -> Entry | None:
        names = [setting.name for setting in of.study.without_exploration.settings]
        entry = {"name": "paired", "kind": "paired", "settings": names}
        entry["caption"] = (
            f"How far the best setting is ahead, seed by seed, in {METRICS[of.metric].label}: right of the line it is "
            "ahead. Dots are seeds; the bar is the 95% interval of the mean, uncorrected for the choice of the best."
        )
        return entry if len(names) > 1 and cls(entry, of).leads() else None

    def leads(self) -> dict[str, list[float]]:
        """Rival -> the lead over it with each seed that both have, the closest rival first."""
        of, metric = self.of, self.of.metric
        names = self.of.values.match(self.entry["settings"])
        first, *rivals = [name for name in ranked(of.values, metric) if name in names] or [""]
        sign = -1 if METRICS[metric].lower_is_better else 1
        found = {}
        for rival in rivals[:_MOST]:
            ours, theirs = of.values.series(first, metric), of.values.series(rival, metric)
            leads = [sign * (ours[seed] - theirs[seed]) for seed in sorted(ours.keys() & theirs.keys())]
            if len(leads) >= _FEWEST_SEEDS and all(map(isfinite, leads)):
                found[rival] = leads
        return {first: []} | found if found else {}

    def draw(self, path: Path) -> Shown | None:
        of, metric = self.of, self.of.metric
        leads = self.leads()
        if not leads:
            return None
        first, *rivals = leads
        labels = figures.labels(of.study, list(leads))
        figure = Figure(figsize=(8, 0.9 + 0.36 * len(rivals)), layout="constrained")
        axes, said = figure.subplots(), []
        for row, rival in enumerate(rivals):
            found, colour = inference.estimate(dict(enumerate(leads[rival]))), of.look[rival].colour
            axes.plot(leads[rival], [row] * len(leads[rival]), "o", color=colour, markersize=4, alpha=0.6)
            if isfinite(found.low) and isfinite(found.high):
                axes.plot([found.low, found.high], [row, row], color=colour, linewidth=6, alpha=0.3)
            axes.plot([found.centre], [row], "|", color="black", markersize=12, markeredgewidth=2)
            spread = interval(found.low, found.high, metric, signed=True)
            lead = f"{number(found.centre, metric, signed=True)}{unit_of_difference(metric)} {spread}".rstrip()
            wins = sum(each > 0 for each in leads[rival])
            said.append(f"over {labels[rival]} {lead}, ahead in {wins} of {len(leads[rival])} seeds")
        axes.axvline(0, color="black", linewidth=0.8)
        axes.set_yticks(range(len(rivals)), [labels[rival] for rival in rivals])
        axes.set_ylim(len(rivals) - 0.5, -0.5)
        unit = unit_of_difference(metric).strip()
        axes.set_xlabel(f"lead of {labels[first]}{f' ({unit})' if unit else ''}")
        if METRICS[metric].fraction:
            axes.xaxis.set_major_formatter(lambda value, _: f"{100 * value:.4g}")
        axes.grid(axis="x", alpha=0.3)
        return self.saved(figure, path, f"Lead of {labels[first]}: {'; '.join(said)}.")
