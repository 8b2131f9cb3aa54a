"""Statements: what rows compute, what kin lend, and tests of single rows against scipy and by hand."""

from itertools import product
from math import inf, isnan, nan

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from lr_lab.study.statements import Contrasts, Row, Sample, kin, lead, lead_of, p_signed_ranks

GROUPS = [["a", "b", "c"], ["x", "y"]]


def ahead(a: str, b: str, margin: float = 0.0, lower_is_better: bool = False) -> Row:
    return lead({(a, "m"): 1.0}, {(b, "m"): 1.0}, margin, lower_is_better)


def sample(*values: float, usual: float = nan, is_share: bool = False) -> Sample:
    return Sample(np.array(values, dtype=float), usual, is_share)


def test_a_lead_is_a_difference_less_the_margin_and_turns_where_less_is_better() -> None:
    more, less = ahead("a", "b", 0.5), ahead("a", "b", 0.5, lower_is_better=True)
    contrasts = Contrasts([more, less], [])
    assert contrasts.cells == [("a", "m"), ("b", "m")]
    assert list(contrasts.means(np.array([3.0, 1.0])).values()) == [1.5, -2.5]


def test_what_never_got_there_ties_with_its_like_and_is_behind_all_others() -> None:
    contrasts = Contrasts([ahead("a", "b", lower_is_better=True)], [])
    (found,) = contrasts.samples(np.array([[5.0, inf, 5.0, inf, nan], [inf, 5.0, 7.0, inf, 3.0]])).values()
    assert found.values.tolist() == [inf, -inf, 2.0, 0.0]


def test_only_the_runs_count_of_which_something_is_true() -> None:
    row = Row(((("a", "m"), 1.0),), -1.0, among="fell")
    contrasts = Contrasts([row], [])
    table = {("a", "m"): [5.0, 6.0, 7.0], ("a", "fell"): [1.0, 0.0, 1.0]}
    (found,) = contrasts.samples(np.array([table[cell] for cell in contrasts.cells])).values()
    assert found.values.tolist() == [4.0, 6.0]


def test_kin_are_the_same_sums_of_other_settings_of_the_same_groups() -> None:
    names = [row.settings for row in kin(ahead("a", "b"), GROUPS)]
    assert names == [("b", "c"), ("c", "a")]
    assert [row.settings for row in kin(ahead("a", "x"), GROUPS)] == [("b", "y"), ("c", "x")]
    assert kin(ahead("x", "y"), GROUPS) == [], "the pair itself is none of its kin"
    assert kin(ahead("a", "b"), []) == []


def test_a_row_whose_seeds_agree_by_luck_is_judged_by_the_spread_of_its_kin() -> None:
    rng = np.random.default_rng(0)
    table = {"a": rng.normal(0, 1, 5), "b": 3 + rng.normal(0, 1e-3, 5), "c": rng.normal(0, 1, 5)}
    row = Row(((("b", "m"), 1.0),))
    contrasts = Contrasts([row], [["a", "b", "c"]])
    (found,) = contrasts.samples(np.array([table[setting] for setting, _ in contrasts.cells])).values()
    usual = np.median([table["c"].std(ddof=1), table["a"].std(ddof=1)])
    assert found.usual == pytest.approx(usual)
    t = found.centre / (usual / 5**0.5)
    assert found.p_above() == pytest.approx(stats.t.sf(t, 4))
    assert sample(*table["b"]).p_above() == 0.5**5, "without kin the signed ranks bound it"


@given(st.lists(st.floats(-5, 5).map(lambda x: round(x, 2)), min_size=3, max_size=8), st.floats(-1, 1))
def test_both_sides_add_up_and_the_interval_agrees_with_the_test(values: list[float], bound: float) -> None:
    found = sample(*values, usual=0.5)
    assert found.p_above(bound) + found.p_below(bound) == pytest.approx(1)
    low, high = found.interval(0.9)
    assert low <= found.centre <= high
    if abs(found.p_above(bound) - 0.05) > 1e-6:
        assert (found.p_above(bound) < 0.05) == (low > bound)


@pytest.mark.parametrize("seeds", [1, 0])
def test_one_seed_decides_nothing(seeds: int) -> None:
    found = sample(*[9.0] * seeds, usual=0.001)
    assert (found.p_above(), found.p_below()) == (1, 1)
    assert isnan(sample().centre)


@pytest.mark.parametrize("values", [[3.0, -1.0, 2.0, 5.0], [1.0, 1.0, -1.0, 2.0, 0.0], [inf, 2.0, 2.0, -3.0]])
def test_signed_ranks_equal_the_enumeration_of_all_signs(values: list[float]) -> None:
    known = np.array([value for value in values if value])
    ranks = stats.rankdata(np.abs(known))
    sums = [(np.array(signs) * ranks).sum() for signs in product((1, -1), repeat=len(known))]
    observed = (np.sign(known) * ranks).sum()
    assert p_signed_ranks(np.array(values)) == pytest.approx(np.mean(np.array(sums) >= observed))


def test_signed_ranks_equal_scipys_exact_test() -> None:
    values = np.random.default_rng(1).normal(0.5, 1, 15)
    expected = stats.wilcoxon(values, alternative="greater", method="exact").pvalue
    assert p_signed_ranks(values) == pytest.approx(expected)


def test_a_share_by_hand() -> None:
    """Three of four where a half is claimed: 5 of 16 outcomes are as many or more, 15 of 16 as many or fewer."""
    found = sample(0.5, 0.5, -0.5, 0.5, is_share=True)
    assert (found.p_above(), found.p_below()) == pytest.approx((5 / 16, 15 / 16))
    low, high = found.interval()
    bounds = stats.binomtest(3, 4).proportion_ci()
    assert (low, high) == pytest.approx((bounds.low - 0.5, bounds.high - 0.5))


def test_a_forecast_is_the_t_test_of_more_seeds_with_the_same_mean_and_spread() -> None:
    found = sample(1.0, 2.0, 3.0, usual=0.1)
    later = found.foresee(9, shift=1.0)
    assert later.p_above() == pytest.approx(stats.t.sf((2 + 1 / 3**0.5) * 3, 8))
    assert found.foresee(9).p_below() == pytest.approx(stats.t.cdf(2 * 3, 8))


def test_the_lead_of_a_statement_is_the_smallest_over_groups_of_the_largest_in_a_group() -> None:
    one, two, three = ahead("a", "b"), ahead("a", "c"), ahead("b", "c")
    means = {one: 1.0, two: 5.0, three: 3.0}
    assert lead_of(((one, two), (three,)), means) == 3.0
    assert isnan(lead_of(((one,), (three,)), means | {three: nan}))
