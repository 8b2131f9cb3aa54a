"""Looks: what they may spend, hand-made studies from look to look, and the promise on drawn results."""

from collections.abc import Mapping, Sequence
from math import inf

import numpy as np
import pytest
from scipy import stats

from lr_lab.benchmark.study import CELLS, Drawn, Model, simulate
from lr_lab.study.looks import Outcome, Table, replay
from lr_lab.study.spending import Plan
from lr_lab.study.statements import Row, Sample, lead
from lr_lab.study.verdicts import OpenClaim, Question, decide

PLAN = Plan([3, 5, 8])


def beats(a: str, *rivals: str, margin: float | None = None) -> Question:
    return Question(tuple((lead({(a, "m"): 1.0}, {(rival, "m"): 1.0}),) for rival in rivals), margin)


def outcome(
    questions: Mapping[str, Question],
    values: Mapping[str, Sequence[float]],
    plan: Plan = PLAN,
    runs: Mapping[str, int] | None = None,
) -> Outcome:
    """Of settings that are all kin; `runs`: how many seeds each has, if not all of the plan's."""
    counts = dict.fromkeys(values, plan.last) | dict(runs or {})
    source = Drawn({(setting, "m"): np.array(series) for setting, series in values.items()})
    table = Table(source, {setting: range(count) for setting, count in counts.items()}, range(plan.last))
    return replay(questions, [list(values)], table, plan)


def around(centre: float, spread: float = 1.0, seed: int = 0) -> list[float]:
    noise = np.random.default_rng(seed).normal(size=8)
    return (centre + spread * (noise - noise.mean())).tolist()


def test_holm_takes_both_directions_of_a_claim_as_one_hypothesis() -> None:
    """Two claims: the first at a quarter of the error, the second, once that is decided, at half."""
    claims = {name: OpenClaim(Question(((Row((((name, "m"), 1.0),)),),))) for name in ("up", "down")}
    sizes = {"up": 0.012, "down": 0.024}
    samples = {}
    for name, p in sizes.items():
        t = stats.t.isf(p, 3) * (1 if name == "up" else -1)
        values = np.array([1.0, -1.0, 1.0, -1.0]) * 3**0.5 / 2
        (row,) = claims[name].question.rows
        samples[row] = Sample(values + t / 2, usual=0.0)
    found = decide(claims, samples, lambda error: error)
    assert {name: kind for name, (kind, _) in found.items()} == {"up": "reproduced", "down": "not reproduced"}
    assert found["up"][1] == pytest.approx(4 * 0.012, rel=1e-6)
    assert found["down"][1] == pytest.approx(2 * 0.024, rel=1e-6)
    assert {kind for kind, _ in decide(claims, samples, lambda error: 0.9 * error).values()} == {"undecided"}, (
        "4 x 0.012 is over 0.9 x 0.05"
    )


def test_a_clear_lead_is_decided_early_and_its_settings_are_trained_no_further() -> None:
    values = {"best": around(50), "worse": around(10, seed=1), "bad": around(0, seed=2)}
    found = outcome({"claim": beats("best", "worse", "bad")}, values)
    (verdict,) = found.verdicts.values()
    assert (verdict.verdict, verdict.look, verdict.seeds) == ("reproduced", 3, 3)
    assert [look.seeds for look in found.looks] == [3], "no look is taken at what nobody asks for any more"
    assert sorted(found.looks[0].stopped) == ["bad", "best", "worse"]
    assert (found.needed, found.next_look, found.missing) == ([], None, {})


def test_an_open_claim_keeps_only_the_rivals_that_are_not_beaten_yet() -> None:
    values = {"best": around(50), "near": around(49.9, seed=1), "bad": around(0, seed=2)}
    found = outcome({"claim": beats("best", "near", "bad")}, values, runs={"best": 4, "near": 4})
    assert found.looks[0].stopped == ["bad"]
    assert found.needed == ["best", "near"]
    assert (found.next_look, found.missing) == (5, {"best": [4], "near": [4]})


def test_a_difference_below_the_margin_is_a_decision_of_its_own() -> None:
    values = {"a": around(50, 0.1), "b": around(50, 0.1, seed=1), "c": around(40, 0.1, seed=2)}
    questions = {"with": beats("a", "b", margin=1.0), "without": beats("a", "b")}
    found = {name: verdict.verdict for name, verdict in outcome(questions, values).verdicts.items()}
    assert found == {"with": "no difference that matters", "without": "undecided"}


def test_a_real_lead_below_the_margin_is_a_lead() -> None:
    values = {"a": around(50.5, 0.01), "b": around(50, 0.01, seed=1), "c": around(40, 0.01, seed=2)}
    (verdict,) = outcome({"claim": beats("a", "b", margin=1.0)}, values).verdicts.values()
    assert verdict.verdict == "reproduced"


def test_an_undecided_claim_ends_with_a_bound() -> None:
    found = outcome({"claim": beats("a", "b")}, {"a": around(50), "b": around(50, seed=1), "c": around(50, seed=2)})
    (verdict,) = found.verdicts.values()
    assert verdict.verdict == "undecided"
    assert verdict.bound == pytest.approx(max(-verdict.low, verdict.high))
    assert 0 < verdict.bound < 3


def test_before_the_first_look_nothing_is_said_and_its_seeds_are_asked_for() -> None:
    found = outcome({"claim": beats("a", "b")}, {"a": around(50), "b": around(0)}, runs={"a": 2, "b": 3})
    assert (found.looks, found.next_look, found.missing) == ([], 3, {"a": [2]})
    assert found.verdicts["claim"].verdict == "undecided"


def test_seeds_beyond_a_look_change_nothing_until_the_next_one() -> None:
    values = {"a": around(50), "b": around(49, seed=1), "c": around(0, seed=2)}
    questions = {"claim": beats("a", "b")}
    three = outcome(questions, values, runs=dict.fromkeys(values, 3))
    four = outcome(questions, values, runs=dict.fromkeys(values, 4))
    assert (three.looks, three.verdicts) == (four.looks, four.verdicts)


def test_what_no_planned_seeds_decide_is_set_aside_and_asks_for_no_more() -> None:
    values = {"a": around(50), "b": around(50, seed=1), "c": around(50, seed=2)}
    found = outcome({"claim": beats("a", "b")}, values, runs=dict.fromkeys(values, 5))
    assert found.verdicts["claim"].is_set_aside == (found.needed == [])
    assert found.forecasts["claim"].expected is None or found.forecasts["claim"].expected > 8


def test_runs_that_never_get_there_are_judged_by_ranks() -> None:
    late = Question(((lead({("a", "m"): 1.0}, {("b", "m"): 1.0}, lower_is_better=True),),))
    values = {"a": [5.0] * 8, "b": [inf] * 8, "c": [inf] * 8}
    (verdict,) = outcome({"claim": late}, values, Plan([8], kept_back=0.0)).verdicts.values()
    assert (verdict.verdict, verdict.effect) == ("reproduced", inf)
    assert verdict.p == pytest.approx(2 / 2**8)


def small_model() -> Model:
    """Eight settings in two groups with claims of several kinds, two of them on a number."""
    names = [f"{group}{n}" for group in "ab" for n in range(4)]
    cells = {(name, "m"): 0.0 for name in names}
    above_zero = Question(((Row((((names[4], "m"), 1.0),)),),))
    questions = {
        "best of a": beats("a0", "a1", "a2", "a3"),
        "best of all": beats("b0", *(name for name in names if name != "b0")),
        "pair": beats("a1", "b1"),
        "above": above_zero,
        "some": Question((tuple(lead({(n, "m"): 1.0}, {("b3", "m"): 1.0}) for n in names[:4]),)),
        "mean": Question(((lead({(n, "m"): 0.25 for n in names[:4]}, {(n, "m"): 0.25 for n in names[4:]}),),)),
    }
    spreads = dict(zip(cells, np.geomspace(1, 60, len(cells)), strict=True))
    return Model(questions, [names[:4], names[4:]], cells, spreads)


@pytest.mark.parametrize("cell", CELLS)
def test_a_false_verdict_is_rare_over_all_looks_and_claims(cell: str) -> None:
    """The promise, on 100 studies in which every verdict would be false; `make benchmark-study` draws 2,000."""
    chance, as_they_are = CELLS[cell]
    found = simulate(small_model(), chance, Plan([3, 5, 8, 12]), 100, ["b0", "b1", "b2", "b3"], as_they_are)
    # At 5%, over 12 of 100 have a chance of 0.1%.
    assert found.false <= 12


def test_leads_that_are_clear_are_all_found_at_less_cost_than_all_seeds() -> None:
    model = small_model()
    far = {cell: 20.0 * number for number, cell in enumerate(model.means)}
    clear = Model(model.questions, model.kin, far, dict.fromkeys(model.spreads, 1.0))
    found = simulate(clear, CELLS["normal"][0], Plan([3, 5, 8, 12]), 20)
    assert (found.false, found.decided) == (0, len(model.questions))
    assert found.runs < 0.7


def test_without_the_share_of_each_look_verdicts_would_be_false_more_often() -> None:
    """The simulation can fail: where looks do not share the error, it finds more than it may."""

    class Greedy(Plan):
        def level(self, seeds: int, error: float) -> float:
            return min(0.5, 6 * error)

    chance, _ = CELLS["normal"]
    assert simulate(small_model(), chance, Greedy([3, 5, 8, 12]), 60, as_they_are=False).false > 5
