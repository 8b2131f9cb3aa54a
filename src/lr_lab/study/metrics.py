"""The metrics that settings are compared by: how each is called, and which direction is better."""

from __future__ import annotations

import math
from dataclasses import dataclass

EARLY_EPOCHS = 10
RISE = 0.01


@dataclass(frozen=True)
class Metric:
    """What is compared: its name for a person, whether less is better, whether it is a fraction, or else a count.

    Of a `neutral` one neither more nor less is better: it explains, and no table marks its best. A `gap` is one
    fraction less another; what is `positive` has no value below 0, as fractions and counts.
    """

    label: str
    lower_is_better: bool = False
    fraction: bool = False
    count: bool = False
    neutral: bool = False
    gap: bool = False
    positive: bool = False

    @property
    def unit(self) -> str:
        """Of a value in a table; "" for a count and for a number without one."""
        return "points" if self.gap else "%" if self.fraction else ""

    @property
    def bounds(self) -> tuple[float, float]:
        """Between which its values lie."""
        if self.fraction and not self.gap:
            return 0.0, 1.0
        return (0.0 if self.fraction or self.count or self.positive else -math.inf), math.inf


METRICS = {
    "val_accuracy": Metric("final validation accuracy", fraction=True),
    "best_val_accuracy": Metric("best validation accuracy", fraction=True),
    "convergence_epoch": Metric("epochs to convergence", lower_is_better=True, count=True),
    "benchmark_epoch": Metric("epochs to the benchmark's final accuracy", lower_is_better=True, count=True),
    "val_loss": Metric("final validation loss", lower_is_better=True, positive=True),
    "train_loss": Metric("final training loss", lower_is_better=True, positive=True),
    "lr_updates": Metric("updates of the learning rate", lower_is_better=True, count=True),
    "decline": Metric("best minus final validation accuracy", lower_is_better=True, fraction=True, gap=True),
    "falls": Metric("sum of the falls of validation accuracy", lower_is_better=True, fraction=True, gap=True),
    "early_falls": Metric(
        f"sum of the falls of validation accuracy in the first {EARLY_EPOCHS} epochs",
        lower_is_better=True,
        fraction=True,
        gap=True,
    ),
    "arrival_step": Metric("steps until 1% of the distance is left", lower_is_better=True, count=True),
    "contraction": Metric("error after a step over that before", lower_is_better=True, positive=True),
    "predicted_contraction": Metric("the same by theory", lower_is_better=True, positive=True),
    "rate_limit": Metric("limit of the rate by theory"),
    "best_rate": Metric("best rate by theory"),
    "loss_gap": Metric("final validation loss minus training loss", lower_is_better=True),
    "val_loss_rise": Metric("final minus lowest validation loss", lower_is_better=True, positive=True),
    "sharpness": Metric("sharpness at the last measurement", lower_is_better=True, neutral=True),
    "no_eval/val_accuracy": Metric("final validation accuracy without eval()", fraction=True),
    "no_eval/val_loss": Metric("final validation loss without eval()", lower_is_better=True, positive=True),
    "largest_rise": Metric("largest rise of the training loss in an epoch, over the first loss", lower_is_better=True),
    "rises": Metric(
        f"share of the epochs in which the training loss rises by over {RISE:.0%} of its first value",
        lower_is_better=True,
        fraction=True,
        neutral=True,
    ),
    "collapsed": Metric("runs that collapsed", lower_is_better=True, fraction=True),
    "best_gap": Metric("validation minus training loss at the lowest training loss", lower_is_better=True),
    "forgotten": Metric("training accuracy lost for good", lower_is_better=True, fraction=True, neutral=True, gap=True),
    "sharpest": Metric(
        "highest sharpness over the stability limit while it learned", lower_is_better=True, neutral=True
    ),
    "probe_gradient": Metric(
        "norm of the probe batch's gradient at the end", lower_is_better=True, neutral=True, positive=True
    ),
    "dead_units": Metric(
        "largest share of dead units in a layer at the end", lower_is_better=True, fraction=True, neutral=True
    ),
    "plateau_gradient": Metric(
        "norm of a collapsed run's gradient at the end over that before",
        lower_is_better=True,
        neutral=True,
        positive=True,
    ),
    "plateau_dead_units": Metric(
        "share of dead units in a layer of a collapsed run", lower_is_better=True, fraction=True, neutral=True
    ),
}

# What `judged` adds without histories.
ADDED = ("setting", "decline", "collapsed", "loss_gap")

# What histories alone can tell. A table that was made without them does not have these columns.
FROM_HISTORIES = (
    *("benchmark_epoch", "falls", "early_falls", "largest_rise", "rises", "val_loss_rise"),
    *("best_gap", "forgotten", "sharpest", "probe_gradient", "dead_units", "plateau_gradient", "plateau_dead_units"),
    *("sharpness", "no_eval/val_accuracy", "no_eval/val_loss"),
    *("arrival_step", "contraction", "predicted_contraction", "rate_limit", "best_rate"),
)


# What a run without a number in these columns means: it never got there, or its loss was not finite.
MISSING_IS_INFINITE = ("convergence_epoch", "benchmark_epoch", "arrival_step", "val_loss", "train_loss")
