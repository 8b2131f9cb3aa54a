"""Positions by hand-worked traces, without Lightning or torch."""

import math
import subprocess
import sys

import pytest

from lr_lab.schedule.position import Position
from lr_lab.schedule.sequences import Constant, Exponential, Inverse, InverseSqrt, Linear, Staircase
from lr_lab.schedule.strategies import Cutoff, Epoch, EveryStep, Oscillate


def rates_of(position: Position, losses: list[float]) -> list[float]:
    """The rates of the epochs, the one after the last loss included."""
    rates = [position.rate]
    for epoch, loss in enumerate(losses):
        position.observe(epoch, loss)
        rates.append(position.rate)
    return rates


def test_cutoff_along_the_exponential_sequence() -> None:
    rates = rates_of(Position(Exponential(0.01), Cutoff()), [1.0, 0.5, 0.495, 0.4945, 0.49445])
    assert rates == pytest.approx([0.01, 0.01, 0.01, 0.009, 0.0081, 0.00729])


def test_oscillate_along_the_inverse_square_root() -> None:
    rates = rates_of(Position(InverseSqrt(0.01), Oscillate()), [1.0, 0.9, 0.95, 0.94, 0.96])
    assert rates == pytest.approx([0.01, 0.01, 0.01, 0.01, 0.01, 0.01 / math.sqrt(2)])


def test_steps_have_the_rates_of_their_numbers_and_leave_the_position_at_the_last() -> None:
    position = Position(Exponential(1.0), EveryStep())
    assert position.rates(first_step=4, steps=3) == pytest.approx([0.9**4, 0.9**5, 0.9**6])
    assert position.index == 6
    position.observe(0, 1.0)
    assert position.index == 6


def test_only_what_changes_the_rate_counts_as_a_change() -> None:
    losses = [1.0, 0.9, 0.95, 0.94, 0.96]
    assert _changes(Position(Constant(0.1), Epoch()), losses) == [0, 0, 0, 0, 0, 0]
    # The first advance of the inverse leaves the rate as it is: r_1 = r_0.
    assert _changes(Position(Inverse(0.1), Epoch()), losses) == [0, 0, 1, 2, 3, 4]
    assert _changes(Position(Exponential(0.1), Oscillate()), losses) == [0, 0, 0, 1, 1, 2]
    assert _changes(Position(Staircase(0.1, step_size=2), Epoch()), losses) == [0, 0, 1, 1, 2, 2]


def test_steps_that_change_the_rate_count_each() -> None:
    position = Position(Linear(0.1, total=5), EveryStep())
    position.rates(first_step=0, steps=4)
    assert position.changes == 3
    position.rates(first_step=4, steps=4)
    assert position.changes == 5  # the rate stands at its end from step 5 on
    position.load_state_dict({"index": 2, "strategy": None})
    assert position.changes == 2


def _changes(position: Position, losses: list[float]) -> list[int]:
    """The number of changes before each loss, and after the last."""
    changes = [position.changes]
    for epoch, loss in enumerate(losses):
        position.observe(epoch, loss)
        changes.append(position.changes)
    return changes


def test_a_position_taken_up_goes_on_as_one_that_was_never_put_down() -> None:
    losses = [1.0, 0.5, 0.495, 0.4945, 0.49445]
    whole = Position(Exponential(0.01), Cutoff())
    rates_of(whole, losses)
    first, second = Position(Exponential(0.01), Cutoff()), Position(Exponential(0.01), Cutoff())
    rates_of(first, losses[:3])
    second.load_state_dict(first.state_dict())
    for epoch, loss in enumerate(losses[3:], start=3):
        second.observe(epoch, loss)
    assert second.state_dict() == whole.state_dict()


def test_it_needs_no_torch() -> None:
    command = "import sys, lr_lab.schedule.position; print({'torch', 'pytorch_lightning', 'hydra'} & {*sys.modules})"
    done = subprocess.run([sys.executable, "-c", command], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
