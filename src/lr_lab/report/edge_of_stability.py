"""The sharpness of a study's runs against their stability limits: a figure and a table.

`python -m lr_lab.report.edge_of_stability outputs/edge_of_stability outputs/reports/edge_of_stability` reads the runs
in the first folder, writes the figure into the second and prints the table. conf/experiment/edge_of_stability.yaml says
how to train the runs.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from matplotlib.figure import Figure

from lr_lab.report.figures import NEUTRAL, PALETTE, save
from lr_lab.run.folder import Row, RunFolder, run_folders


class Edge(NamedTuple):
    """Where one run stands to its limit.

    Attributes:
        reached: first epoch measured at or above the limit.
        until: last epoch measured at or above 0.9 of the limit. Once the loss nears zero, so does a cross-entropy's
            curvature (Cohen et al. 2021, appendix C): that is not the edge's doing.
        quartiles: of sharpness / limit from `reached` to `until`.
    """

    reached: int
    until: int
    quartiles: tuple[float, float, float]


def edge(rows: Sequence[Row]) -> Edge | None:
    """From the probe's columns; None if the sharpness never reaches the limit."""
    column = sharpness_column(rows)
    measured = [(row["epoch"], row[column] / row["stability_limit"]) for row in rows if row[column] is not None]
    epochs, ratios = (np.array(values) for values in zip(*measured, strict=True))
    if not (ratios >= 1).any():
        return None
    first, last = np.flatnonzero(ratios >= 1)[0], np.flatnonzero(ratios >= 0.9)[-1]
    low, median, high = np.quantile(ratios[first : last + 1], [0.25, 0.5, 0.75])
    return Edge(int(epochs[first]), int(epochs[last]), (float(low), float(median), float(high)))


def sharpness_column(rows: Sequence[Row]) -> str:
    """The column that `stability_limit` is the limit of."""
    return "preconditioned_sharpness" if "preconditioned_sharpness" in rows[0] else "sharpness"


def draw(histories: Mapping[float, Sequence[Row]]) -> Figure:
    """Sharpness by epoch with the limit dashed, above; training loss below. One colour per rate, axes shared."""
    figure = Figure(figsize=(7.5, 6), layout="constrained")
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=(3, 2))
    for (lr, rows), colour in zip(sorted(histories.items()), PALETTE, strict=False):
        column = sharpness_column(rows)
        measured = [row for row in rows if row[column] is not None]
        epochs = [row["epoch"] + 1 for row in measured]
        limits = [row["stability_limit"] for row in measured]
        above.plot(epochs, [row[column] for row in measured], color=colour, label=f"rate {lr:g}")
        above.plot(epochs, limits, color=colour, linestyle="dashed")
        below.plot([row["epoch"] + 1 for row in rows], [row["train_loss"] for row in rows], color=colour)
    above.plot([], [], color=NEUTRAL[1], linestyle="dashed", label="its stability limit")
    above.set(ylabel=column.replace("_", " "), ylim=(0, None))
    above.legend()
    below.set(xlabel="epochs", ylabel="training loss", yscale="log")
    return figure


def table(histories: Mapping[float, Sequence[Row]]) -> str:
    """The numbers behind the figure, as a Markdown table."""
    lines = [
        "| rate | limit | highest sharpness | reached after epoch | last at 0.9 of it after epoch | "
        "quartiles of sharpness / limit |",
        "|---|---|---|---|---|---|",
    ]
    for lr, rows in sorted(histories.items()):
        found = edge(rows)
        highest = max(row[sharpness_column(rows)] or 0.0 for row in rows)
        words = [f"{lr:g}", f"{rows[0]['stability_limit']:.1f}", f"{highest:.1f}"]
        if found is None:
            words += ["never", "", ""]
        else:
            ratios = ", ".join(f"{ratio:.2f}" for ratio in found.quartiles)
            words += [str(found.reached + 1), str(found.until + 1), ratios]
        lines.append(f"| {' | '.join(words)} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description="Figure and table of a study's sharpness against its limits.")
    parser.add_argument("study", type=Path, help="folder of the runs, such as outputs/edge_of_stability")
    parser.add_argument("report", type=Path, help="folder to write the figure to")
    arguments = parser.parse_args()
    histories = {folder.config()["lr"]: rows for folder in run_folders(arguments.study) if (rows := _probed(folder))}
    if not histories:
        sys.exit(f"error: {arguments.study} has no run with a stability limit; train some with probes=sharpness.")
    save(draw(histories), arguments.report / "edge_of_stability")
    print(table(histories), end="")


def _probed(folder: RunFolder) -> list[Row]:
    rows = folder.history()
    return rows if rows and "stability_limit" in rows[0] else []


if __name__ == "__main__":
    main()
