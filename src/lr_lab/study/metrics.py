"""The metrics that compare settings: the name of each, and which direction is better."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from lr_lab.study import measures
from lr_lab.study.measures import EARLY_EPOCHS, RISE, MeasuredRun


@dataclass(frozen=True)
class Metric:
    """A metric and how to show it. A new one is an entry below, and a function in measures.py that computes it.

    Attributes:
        label: its name for a person.
        lower_is_better: smaller values are better.
        fraction: shown as percent; `gap`: a difference of two fractions, shown as points.
        count: a number of epochs or steps.
        neutral: neither direction is better, so tables mark no best value.
        positive: never below 0, as fractions and counts.
        of_run: computes it; None: result.json or a probe has it.
        needs: columns of the history, or else of the results, without which nothing is computed.
        from_history: computed from a history, so a table made without one lacks the column.
        absent: a run without a value never got there, or its value is unknown.
    """

    label: str
    lower_is_better: bool = False
    fraction: bool = False
    count: bool = False
    neutral: bool = False
    gap: bool = False
    positive: bool = False
    of_run: Callable[[MeasuredRun], float | None] | None = None
    needs: tuple[str, ...] = ()
    from_history: bool = False
    absent: Literal["never", "unknown"] = "unknown"

    @property
    def unit(self) -> str:
        """The unit of a value in a table; "" for a count and for a number without one."""
        return "points" if self.gap else "%" if self.fraction else ""

    @property
    def bounds(self) -> tuple[float, float]:
        """The range of its values."""
        if self.fraction and not self.gap:
            return 0.0, 1.0
        return (0.0 if self.fraction or self.count or self.positive else -math.inf), math.inf


METRICS = {
    "val_accuracy": Metric("final validation accuracy", fraction=True),
    "best_val_accuracy": Metric("best validation accuracy", fraction=True),
    "convergence_epoch": Metric("epochs to convergence", lower_is_better=True, count=True, absent="never"),
    "benchmark_epoch": Metric(
        "epochs to the benchmark's final accuracy",
        lower_is_better=True,
        count=True,
        of_run=measures.benchmark_epoch,
        needs=("val_accuracy",),
        from_history=True,
        absent="never",
    ),
    "val_loss": Metric("final validation loss", lower_is_better=True, positive=True, absent="never"),
    "train_loss": Metric("final training loss", lower_is_better=True, positive=True, absent="never"),
    "lr_updates": Metric("changes of the learning rate", lower_is_better=True, count=True),
    "decline": Metric(
        "best minus final validation accuracy",
        lower_is_better=True,
        fraction=True,
        gap=True,
        of_run=measures.decline,
        needs=("best_val_accuracy", "val_accuracy"),
    ),
    "falls": Metric(
        "sum of the falls of validation accuracy",
        lower_is_better=True,
        fraction=True,
        gap=True,
        of_run=measures.falls,
        needs=("val_accuracy",),
        from_history=True,
    ),
    "early_falls": Metric(
        f"sum of the falls of validation accuracy in the first {EARLY_EPOCHS} epochs",
        lower_is_better=True,
        fraction=True,
        gap=True,
        of_run=measures.early_falls,
        needs=("val_accuracy",),
        from_history=True,
    ),
    "arrival_step": Metric(
        "steps until 1% of the distance is left",
        lower_is_better=True,
        count=True,
        of_run=measures.arrival_step,
        needs=("distance",),
        from_history=True,
        absent="never",
    ),
    "contraction": Metric(
        "error after a step over that before",
        lower_is_better=True,
        positive=True,
        of_run=measures.contraction,
        needs=("distance",),
        from_history=True,
    ),
    "predicted_contraction": Metric(
        "the same by theory",
        lower_is_better=True,
        positive=True,
        of_run=measures.predicted_contraction,
        needs=("distance",),
        from_history=True,
    ),
    "rate_limit": Metric(
        "limit of the rate by theory", of_run=measures.rate_limit, needs=("distance",), from_history=True
    ),
    "best_rate": Metric("best rate by theory", of_run=measures.best_rate, needs=("distance",), from_history=True),
    "loss_gap": Metric(
        "final validation loss minus training loss",
        lower_is_better=True,
        of_run=measures.loss_gap,
        needs=("train_loss", "val_loss"),
    ),
    "val_loss_rise": Metric(
        "final minus lowest validation loss",
        lower_is_better=True,
        positive=True,
        of_run=measures.val_loss_rise,
        needs=("val_loss",),
        from_history=True,
    ),
    "sharpness": Metric("sharpness at the last measurement", lower_is_better=True, neutral=True, from_history=True),
    "no_eval/val_accuracy": Metric("final validation accuracy without eval()", fraction=True, from_history=True),
    "no_eval/val_loss": Metric(
        "final validation loss without eval()", lower_is_better=True, positive=True, from_history=True
    ),
    "largest_rise": Metric(
        "largest rise of the training loss in an epoch, over the first loss",
        lower_is_better=True,
        of_run=measures.largest_rise,
        needs=("train_loss",),
        from_history=True,
    ),
    "rises": Metric(
        f"share of the epochs in which the training loss rises by over {RISE:.0%} of its first value",
        lower_is_better=True,
        fraction=True,
        neutral=True,
        of_run=measures.rises,
        needs=("train_loss",),
        from_history=True,
    ),
    "collapsed": Metric(
        "runs that collapsed", lower_is_better=True, fraction=True, of_run=measures.collapsed, needs=("diagnosis",)
    ),
    "best_gap": Metric(
        "validation minus training loss at the lowest training loss",
        lower_is_better=True,
        of_run=measures.best_gap,
        needs=("val_accuracy",),
        from_history=True,
    ),
    "forgotten": Metric(
        "training accuracy lost for good",
        lower_is_better=True,
        fraction=True,
        neutral=True,
        gap=True,
        of_run=measures.forgotten,
        needs=("val_accuracy",),
        from_history=True,
    ),
    "sharpest": Metric(
        "highest sharpness over the stability limit while it learned",
        lower_is_better=True,
        neutral=True,
        of_run=measures.sharpest,
        needs=("val_accuracy", "sharpness_to_limit"),
        from_history=True,
    ),
    "probe_gradient": Metric(
        "norm of the probe batch's gradient at the end",
        lower_is_better=True,
        neutral=True,
        positive=True,
        from_history=True,
    ),
    "dead_units": Metric(
        "largest share of dead units in a layer at the end",
        lower_is_better=True,
        fraction=True,
        neutral=True,
        from_history=True,
    ),
    "plateau_gradient": Metric(
        "norm of a collapsed run's gradient at the end over that before",
        lower_is_better=True,
        neutral=True,
        positive=True,
        of_run=measures.plateau_gradient,
        needs=("val_accuracy", "probe_gradient", "dead_units"),
        from_history=True,
    ),
    "plateau_dead_units": Metric(
        "share of dead units in a layer of a collapsed run",
        lower_is_better=True,
        fraction=True,
        neutral=True,
        of_run=measures.plateau_dead_units,
        needs=("val_accuracy", "probe_gradient", "dead_units"),
        from_history=True,
    ),
}
