"""Every sentence of a label is said of one curve, and not of another that nearly earns it."""

import math
from typing import Any

import pytest
from curves.shapes import GUESS, curve, falling, jumping

from lr_lab.curves import verdicts
from lr_lab.curves.curve import Curve
from lr_lab.curves.diagnosis import diagnose
from lr_lab.curves.shape import Shape
from lr_lab.curves.thresholds import Thresholds

SLOW = [2.3, 2.1, 1.95, 1.85, 1.8, *(1.8 - 0.004 * epoch for epoch in range(15))]
HALTED = [2.3, 1.9, 1.8, 1.76, 1.74, *(1.73 - 0.003 * epoch for epoch in range(7))]
HALVED = tuple(0.1 * 0.5**epoch for epoch in range(12))
STEP = (0.1,) * 5 + (0.001,) * 15
ALWAYS: dict[str, Any] = {"classes": 2, "val_accuracy": (0.95,) * 10}

SAID: list[tuple[str, str, Curve, Curve]] = [
    (
        "same_answer",
        "The validation accuracy was 95.00% after each of 10 epochs while the training loss went from 0.24 to 0.2",
        curve([0.24, *[0.2] * 9], **ALWAYS),
        curve([0.24 * 0.8**epoch for epoch in range(10)], **ALWAYS),
    ),
    (
        "collapsed",
        "The training loss was 0.06446 after 8 epochs, but later rose and was 2.31 after 20 epochs",
        curve([*falling(8), *[2.31] * 12]),
        curve([*falling(8), *[0.4] * 12]),
    ),
    (
        "overfitting",
        "After 3 epochs the validation loss had come down to 1 (smoothed), and by the end it rose to 1.4",
        curve([2.3 * 0.7**e for e in range(8)], [2.3, 1.2, 0.9, 1.0, 1.1, 1.2, 1.3, 1.5]),
        curve([2.3 * 0.7**e for e in range(8)], [2.3, 1.2, 0.9, 0.95, 0.9, 0.95, 0.9, 0.92]),
    ),
    (
        "oscillating",
        "In the last 10 epochs the losses jumped between 0.6 and 1.4, by 0.8 from one to the next on average.",
        curve([2.3, 1.4, *jumping(1.0, 0.4, 18)]),
        curve([2.3, 1.4, *jumping(1.0, 0.04, 18)]),
    ),
    (
        "crawling",
        "The validation loss still fell from 2.02 to 1.92 in the last 5 epochs of 20, 26% of its way down from 2.303.",
        curve([2.3 - 0.02 * epoch for epoch in range(20)]),
        curve(falling(20)),
    ),
    (
        "halted",
        "The validation loss fell only from 1.721 to 1.712 in the last 3 epochs of 12, at a mean rate of",
        curve(HALTED, lr=HALVED),
        curve(HALTED, lr=(0.1,) * 12),
    ),
    (
        "lost_its_rate",
        "By epoch 6 the rate had fallen from 0.1 to 0.001, and the training loss went only from 1.796 to 1.744",
        curve(SLOW, lr=STEP),
        curve(falling(), lr=STEP),
    ),
    (
        "stuck",
        "The lowest loss in 12 epochs was 2.303, and the loss of guessing among 10 classes is 2.303.",
        curve([GUESS] * 12),
        curve([GUESS] * 6 + [GUESS * 0.9] * 6),
    ),
]


@pytest.mark.parametrize(("name", "words", "shown", "near"), SAID, ids=[name for name, *_ in SAID])
def test_a_rule_holds_for_one_curve_and_not_for_its_near_miss(name: str, words: str, shown: Curve, near: Curve) -> None:
    rule = getattr(verdicts, name)
    found, missed = rule(Shape.of(shown), Thresholds()), rule(Shape.of(near), Thresholds())
    assert found is not None
    assert found.strength >= 1
    assert found.evidence.startswith(words)
    assert missed is None or missed.strength < 1


def test_every_rule_is_said() -> None:
    assert [rule.__name__ for rule in verdicts.RULES] == [name for name, *_ in SAID]


@pytest.mark.parametrize(
    ("words", "shown", "near"),
    [
        (
            "A loss was not finite after 3 epochs; the training loss before was 2.5.",
            [2.3, 2.5, math.nan],
            [2.3, 2.5, 2.6],
        ),
        (
            "The training loss was 23.1 after 2 epochs, over 10 times the loss of guessing among 10 classes, 2.303.",
            [2.3, 23.1],
            [2.3, 22.9],
        ),
    ],
)
def test_a_run_has_diverged_or_nearly(words: str, shown: list[float], near: list[float]) -> None:
    assert diagnose(curve(shown)).evidence == words
    assert diagnose(curve(near)).label != "diverged"
