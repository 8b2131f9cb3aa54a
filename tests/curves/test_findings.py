"""Every finding is shown by one curve, and kept back on another that nearly shows it."""

import math
from dataclasses import replace

import pytest
from curves.shapes import GUESS, curve, falling, jumping

from lr_lab.curves import findings as rules
from lr_lab.curves.curve import Curve
from lr_lab.curves.explanation import explain


def kinds(shown: Curve) -> set[str]:
    return {finding.kind for finding in explain(shown).findings}


STEP = [0.1] * 5 + [0.001] * 15
SLOW = [2.3, 2.1, 1.95, 1.85, 1.8, *(1.8 - 0.004 * epoch for epoch in range(15))]
NAN, INF = math.nan, math.inf


def with_rate(train: list[float], rates: list[float], val: list[float] | None = None) -> Curve:
    return curve(train, val, lr=tuple(rates))


def within(epochs: int, jump: float, fall: float = 0.02) -> Curve:
    """Losses logged inside the epochs, falling within each and jumping where the next begins."""
    losses = [
        (epoch + (row + 0.5) / 10, 1.0 - 0.02 * epoch + jump * (9 - row) / 9 - fall * row / 10)
        for epoch in range(epochs)
        for row in range(10)
    ]
    return replace(curve([1.0 - 0.02 * epoch for epoch in range(epochs)]), within=tuple(losses))


def warming(second: float) -> Curve:
    """A rate that rises twelvefold in the second epoch."""
    return with_rate([2.3, second, *falling(18)], [0.1, *(1.2 * 0.8**epoch for epoch in range(19))])


def repeating(by: float, same: bool) -> Curve:
    """Losses within epochs that go up and down: alike in every epoch, or each in its own way."""
    waves = [[math.sin(row * (1 if same else 1 + 0.7 * epoch)) for row in range(20)] for epoch in range(8)]
    losses = [
        (epoch + (row + 0.5) / 20, 2.0 - 0.1 * epoch + by * waves[epoch][row])
        for epoch in range(8)
        for row in range(20)
    ]
    return replace(curve([2.0 - 0.1 * epoch for epoch in range(8)]), within=tuple(losses))


def taken_up(after: float, rate_after: float) -> Curve:
    train = [*falling(8), *(after * 0.9**epoch for epoch in range(6))]
    return with_rate(train, [0.01] * 8 + [rate_after] * 6)


EIGHT = falling(8)
OVERFITTING = curve(falling(), [*falling(8, to=0.4), *(0.45 + 0.06 * epoch for epoch in range(12))])

SHOWN: list[tuple[str, Curve, Curve]] = [
    # kind, a curve that shows it, a near miss
    ("not_finite", curve([2.3, 2.6, 9.0, NAN]), curve([2.3, 2.6, 9.0, 14.0])),
    ("not_finite", curve([NAN, NAN]), curve([2.3, 2.2])),
    ("rate_too_high", curve([2.3, 1.0, *jumping(1.0, 0.4, 18)]), curve([2.3, 1.0, *jumping(1.0, 0.02, 18)])),
    ("rate_too_high", curve([2.3, 2.6, 9.0, 40.0]), curve([2.3, 2.29, 2.28, 2.29])),
    ("rate_too_high", curve([2.3, 2.6, 9.0, NAN]), curve([2.3, 2.0, 1.5, NAN])),
    ("rate_too_high", curve(jumping(2.6, 0.2, 12)), curve([GUESS] * 12)),
    ("lowered_too_early", with_rate(SLOW, STEP), with_rate(SLOW, [0.1] * 20)),
    ("lowered_too_early", with_rate(SLOW, STEP), with_rate(falling(), STEP)),
    (
        "rate_too_low",
        with_rate([2.3 - 0.02 * epoch for epoch in range(20)], [1e-5] * 20),
        with_rate([2.3 - 0.02 * epoch + 0.03 * (epoch % 3 == 1) for epoch in range(20)], [1e-5] * 20),
    ),
    ("taken_up_wrongly", taken_up(2.0, 0.2), taken_up(EIGHT[-1] * 0.9, 0.01)),
    ("taken_up_wrongly", replace(curve([*EIGHT, 2.0, 1.0, 0.5]), resumed=(9.0,)), curve([*EIGHT, 2.0, 1.0, 0.5])),
    ("rate_raised", taken_up(EIGHT[-1] * 0.9, 0.2), taken_up(EIGHT[-1] * 0.9, 0.02)),
    ("short_warmup", curve([2.3, 9.0, 4.0, *falling(20)]), curve([2.3, 2.6, 2.4, *falling(20)])),
    ("short_warmup", warming(2.5), warming(2.3)),
    ("jumps_between_epochs", within(8, 0.4), within(8, 0.05)),
    ("same_order", repeating(0.1, same=True), repeating(0.1, same=False)),
    ("best_thrown_away", OVERFITTING, curve(falling(), [0.2 + loss for loss in falling()])),
    (
        "best_thrown_away",
        replace(OVERFITTING, val_accuracy=(0.5, 0.6, 0.7, 0.8, 0.85, 0.86, *[0.8] * 14)),
        replace(curve(falling()), val_accuracy=(0.5, 0.6, 0.7, 0.8, 0.85, 0.86, *[0.855] * 14)),
    ),
    (
        "never_lowered",
        with_rate([2.3, 1.5, 1.0, 0.7, *jumping(0.5, 0.05, 16)], [0.1] * 20),
        with_rate([2.3, 1.5, 1.0, 0.7, *jumping(0.5, 0.05, 16)], [0.1] * 10 + [0.01] * 10),
    ),
    ("validation_not_finite", curve(falling(), [INF] * 20), curve(falling(), [INF] * 19 + [0.1])),
    (
        "validation_better",
        curve(falling(to=0.5), falling(to=0.3)),
        curve(falling(to=0.5), falling(to=0.49)),
    ),
    ("gap", curve(falling(), falling(to=0.4)), curve(falling(to=0.3), falling(to=0.4))),
    ("few_points", curve([2.3, 2.0, 1.8]), curve([2.3, 2.0, 1.8, 1.7])),
]


@pytest.mark.parametrize(("kind", "shown", "near"), SHOWN, ids=[f"{n}-{kind}" for n, (kind, *_) in enumerate(SHOWN)])
def test_a_finding_is_made_of_one_curve_and_not_of_its_near_miss(kind: str, shown: Curve, near: Curve) -> None:
    assert kind in kinds(shown)
    assert kind not in kinds(near)


def test_every_rule_is_shown() -> None:
    assert {rule.__name__ for rule in rules.RULES} <= {kind for kind, *_ in SHOWN}


def test_sentences_name_epochs_from_one_and_numbers() -> None:
    (found,) = (f for f in explain(curve([2.3, 2.6, 9.0, NAN])).findings if f.kind == "not_finite")
    assert found.says == (
        "Before the first NaN or infinity, in epoch 4, the training losses by epoch were 2.3, 2.6, 9: they rose, which "
        "points to a rate that is too high."
    )
    (found,) = (f for f in explain(with_rate(SLOW, STEP)).findings if f.kind == "lowered_too_early")
    assert "by epoch 6 it had fallen from 0.1 to 0.001" in found.says
    assert found.marks == (6.0,)


def test_single_steps_before_the_first_nan_are_told() -> None:
    steps = [*((0.1 * n, 2.0) for n in range(10)), (1.0, 3.0), (1.1, 8.0), (1.2, 50.0), (1.3, NAN)]
    (found,) = (f for f in explain(replace(curve([2.0, NAN]), within=tuple(steps))).findings if f.kind == "not_finite")
    assert "the training losses of the last logged steps were 3, 8, 50: they rose" in found.says


def test_a_score_that_is_no_accuracy_is_called_by_its_column() -> None:
    scores = (0.1, 0.5, 0.6, 0.62, 0.61, *[0.4] * 15)
    shown = replace(OVERFITTING, val_accuracy=scores, read=(("val_accuracy", "metrics/mAP50(B)"),))
    assert any(
        "The best validation metrics/mAP50(B) was 62.00% after epoch 4" in f.says for f in explain(shown).findings
    )


def test_a_run_that_guesses_has_no_best_epoch_to_keep() -> None:
    assert "best_thrown_away" not in kinds(replace(curve([GUESS] * 10), val_accuracy=(0.1, 0.15, *[0.1] * 8)))
