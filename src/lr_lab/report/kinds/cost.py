"""The cost of accuracy, in epochs and in seconds."""

from __future__ import annotations

from pathlib import Path

from matplotlib.figure import Figure

from lr_lab.report import figures
from lr_lab.report.formats import quantity
from lr_lab.report.kinds.kind import Entry, Kind, Shown, Subject
from lr_lab.report.selection import best
from lr_lab.study.metrics import METRICS

_MOST = 6
_MATTERS = 1.2  # epochs that differ in length by less make the same picture twice


class Cost(Kind):
    """Validation accuracy, or loss, over epochs and over seconds of training: `settings`."""

    name = "cost"
    needs = ("settings",)

    @classmethod
    def suggested(cls, of: Subject) -> Entry | None:
        names = best(of.values, _MOST)
        lengths = [of.runs.curve(name, "seconds")["mean"].mean() for name in names if name in of.with_curves]
        if len(lengths) < 2 or not max(lengths) > _MATTERS * min(lengths) > 0:
            return None
        few = f" of the best {_MOST} settings" if len(of.values.settings) > _MOST else ""
        caption = (
            f"{METRICS[of.metric].label.removeprefix('final ').capitalize()}{few} over epochs, and over seconds of "
            "training, means over seeds. Seconds depend on the machine, and on what else ran on it."
        )
        return {"name": "cost", "kind": "cost", "settings": names, "caption": caption}

    def draw(self, path: Path) -> Shown | None:
        of, metric = self.of, self.of.metric
        names = of.drawable(self.entry["settings"])
        if not names:
            return None
        figure = Figure(figsize=(10, 4), layout="constrained")
        epochs, seconds = figure.subplots(1, 2, sharey=True)
        labels, said = figures.labels(of.study, names), []
        for name in names:
            curve, look = of.runs.curve(name, metric), of.look[name]
            spent = of.runs.curve(name, "seconds")["mean"].cumsum()[: len(curve)]
            style = {"color": look.colour, "linestyle": look.dash, "linewidth": 1.6}
            epochs.plot(curve["epoch"], curve["mean"], label=labels[name], **style)
            seconds.plot(spent, curve["mean"][: len(spent)], **style)
            if len(spent):
                end = quantity(curve["mean"].iloc[-1], metric)
                said.append(f"{labels[name]}: {end} after {len(curve)} epochs and {spent.iloc[-1]:.3g} s")
        epochs.set(xlabel="epoch", ylabel=figures.COLUMN_LABELS[metric])
        epochs.locator_params(axis="x", integer=True)
        seconds.set(xlabel="seconds of training")
        for axes in (epochs, seconds):
            axes.grid(alpha=0.3)
            figures.in_percent(axes, metric)
        figures.legend(figure)
        return self.saved(figure, path, "; ".join(said) + ".")
