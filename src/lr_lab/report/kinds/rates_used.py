"""The rates that runs really used, where that is up to the run."""

from __future__ import annotations

from math import ceil
from pathlib import Path

from matplotlib.figure import Figure

from lr_lab.report import figures
from lr_lab.report.kinds.kind import Entry, Kind, Shown, Subject

_MOST_PANELS = 12


class RatesUsed(Kind):
    """The rate of each run at the end of its epochs, a panel per setting, a line per seed: `settings`.

    By cutoff and by oscillate a run's losses decide when the rate is lowered, so that seeds differ.
    """

    name = "rates_used"
    needs = ("settings",)

    @classmethod
    def suggested(cls, of: Subject) -> Entry | None:
        names = []
        for name in of.with_curves:
            curve = of.runs.curve(name, "lr")
            if (curve["high"] > 1.001 * curve["low"]).any():
                names.append(name)
        if not names:
            return None
        few = f"; the first {_MOST_PANELS} of {len(names)} such settings" if len(names) > _MOST_PANELS else ""
        caption = (
            f"The rates that runs really used, a line per seed, where they differ from seed to seed{few}. Lines that "
            "coincide look like one; the darker, the more."
        )
        return {"name": "rates_used", "kind": "rates_used", "settings": names[:_MOST_PANELS], "caption": caption}

    def draw(self, path: Path) -> Shown | None:
        of = self.of
        names = of.drawable(self.entry["settings"])
        if not names or of.runs.histories is None:
            return None
        width = min(4, len(names))
        figure = Figure(figsize=(2.5 * width, 0.4 + 1.9 * ceil(len(names) / width)), layout="constrained")
        grid = figure.subplots(ceil(len(names) / width), width, squeeze=False, sharex=True, sharey=True)
        labels, finished = figures.labels(of.study, names), of.runs.finished
        by_run, said = of.runs.histories.groupby("run"), []
        for name, axes in zip(names, grid.flat, strict=False):
            ends = []
            for run in finished.loc[finished["setting"] == name, "run"]:
                history = by_run.get_group(run)
                axes.step(history["epoch"] + 1, history["lr"], where="mid", color=of.look[name].colour, alpha=0.5)
                ends.append(float(history["lr"].iloc[-1]))
            axes.set_title(labels[name], fontsize=8)
            axes.set_yscale("log")
            axes.grid(alpha=0.3)
            said.append(f"{labels[name]}: from {min(ends):.3g} to {max(ends):.3g}")
        for axes in grid.flat[len(names) :]:
            axes.set_axis_off()
        figure.supxlabel("epoch", fontsize=9)
        figure.supylabel("learning rate", fontsize=9)
        return self.saved(figure, path, f"Rates at the last epoch, over seeds. {'; '.join(said)}.")
