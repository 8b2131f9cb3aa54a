"""The error that looks may spend: published bounds, drawn walks, and looks that were added later."""

import numpy as np
import pytest
from scipy import special

from lr_lab.study.spending import Plan


def test_the_bounds_of_five_equal_looks_are_the_published_ones() -> None:
    """Kim & DeMets' spending function with power 3, one-sided 2.5%, as group sequential software prints them."""
    plan = Plan([1, 2, 3, 4, 5], power=3, kept_back=0.0)
    bounds = [-special.ndtri(plan.level(look, 0.025)) for look in plan.looks]
    assert bounds == pytest.approx([3.540, 2.974, 2.604, 2.306, 2.045], abs=2e-3)


def test_so_many_walks_cross_as_may() -> None:
    plan = Plan([3, 6, 8, 10, 12])
    walks = np.random.default_rng(0).normal(size=(200_000, 12)).cumsum(axis=1)[:, [look - 1 for look in plan.looks]]
    levels = np.array([plan.level(look, 0.05) for look in plan.looks])
    crossed = (walks / np.sqrt(plan.looks) > -special.ndtri(levels)).any(axis=1).mean()
    assert crossed == pytest.approx(0.9 * 0.05, abs=0.002)


def test_a_single_look_has_all_of_the_error() -> None:
    assert Plan([7], kept_back=0.0).level(7, 0.01) == pytest.approx(0.01, rel=1e-6)


def test_looks_that_are_added_take_half_of_what_is_left_and_change_no_earlier_one() -> None:
    before, after = Plan([5, 10]), Plan([5, 10], further=[20, 40])
    assert after.spent == pytest.approx({5: 0.225, 10: 0.9, 20: 0.95, 40: 0.975})
    assert [before.level(look, 0.01) for look in (5, 10)] == [after.level(look, 0.01) for look in (5, 10)]
    assert after.level(20, 0.01) > 0.05 * 0.01, "looks are alike, so one asks for less than its own part"


@pytest.mark.parametrize("error", [0.05, 0.001, 1e-5])
def test_a_larger_error_asks_for_less(error: float) -> None:
    plan = Plan([3, 5, 8])
    levels = [plan.level(look, error) for look in plan.looks]
    assert levels == sorted(levels)
    assert all(plan.level(look, 2 * error) > level for look, level in zip(plan.looks, levels, strict=True))
