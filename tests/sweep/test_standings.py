"""Which settings of a sweep may be the best."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pytest

from lr_lab.sweep.standings import Standings, intervals, plot, standings, verdict


def _results(values: Sequence[float], key: str = "val_accuracy") -> list[dict[str, Any]]:
    return [{"seed": seed, "status": "completed", key: value} for seed, value in enumerate(values)]


def _standings(values: Mapping[str, Sequence[float]], key: str = "val_accuracy") -> Standings:
    return standings({name: _results(each, key) for name, each in values.items()})


def test_the_lowest_loss_is_first_where_there_is_no_accuracy() -> None:
    found = _standings({"a": [0.3, 0.31], "b": [0.1, 0.12], "c": [0.2, 0.2]}, "val_loss")
    assert found.metric == "val_loss"
    assert list(found.order) == ["b", "c", "a"]


def test_a_setting_without_a_finished_run_has_no_place() -> None:
    failed = {"seed": 0, "status": "failed", "val_accuracy": None}
    found = standings({"a": [failed], "b": _results([0.9, 0.8])})
    assert list(found.order) == ["b"]
    assert verdict(found) == ""


def test_only_shared_seeds_decide() -> None:
    found = standings({"a": _results([0.9, 0.91, 0.92]), "b": _results([0.5, 0.51])})
    assert found.seeds == 2


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"a": [0.9], "b": [0.1]}, "One seed cannot tell settings apart; train three or more, such as seed=0,1,2."),
        (
            {"lr=1": [0.9, 0.8, 0.85], "lr=2": [0.85, 0.9, 0.8]},
            "3 seeds do not tell these 2 settings apart: each may have the best final validation accuracy.",
        ),
        (
            {"x=1": [0.1, 0.102, 0.101], "lr=1 y=2": [0.9, 0.901, 0.902]},
            "3 seeds rule out x=1; with 95% certainty the best final validation accuracy is that of “lr=1 y=2”.",
        ),
    ],
)
def test_the_verdict_is_a_sentence(values: Mapping[str, Sequence[float]], said: str) -> None:
    assert verdict(_standings(values)) == said


def test_long_lists_are_counted() -> None:
    good = {f"good{n}": [0.9, 0.901, 0.902] for n in range(5)}
    bad = {f"bad{n}": [0.1, 0.11, 0.107 + 1e-3 * n] for n in range(5)}
    said = verdict(_standings(good | bad))
    assert said.startswith("3 seeds rule out 5 of 10 settings; with 95% certainty ")
    assert said.endswith(" is that of one of the other 5.")


def test_the_best_setting_is_ruled_out_in_at_most_a_twentieth_of_sweeps() -> None:
    """Nine settings of equal true mean, so that each is best: at least one such is kept in 95% of 100 drawn sweeps."""
    rng = np.random.default_rng(0)
    lost = 0
    for _ in range(100):
        drawn = rng.normal(0.5, 0.01, (9, 3))
        lost += "0" not in _standings({str(n): row.tolist() for n, row in enumerate(drawn)}).left
    assert lost <= 10  # 5 expected at most; 99% of binomials with 100 and 0.05 are no larger


def test_the_plot_puts_seeds_and_means_on_one_axis() -> None:
    found = _standings({"a": [0.0, 1.0], "b": [0.5, 0.5]})
    title, first, second, axis = plot(found, width=1 + 4 + 21)
    assert first == "a │•" + " " * 9 + "◆" + " " * 9 + "•│"
    assert second == "b │" + " " * 10 + "◆" + " " * 10 + "│"
    assert axis == f"   0.00%{'100.00%':>16}"
    assert title.startswith("final validation accuracy")


def test_a_plot_of_equal_values_or_without_room_is_left_out() -> None:
    assert plot(_standings({"a": [0.5], "b": [0.5]}), width=80) == []
    assert plot(_standings({"a": [0.5], "b": [0.6]}), width=20) == []


def test_an_interval_keeps_within_what_is_possible() -> None:
    assert intervals(_standings({"a": [0.99, 0.97, 1.0], "b": [0.5]})) == {"a": "[94.87, 100.00]", "b": ""}
