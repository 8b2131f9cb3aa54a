"""Advice on higher rates: each kind of evidence, and the experiment that would tell where there is none."""

import re
import shlex
from collections.abc import Sequence
from dataclasses import replace
from math import inf, nan
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from synthetic_study import write_run

from lr_lab.report.advice import advise
from lr_lab.report.rates import Known, with_networks
from lr_lab.run.config import compose
from lr_lab.run.folder import RunFolder, write_csv
from lr_lab.run.range_reading import Reading, result_folder
from lr_lab.study.measured import with_metrics
from lr_lab.study.runs import read_runs
from lr_lab.study.study_file import discover
from lr_lab.study.values import Values

SETTLED = [0.5, 0.8, 0.9, 0.9, 0.9, 0.9, 0.9, 0.9]
BETTER = [accuracy + 0.05 for accuracy in SETTLED]
GUESSING = [0.1] * 8
RATES = np.geomspace(1e-4, 10, 200)

UNKNOWN = Known(failing=inf, failed="", reading=None, suggested=nan, limit=nan, command="COMMAND")


def reading(largest_stable: float, rose: bool = True) -> Reading:
    return Reading(RATES, np.ones(200), 0.01, largest_stable, -1.0, rose)


def edge(output_dir: Path) -> str:
    """What is advised where the highest rate of the study `mine` is the best."""
    runs = with_networks(read_runs(output_dir / "mine"), output_dir / "mine")
    study = discover("mine", runs.results)
    runs = with_metrics(runs, study)
    values = Values(runs.results, [setting.name for setting in study.settings], "it")
    (sentence,) = [s for s in advise(study, values, runs, output_dir) if "The best rate" in s]
    return sentence


def write_edge(output_dir: Path) -> RunFolder:
    """Runs at 0.01 and, better, at 0.1."""
    write_run(output_dir, "mine", SETTLED, lr=0.01)
    return write_run(output_dir, "mine", BETTER, lr=0.1)


def keep_range_test(config: dict[str, object], stable: float, seed: int = 0) -> None:
    """Losses of a test that fall from 2.3 to 0.3 and, from the rate `stable` on, are back at 2.3."""
    losses = np.where(stable > RATES, np.interp(np.log10(RATES), [-4, -2], [2.3, 0.3]), 2.3)
    rows = [{"lr": lr, "loss_seed0": loss} for lr, loss in zip(RATES.tolist(), losses.tolist(), strict=True)]
    write_csv(result_folder(config | {"seed": seed}) / "losses.csv", ["lr", "loss_seed0"], rows)


def test_without_evidence_the_experiment_is_named_that_would_tell(tmp_path: Path) -> None:
    config = write_edge(tmp_path).config()
    said, command = edge(tmp_path).split("Find out first: ")
    assert said.endswith("no evidence says which higher rates are stable. ")
    words = shlex.split(command)
    assert words[:3] == ["python", "-m", "src.lr_find"]
    assert result_folder(compose(*words[3:])) == result_folder(config)


def test_a_kept_range_test_is_used(tmp_path: Path) -> None:
    keep_range_test(write_edge(tmp_path).config(), stable=1.0)
    sentence = edge(tmp_path)
    # The smoothing puts the largest stable rate a step or two below 1; half of it is advised.
    found = re.search(r"try lr=(\S+) next\. Likely stable: in this network's range test .* above (\S+);", sentence)
    assert found
    assert 0.7 < float(found[2]) <= 1
    assert float(found[1]) == pytest.approx(float(found[2]) / 2, rel=0.05)


def test_a_range_test_of_another_network_says_nothing(tmp_path: Path) -> None:
    config = write_edge(tmp_path).config()
    keep_range_test(config | {"batch_size": 8}, stable=1.0)
    keep_range_test(config | {"model": config["model"] | {"dropout": 0.5}}, stable=1.0)
    assert "no evidence says" in edge(tmp_path)


def test_a_rate_that_the_same_network_got_stuck_at_bounds_the_next(tmp_path: Path) -> None:
    write_edge(tmp_path)
    for seed in range(3):
        write_run(tmp_path, "mine", GUESSING, lr=0.4, sequence="constant", seed=seed)
    sentence = edge(tmp_path)
    # Half way on the logarithmic axis between 0.1 and 0.4.
    assert "try lr=0.2 next, and nothing from 0.4 on: of 3 runs of this network at 0.4 3 ended stuck." in sentence
    assert "A guess" in sentence


def test_rates_that_rise_first_say_nothing_of_those_that_do_not(tmp_path: Path) -> None:
    write_edge(tmp_path)
    stuck = write_run(tmp_path, "mine", GUESSING, lr=0.4, sequence="warmup-constant")
    rates = np.linspace(0.04, 0.4, 8).tolist()
    stuck.write_history([row | {"lr": lr} for row, lr in zip(stuck.history(), rates, strict=True)])
    assert "no evidence says" in edge(tmp_path)


@pytest.mark.parametrize(("sharpness", "advised"), [(5.0, "lr=0.4"), (1.0, "lr=1"), (30.0, "")])
def test_the_sharpness_that_was_measured_first_bounds_the_next(tmp_path: Path, sharpness: float, advised: str) -> None:
    write_run(tmp_path, "mine", SETTLED, lr=0.01)
    best = write_run(tmp_path, "mine", BETTER, lr=0.1)
    # Later it is at the limit, or above, whatever it began with.
    measured = [{"sharpness": max(20.0, sharpness) if e else sharpness, "stability_limit": 2 / 0.1} for e in range(8)]
    best.write_history([row | probe for row, probe in zip(best.history(), measured, strict=True)])
    sentence = edge(tmp_path)
    if advised:
        assert f"extend the grid, {advised} next. A guess: gradient descent" in sentence
    else:
        assert "stable up to 0.067 only" in sentence
        assert "lr=" not in sentence.partition("Find out first")[0].partition("tried")[2]


@pytest.mark.parametrize(
    ("best", "stable", "advised"),
    [(0.1, 0.27, "try lr=0.13 next"), (0.2, 0.27, "try lr=0.23 next"), (0.25, 0.27, "go no higher")],
)
def test_by_a_range_test(best: float, stable: float, advised: str) -> None:
    known = replace(UNKNOWN, reading=reading(stable), suggested=stable / 2)
    assert known.next_higher(best, 10 * best).startswith(advised)


def test_a_range_test_that_ended_too_early() -> None:
    known = replace(UNKNOWN, reading=reading(0.1, rose=False), suggested=0.05)
    assert known.next_higher(0.02, 0.2).startswith("extend the grid, lr=0.1 next")
    assert "COMMAND lr_find.lr_max=10" in known.next_higher(0.1, 1.0)


RATE = st.floats(1e-4, 10)


@given(RATE, st.floats(1.01, 10), st.one_of(st.none(), RATE), st.booleans(), st.one_of(st.just(inf), RATE), RATE)
def test_no_rate_is_advised_that_is_known_to_be_unstable(
    best: float, step: float, stable: float | None, rose: bool, failing: float, limit: float
) -> None:
    failing = failing if failing > best else inf
    test = None if stable is None else reading(stable, rose)
    known = Known(failing, "of 1 run 1 diverged", test, (stable or nan) / 2, limit, "COMMAND")
    said = known.next_higher(best, step * best)
    for word in advised(said):
        assert word < failing
        assert word >= 0.9 * best  # two digits are kept of it
        if stable is not None:
            assert word <= stable
        else:
            assert word <= step * best


def advised(said: str) -> Sequence[float]:
    words = said.partition("COMMAND")[0].replace(",", " ").split()
    return [float(word.removeprefix("lr=")) for word in words if word.startswith("lr=")]


def test_lower_than_what_failed() -> None:
    assert UNKNOWN.lower(0.5)[0] == "lower it"
    assert UNKNOWN.lower(0.5)[1].endswith("Find out first: COMMAND")
    assert replace(UNKNOWN, limit=0.2).lower(0.5)[0] == "lower it to 0.2"
    by_test = replace(UNKNOWN, reading=reading(0.3), suggested=0.15)
    assert by_test.lower(0.5)[0] == "take 0.15"
    assert by_test.lower(0.1)[0] == "lower it"
