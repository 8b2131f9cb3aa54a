"""At most 5% of null studies carry a false verdict, however the settings are tied and however values are rounded."""

from math import inf

import numpy as np
import pytest
from scipy import stats
from simulated_studies import LEADER, SETTINGS, decay_claims, power_table, simulate

from lr_lab.study.inference import compare, judge, winner


def at_most_5_percent(share, studies):
    return stats.binomtest(round(share * studies), studies, 0.05, alternative="greater").pvalue > 0.01


def test_null_studies_rarely_carry_a_false_verdict_and_a_clear_lead_is_found():
    (null,) = power_table(lead=0, seeds=[5], studies=80)
    (ahead,) = power_table(lead=8, seeds=[10], studies=20)
    assert at_most_5_percent(null.any_false, 80)
    assert null.power == {}
    assert ahead.any_false <= 0.1
    assert ahead.power[f"{LEADER} is best of all"] > 0.9
    assert ahead.power["exponential, as picked, is best by epoch"] > 0.9


def test_without_correction_most_null_studies_would_carry_a_false_verdict():
    rng = np.random.default_rng(0)
    false = 0
    for _ in range(30):
        results = {setting: dict(enumerate(rng.normal(size=5))) for setting in SETTINGS}
        alone = [judge({claim: evidence})[claim] for claim, evidence in decay_claims(results).items()]
        false += any(v.verdict != "undecided" for v in alone)
    assert false / 30 > 0.1


def test_a_verdict_that_contradicts_the_truth_is_false():
    def lies_about_samples(results):
        truth = len(results["a"]) == 1
        return {"a beats b": compare(results["a"], results["b"]) if truth else compare(results["b"], results["a"])}

    def names_a_winner(results):
        name, evidence = winner(results)
        return {name: evidence}

    assert simulate({"a": 50, "b": 0}, 5, 5, claims=lies_about_samples).any_false == 1
    rates = simulate({"a": 50, "b": 0, "c": 0}, 5, 5, claims=names_a_winner)
    assert (rates.any_false, rates.power) == (0, {"a": 1.0})


def test_the_same_random_state_gives_the_same_rates():
    means = {"a": 2.0, "b": 0.0}

    def claims(results):
        return {"a": compare(results["a"], results["b"])}

    rates = simulate(means, 4, 50, random_state=1, claims=claims)
    assert rates == simulate(means, 4, 50, random_state=1, claims=claims)
    assert rates != simulate(means, 4, 50, random_state=2, claims=claims)


@pytest.mark.slow
@pytest.mark.parametrize("seeds", [3, 5, 10, 20])
def test_null_studies_carry_a_false_verdict_at_most_one_time_in_twenty(seeds):
    (null,) = power_table(lead=0, seeds=[seeds], studies=300)
    assert at_most_5_percent(null.any_false, 300)


@pytest.mark.slow
@pytest.mark.parametrize("seeds", [3, 10])
def test_two_equal_settings_far_ahead_of_the_others_are_not_told_apart(seeds):
    means = dict.fromkeys(SETTINGS, 0.0) | {LEADER: 50.0, "cyclic by epoch": 50.0}
    assert at_most_5_percent(simulate(means, seeds, studies=200).any_false, 200)

    def names_a_winner(results):
        name, evidence = winner(results)
        return {name: evidence}

    tied = {"a": 50.0, "b": 50.0, "c": 0.0, "d": 0.0}
    assert at_most_5_percent(simulate(tied, seeds, studies=2000, claims=names_a_winner).any_false, 2000)


@pytest.mark.slow
@pytest.mark.parametrize("seeds", [3, 6, 10])
def test_epochs_in_whole_numbers_some_of_them_never_are_as_safe(seeds):
    rng = np.random.default_rng(0)
    studies, false = 60, 0
    for _ in range(studies):
        epochs = np.round(rng.normal(30, 1.5, (len(SETTINGS), seeds)))
        epochs[rng.random(epochs.shape) < 0.1] = inf
        results = {setting: dict(enumerate(row)) for setting, row in zip(SETTINGS, epochs.tolist(), strict=True)}
        false += any(v.verdict != "undecided" for v in judge(decay_claims(results)).values())
    assert at_most_5_percent(false / studies, studies)
