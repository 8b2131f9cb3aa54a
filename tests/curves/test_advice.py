"""Every advice is given for one curve, with its number, and not for another that nearly needs it."""

import math
from dataclasses import replace

import pytest
from curves.shapes import GUESS, curve, falling, jumping
from curves.test_findings import OVERFITTING, SLOW, STEP, taken_up, with_rate, within

from lr_lab.curves.advice import FRAMEWORKS, MOST
from lr_lab.curves.curve import Curve
from lr_lab.curves.explanation import explain

BLOWN_UP = with_rate([2.3, 2.6, 9.0, 40.0], [0.3] * 4)
STEADY = with_rate([2.3 - 0.02 * epoch for epoch in range(20)], [1e-5] * 20)
THROWN_BACK = curve([*falling(8), *[2.31] * 12])
HIGH = curve(jumping(2.6, 0.2, 12))
FLAT = with_rate([GUESS] * 12, [0.001] * 12)
BETTER = curve(falling(to=0.5), falling(to=0.3))
LEVEL = with_rate([2.3, 1.5, 1.0, 0.7, *jumping(0.5, 0.05, 16)], [0.1] * 20)
HEALTHY = curve(falling(), [0.05 + loss for loss in falling()])

GIVEN: list[tuple[str, Curve, Curve]] = [
    ("Lower the rate to 0.1 (a third of 0.3).", BLOWN_UP, with_rate([2.3, 2.2, 2.1, 2.0], [0.3] * 4)),
    ("Lower the rate to a third of yours.", THROWN_BACK, HEALTHY),
    ("Lower the rate to a tenth of yours.", HIGH, FLAT),
    ("Raise the rate to 0.01 (10 times 0.001).", FLAT, HIGH),
    ("Raise the rate to 3e-05 (3 times 1e-05).", STEADY, HEALTHY),
    (
        "Find the first step whose loss is not finite in epoch 4, and look at its samples.",
        curve([2.3, 2.0, 1.5, math.nan]),
        curve([2.3, 2.6, 9.0, math.nan]),
    ),
    ("Clip the gradient's norm to 1.", BLOWN_UP, LEVEL),
    ("Warm the rate up over the first 5% of the steps.", curve([2.3, 9.0, 4.0, *falling(20)]), HEALTHY),
    ("Stop after epoch 9 and keep those weights (patience 2).", OVERFITTING, HEALTHY),
    ("Set weight decay to 0.05 and add augmentation, or dropout of 0.2.", OVERFITTING, HEALTHY),
    ("Train for 40 epochs, twice as long.", STEADY, HEALTHY),
    ("Hold the rate at 0.1 until epoch 12, and lower it then.", with_rate(SLOW, STEP), with_rate(falling(), STEP)),
    ("Lower the rate from 0.1 to 0.01 after epoch 13, or by a cosine to 0.", LEVEL, HEALTHY),
    ("Shuffle the training data in every epoch.", within(8, 0.4), within(8, 0.05)),
    ("Train on one single batch until its loss is near 0.", FLAT, STEADY),
    (
        "Take the run up with the rate it had (0.01) and with the optimizer's state.",
        taken_up(2.0, 0.2),
        taken_up(falling(8)[-1] * 0.9, 0.01),
    ),
    (
        "Measure the training loss once in evaluation mode, without augmentation, and look for samples in both sets.",
        BETTER,
        HEALTHY,
    ),
    (
        "Compute the validation loss in float32 and find the first batch where it is not finite.",
        curve(falling(), [math.inf] * 20),
        HEALTHY,
    ),
    (
        "Keep the weights of the best epoch (6 in this run) rather than the last ones.",
        replace(curve(falling()), val_accuracy=(0.5, 0.6, 0.7, 0.8, 0.85, 0.9, *[0.8] * 14)),
        OVERFITTING,
    ),
]


@pytest.mark.parametrize(("do", "needs", "near"), GIVEN, ids=[do[:24] for do, *_ in GIVEN])
def test_advice_is_given_where_it_is_needed_and_not_nearly(do: str, needs: Curve, near: Curve) -> None:
    advice = explain(needs).advice
    assert do in [one.do for one in advice]
    assert do not in [one.do for one in explain(near).advice]
    assert len(advice) <= MOST
    for one in advice:
        assert set(one.code) == set(FRAMEWORKS)
        assert all(line.strip() and "\n" not in line for line in one.code.values())
        assert one.why.endswith(".")
        assert one.check.endswith(".")


def test_nothing_is_advised_of_a_healthy_run() -> None:
    assert explain(HEALTHY).advice == []


def test_a_run_that_blew_up_in_its_first_steps_is_not_told_to_raise_its_rate() -> None:
    spiked = with_rate([2.3, 9.0, 4.0, *(2.2 - 0.05 * epoch for epoch in range(17))], [0.01] * 20)
    assert not [one for one in explain(spiked).advice if one.do.startswith("Raise")]
