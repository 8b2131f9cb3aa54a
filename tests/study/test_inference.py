"""The rules for verdicts: against scipy, by hand-worked cases, by enumeration, and by properties."""

from itertools import product
from math import inf, isnan, nan

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from lr_lab.study.inference import (
    Evidence,
    above,
    best,
    centres,
    compare,
    estimate,
    holm,
    judge,
    leader,
    on_shared_seeds,
    picked,
    power,
    seeds_needed,
    share,
    similar,
    winner,
)


def series(*values):
    return dict(enumerate(values))


def normal(rng, seeds, mean=0.0):
    return series(*rng.normal(mean, 1, seeds))


def verdict(evidence):
    return judge({"claim": evidence})["claim"]


A = series(0.981, 0.984, 0.979, 0.986, 0.983)
B = series(0.975, 0.979, 0.977, 0.978, 0.979)
noisy = st.lists(st.floats(-5, 5).map(lambda x: round(x, 2)), min_size=7, max_size=7)


# Two settings


def test_one_claim_on_one_pair_is_the_two_sided_paired_t_test():
    expected = stats.ttest_rel([*A.values()], [*B.values()])
    ours = verdict(compare(A, B))
    assert ours.p == pytest.approx(expected.pvalue)
    assert (ours.low, ours.high) == pytest.approx(tuple(expected.confidence_interval()))
    assert ours.effect == pytest.approx(0.005)
    assert (ours.verdict, ours.seeds) == ("reproduced", 5)
    assert verdict(compare(B, A)).verdict == "not reproduced"


def test_a_pair_whose_p_is_between_one_sided_and_two_sided_is_undecided():
    a, b = series(2.0, 1.0, 4.0, 0.5), series(0.0, 0.0, 0.0, 0.0)
    assert compare(a, b).p_for < 0.05 < verdict(compare(a, b)).p
    assert verdict(compare(a, b)).verdict == "undecided"


def test_pairs_are_made_by_seed_not_by_order():
    shuffled = {seed: B[seed] for seed in (3, 0, 4, 2, 1)}
    assert compare(A, shuffled) == compare(A, B)


def test_a_claim_uses_the_seeds_measured_for_all_of_its_settings():
    a, b = A | {5: nan, 6: 0.5}, B | {5: 0.9, 7: 0.1}
    assert compare(a, b) == compare(A, B)
    assert best(A, [B, {0: 0.9, 2: 0.9}]).seeds == 2


def test_a_setting_is_compared_to_a_fixed_number_from_either_side():
    expected = stats.ttest_1samp([*A.values()], 0.97, alternative="greater").pvalue
    assert compare(A, 0.97).p_for == pytest.approx(expected)
    assert compare(0.97, A).p_against == pytest.approx(expected)


@given(noisy, noisy, st.floats(0.1, 10), st.floats(-3, 3))
def test_swapping_shifting_and_scaling_a_pair(x, y, scale, shift):
    evidence = compare(series(*x), series(*y))
    swapped = compare(series(*y), series(*x))
    assert (swapped.effect, swapped.p_for) == pytest.approx((-evidence.effect, evidence.p_against))
    assert (swapped.low, swapped.high) == pytest.approx((-evidence.high, -evidence.low))
    moved = compare(series(*(scale * v + shift for v in x)), series(*(scale * v + shift for v in y)))
    assert moved.p_for == pytest.approx(evidence.p_for, rel=1e-6)


@given(noisy, st.randoms())
def test_the_order_of_seeds_does_not_matter(x, random):
    items = list(enumerate(x))
    random.shuffle(items)
    assert compare(dict(items), 0.0) == compare(series(*x), 0.0)


# Few seeds, no spread, censored values


@pytest.mark.parametrize("difference", [1e-9, 1.0, 1e9, inf])
def test_one_seed_never_gives_a_verdict(difference):
    ours = verdict(compare(series(difference), series(0.0)))
    assert (ours.verdict, ours.effect, ours.seeds) == ("undecided", difference, 1)
    assert (ours.low, ours.high) == (-inf, inf)
    assert verdict(picked([series(difference)] * 3, series(0.0))).verdict == "undecided"


def test_settings_without_a_common_seed_are_undecided():
    ours = verdict(compare({0: 1.0, 1: 2.0}, {2: 1.0, 3: nan}))
    assert (ours.verdict, ours.seeds, ours.p) == ("undecided", 0, 1.0)
    assert isnan(ours.effect)


@pytest.mark.parametrize("lead", [0.01, 3.0, inf])
def test_a_difference_without_spread_takes_six_seeds(lead):
    for seeds, expected in ((5, "undecided"), (6, "reproduced")):
        rival = series(*range(seeds))
        ours = verdict(compare({seed: value + lead for seed, value in rival.items()}, rival))
        assert ours.verdict == expected
        assert ours.p == pytest.approx(2 / 2**seeds)
        assert ours.effect == pytest.approx(lead)
        assert (ours.low, ours.high) == ((-inf, inf) if seeds == 5 else pytest.approx((lead, lead)))


def test_equal_settings_are_undecided():
    ours = verdict(compare(A, A))
    assert (ours.verdict, ours.effect, ours.p) == ("undecided", 0.0, 1.0)


def test_epochs_never_reached_are_later_than_any_and_tie_with_each_other():
    never = series(inf, inf, inf, 48, 40, 45, inf, inf)
    fast = series(20, 22, 19, 25, 50, 21, 18, inf)
    # The last is a tie. Signed ranks of the others: +5.5 four times, +3, -1, +2 of 28.
    differences = [100, 100, 100, 48 - 25, 40 - 50, 45 - 21, 100]
    enumerated = np.array([*product([1, -1], repeat=7)]) @ stats.rankdata(np.abs(differences))
    observed = np.sign(differences) @ stats.rankdata(np.abs(differences))
    assert compare(never, fast).p_for == pytest.approx(np.mean(enumerated >= observed))
    assert compare(fast, never).p_against == compare(never, fast).p_for
    assert compare(never, fast).effect == inf


def test_signed_ranks_of_a_censored_series_equal_wilcoxons_exact_test():
    rng = np.random.default_rng(0)
    values = rng.normal(0.8, 1, 11)
    largest = 100.0
    censored = series(inf, *values)
    expected = stats.wilcoxon([largest, *values], alternative="greater", method="exact").pvalue
    assert compare(censored, 0.0).p_for == pytest.approx(expected)


def test_a_tie_takes_no_rank():
    """Of the ranks 1, 2, 3, 4 only 3 speaks against; as much or less does in 5 of 16 cases."""
    assert compare(series(1, 2, -3, inf, 0), 0.0).p_for == 5 / 16


def test_a_diverged_run_counts_with_its_accuracy():
    stable, diverges = series(0.98, 0.97, 0.98, 0.97, 0.98), series(0.99, 0.99, 0.1, 0.99, 0.99)
    assert verdict(compare(stable, diverges)).verdict == "undecided"
    assert verdict(compare(stable, diverges)).effect > 0


# X is best


def test_best_takes_every_rival_beaten_and_needs_no_correction_for_their_number():
    rng = np.random.default_rng(0)
    x, rivals = normal(rng, 8, 2), [normal(rng, 8) for _ in range(4)]
    alone = [compare(x, rival) for rival in rivals]
    together = best(x, rivals)
    assert together.p_for == max(e.p_for for e in alone)
    assert together.effect == min(e.effect for e in alone)
    assert together.low == min(e.low for e in alone)
    assert verdict(together).verdict == "reproduced"
    assert verdict(best(x, [*rivals, x])).verdict == "undecided"


def test_best_is_refuted_by_one_rival_after_correction_for_their_number():
    x, rival = series(0.0, 0.1, -0.1, 0.2, -0.2), series(1.0, 0.7, 0.8, 1.3, 0.2)
    worse = series(-3.0, -3.1, -2.8, -3.2, -3.3)
    alone = compare(rival, x).p_for
    assert best(x, [rival]).p_against == pytest.approx(alone)
    assert best(x, [rival, worse, worse]).p_against == pytest.approx(3 * alone)
    leads = [x[seed] - rival[seed] for seed in x]
    half = stats.t.ppf(1 - 0.05 / 6, len(leads) - 1) * stats.sem(leads)
    assert best(x, [rival, worse, worse]).high == pytest.approx(np.mean(leads) + half), "the least of three bounds"
    assert verdict(best(x, [rival, worse])).verdict == "not reproduced"
    assert verdict(best(x, [rival, *[worse] * 40])).verdict == "undecided"


def test_best_may_mean_lowest():
    early, late = series(8, 9, 8, 7), series(12, 14, 12, 13)
    assert best(early, [late], lowest=True) == compare(late, early)


def test_above_takes_a_chain_of_settings():
    a, b, c = series(1.0, 1.1, 1.2, 0.9), series(2.0, 2.2, 1.8, 2.1), series(3.0, 3.3, 3.1, 2.9)
    assert verdict(above([(c, b), (b, a)])).verdict == "reproduced"
    assert verdict(above([(c, a), (a, b)])).verdict == "not reproduced"


@given(st.lists(noisy, min_size=2, max_size=4))
def test_the_interval_excludes_zero_where_the_test_decides(rows):
    evidence = best(series(*rows[0]), [series(*row) for row in rows[1:]])
    by_t = all(np.ptp(np.subtract(rows[0], row)) > 1e-6 for row in rows[1:])
    if by_t and abs(evidence.p_for - 0.025) > 1e-9 and abs(evidence.p_against - 0.025) > 1e-9:
        assert (evidence.low > 0) == (evidence.p_for < 0.025)
        assert (evidence.high < 0) == (evidence.p_against < 0.025)


@pytest.mark.parametrize("nothing", [lambda: above([]), lambda: best(A, []), lambda: compare(1.0, 2.0)])
def test_a_claim_on_nothing_is_refused(nothing):
    with pytest.raises(ValueError, match="needs at least one setting"):
        nothing()


# Similar


def test_similar_is_two_one_sided_tests_against_the_margin():
    differences = [a - b for a, b in zip(A.values(), B.values(), strict=True)]
    below = stats.ttest_1samp(differences, 0.01, alternative="less").pvalue
    beyond = stats.ttest_1samp(differences, -0.01, alternative="greater").pvalue
    ours = similar([(A, B)], margin=0.01)
    assert ours.p_for == pytest.approx(max(below, beyond))
    assert ours.effect == pytest.approx(0.005)
    assert verdict(similar([(A, B)], margin=0.02)).verdict == "reproduced"


def test_settings_further_apart_than_the_margin_are_not_similar():
    assert verdict(similar([(A, B)], margin=0.0001)).verdict == "not reproduced"
    assert verdict(similar([(B, A)], margin=0.0001)).verdict == "not reproduced"
    assert verdict(similar([(A, B)], margin=0.005)).verdict == "undecided"


@pytest.mark.parametrize("margin", [0, -1, nan])
def test_a_margin_must_be_above_zero(margin):
    with pytest.raises(ValueError, match=f"must be above 0, not {margin}"):
        similar([(A, B)], margin)


# Shares


def test_a_share_by_hand():
    """Three of four where a half is claimed: 5 of 16 outcomes are as many or more, 15 of 16 as many or fewer."""
    found = share(series(1, 1, 0, 1), above=0.5)
    assert (found.effect, found.seeds) == (0.25, 4)
    assert (found.p_for, found.p_against) == pytest.approx((5 / 16, 15 / 16))


def test_the_interval_of_a_share_is_that_which_its_tests_leave():
    """Clopper & Pearson: at its ends the binomial tail is half of 5%."""
    found = share(series(*[1] * 6, *[0] * 6), above=0.1)
    assert stats.binom.sf(5, 12, found.low + 0.1) == pytest.approx(0.025, abs=1e-4)
    assert stats.binom.cdf(6, 12, found.high + 0.1) == pytest.approx(0.025, abs=1e-4)
    assert verdict(found).verdict == "reproduced"
    assert verdict(share(series(*[0] * 12), above=0.5)).verdict == "not reproduced"


def test_a_share_of_one_seed_or_of_none_decides_nothing():
    assert verdict(share(series(1), above=0.001)).verdict == "undecided"
    assert verdict(share(series(0), above=0.999)).verdict == "undecided"
    assert isnan(share({0: nan}, above=0.5).effect)


@pytest.mark.parametrize(
    ("values", "above"), [((0, 0.5), 0.1), ((0, inf), 0.1), ((0, 1), 0), ((0, 1), 1), ((0, 1), nan)]
)
def test_what_is_no_share_is_refused(values, above):
    with pytest.raises(ValueError, match="share"):
        share(series(*values), above)


# Winners picked from the same data


def test_what_was_picked_is_tested_by_its_own_values_at_bonferronis_price():
    named = compare(A, B)
    ours = compare(A, B, picked_from=4)
    assert ours.effect == named.effect
    assert ours.p_for == pytest.approx(min(1, 4 * named.p_for))
    leads = [A[seed] - B[seed] for seed in A]
    half = stats.t.ppf(1 - 0.05 / 8, len(leads) - 1) * stats.sem(leads)
    assert (ours.low, ours.high) == pytest.approx((np.mean(leads) - half, np.mean(leads) + half))
    assert (ours.p_against, compare(B, A, picked_from=4).p_for) == (1, 1), "no probability is above 1"


def test_candidates_are_held_against_each_other_on_the_seeds_that_they_share():
    assert on_shared_seeds({"a": {0: 1.0, 1: 2.0}, "b": {1: 3.0, 2: nan}}) == {"a": {1: 2.0}, "b": {1: 3.0}}
    apart = {"a": {0: 1.0}, "b": {1: 3.0}}
    assert on_shared_seeds(apart) == apart


def test_picking_the_best_of_many_costs_more_than_naming_it():
    rng = np.random.default_rng(1)
    for seeds in (5, 12):
        benchmark, candidates = normal(rng, seeds), [normal(rng, seeds, 0.5) for _ in range(6)]
        alone = [compare(candidate, benchmark) for candidate in candidates]
        ours = picked(candidates, benchmark)
        assert ours.p_for > min(e.p_for for e in alone)
        assert ours.effect == pytest.approx(max(e.effect for e in alone))
        assert ours.p_against == max(e.p_against for e in alone)


@pytest.mark.parametrize("seeds", [5, 11])
def test_with_few_seeds_picking_costs_bonferronis_factor(seeds):
    rng = np.random.default_rng(2)
    benchmark, candidates = normal(rng, seeds), [normal(rng, seeds, 1) for _ in range(4)]
    alone = min(compare(candidate, benchmark).p_for for candidate in candidates)
    assert picked(candidates, benchmark).p_for == pytest.approx(4 * alone)


def test_max_t_equals_the_enumeration_of_all_flips():
    rng = np.random.default_rng(3)
    benchmark, candidates = normal(rng, 12), [normal(rng, 12, 0.4) for _ in range(3)]
    rows = np.array([[c[s] - benchmark[s] for s in range(12)] for c in candidates])
    flipped = rows * np.array([*product([1, -1], repeat=12)])[:, None, :]
    largest = (flipped.mean(-1) / flipped.std(-1, ddof=1)).max(-1)
    assert picked(candidates, benchmark).p_for == pytest.approx(np.mean(largest >= largest[0] - 1e-12))


def test_a_flip_that_leaves_no_spread_has_the_largest_t():
    """Eleven of twelve leads point one way: as many or more do in 1 + 12 of all flips."""
    assert picked([series(*[0.7] * 11, -0.7)], series(*[0.0] * 12)).p_for == 13 / 2**12


def test_flips_drawn_at_random_are_the_same_every_time():
    rng = np.random.default_rng(6)
    benchmark, candidate = normal(rng, 14), normal(rng, 14, 0.5)
    assert len({picked([candidate], benchmark).p_for for _ in range(3)}) == 1


def test_max_t_loses_nothing_to_copies_of_a_candidate():
    rng = np.random.default_rng(4)
    benchmark, candidate = normal(rng, 12), normal(rng, 12, 1)
    assert picked([candidate] * 5, benchmark).p_for == picked([candidate], benchmark).p_for


def test_a_benchmark_that_beats_every_candidate_refutes_the_pick():
    rng = np.random.default_rng(5)
    benchmark = normal(rng, 12, 5)
    ours = verdict(picked([normal(rng, 12) for _ in range(3)], benchmark))
    assert ours.verdict == "not reproduced"
    assert ours.high < 0


def test_picked_may_mean_lowest_and_may_be_censored():
    epochs = [series(*range(8, 20)), series(*[inf] * 12)]
    benchmark = series(*[inf] * 12)
    ours = picked(epochs, benchmark, lowest=True)
    assert ours.p_for == pytest.approx(2 / 2**12)
    assert ours.effect == inf


def test_beside_a_candidate_that_never_gets_there_picking_costs_bonferronis_factor():
    benchmark, never = series(*range(20, 32)), series(*[inf] * 12)
    early = series(*(19 + n - n % 3 for n in range(12)))  # ahead by 1, 2 or 3
    assert picked([early, never], benchmark, lowest=True).p_for == pytest.approx(2 * compare(benchmark, early).p_for)


def test_the_winner_is_named_and_pays_twice_for_being_picked():
    settings = {"a": B, "b": A, "c": series(0.97, 0.96, 0.975, 0.97, 0.98)}
    name, ours = winner(settings)
    named = best(A, [settings["a"], settings["c"]])
    assert name == "b"
    assert ours.p_for == 2 * named.p_for
    assert isnan(ours.p_against)
    assert verdict(ours).p == ours.p_for, "nothing to correct for but the pick"
    assert (ours.effect, ours.low, ours.high) == (named.effect, named.low, named.high)
    assert winner({"a": B, "b": A}, lowest=True)[0] == "a"
    assert winner({"a": A, "b": A})[1].p_for == 1
    with pytest.raises(ValueError, match="at least two settings"):
        winner({"a": A})


# Many claims


def test_holm_by_hand():
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.9, 0.6]) == [1.0, 1.0]
    assert holm([]) == []


@given(st.lists(st.floats(0, 1), min_size=1, max_size=12))
def test_holm_rejects_what_its_step_down_definition_rejects(ps):
    rejected = set()
    for step, index in enumerate(sorted(range(len(ps)), key=ps.__getitem__)):
        if ps[index] * (len(ps) - step) > 0.05:
            break
        rejected.add(index)
    assert {index for index, p in enumerate(holm(ps)) if p <= 0.05} == rejected


def test_a_claim_is_harder_to_decide_in_company():
    claims = {"lead": compare(A, B)} | {str(n): Evidence(0, -1, 1, 5, 0.5, 0.5) for n in range(9)}
    alone, together = verdict(claims["lead"]), judge(claims)["lead"]
    assert together.p == pytest.approx(10 * alone.p)
    assert (alone.verdict, together.verdict) == ("reproduced", "undecided")


def test_a_p_value_of_just_alpha_decides():
    assert verdict(Evidence(1, -1, 3, 5, p_for=0.025, p_against=1.0)).verdict == "reproduced"  # 2 * 0.025


def test_every_claim_keeps_its_name_effect_and_interval():
    claims = {"one": compare(A, B), "two": compare(B, A)}
    verdicts = judge(claims)
    assert [v.verdict for v in verdicts.values()] == ["reproduced", "not reproduced"]
    for name, ours in verdicts.items():
        assert (ours.effect, ours.low, ours.high) == (claims[name].effect, claims[name].low, claims[name].high)
    assert judge({}) == {}


# One setting, and how many seeds


def test_estimate_is_the_mean_with_its_t_interval():
    ours = estimate(A | {9: nan})
    expected = stats.ttest_1samp([*A.values()], 0).confidence_interval()
    assert ours.centre == pytest.approx(0.9826)
    assert (ours.low, ours.high) == pytest.approx(tuple(expected))
    assert ours.seeds == 5


def test_estimate_of_censored_epochs_is_the_median():
    ours = estimate(series(20, inf, 22, 25, inf, 30, 31))
    assert (ours.centre, ours.low, ours.high) == (30, 20, inf)


def test_estimate_of_one_seed_has_no_interval_and_of_none_is_refused():
    assert (estimate({3: 0.9}).centre, estimate({3: 0.9}).low) == (0.9, -inf)
    with pytest.raises(ValueError, match="no measured value"):
        estimate({3: nan})


@pytest.mark.parametrize(("effect", "seeds", "expected"), [(0.5, 34, 0.80778), (0.8, 15, 0.82131)])
def test_power_equals_published_values_for_pairs(effect, seeds, expected):
    # G*Power 3.1's a priori sample sizes for two dependent means, two-sided, alpha 0.05, power 0.8.
    assert power(effect, 1, seeds) == pytest.approx(expected, abs=2e-4)
    assert seeds_needed(effect, 1) == seeds
    assert seeds_needed(-3 * effect, 3) == seeds
    assert [seeds_needed(effect, 1, most=most) for most in (seeds, seeds - 1)] == [seeds, None]


def test_power_equals_the_share_of_samples_that_the_test_decides():
    rng = np.random.default_rng(0)
    samples = rng.normal(1.5, 1, (20_000, 5))
    test = stats.ttest_1samp(samples, 0, axis=1)
    share = np.mean((test.pvalue <= 0.01) & (test.statistic > 0))
    assert power(1.5, 1, 5, alpha=0.01) == pytest.approx(share, abs=0.012)


@given(st.floats(0.01, 1000), st.integers(1, 500))
def test_power_grows_with_the_difference_and_the_seeds(difference, seeds):
    values = [power(difference, 1, seeds), power(difference, 1, seeds + 1), power(1.1 * difference, 1, seeds + 1)]
    assert all(0 <= value <= 1 for value in values)
    assert values == pytest.approx(sorted(values), abs=1e-9)


def test_no_number_of_seeds_finds_what_is_not_there():
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
    assert leader(candidates, lowest=True) == winner(candidates, lowest=True)[0] == "always"
    rarely = {"late": series(30, inf, 30), "soon": series(10, 10, inf), "never": series(inf, inf, inf)}
    assert leader(rarely, lowest=True) == "soon"
    assert leader({"a": {0: 1.0, 1: 9.0}, "b": {0: 2.0}, "c": {}}) == "b", "over the seeds that both have"


def test_the_runs_as_they_are_count_among_their_flips() -> None:
    """Seen: a p-value of 0 for leads that are large against their scatter, in a quarter of such draws."""
    for seed in range(20):
        leads = np.random.default_rng(seed).normal(0.1, 0.003, (4, 12))
        assert picked([series(*row) for row in leads], series(*[0.0] * 12)).p_for >= 0.5**12
