"""Theory and measurement of descent on a quadratic, held against descents in numpy."""

from math import isnan, nan

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from lr_lab.study.descent import arrival_step, best_rate, contraction, predicted_contraction, rate_limit


def distances(lr: float, curvatures: list[float], start: list[float], steps: int = 100) -> list[float]:
    """Of the weights to the minimum at 0, along the eigenvectors, before each step; in float64."""
    weights = np.array(start)
    found = []
    for _ in range(steps):
        found.append(float(np.linalg.norm(weights)))
        weights = weights - lr * np.array(curvatures) * weights
    return found


def test_by_hand() -> None:
    """Curvatures 1 and 3: the limit is 2/3, the best rate 1/2 with a factor of 1/2 at both ends."""
    assert rate_limit([1, 3]) == pytest.approx(2 / 3)
    assert best_rate([1, 3]) == 0.5
    assert predicted_contraction(0.5, [1, 3]) == 0.5
    assert predicted_contraction(0.1, [1, 3]) == 0.9
    assert predicted_contraction(1, [1, 3]) == 2
    assert arrival_step([8, 4, 2, 1, 0.5, 0.25, 0.125, 0.0625]) == pytest.approx(np.log2(100))
    assert contraction([8, 4, 2, 1]) == pytest.approx(0.5)


@pytest.mark.parametrize("lr", [0.1, 0.7, 0.97, 1.01])
def test_the_long_run_is_as_predicted(lr: float) -> None:
    assert contraction(distances(lr, [0.66, 2.01], [4, 1.5])) == pytest.approx(
        predicted_contraction(lr, [0.66, 2.01]), abs=0.001
    )


def test_rounding_does_not_count() -> None:
    """The distance of a float32 descent stops shrinking at a millionth; what comes before decides."""
    assert contraction([max(0.5**k, 1e-6) for k in range(60)]) == pytest.approx(0.5)


def test_distances_may_be_measured_now_and_then() -> None:
    """A half per step, measured in every third: as far as from every one."""
    sparse = [0.5**step if step % 3 == 0 else nan for step in range(30)]
    assert contraction(sparse) == pytest.approx(0.5)
    assert arrival_step(sparse) == pytest.approx(np.log2(100))


def test_a_distance_of_nothing_has_arrived() -> None:
    assert arrival_step([1.0, 0.5, 0.0]) == 2


def test_arrival_is_when_a_hundredth_is_left() -> None:
    found = distances(0.1, [0.66, 2.01], [4, 1.5])
    step = arrival_step(found)
    assert step is not None
    assert found[int(step)] > 0.01 * found[0] >= found[int(step) + 1]


def test_a_descent_that_diverges_never_arrives() -> None:
    assert arrival_step(distances(1.01, [0.66, 2.01], [4, 1.5])) is None
    assert isnan(contraction([1.0]))


@given(st.floats(0.1, 10), st.floats(0.1, 10), st.floats(0.001, 25))
def test_the_best_rate_is_best_and_the_limit_divides(small: float, large: float, lr: float) -> None:
    curvatures = [small, large]
    assert predicted_contraction(best_rate(curvatures), curvatures) <= predicted_contraction(lr, curvatures) + 1e-12
    assume(abs(lr - rate_limit(curvatures)) > 1e-6)
    assert (predicted_contraction(lr, curvatures) < 1) == (lr < rate_limit(curvatures))
