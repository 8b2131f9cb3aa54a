"""When a run has converged, and when it reaches a given accuracy.

Yang & Huang (2019, section 4.1) count "the number of epochs at convergence" and do not define it: the rules
here are this laboratory's own. Accuracies are fractions, one per epoch; epochs count from 1; None is never.
"""

from collections.abc import Sequence
from math import fsum, isfinite

# Accuracies are counts over the size of a test set, rounded to 32 bits. Counts differ by far more than this, and
# rounding by less, so a tie is not lost to it.
ROUNDING = 1e-7


def smoothed(values: Sequence[float]) -> list[float]:
    """Centred mean over 3 epochs; over the 2 there are at either end."""
    windows = (values[max(0, epoch - 1) : epoch + 2] for epoch in range(len(values)))
    return [fsum(window) / len(window) for window in windows]


def final_accuracy(val_accuracy: Sequence[float]) -> float:
    """Mean of the last 5 epochs, or of all if there are fewer. ValueError without an epoch."""
    if not val_accuracy:
        raise ValueError("A run without a finished epoch has no final accuracy; leave it out.")
    last = val_accuracy[-5:]
    return fsum(last) / len(last)


def epochs_to_reach(val_accuracy: Sequence[float], target: float) -> int | None:
    """The first epoch whose smoothed accuracy is at least `target`; None is right-censored at the last epoch.

    Every run reaches its own `final_accuracy`: one of the smoothing windows within the last five epochs does.
    """
    epochs = enumerate(smoothed(val_accuracy), start=1)
    return next((epoch for epoch, accuracy in epochs if accuracy >= target - ROUNDING), None)


def convergence_epoch(
    val_accuracy: Sequence[float], tolerance: float, guessing: float, diverged: bool = False
) -> int | None:
    """The first epoch whose smoothed accuracy is within `tolerance` of the final accuracy.

    The last epoch if the best smoothed accuracy lies more than two tolerances above the final one: such a run
    declines and has not settled. None if the run diverged, or ends within 2 points of `guessing` (1 / classes)
    or below. ValueError unless `tolerance` is above 0.
    """
    if not tolerance > 0:
        raise ValueError(f"The convergence tolerance must be above 0, such as 0.01, not {tolerance}.")
    if diverged or not val_accuracy or not all(map(isfinite, val_accuracy)):
        return None
    final = final_accuracy(val_accuracy)
    if final <= guessing + 0.02 + ROUNDING:
        return None
    if max(smoothed(val_accuracy)) > final + 2 * tolerance + ROUNDING:
        return len(val_accuracy)
    return epochs_to_reach(val_accuracy, final - tolerance)


def convergence_step(losses: Sequence[float], diverged: bool = False) -> int | None:
    """For regression: the steps until the loss is within 1% of the way from its minimum to its start.

    `losses[k]` is the loss after k steps, so `losses[0]` is that of the initial weights: the `train_loss`
    column of a full-batch run as it stands. None if the run diverged or its loss never fell.
    """
    if diverged or not losses or not all(map(isfinite, losses)):
        return None
    start, least = losses[0], min(losses)
    if least == start:
        return None
    return next(step for step, loss in enumerate(losses) if loss <= least + 0.01 * (start - least))
