"""Reading a range test: smoothing against its definition, the rates against curves whose answer is known."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lr_lab.errors import UserError
from lr_lab.report.lr_find import draw
from lr_lab.run.range_reading import has_blown_up, read, sentences, smoothed, suggestion

RATES = np.geomspace(1e-5, 10, 300)
DECADES = np.log10(RATES)


def valley(middle: float, edge: float, noise: float = 0.0, seed: int = 0) -> np.ndarray:
    """Losses that fall from 2.3 around the rate `middle` and grow beyond the rate `edge`, by powers of the rate."""
    fall = 2.0 / (1 + np.exp(-6 * (DECADES - math.log10(middle))))
    rise = 0.2 * np.maximum(RATES / edge, 1) ** 2 - 0.2
    return 2.3 - fall + rise + noise * np.random.default_rng(seed).standard_normal(len(RATES))


@given(st.lists(st.floats(0, 100), min_size=1, max_size=60))
def test_smoothing_is_the_weighted_mean_of_all_before(losses: list[float]) -> None:
    for last, mean in enumerate(smoothed(losses)):
        weights = 0.9 ** np.arange(last, -1, -1)
        assert mean == pytest.approx(np.average(losses[: last + 1], weights=weights), abs=1e-9)


@pytest.mark.parametrize("middle", [1e-3, 1e-2, 3e-2])
@pytest.mark.parametrize("edge", [0.1, 1.0])
def test_rates_of_a_valley(middle: float, edge: float) -> None:
    curves = [valley(middle, edge, noise=0.15, seed=seed) for seed in range(3)]
    reading = read(RATES, curves)
    # The smoothing reaches over a fifth of a decade.
    assert math.log10(reading.steepest) == pytest.approx(math.log10(middle), abs=0.25)
    half_lost = edge * math.sqrt(6)  # 0.2 (6 - 1) is half of the fall by 2
    assert math.log10(reading.largest_stable) == pytest.approx(math.log10(half_lost), abs=0.25)
    assert reading.rose
    assert suggestion(reading, adaptive=False) == reading.largest_stable / 2
    assert suggestion(reading, adaptive=True) ** 2 == pytest.approx(reading.steepest * reading.largest_stable)


def test_without_noise_the_lag_of_the_smoothing_is_made_good() -> None:
    reading = read(RATES, [valley(1e-2, 1.0)])
    assert math.log10(reading.steepest) == pytest.approx(-2, abs=0.1)


def test_the_number_of_steps_hardly_matters() -> None:
    fine = np.geomspace(1e-5, 10, 900)
    coarse = read(RATES, [valley(1e-2, 0.5)])
    other = read(fine, [np.interp(np.log10(fine), DECADES, valley(1e-2, 0.5))])
    assert coarse.steepest == pytest.approx(other.steepest, rel=0.2)
    assert coarse.largest_stable == pytest.approx(other.largest_stable, rel=0.2)


def test_a_network_that_blows_up_ends_the_reading() -> None:
    good = valley(1e-2, 10.0)
    bad = np.append(good[:200], math.nan)
    reading = read(RATES, [good, bad])
    assert reading.rates[-1] < RATES[200]
    assert np.isfinite(reading.losses).all()


def test_a_loss_that_never_rises_is_said_to() -> None:
    reading = read(RATES, [valley(1e-2, 1e3)])
    assert not reading.rose
    assert reading.largest_stable == reading.rates[-1]
    assert "raise lr_find.lr_max" in " ".join(sentences(reading, adaptive=False))


def test_blowing_up() -> None:
    assert has_blown_up([2.3, math.nan], 4)
    assert has_blown_up([2.3, math.inf], 4)
    assert not has_blown_up([2.3, 2.0, 2.5], 4)
    assert not has_blown_up([0.1] * 20 + [1.0], 4)  # one bad batch: its mean with the others is 0.2
    assert has_blown_up([0.1] * 20 + [1.0] * 8, 4)


@pytest.mark.parametrize(("lowest", "helps"), [(0.95, True), (0.99, False)])
def test_a_fall_of_a_fiftieth_counts(lowest: float, helps: bool) -> None:
    falling = np.interp(DECADES, [-3, -1], [2.3, 2.3 * lowest])
    if helps:
        assert 1e-3 < read(RATES, [falling]).steepest < 1e-1
    else:
        with pytest.raises(UserError, match="never fell"):
            read(RATES, [falling])


def test_no_rate_helps() -> None:
    with pytest.raises(UserError, match="never fell"):
        read(RATES, [np.full(300, 2.3)])
    with pytest.raises(UserError, match=r"lower lr_find\.lr_min"):
        read(RATES, [np.array([2.3] * 10 + [math.nan])])


@pytest.mark.parametrize("adaptive", [True, False])
def test_sentences_and_figure_carry_the_numbers(adaptive: bool) -> None:
    curves = [valley(1e-2, 0.5), valley(1e-2, 0.5)[:250]]
    reading = read(RATES, curves)
    rates = [reading.steepest, suggestion(reading, adaptive), reading.largest_stable]
    words = " ".join(sentences(reading, adaptive))
    assert all(f"{rate:.2g}" in words for rate in rates)
    (axes,) = draw(reading, RATES, curves, rates[1]).axes
    assert axes.get_xscale() == "log"
    drawn = [np.asarray(line.get_xdata()).tolist() for line in axes.lines]
    marked = [xs[0] for xs in drawn if len(set(xs)) == 1]
    assert marked == pytest.approx([rates[0], rates[2], rates[1]])


def test_blowing_up_in_mid_fall_is_a_limit_too() -> None:
    reading = read(RATES, [valley(1e-2, 1e3)[:200]])
    assert reading.rose
    assert reading.largest_stable == reading.rates[-1] < RATES[200]
