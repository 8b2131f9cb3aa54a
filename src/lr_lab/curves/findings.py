"""Findings beside the label of a curve: each rule is one function and gives its numbers and their place."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import correlation, fmean, linear_regression, median, pstdev

from lr_lab.curves.diagnosis import Diagnosis
from lr_lab.curves.shape import Shape
from lr_lab.curves.thresholds import Thresholds
from lr_lab.curves.verdicts import gone_early, loss


@dataclass(frozen=True)
class Finding:
    """
    Attributes:
        kind: its name for scripts.
        says: one or two sentences with the numbers.
        sure: "clear", "likely" or "possible".
        marks: places on the axis that it is about.
        number: the one number that advice needs: an epoch or a rate.
    """

    kind: str
    says: str
    sure: str = "likely"
    marks: tuple[float, ...] = ()
    number: float | None = None


def rate(value: float) -> str:
    return f"{value:.3g}"


def not_finite(shape: Shape, diagnosis: Diagnosis, thresholds: Thresholds) -> Finding | None:
    """NaN or infinity, and the losses before it."""
    broken = _first_not_finite(shape)
    if diagnosis.label != "diverged" or broken is None:
        return None
    before, unit = _losses_before(shape, broken)
    if not before:
        says = f"A loss is not a number from the first {shape.curve.unit} on, so the fault is older than the log."
        return Finding("not_finite", says, "clear", (broken,))
    cause = (
        "they rose, which points to a rate that is too high."
        if _rises(before)
        else "they did not rise, which points to one bad step (a bad sample, log of 0, half precision) or to a rate "
        "that is just too high."
    )
    told = ", ".join(map(loss, before))
    says = (
        f"Before the first NaN or infinity, in {shape.place(broken)}, the training losses {unit} were {told}: {cause}"
    )
    return Finding("not_finite", says, "likely", (broken,))


def _first_not_finite(shape: Shape) -> float | None:
    curve = shape.curve
    pairs = zip(curve.at, curve.train_loss, curve.val_loss, strict=True)
    return next((at for at, *both in pairs if any(v is not None and not math.isfinite(v) for v in both)), None)


def _losses_before(shape: Shape, broken: float) -> tuple[list[float], str]:
    """The last three training losses before a loss was lost, and what they are of: single steps where those "
    "are logged."""
    rows = [value for _, value in shape.curve.within]
    lost = next((n for n, value in enumerate(rows) if not math.isfinite(value)), 0)
    if lost:
        return rows[max(0, lost - 3) : lost], "of the last logged steps"
    return [value for at, value in shape.curve.points("train_loss") if at < broken][-3:], f"by {shape.curve.unit}"


def _rises(losses: Sequence[float]) -> bool:
    return len(losses) > 1 and losses[-1] > losses[0]


def rate_too_high(shape: Shape, diagnosis: Diagnosis, thresholds: Thresholds) -> Finding | None:
    """A run that blew up, fell back or jumps, with the rate that it had then."""
    if diagnosis.label not in ("diverged", "collapsed", "oscillating") and not _is_thrown_about(shape, diagnosis):
        return None
    broken = _first_not_finite(shape)
    if broken is not None and (before := _losses_before(shape, broken)[0]) and not _rises(before):
        return None  # one bad step may have done it
    signs = {
        "diverged": "the loss blew up",
        "collapsed": "the run fell back and did not recover",
        "oscillating": "the losses jump without settling",
        "stuck": "the losses lie above that of guessing or jump, rather than resting on it",
    }
    at = diagnosis.marks[0] if diagnosis.marks else shape.curve.at[-1]
    if diagnosis.label == "collapsed":  # the mark is the best point; what threw the run back came after it
        at = next((place for place in shape.curve.at if place > at), at)
    at_rate = shape.rate_at(at)
    known = f"The rate was {rate(at_rate)} then" if at_rate else "The log does not tell the rate"
    return Finding(
        "rate_too_high",
        f"The rate looks too high: {signs[diagnosis.label]}. {known}.",
        "possible" if diagnosis.label in ("collapsed", "stuck") else "likely",
        (at,),
        at_rate,
    )


def _is_thrown_about(shape: Shape, diagnosis: Diagnosis) -> bool:
    """True if a run that learned nothing lies above the loss of guessing or jumps."""
    line = shape.train
    return diagnosis.label == "stuck" and (max(line.values) > 1.05 * shape.start or line.swing > 0.02 * shape.start)


def rate_too_low(shape: Shape, diagnosis: Diagnosis, thresholds: Thresholds) -> Finding | None:
    """A slow, smooth fall at a rate that is never lowered."""
    if diagnosis.label != "crawling" or lowered_too_early(shape, diagnosis, thresholds):
        return None
    line = shape.train
    if len(line) < 5 or any(after > before for before, after in pairwise(line.values)):
        return None
    known = f" at a rate of {rate(shape.highest_rate)}" if shape.highest_rate else ""
    return Finding(
        "rate_too_low",
        f"The rate looks too low: the training loss fell in every {shape.curve.unit}{known}, smoothly from "
        f"{loss(line.values[0])} to {loss(line.values[-1])}, and is still far from flat.",
        "possible",
        (line.at[-1],),
        shape.highest_rate,
    )


def lowered_too_early(shape: Shape, diagnosis: Diagnosis, thresholds: Thresholds) -> Finding | None:
    """The rate fell to a hundredth while the training loss was still high, and the fall of the loss stopped with it."""
    found = gone_early(shape, thresholds) if diagnosis.label in ("crawling", "stuck", "healthy") else None
    if found is None:
        return None
    low, then, last = found
    return Finding(
        "lowered_too_early",
        f"The rate was lowered too early: by {shape.place(low)} it had fallen from "
        f"{rate(shape.highest_rate or 0.0)} to "
        f"{rate(shape.rate_at(low) or 0.0)}, and from then on the training loss went only from {loss(then)} to "
        f"{loss(last)}.",
        "likely",
        (low,),
        low,
    )


def never_lowered(shape: Shape, diagnosis: Diagnosis, thresholds: Thresholds) -> Finding | None:
    """One rate from beginning to end, and the training loss jumps about a level at the end."""
    rates = [value for _, value in shape.rates]
    if len(rates) < 8 or max(rates) > 1.01 * min(rates) or diagnosis.label in ("diverged", "stuck", "collapsed"):
        return None
    late = shape.train.late
    fell, jumps = median(late[: len(late) // 2]) - median(late[len(late) // 2 :]), shape.train.swing
    ups = sum(after > before for before, after in pairwise(late))
    if jumps <= 0 or fell > thresholds.level_to_swing * jumps or ups < len(late) / 3 or jumps < 0.03 * fmean(late):
        return None
    return Finding(
        "never_lowered",
        f"The rate stayed at {rate(rates[0])} to the end, and over the last {shape.count(len(late))} the training loss "
        f"jumps by {loss(jumps)} about a level of {loss(fmean(late))} without coming down.",
        "likely",
        (shape.train.at[len(shape.train) // 2], shape.train.at[-1]),
        rates[0],
    )


def short_warmup(shape: Shape, diagnosis: Diagnosis, thresholds: Thresholds) -> Finding | None:
    """The training loss shoots up in the first tenth of the run, and comes back."""
    points = list(shape.curve.within) or [
        (at - 1, value) for at, value in zip(shape.train.at, shape.train.values, strict=True)
    ]
    points = [(at, value) for at, value in points if math.isfinite(value)]
    head = points[: max(4, len(points) // 10)]
    if len(points) < 8 or diagnosis.label in ("diverged", "stuck"):
        return None
    first = max(value for _, value in head[: 1 + len(head) // 8])
    head = head[1:]
    at, peak = max(head, key=lambda point: point[1])
    rest = [value for _, value in points[len(head) + 1 :]]
    stands_out = peak >= thresholds.spike * max(first, median(rest)) and peak > 1.2 * max(rest)
    if first <= 0 or not stands_out or median(rest) > thresholds.spike * first:
        return _steep_warmup(shape, thresholds)
    return Finding(
        "short_warmup",
        f"The training loss shot up from {loss(first)} to {loss(peak)} in {_about(shape, at)} and came back: a "
        "sign of a "
        "warm-up that is missing or too short.",
        "likely",
        (at + 1 if shape.curve.unit == "epoch" else at,),
    )


def _steep_warmup(shape: Shape, thresholds: Thresholds) -> Finding | None:
    """The rate rises steeply at first, and the training loss with it."""
    rates, losses = shape.rates[: max(3, len(shape.rates) // 10)], shape.train
    for (before, low), (at, high) in pairwise(rates):
        then, now = losses.near(before), losses.near(at)
        if low > 0 and high >= thresholds.rate_jump * low and now > 1.03 * then:
            return Finding(
                "short_warmup",
                f"The rate rose from {rate(low)} to {rate(high)} in {shape.place(at)}, and the training loss from "
                f"{loss(then)} to {loss(now)}: the warm-up is too short, or its rate too high.",
                "likely",
                (at,),
            )
    return None


def _about(shape: Shape, at: float) -> str:
    """The epoch that a place (counted from 0) is in, or the step."""
    return f"epoch {math.floor(at) + 1}" if shape.curve.unit == "epoch" else f"step {at + 1:g}"


def best_thrown_away(shape: Shape, diagnosis: Diagnosis, thresholds: Thresholds) -> Finding | None:
    """The last weights are clearly worse than those of an earlier epoch."""
    curve = shape.curve
    if diagnosis.label == "stuck":
        return None
    accuracies, losses = curve.points("val_accuracy"), curve.points("val_loss")
    if len(accuracies) >= 5:
        best = max(accuracies, key=lambda point: point[1])
        lost = best[1] - median(value for _, value in accuracies[-3:])
        noise = pstdev([value for _, value in accuracies[len(accuracies) // 2 :]])
        if lost >= thresholds.accuracy_lost and lost >= 2 * noise:
            return Finding(
                "best_thrown_away",
                f"The best validation {curve.score()} was {best[1]:.2%} after {shape.place(best[0])}; at the end it is "
                f"{accuracies[-1][1]:.2%}. Unless the best weights were kept, they are lost.",
                "clear",
                (best[0],),
                best[0],
            )
    if len(losses) >= 5 and diagnosis.label in ("overfitting", "collapsed", "diverged"):
        best = min(losses, key=lambda point: point[1])
        if best[0] < losses[-1][0] and losses[-1][1] > (1 + thresholds.rise_ratio / 2) * best[1] > 0:
            return Finding(
                "best_thrown_away",
                f"The validation loss was lowest after {shape.place(best[0])}, {loss(best[1])}; at the end it is "
                f"{loss(losses[-1][1])}. Unless those weights were kept, they are lost.",
                "clear",
                (best[0],),
                best[0],
            )
    return None


def validation_better(shape: Shape, diagnosis: Diagnosis, thresholds: Thresholds) -> Finding | None:
    """The validation loss lies below the training loss all through the second half."""
    pairs = [(val, shape.train.near(at)) for at, val in zip(shape.val.at, shape.val.values, strict=True)]
    late = pairs[len(pairs) // 2 :]
    if not shape.has_both or not shape.comparable or len(late) < 3 or diagnosis.label in ("diverged", "stuck"):
        return None
    below = [val < train for val, train in late]
    val, train = fmean(pair[0] for pair in late), fmean(pair[1] for pair in late)
    if sum(below) < 0.9 * len(below) or train <= 0 or val > (1 - thresholds.val_below) * train:
        return None
    return Finding(
        "validation_better",
        f"The validation loss lies below the training loss, {loss(val)} to {loss(train)} on average over the "
        "second half. "
        "Dropout, augmentation or label smoothing in training alone make it so, and an easier or leaked "
        "validation set does.",
        "clear",
        (shape.val.at[-1],),
    )


def gap(shape: Shape, diagnosis: Diagnosis, thresholds: Thresholds) -> Finding | None:
    """The validation loss ends far above the training loss, though it does not rise."""
    if not shape.has_both or not shape.comparable or diagnosis.label != "healthy" or len(shape.val) < 5:
        return None
    val, train = median(shape.val.end), median(shape.train.end)
    if train <= 0 or val < thresholds.gap * train or val - train < thresholds.gap_of_way * shape.way:
        return None
    return Finding(
        "gap",
        f"At the end the validation loss is {loss(val)} and the training loss {loss(train)}: the network knows its "
        "training data much better than others, though this has done no harm yet.",
        "clear",
        (shape.val.at[-1],),
    )


def jumps_between_epochs(shape: Shape, diagnosis: Diagnosis, thresholds: Thresholds) -> Finding | None:
    """The training loss falls within every epoch and jumps up where the next begins."""
    parts = _by_epoch(shape, 6)
    if len(parts) < 4:
        return None
    ends = [
        (fmean(before[-len(before) // 4 :]), fmean(after[: max(1, len(after) // 4)]))
        for before, after in pairwise(parts)
    ]
    jumps = [after - before for before, after in ends]
    falls = [fmean(values[: max(1, len(values) // 4)]) - fmean(values[-len(values) // 4 :]) for values in parts[1:]]
    noise = fmean(pstdev(values) for values in parts) / math.sqrt(max(1, min(map(len, parts)) // 4))
    up = sum(jump > 0 for jump in jumps) >= 0.8 * len(jumps)
    down = sum(fall > 0 for fall in falls) >= 0.8 * len(falls)
    level = median(value for values in parts for value in values)
    if not up or not down or fmean(jumps) < thresholds.jump_to_noise * noise or fmean(jumps) < thresholds.jump * level:
        return None
    return Finding(
        "jumps_between_epochs",
        f"The training loss jumps up by {loss(fmean(jumps))} on average where a new epoch begins and falls "
        "again within "
        f"it, in {sum(jump > 0 for jump in jumps)} of {len(jumps)} epochs: the samples seem to come in the same order, "
        "not shuffled.",
        "likely",
        (shape.curve.at[1],),
    )


def same_order(shape: Shape, diagnosis: Diagnosis, thresholds: Thresholds) -> Finding | None:
    """The training loss goes through the same ups and downs in every epoch."""
    parts = [values for values in _by_epoch(shape, 8)[1:] if values]
    if (
        len(parts) < 4
        or len({len(values) for values in parts}) > 1
        or jumps_between_epochs(shape, diagnosis, thresholds)
    ):
        return None
    bends = [_without_line(values) for values in parts]
    if any(max(map(abs, bend)) <= 1e-9 for bend in bends):
        return None
    alike = fmean(correlation(before, after) for before, after in pairwise(bends))
    if alike < thresholds.alike:
        return None
    return Finding(
        "same_order",
        f"The training loss goes through the same ups and downs in every epoch (correlation {alike:.2f} from "
        "one to the "
        "next, where shuffled samples give about 0): the samples seem to come in the same order, not shuffled.",
        "clear" if alike > 0.75 else "likely",
        (shape.curve.at[1],),
    )


def _by_epoch(shape: Shape, least: int) -> list[list[float]]:
    """The training losses logged within each epoch that has so many of them."""
    epochs: dict[int, list[float]] = {}
    for at, value in shape.curve.within:
        if math.isfinite(value):
            epochs.setdefault(int(at), []).append(value)
    return [values for _, values in sorted(epochs.items()) if len(values) >= least]


def _without_line(values: Sequence[float]) -> list[float]:
    """The values minus the straight line that fits them best."""
    slope, start = linear_regression(range(len(values)), values)
    return [value - start - slope * place for place, value in enumerate(values)]


def taken_up_wrongly(shape: Shape, diagnosis: Diagnosis, thresholds: Thresholds) -> Finding | None:
    """The loss jumped where a run was taken up again or its rate jumped up."""
    for at, how in _restarts(shape, thresholds):
        before, after = _around(shape, at)
        if not before or not after or after[0] < (1 + thresholds.loss_jump) * median(before):
            continue
        old, new = _rates_around(shape, at)
        changed = f" The rate went from {rate(old)} to {rate(new)}." if old and new and old != new else ""
        return Finding(
            "taken_up_wrongly",
            f"The run {how} in {shape.place(at)}, and the training loss rose from {loss(before[-1])} to "
            f"{loss(after[0])}.{changed} Weights, the optimizer's state or the rate were not what they had been.",
            "likely",
            (at,),
            old,
        )
    return None


def rate_raised(shape: Shape, diagnosis: Diagnosis, thresholds: Thresholds) -> Finding | None:
    """The rate jumped above all earlier rates, and the loss did not suffer."""
    if taken_up_wrongly(shape, diagnosis, thresholds):
        return None
    for at, _ in _restarts(shape, thresholds):
        old, new = _rates_around(shape, at)
        if old and new and new > 1.01 * max(value for place, value in shape.rates if place < at):
            return Finding(
                "rate_raised",
                f"The rate was raised from {rate(old)} to {rate(new)} in {shape.place(at)}, above all that it had been "
                "before. If the run was resumed there, it was resumed at a wrong rate.",
                "possible",
                (at,),
                old,
            )
    return None


def _restarts(shape: Shape, thresholds: Thresholds) -> list[tuple[float, str]]:
    """Places where the log was taken up again, or where the rate jumped up without climbing before, as in a warm-up."""
    places = [(at, "was taken up again") for at in shape.curve.resumed]
    rates = shape.rates
    for (_, earlier), (_, before), (at, after) in zip(rates, rates[1:], rates[2:], strict=False):
        jumps = before > 0 and after >= thresholds.rate_jump * before
        if jumps and before <= earlier and at > shape.curve.at[0] + 2:
            places.append((at, "had its rate raised"))
    return places


def _around(shape: Shape, at: float) -> tuple[list[float], list[float]]:
    """The three training losses before a place, and the three from it on."""
    losses = list(zip(shape.train.at, shape.train.values, strict=True))
    return [v for place, v in losses if place < at][-3:], [v for place, v in losses if place >= at][:3]


def _rates_around(shape: Shape, at: float) -> tuple[float | None, float | None]:
    before = [value for place, value in shape.rates if place < at]
    return (before[-1] if before else None), shape.rate_at(at)


def validation_not_finite(shape: Shape, diagnosis: Diagnosis, thresholds: Thresholds) -> Finding | None:
    """The validation loss is never a number while the training loss always is."""
    told = [value for value in shape.curve.val_loss if value is not None]
    if diagnosis.label == "diverged" or not told or any(map(math.isfinite, told)):
        return None
    return Finding(
        "validation_not_finite",
        "The validation loss is never a finite number, while the training loss always is: look at how validation is "
        "computed (half precision, log of 0, a mean over no samples). The training loss is judged instead.",
        "clear",
    )


def few_points(shape: Shape, diagnosis: Diagnosis, thresholds: Thresholds) -> Finding | None:
    """The run is too short to show a shape."""
    if len(shape.curve) >= 4 or diagnosis.label == "diverged":
        return None
    return Finding(
        "few_points",
        f"{shape.count(len(shape.curve)).capitalize()} are too few for a shape; log more of the run.",
        "clear",
    )


RULES: Sequence[Callable[[Shape, Diagnosis, Thresholds], Finding | None]] = (
    *(not_finite, rate_too_high, lowered_too_early, rate_too_low, taken_up_wrongly, rate_raised, short_warmup),
    *(jumps_between_epochs, same_order, best_thrown_away, never_lowered, validation_not_finite, validation_better),
    *(gap, few_points),
)


def findings(shape: Shape, diagnosis: Diagnosis, thresholds: Thresholds) -> list[Finding]:
    """All findings of the curve, the most important first."""
    rules = RULES if shape.train else (not_finite, rate_too_high)  # a log without one finite loss
    return [found for rule in rules if (found := rule(shape, diagnosis, thresholds))]
