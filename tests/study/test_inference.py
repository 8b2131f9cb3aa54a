"""The rules for verdicts: against scipy, by hand-worked cases, by enumeration, and by properties."""

from itertools import product
from math import inf, isnan, nan
from random import Random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from lr_lab.study.inference import (
    Evidence,
    Verdict,
    centres,
    compare,
    estimate,
    holm,
    judge,
    leader,
    on_shared_seeds,
    power,
    seeds_needed,
    winner,
)


def series(*values: float) -> dict[int, float]:
    return dict(enumerate(values))


def normal(rng: np.random.Generator, seeds: int, mean: float = 0.0) -> dict[int, float]:
    return series(*rng.normal(mean, 1, seeds))


def verdict(evidence: Evidence) -> Verdict:
    return judge({"claim": evidence})["claim"]


A = series(0.981, 0.984, 0.979, 0.986, 0.983)
B = series(0.975, 0.979, 0.977, 0.978, 0.979)
noisy = st.lists(st.floats(-5, 5).map(lambda x: round(x, 2)), min_size=7, max_size=7)


# Two settings


def test_one_claim_on_one_pair_is_the_two_sided_paired_t_test() -> None:
    expected = stats.ttest_rel([*A.values()], [*B.values()])
    ours = verdict(compare(A, B))
    assert ours.p == pytest.approx(expected.pvalue)
    assert (ours.low, ours.high) == pytest.approx(tuple(expected.confidence_interval()))
    assert ours.effect == pytest.approx(0.005)
    assert (ours.verdict, ours.seeds) == ("reproduced", 5)
    assert verdict(compare(B, A)).verdict == "not reproduced"


def test_a_pair_whose_p_is_between_one_sided_and_two_sided_is_undecided() -> None:
    a, b = series(2.0, 1.0, 4.0, 0.5), series(0.0, 0.0, 0.0, 0.0)
    assert compare(a, b).p_for < 0.05 < verdict(compare(a, b)).p
    assert verdict(compare(a, b)).verdict == "undecided"


def test_pairs_are_made_by_seed_not_by_order() -> None:
    shuffled = {seed: B[seed] for seed in (3, 0, 4, 2, 1)}
    assert compare(A, shuffled) == compare(A, B)


def test_a_comparison_uses_the_seeds_that_both_have_measured() -> None:
    a, b = A | {5: nan, 6: 0.5}, B | {5: 0.9, 7: 0.1}
    assert compare(a, b) == compare(A, B)


@given(noisy, noisy, st.floats(0.1, 10), st.floats(-3, 3))
def test_swapping_shifting_and_scaling_a_pair(x: list[float], y: list[float], scale: float, shift: float) -> None:
    evidence = compare(series(*x), series(*y))
    swapped = compare(series(*y), series(*x))
    assert (swapped.effect, swapped.p_for) == pytest.approx((-evidence.effect, evidence.p_against))
    assert (swapped.low, swapped.high) == pytest.approx((-evidence.high, -evidence.low))
    moved = compare(series(*(scale * v + shift for v in x)), series(*(scale * v + shift for v in y)))
    assert moved.p_for == pytest.approx(evidence.p_for, rel=1e-6)


@given(noisy, st.randoms())
def test_the_order_of_seeds_does_not_matter(x: list[float], random: Random) -> None:
    items = list(enumerate(x))
    random.shuffle(items)
    assert compare(dict(items), series(*[0.0] * 7)) == compare(series(*x), series(*[0.0] * 7))


# Few seeds, no spread, censored values


def test_settings_without_a_common_seed_are_undecided() -> None:
    ours = verdict(compare({0: 1.0, 1: 2.0}, {2: 1.0, 3: nan}))
    assert (ours.verdict, ours.seeds, ours.p) == ("undecided", 0, 1.0)
    assert isnan(ours.effect)


@pytest.mark.parametrize("lead", [0.01, 3.0, inf])
def test_a_difference_without_spread_takes_six_seeds(lead: float) -> None:
    for seeds, expected in ((5, "undecided"), (6, "reproduced")):
        rival = series(*range(seeds))
        ours = verdict(compare({seed: value + lead for seed, value in rival.items()}, rival))
        assert ours.verdict == expected
        assert ours.p == pytest.approx(2 / 2**seeds)
        assert ours.effect == pytest.approx(lead)
        assert (ours.low, ours.high) == ((-inf, inf) if seeds == 5 else pytest.approx((lead, lead)))


def test_equal_settings_are_undecided() -> None:
    ours = verdict(compare(A, A))
    assert (ours.verdict, ours.effect, ours.p) == ("undecided", 0.0, 1.0)


def test_epochs_never_reached_are_later_than_any_and_tie_with_each_other() -> None:
    never = series(inf, inf, inf, 48, 40, 45, inf, inf)
    fast = series(20, 22, 19, 25, 50, 21, 18, inf)
    # The last is a tie. Signed ranks of the others: +5.5 four times, +3, -1, +2 of 28.
    differences = [100, 100, 100, 48 - 25, 40 - 50, 45 - 21, 100]
    enumerated = np.array([*product([1, -1], repeat=7)]) @ stats.rankdata(np.abs(differences))
    observed = np.sign(differences) @ stats.rankdata(np.abs(differences))
    assert compare(never, fast).p_for == pytest.approx(np.mean(enumerated >= observed))
    assert compare(fast, never).p_against == compare(never, fast).p_for
    assert compare(never, fast).effect == inf


def test_signed_ranks_of_a_censored_series_equal_wilcoxons_exact_test() -> None:
    rng = np.random.default_rng(0)
    values = rng.normal(0.8, 1, 11)
    largest = 100.0
    censored = series(inf, *values)
    expected = stats.wilcoxon([largest, *values], alternative="greater", method="exact").pvalue
    assert compare(censored, series(*[0.0] * 12)).p_for == pytest.approx(expected)


def test_a_tie_takes_no_rank() -> None:
    """Of the ranks 1, 2, 3, 4 only 3 speaks against; as much or less does in 5 of 16 cases."""
    assert compare(series(1, 2, -3, inf, 0), series(0, 0, 0, 0, 0)).p_for == 5 / 16


def test_a_diverged_run_counts_with_its_accuracy() -> None:
    stable, diverges = series(0.98, 0.97, 0.98, 0.97, 0.98), series(0.99, 0.99, 0.1, 0.99, 0.99)
    assert verdict(compare(stable, diverges)).verdict == "undecided"
    assert verdict(compare(stable, diverges)).effect > 0


# X is best


# Similar


# Shares


# Winners picked from the same data


def test_what_was_picked_is_tested_by_its_own_values_at_bonferronis_price() -> None:
    named = compare(A, B)
    ours = compare(A, B, picked_from=4)
    assert ours.effect == named.effect
    assert ours.p_for == pytest.approx(min(1, 4 * named.p_for))
    leads = [A[seed] - B[seed] for seed in A]
    half = stats.t.ppf(1 - 0.05 / 8, len(leads) - 1) * stats.sem(leads)
    assert (ours.low, ours.high) == pytest.approx((np.mean(leads) - half, np.mean(leads) + half))
    assert (ours.p_against, compare(B, A, picked_from=4).p_for) == (1, 1), "no probability is above 1"


def test_candidates_are_held_against_each_other_on_the_seeds_that_they_share() -> None:
    assert on_shared_seeds({"a": {0: 1.0, 1: 2.0}, "b": {1: 3.0, 2: nan}}) == {"a": {1: 2.0}, "b": {1: 3.0}}
    apart = {"a": {0: 1.0}, "b": {1: 3.0}}
    assert on_shared_seeds(apart) == apart


# Many claims


def test_holm_by_hand() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.9, 0.6]) == [1.0, 1.0]
    assert holm([]) == []


@given(st.lists(st.floats(0, 1), min_size=1, max_size=12))
def test_holm_rejects_what_its_step_down_definition_rejects(ps: list[float]) -> None:
    rejected = set()
    for step, index in enumerate(sorted(range(len(ps)), key=ps.__getitem__)):
        if ps[index] * (len(ps) - step) > 0.05:
            break
        rejected.add(index)
    assert {index for index, p in enumerate(holm(ps)) if p <= 0.05} == rejected


def test_a_claim_is_harder_to_decide_in_company() -> None:
    claims = {"lead": compare(A, B)} | {str(n): Evidence(0, -1, 1, 5, 0.5, 0.5) for n in range(9)}
    alone, together = verdict(claims["lead"]), judge(claims)["lead"]
    assert together.p == pytest.approx(10 * alone.p)
    assert (alone.verdict, together.verdict) == ("reproduced", "undecided")


def test_a_p_value_of_just_alpha_decides() -> None:
    assert verdict(Evidence(1, -1, 3, 5, p_for=0.025, p_against=1.0)).verdict == "reproduced"  # 2 * 0.025


def test_every_claim_keeps_its_name_effect_and_interval() -> None:
    claims = {"one": compare(A, B), "two": compare(B, A)}
    verdicts = judge(claims)
    assert [v.verdict for v in verdicts.values()] == ["reproduced", "not reproduced"]
    for name, ours in verdicts.items():
        assert (ours.effect, ours.low, ours.high) == (claims[name].effect, claims[name].low, claims[name].high)
    assert judge({}) == {}


# One setting, and how many seeds


def test_estimate_is_the_mean_with_its_t_interval() -> None:
    ours = estimate(A | {9: nan})
    expected = stats.ttest_1samp([*A.values()], 0).confidence_interval()
    assert ours.centre == pytest.approx(0.9826)
    assert (ours.low, ours.high) == pytest.approx(tuple(expected))
    assert ours.seeds == 5


def test_estimate_of_censored_epochs_is_the_median() -> None:
    ours = estimate(series(20, inf, 22, 25, inf, 30, 31))
    assert (ours.centre, ours.low, ours.high) == (30, 20, inf)


def test_estimate_of_one_seed_has_no_interval_and_of_none_is_refused() -> None:
    assert (estimate({3: 0.9}).centre, estimate({3: 0.9}).low) == (0.9, -inf)
    with pytest.raises(ValueError, match="no measured value"):
        estimate({3: nan})


@pytest.mark.parametrize(("effect", "seeds", "expected"), [(0.5, 34, 0.80778), (0.8, 15, 0.82131)])
def test_power_equals_published_values_for_pairs(effect: float, seeds: int, expected: float) -> None:
    # G*Power 3.1's a priori sample sizes for two dependent means, two-sided, alpha 0.05, power 0.8.
    assert power(effect, 1, seeds) == pytest.approx(expected, abs=2e-4)
    assert seeds_needed(effect, 1) == seeds
    assert seeds_needed(-3 * effect, 3) == seeds
    assert [seeds_needed(effect, 1, most=most) for most in (seeds, seeds - 1)] == [seeds, None]


def test_power_equals_the_share_of_samples_that_the_test_decides() -> None:
    rng = np.random.default_rng(0)
    samples = rng.normal(1.5, 1, (20_000, 5))
    test = stats.ttest_1samp(samples, 0, axis=1)
    share = np.mean((test.pvalue <= 0.01) & (test.statistic > 0))
    assert power(1.5, 1, 5, alpha=0.01) == pytest.approx(share, abs=0.012)


@given(st.floats(0.01, 1000), st.integers(1, 500))
def test_power_grows_with_the_difference_and_the_seeds(difference: float, seeds: int) -> None:
    values = [power(difference, 1, seeds), power(difference, 1, seeds + 1), power(1.1 * difference, 1, seeds + 1)]
    assert all(0 <= value <= 1 for value in values)
    assert values == pytest.approx(sorted(values), abs=1e-9)


def test_no_number_of_seeds_finds_what_is_not_there() -> None:
    assert seeds_needed(0, 1) is None
    assert seeds_needed(1e-6, 1) is None
    assert power(5, 1, 1) == 0
    assert seeds_needed(1e6, 1) == 2


def test_centres_are_over_the_seeds_that_all_measured_share() -> None:
    found = centres({"a": {0: 1.0, 1: 9.0}, "b": {0: 2.0}, "c": {}})
    assert (found["a"], found["b"]) == (1.0, 2.0)
    assert isnan(found["c"])
    assert centres({}) == {}


def test_who_does_not_always_get_there_is_behind_all_who_do() -> None:
    candidates = {"sometimes": series(12, 12, inf), "always": series(10, 10, 40)}
    assert leader(candidates, lower_is_better=True) == winner(candidates, lower_is_better=True)[0] == "always"
    rarely = {"late": series(30, inf, 30), "soon": series(10, 10, inf), "never": series(inf, inf, inf)}
    assert leader(rarely, lower_is_better=True) == "soon"
    assert leader({"a": {0: 1.0, 1: 9.0}, "b": {0: 2.0}, "c": {}}) == "b", "over the seeds that both have"


def test_one_seed_never_gives_a_verdict() -> None:
    for difference in (1e-9, 1.0, inf):
        ours = verdict(compare(series(difference), series(0.0)))
        assert (ours.verdict, ours.effect, ours.seeds) == ("undecided", difference, 1)
        assert (ours.low, ours.high) == (-inf, inf)


def test_the_winner_is_named_and_pays_twice_for_being_picked() -> None:
    settings = {"a": B, "b": A, "c": series(0.97, 0.96, 0.975, 0.97, 0.98)}
    name, ours = winner(settings)
    alone = [compare(A, settings[rival]) for rival in "ac"]
    assert name == "b"
    assert ours.p_for == 2 * max(e.p_for for e in alone)
    assert isnan(ours.p_against)
    assert verdict(ours).p == ours.p_for, "nothing to correct for but the pick"
    assert (ours.effect, ours.low) == (min(e.effect for e in alone), min(e.low for e in alone))
    assert winner({"a": B, "b": A}, lower_is_better=True)[0] == "a"
    assert winner({"a": A, "b": A})[1].p_for == 1
    with pytest.raises(ValueError, match="at least two settings"):
        winner({"a": A})


def test_two_equal_settings_far_ahead_of_the_others_are_not_told_apart() -> None:
    rng = np.random.default_rng(0)
    false = 0
    for _ in range(1000):
        values = rng.normal(size=(4, 3)) + np.array([[50], [50], [0], [0]])
        false += verdict(winner({name: series(*row) for name, row in zip("abcd", values, strict=True)})[1]).p <= 0.05
    assert stats.binomtest(false, 1000, 0.05, alternative="greater").pvalue > 0.01
