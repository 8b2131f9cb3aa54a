"""The size of a data set read off accuracies on it."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lr_lab.study.published import chance_of_fit, smallest_set


def test_by_hand() -> None:
    """One third, rounded to two decimals, takes three samples; one half besides, six."""
    assert smallest_set([33.33], 2) == 3
    assert smallest_set([33.33, 50], 2) == 6
    assert smallest_set([100, 0], 2) == 1


def test_the_table_of_the_mnist_learning_rate_article() -> None:
    assert smallest_set([80.87, 23.04, 99.78, 100, 100], 2) == 460


@given(st.lists(st.fractions(0, 1, max_denominator=2_000), min_size=1), st.integers(0, 4))
def test_a_set_that_made_the_numbers_is_large_enough(parts: list, decimals: int) -> None:
    """Counts over one size: the answer is that size or smaller, and fits every number."""
    size = max(part.denominator for part in parts)
    percentages = [round(100 * round(part * size) / size, decimals) for part in parts]
    found = smallest_set(percentages, decimals)
    assert found is not None
    assert found <= size
    for percentage in percentages:
        counts = (round(100 * count / found, decimals) for count in range(found + 1))
        assert min(abs(percentage - count) for count in counts) == pytest.approx(0, abs=1.01 * 10.0**-decimals)


def test_the_chance_of_a_fit_by_hand() -> None:
    """Of 0, 1, ... 100% a set of 1 makes two, a set of 2 three; 100 fits every set."""
    assert chance_of_fit([50, 25, 100], 0, 2) == pytest.approx(1 - (1 - (2 / 101) ** 2) * (1 - (3 / 101) ** 2))


def test_the_chance_of_a_fit_by_drawing() -> None:
    random = np.random.default_rng(0)
    draws = [random.integers(1, 1_000, 3) / 10 for _ in range(300)]
    fitting = np.mean([(smallest_set(list(draw), 1) or 10**6) <= 250 for draw in draws])
    assert chance_of_fit(list(draws[0]), 1, 250) == pytest.approx(fitting, abs=0.08)


def test_no_set_fits() -> None:
    """Two numbers so close that only a set of over 100,000 tells them apart."""
    assert smallest_set([50.00005, 50.00010], 5) is None
