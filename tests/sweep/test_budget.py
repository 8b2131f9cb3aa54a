"""Studies within a budget: what is trained next, from results that are made up, and once really trained."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from synthetic_study import write_run

from lr_lab.errors import UserError
from lr_lab.run.config import CONFIG_DIR
from lr_lab.run.folder import run_folders
from lr_lab.study.study_file import Condition, Setting, Study, read_study
from lr_lab.sweep import budget
from lr_lab.sweep.budget import Limit, hours, overrides_of, state, train_until_decided

# seed -> accuracies of the settings
Truth = Callable[[int], dict[str, float]]


def small_study(looks: Sequence[int] = (3, 5, 8)) -> Study:
    rates = {"low": 0.01, "middle": 0.1, "high": 1.0}
    ahead = {"place": "1", "says": "Middle is best.", "test": "ahead", "metric": "val_accuracy"}
    return Study(
        "small",
        "A small study",
        sweeps=["data=digits lr=0.01,0.1,1"],
        looks=looks,
        settings=[Setting(name, name, {"lr": lr}) for name, lr in rates.items()],
        claims={"best": {**ahead, "rivals": {"middle": "*"}}},
    )


@pytest.fixture
def trainer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[Truth], list[str]]:
    """Makes runs end with the accuracies of a truth, at once; the list is of the runs that were asked for."""
    asked: list[str] = []

    def use(truth: Truth) -> list[str]:
        def train(typed: Sequence[Sequence[str]]) -> None:
            for job in typed:
                given = dict(each.split("=", 1) for each in job)
                seed, lr = int(given["seed"]), float(given["lr"])
                name = {0.01: "low", 0.1: "middle", 1.0: "high"}[lr]
                asked.append(f"{name} {seed}")
                write_run(tmp_path, "small", [truth(seed)[name]] * 4, seed=seed, lr=lr)

        monkeypatch.setattr(budget, "train_runs", train)
        monkeypatch.setattr(budget, "cpu_cores", lambda: 1)
        return asked

    return use


def clear(seed: int) -> dict[str, float]:
    wobble = np.random.default_rng(seed).normal(0, 0.002, 3)
    return dict(zip(("low", "middle", "high"), np.array([0.3, 0.9, 0.892]) + wobble, strict=True))


def equal(seed: int) -> dict[str, float]:
    wobble = np.random.default_rng(seed).normal(0, 0.01, 3)
    return dict(zip(("low", "middle", "high"), 0.8 + wobble, strict=True))


def test_a_real_difference_is_found_and_a_setting_that_has_lost_is_trained_no_further(
    tmp_path: Path, trainer: Callable[[Truth], list[str]]
) -> None:
    asked = trainer(clear)
    said: list[str] = []
    train_until_decided(small_study(), tmp_path, Limit(), say=said.append)
    now = state(small_study(), tmp_path)
    assert now.findings[0].verdict.verdict == "reproduced"
    looks = pd.read_csv(tmp_path / "reports" / "small" / "looks.csv")
    assert looks["decided"].fillna("").tolist()[-1] == "best"
    assert [len([run for run in asked if run.startswith(name)]) for name in ("low", "middle", "high")] == [3, 5, 5]
    assert "trained no further: low" in "\n".join(said)
    assert said[-1] == "Of 1 claims: 1 reproduced."


def test_without_a_difference_it_ends_at_its_budget_with_a_bound(
    tmp_path: Path, trainer: Callable[[Truth], list[str]]
) -> None:
    trainer(equal)
    train_until_decided(small_study(), tmp_path, Limit(seeds=5), say=lambda _: None)
    verdict = state(small_study(), tmp_path).findings[0].verdict
    assert (verdict.verdict, verdict.look) == ("undecided", 5)
    assert 0 < verdict.bound < 0.1


def test_stopped_at_any_moment_it_goes_on_to_the_same_looks_and_verdicts(
    tmp_path: Path, trainer: Callable[[Truth], list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = trainer(clear)
    through = budget.train_runs

    def once(typed: Sequence[Sequence[str]]) -> None:
        through(typed[:2])  # killed in the middle of a seed
        raise KeyboardInterrupt

    for _ in range(20):
        monkeypatch.setattr(budget, "train_runs", once)
        with pytest.raises(KeyboardInterrupt):
            train_until_decided(small_study(), tmp_path, Limit(), say=lambda _: None)
        if len(asked) >= 11:
            break
    monkeypatch.setattr(budget, "train_runs", through)
    train_until_decided(small_study(), tmp_path, Limit(), say=lambda _: None)
    stopped = state(small_study(), tmp_path).outcome
    assert len(asked) == len({*asked}) == 13
    assert [look.seeds for look in stopped.looks] == [3, 5]
    assert [look.stopped for look in stopped.looks] == [["low"], ["high", "middle"]]


def test_hours_that_are_spent_end_it(tmp_path: Path, trainer: Callable[[Truth], list[str]]) -> None:
    asked = trainer(equal)  # a run counts for 36 seconds
    said: list[str] = []
    train_until_decided(small_study(), tmp_path, Limit(hours=0.05), say=said.append)
    assert len(asked) == 6  # two seeds of three settings take 0.06 hours
    assert "The budget is spent: 0.06 hours of training, the budget is 0.05." in said


def test_more_seeds_after_the_last_look_are_a_further_look(
    tmp_path: Path, trainer: Callable[[Truth], list[str]]
) -> None:
    asked = trainer(equal)
    train_until_decided(small_study([3]), tmp_path, Limit(), say=lambda _: None)
    assert len(asked) == 9
    train_until_decided(small_study([3]), tmp_path, Limit(more_seeds=2), say=lambda _: None)
    assert len(asked) == 15
    looks = pd.read_csv(tmp_path / "reports" / "small" / "looks.csv")
    assert looks["seeds"].tolist() == [3, 5]
    assert looks["spent"].tolist() == [0.9, 0.95]
    assert [look.seeds for look in state(small_study([3]), tmp_path).outcome.looks] == [3, 5], "it stays counted"


def test_a_look_that_was_taken_cannot_be_left_out(tmp_path: Path, trainer: Callable[[Truth], list[str]]) -> None:
    trainer(equal)
    train_until_decided(small_study([3, 5]), tmp_path, Limit(seeds=3), say=lambda _: None)
    with pytest.raises(UserError, match=r"small was looked at with 3 seeds, and its looks=\[5\] do not count that one"):
        state(small_study([5]), tmp_path)


def test_runs_that_were_packed_away_are_not_trained_again(tmp_path: Path) -> None:
    kept = tmp_path / "reports" / "small"
    kept.mkdir(parents=True)
    (kept / "results.csv").write_text("run\n")
    with pytest.raises(UserError, match="unpack them with `make restore STUDY=small`"):
        state(small_study(), tmp_path)


@pytest.mark.parametrize(("text", "expected"), [("6h", 6), ("20min", 1 / 3), ("90s", 1 / 40), (2, 2), ("1.5 h", 1.5)])
def test_a_budget_is_a_time(text: object, expected: float) -> None:
    assert hours(text) == pytest.approx(expected)


@pytest.mark.parametrize("text", ["6 days", "-1h", "0", "soon"])
def test_what_is_no_time_is_named(text: str) -> None:
    with pytest.raises(UserError, match=f"budget={text} is not a time"):
        hours(text)


STUDIES = [path.stem for path in sorted((CONFIG_DIR / "studies").glob("*.yaml"))]


@pytest.mark.parametrize("name", STUDIES)
def test_every_setting_of_a_study_is_trained_by_one_of_its_sweeps(name: str, tmp_path: Path) -> None:
    study = read_study(CONFIG_DIR, name)
    assert study is not None
    if not study.reads:
        assert set(overrides_of(study, tmp_path)) == {setting.name for setting in study.settings}
        assert not run_folders(tmp_path / name)


def test_what_no_sweep_trains_is_named_and_so_is_an_unknown_condition(tmp_path: Path) -> None:
    study = small_study()
    lacking = Study("small", "x", sweeps=["data=digits lr=0.01,0.1"], settings=study.settings)
    with pytest.raises(UserError, match="no sweep trains setting high; add one"):
        overrides_of(lacking, tmp_path)
    odd = Study("small", "x", sweeps=study.sweeps, settings=study.settings, machine=[Condition("tpu", "", "")])
    with pytest.raises(UserError, match="machine has if=tpu; known are gpu,"):
        overrides_of(odd, tmp_path)


@pytest.mark.slow
def test_a_study_of_lines_is_really_trained_until_it_is_decided(tmp_path: Path) -> None:
    """By theory 0.75 shrinks the error fastest and 0.05 hardly at all."""
    arguments = {"place": "1", "says": "x", "test": "ahead", "metric": "val_loss", "rivals": {"fast": "*"}}
    study = Study(
        "lines",
        "Lines",
        sweeps=["data=line model=linear sequence=constant batch_size=100 epochs=4 lr=0.75,0.05,0.04"],
        looks=[3, 5],
        settings=[Setting(name, name, {"lr": lr}) for name, lr in (("fast", 0.75), ("slow", 0.05), ("slower", 0.04))],
        claims={"fastest": arguments},
    )
    train_until_decided(study, tmp_path, Limit(), also=["trainer.accelerator=cpu", "data.split_seed=${seed}"])
    now = state(study, tmp_path)
    assert now.findings[0].verdict.verdict == "reproduced"
    assert now.next_seed is None
    assert len(run_folders(tmp_path / "lines")) <= 15
