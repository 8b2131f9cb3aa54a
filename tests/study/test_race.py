"""Races: what is dropped, what is left, and how often the best is lost."""

import numpy as np

from lr_lab.benchmark.study import Drawn, race_cost
from lr_lab.study.looks import Table
from lr_lab.study.race import Standing, race
from lr_lab.study.spending import Plan

PLAN = Plan([3, 4, 5, 6], power=1.0, kept_back=0.0)


def standing(centres: dict[str, float], runs: int = 6, margin: float = 0.0, lower_is_better: bool = False) -> Standing:
    rng = np.random.default_rng(0)
    values = {(name, "m"): centre + rng.normal(0, 0.1, 6) for name, centre in centres.items()}
    table = Table(Drawn(values), dict.fromkeys(centres, range(runs)), range(6))
    return race(list(centres), "m", table, PLAN, lower_is_better, margin)


def test_settings_that_are_surely_worse_drop_out_and_the_best_is_left() -> None:
    found = standing({"a": 0.0, "best": 9.0, "c": 5.0, "d": 1.0})
    assert found.left == ["best"]
    assert {name for lap in found.laps for name in lap.dropped} == {"a", "c", "d"}
    assert standing({"a": 0.0, "best": 9.0, "c": 5.0}, lower_is_better=True).left == ["a"]


def test_equal_settings_stay_unless_a_small_difference_does_not_matter() -> None:
    alike = {"a": 5.0, "b": 5.0, "c": 0.0, "d": 0.0}
    assert {*standing(alike).left} == {"a", "b"}
    assert len(standing(alike, margin=2.0).left) == 1


def test_a_lap_waits_for_the_seeds_of_those_that_are_left() -> None:
    found = standing({"a": 5.0, "b": 5.0, "c": 0.0}, runs=4)
    assert (found.next_look, found.missing) == (5, {"a": [4], "b": [4]})


def test_the_best_is_seldom_lost_and_few_runs_are_needed() -> None:
    cost, lost = race_cost([0.0, 1.0, 2.0, 3.0, 9.0], [0.1] * 5, Plan(range(3, 11), power=1.0, kept_back=0.0), 0.0, 4)
    assert cost < 0.8
    assert lost <= 1
