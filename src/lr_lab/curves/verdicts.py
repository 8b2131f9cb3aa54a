"""The labels of a curve. Each has one rule, which returns its strength and a sentence with the numbers that decided.

The rules are this laboratory's own. Losses are measured as parts of a run's way from the loss of guessing down to
its lowest loss. A rule's strength is the smallest ratio of measured to needed: it holds from 1 on.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import fmean, median

from lr_lab.curves.shape import Shape
from lr_lab.curves.thresholds import Thresholds

# A run whose training loss ends above this multiple of where it started has diverged.
DIVERGED_RATIO = 10.0
STRONGEST = 9.0
UNSEEN = 2e-4  # a person does not see a smaller relative fall; the loss of a dead network falls this little
LEVEL = 0.02  # a training loss that rose by this part of the way, and less than it swings, stood at its level
SHORT = 8  # runs of fewer points are not smoothed


@dataclass(frozen=True)
class Verdict:
    """
    Attributes:
        label: of the curve.
        strength: from 1 on the rule holds.
        evidence: one sentence with the numbers that decided.
        since: the point after which the run was at its best, for overfitting and collapsed.
        marks: points that the evidence is about.
    """

    label: str
    strength: float
    evidence: str
    since: float | None = None
    marks: tuple[float, ...] = ()


def loss(value: float) -> str:
    return f"{value:.4g}"


def least(*parts: tuple[float, float]) -> float:
    """The smallest ratio of measured to needed; a needed value may be 0."""
    return min(STRONGEST, *(_over(measured, needed) for measured, needed in parts))


def _over(measured: float, needed: float) -> float:
    if needed <= 0:
        return STRONGEST if measured > 0 or needed < 0 else 0.0
    return max(0.0, measured / needed)


def has_learned(shape: Shape, thresholds: Thresholds) -> bool:
    return shape.way >= thresholds.learned * shape.start > 0


def collapsed(shape: Shape, thresholds: Thresholds) -> Verdict | None:
    """The training loss had come down, then went back up and stayed there.

    Where the validation loss rose as much, half of it will do for the training loss, from the best validation on.
    """
    train = shape.train
    best = train.lowest()
    came_down, lost = shape.start - train.values[best], min(train.end) - train.values[best]
    if not has_learned(shape, thresholds) and not _left_its_start(shape, thresholds):
        return None
    # At first the training loss, a mean over the epoch, may lie above that of guessing, and the validation loss below.
    if (came_down < thresholds.learned * shape.start and not _left_its_start(shape, thresholds)) or best == len(
        train
    ) - 1:
        return None
    return Verdict(
        "collapsed",
        max(least((lost, thresholds.collapse * came_down)), _lost_together(shape, thresholds, came_down)),
        f"The {'training' if shape.has_train else 'validation'} loss was {loss(train.values[best])} after "
        f"{_after(shape, train.at[best])}, but later rose and was {loss(train.values[-1])} after "
        f"{_after(shape, train.at[-1])}; {shape.origin} is {loss(shape.start)}.",
        train.at[best],
        (train.at[best], train.at[-1]),
    )


def _lost_together(shape: Shape, thresholds: Thresholds, came_down: float) -> float:
    """How far both losses rose since the validation was best, over what is needed."""
    if not shape.has_both:
        return 0.0
    val = shape.val
    best = val.smoothed.index(min(val.smoothed))
    lost = min(shape.train.end) - shape.train.near(val.at[best])
    risen = median(val.end) - val.smoothed[best]
    return least((lost, thresholds.collapse / 2 * came_down), (risen, thresholds.collapse * shape.way_of_val))


def _left_its_start(shape: Shape, thresholds: Thresholds) -> bool:
    """True if a run without a known loss of guessing ends clearly above its start."""
    return (
        not shape.knows_guessing
        and len(shape.train) > 2
        and min(shape.train.end) > (1 + thresholds.rise_ratio) * shape.start > 0
    )


def overfitting(shape: Shape, thresholds: Thresholds) -> Verdict | None:
    """The validation loss ends above its lowest, the training loss below its value at that time, or at it."""
    if not shape.has_both or not has_learned(shape, thresholds):
        return None
    val = shape.val
    best = val.smoothed.index(min(val.smoothed))
    low, risen = val.smoothed[best], median(val.end)
    before, after = shape.train.near(val.at[best]), median(shape.train.end)
    rise = risen - low
    if after >= before + min(shape.train.swing, LEVEL * shape.way) or rise <= 0:
        return None
    by_way = least((rise, thresholds.rise * shape.way_of_val), (rise, thresholds.rise_to_swing * val.swing))
    by_ratio = (
        least((rise, thresholds.rise_ratio * low), (rise, thresholds.rise_ratio_to_swing * val.swing))
        if low > 0
        else 0.0
    )
    return Verdict(
        "overfitting",
        max(by_way, by_ratio),
        f"After {_after(shape, val.at[best])} the validation loss had come down to {loss(low)} (smoothed), and by "
        f"the end it rose to {loss(risen)} while the training loss went from {loss(before)} to {loss(after)} "
        f"(medians of the last {shape.count(len(val.end))}).",
        val.at[best],
        (val.at[best],),
    )


def oscillating(shape: Shape, thresholds: Thresholds) -> Verdict | None:
    """The losses jump from point to point until the end."""
    lines = [shape.train, shape.val] if shape.has_both and shape.comparable else [shape.train]
    if not has_learned(shape, thresholds) or len(lines[0]) < thresholds.rises_from:
        return None
    # The bend of a steep fall counts as swing where there are few points.
    rises = sum(after > before for line in lines for before, after in pairwise(line.late))
    if rises < 2:
        return None
    mean_swing = fmean(line.swing for line in lines)
    late = [value for line in lines for value in line.late]
    return Verdict(
        "oscillating",
        least((mean_swing, thresholds.swing * shape.way)),
        f"In the last {shape.count(len(shape.train.late))} the losses jumped between {loss(min(late))} and "
        f"{loss(max(late))}, by {loss(mean_swing)} from one to the next on average.",
        None,
        (shape.train.at[len(shape.train) // 2], shape.train.at[-1]),
    )


def crawling(shape: Shape, thresholds: Thresholds) -> Verdict | None:
    """The validation loss still falls steadily at the end."""
    found = _late_fall(shape, thresholds)
    if found is None:
        return None
    before, last, top, quarter = found
    fall = before - last
    said = f"from {loss(before)} to {loss(last)} in the last {shape.count(quarter)} of {len(shape.val)}"
    return Verdict(
        "crawling",
        least((fall, thresholds.late_fall * 4 * max(1, quarter - 0.5) / len(shape.val) * (top - last)))
        if len(shape.val) < SHORT
        else least((fall, thresholds.late_fall * (top - last))),
        f"The {shape.watched} still fell {said}, {fall / (top - last):.0%} of its way down from {loss(top)}.",
        None,
        (shape.val.at[max(0, len(shape.val) - 1 - quarter)], shape.val.at[-1]),
    )


def halted(shape: Shape, thresholds: Thresholds) -> Verdict | None:
    """It would still fall, had the rate not been lowered to almost nothing before the training loss had come down."""
    found, highest = _late_fall(shape, thresholds), shape.highest_rate
    if found is None or not shape.rates or not highest:
        return None
    before, last, top, quarter = found
    fall = before - last
    rate = fmean(rate for _, rate in shape.rates[-quarter:])
    # A run that had arrived falls little because little is left, whatever its rate.
    if rate <= 0:
        return None
    return Verdict(
        "crawling",
        least(
            (fall * highest / rate, thresholds.late_fall * (top - last)),
            (shape.train.values[-1], thresholds.arrived * shape.start),
        )
        * (fall * highest / rate > fall),
        f"The {shape.watched} fell only from {loss(before)} to {loss(last)} in the last {shape.count(quarter)} of "
        f"{len(shape.val)}, at a mean rate of {rate:.2g} where it had been {highest:.2g}; the training loss was still "
        f"{loss(shape.train.values[-1])}, and {shape.origin} is {loss(shape.start)}.",
        None,
        (shape.val.at[-1],),
    )


def gone_early(shape: Shape, thresholds: Thresholds) -> tuple[float, float, float] | None:
    """(place, training loss there, last training loss) at which the rate was almost 0 in the first half of a run.

    None unless the training loss was still high then, and fell far less from there on than before.
    """
    curve, rates, highest = shape.curve, shape.rates, shape.highest_rate
    if not highest or len(rates) < 4:
        return None
    low = next((at for at, value in rates if value <= thresholds.rate_gone * highest and at >= _peak(shape)), None)
    if low is None or low > curve.at[0] + thresholds.early * (curve.at[-1] - curve.at[0]):
        return None
    first = curve.at[0] - (curve.unit == "epoch")
    after = next((at for at in shape.train.at if at > low), low)  # a mean over an epoch includes its start
    then, last = shape.train.near(after), shape.train.values[-1]
    pace = max(shape.start - then, 0.0) / max(low - first, 1e-12)
    is_high = last >= thresholds.arrived * shape.start
    return (low, then, last) if is_high and then - last <= 0.25 * pace * (curve.at[-1] - low) else None


def _peak(shape: Shape) -> float:
    """The last place with the highest rate, so that a warm-up does not count as lowering."""
    highest = max(value for _, value in shape.rates)
    if shape.curve.initial_lr is not None and shape.curve.initial_lr > 2 * highest:
        return shape.curve.at[0]
    return max(at for at, value in shape.rates if value == highest)


def lost_its_rate(shape: Shape, thresholds: Thresholds) -> Verdict | None:
    """The rate was gone in the first half, and with it the fall of a training loss that was still high."""
    found, highest = gone_early(shape, thresholds), shape.highest_rate
    if found is None or highest is None or not has_learned(shape, thresholds):
        return None
    low, then, last = found
    return Verdict(
        "crawling",
        least((last, thresholds.arrived * shape.start)),
        f"By {shape.place(low)} the rate had fallen from {highest:.2g} to {shape.rate_at(low) or 0:.2g}, and the "
        f"training loss went only from {loss(then)} to {loss(last)} afterwards; {shape.origin} is {loss(shape.start)}.",
        None,
        (low,),
    )


def _late_fall(shape: Shape, thresholds: Thresholds) -> tuple[float, float, float, int] | None:
    """(loss before the last quarter, last loss, highest loss that counts, length of the quarter), if it fell there."""
    val = shape.val
    quarter = _quarter(len(val))
    values = val.smoothed if len(val) >= SHORT else val.values
    before, last = values[max(0, len(val) - 1 - quarter)], values[-1]
    if len(val) > 3 and val.values[-1] < val.values[-2] < val.values[-3]:  # no jump, and smoothing would halve its fall
        last = val.values[-1]
    top = max(shape.start, val.values[0]) if shape.comparable else val.values[0]
    start = shape.start if shape.comparable else val.values[0]
    if (
        len(val) < 3
        or (not has_learned(shape, thresholds) and _answers_stand_still(shape))
        or values[-1] >= top
        or last > (1 + thresholds.learned) * start
        or before - last < thresholds.late_fall_to_swing * val.swing
        or before - last < UNSEEN * abs(before)
    ):
        return None
    return before, last, top, quarter


def _answers_stand_still(shape: Shape) -> bool:
    """True if the validation accuracy is known and never moves: a falling loss then shows no learning yet."""
    accuracies = [value for _, value in shape.curve.points("val_accuracy")]
    return len(accuracies) >= 5 and max(accuracies) - min(accuracies) < 0.005


def _quarter(points: int) -> int:
    """The number of points over which the end of a slow fall is measured; nearly half of a short run."""
    return points // 4 if points >= SHORT else max(1, round(0.4 * points))


def stuck(shape: Shape, thresholds: Thresholds) -> Verdict | None:
    """No loss was ever clearly lower than that of guessing."""
    needed = thresholds.learned * shape.start
    if shape.start > 0 and shape.way > 2 * needed:
        return None
    strength = STRONGEST if shape.way <= 0 else least((needed, shape.way)) if needed > 0 else STRONGEST
    if has_learned(shape, thresholds):
        strength = min(strength, 0.99)
    return Verdict(
        "stuck",
        max(strength, 1.0) if not has_learned(shape, thresholds) else strength,
        f"The lowest loss in {shape.count(len(shape.train))} was {loss(shape.lowest)}, and {shape.origin} is "
        f"{loss(shape.start)}.",
    )


def same_answer(shape: Shape, thresholds: Thresholds) -> Verdict | None:
    """The accuracy never moves: the network gives one answer to everything, and its loss is that of the shares."""
    accuracies = [value for _, value in shape.curve.points("val_accuracy")]
    if not has_learned(shape, thresholds):  # the label "stuck at the loss of guessing" is more specific
        return None
    if len(accuracies) < 3 or max(accuracies) - min(accuracies) > 1e-6 or not 0 < accuracies[0] < 1:
        return None
    fell = 1 - min(shape.train.values) / shape.train.values[0] if shape.train.values[0] > 0 else 1.0
    if fell > thresholds.same_answer_fall:
        return None
    return Verdict(
        "stuck",
        STRONGEST,
        f"The validation accuracy was {accuracies[0]:.2%} after each of {shape.count(len(accuracies))} while "
        "the training loss "
        f"went from {loss(shape.train.values[0])} to {loss(shape.train.values[-1])}: one answer for everything.",
    )


RULES: Sequence[Callable[[Shape, Thresholds], Verdict | None]] = (
    *(same_answer, collapsed, overfitting, oscillating, crawling, halted, lost_its_rate, stuck),
)


def _after(shape: Shape, at: float) -> str:
    """A place within a sentence that counts: "3 epochs", "step 400"."""
    return shape.count(int(at)) if shape.curve.unit == "epoch" and math.isfinite(at) else shape.place(at)
