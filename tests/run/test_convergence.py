"""Convergence by hand-worked histories, and properties that hold for every history."""

from math import inf, nan

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lr_lab.run.convergence import (
    convergence_epoch,
    convergence_step,
    epochs_to_reach,
    final_accuracy,
    smoothed,
)

histories = st.lists(st.integers(0, 10_000).map(lambda hits: hits / 10_000), min_size=1, max_size=30)


def test_smoothing_is_centred_and_uses_two_epochs_at_the_ends() -> None:
    assert smoothed([0.1, 0.3, 0.8, 0.4]) == pytest.approx([0.2, 0.4, 0.5, 0.6])
    assert smoothed([0.7]) == [0.7]
    assert smoothed([]) == []


@given(histories)
def test_smoothing_equals_numpys_convolution(history: list[float]) -> None:
    weights = np.convolve(np.ones(len(history)), [1, 1, 1])[1:-1]
    np.testing.assert_allclose(smoothed(history), np.convolve(history, [1, 1, 1])[1:-1] / weights)


def test_final_accuracy_is_the_mean_of_the_last_five_epochs() -> None:
    assert final_accuracy([0.0, 0.9, 0.8, 0.9, 0.8, 0.85]) == pytest.approx(0.85)
    assert final_accuracy([0.2, 0.4]) == pytest.approx(0.3)
    with pytest.raises(ValueError, match="no final accuracy"):
        final_accuracy([])


#                smoothed:  .70,  .77,  .87,  .89,  .90, .90 ...; final 0.90
RISING = [0.6, 0.8, 0.9, 0.9, 0.88, 0.92, 0.9, 0.9, 0.9, 0.9]


@pytest.mark.parametrize(("tolerance", "epoch"), [(0.3, 1), (0.14, 2), (0.05, 3), (0.02, 4), (0.005, 5)])
def test_converged_at_the_first_epoch_within_the_tolerance_of_the_final_accuracy(tolerance: float, epoch: int) -> None:
    assert final_accuracy(RISING) == pytest.approx(0.904)
    assert convergence_epoch(RISING, tolerance, guessing=0.1) == epoch


def test_an_accuracy_exactly_at_the_tolerance_counts() -> None:
    history = [0.78, 0.78, 0.78] + [0.8] * 6
    assert smoothed(history)[1] == pytest.approx(0.78)
    assert convergence_epoch(history, 0.02, guessing=0.1) == 1


def test_a_declining_run_converges_at_its_last_epoch() -> None:
    history = [0.3, 0.7, 0.7, 0.7, 0.66, 0.64, 0.62, 0.6, 0.58]  # final 0.62, best smoothed 0.70
    assert convergence_epoch(history, 0.039, guessing=0.1) == 9
    # exactly two tolerances above is not yet declining
    assert convergence_epoch(history, 0.04, guessing=0.1) == 3


@pytest.mark.parametrize("history", [[0.1] * 20, [0.12] * 5, [0.05] * 5, [0.9] + [0.11] * 5])
def test_a_run_within_two_points_of_guessing_has_not_converged(history: list[float]) -> None:
    assert convergence_epoch(history, 0.01, guessing=0.1) is None


def test_a_run_just_above_guessing_may_have_converged() -> None:
    assert convergence_epoch([0.121] * 5, 0.01, guessing=0.1) == 1


def test_a_diverged_run_has_not_converged() -> None:
    assert convergence_epoch(RISING, 0.01, guessing=0.1, diverged=True) is None
    assert convergence_epoch([0.9, nan, 0.9], 0.01, guessing=0.1) is None
    assert convergence_epoch([], 0.01, guessing=0.1) is None


@pytest.mark.parametrize("tolerance", [0, -0.1, nan])
def test_a_tolerance_must_be_above_zero(tolerance: float) -> None:
    with pytest.raises(ValueError, match=f"tolerance must be above 0, such as 0.01, not {tolerance}"):
        convergence_epoch(RISING, tolerance, guessing=0.1)


@given(histories, st.floats(1e-4, 0.5))
def test_convergence_lies_within_the_run_and_a_larger_tolerance_is_met_no_later(
    history: list[float], tolerance: float
) -> None:
    tight, loose = (convergence_epoch(history, t, guessing=0.1) for t in (tolerance, 2 * tolerance))
    if final_accuracy(history) > 0.121:
        assert tight is not None
        assert loose is not None
        assert 1 <= loose <= tight <= len(history)
    elif final_accuracy(history) < 0.119:
        assert tight is None


def test_epochs_to_reach_ignores_a_single_lucky_epoch() -> None:
    history = [0.1, 0.1, 0.9, 0.1, 0.5, 0.8, 0.8]  # smoothed .1 .367 .367 .5 .467 .7 .8
    assert epochs_to_reach(history, 0.7) == 6
    assert epochs_to_reach(history, 0.36) == 2
    assert epochs_to_reach(history, 0.81) is None


def test_a_run_that_reached_the_target_before_it_diverged_has_reached_it() -> None:
    assert epochs_to_reach([0.5, 0.7, 0.7, 0.7, nan], 0.7) == 3
    assert epochs_to_reach([0.5, nan], 0.5) is None


@given(histories)
def test_every_run_reaches_its_own_final_accuracy(history: list[float]) -> None:
    assert epochs_to_reach(history, final_accuracy(history)) is not None


def test_convergence_of_gradient_descent_on_a_parabola_is_the_closed_form() -> None:
    rate, curvature = 0.1, 1.0
    losses = [4.0 * (1 - rate * curvature) ** (2 * step) for step in range(200)]
    # 0.9^(2k) <= 0.01  <=>  k >= log(0.01) / (2 log 0.9) = 21.85
    assert convergence_step(losses) == 22


def test_convergence_step_of_a_hand_worked_history() -> None:
    assert convergence_step([10.0, 1.2, 1.1, 1.09, 1.0]) == 3  # 1.0 + 0.01 * 9 = 1.09
    assert convergence_step([5.0, 1.0]) == 1


@pytest.mark.parametrize("losses", [[], [1.0], [1.0, 2.0, 4.0], [1.0, 0.5, inf], [1.0, nan]])
def test_a_loss_that_never_fell_or_left_the_numbers_did_not_converge(losses: list[float]) -> None:
    assert convergence_step(losses) is None


def test_a_run_reported_as_diverged_did_not_converge() -> None:
    assert convergence_step([10.0, 1.0, 200.0], diverged=True) is None
