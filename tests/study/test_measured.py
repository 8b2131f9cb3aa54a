"""Runs as tables: read from folders, from a report, from one table; and the metrics that a study adds."""

from dataclasses import replace
from math import inf
from pathlib import Path

import pandas as pd
import pytest
from synthetic_study import write_run

from lr_lab.errors import UserError
from lr_lab.study.measured import benchmark_accuracy, with_metrics
from lr_lab.study.runs import read_report, read_runs, read_table, write_runs
from lr_lab.study.study_file import Setting, Study, discover
from lr_lab.study.values import Values

RISING = [0.5, 0.7, 0.8, 0.9, 0.9, 0.9, 0.9, 0.9]


def test_runs_come_with_histories_versions_and_convergence(tmp_path: Path) -> None:
    write_run(tmp_path, "mine", RISING, seed=1)
    runs = read_runs(tmp_path / "mine", tolerance=0.05)
    assert len(runs.histories) == 8  # type: ignore[arg-type]
    row = runs.results.iloc[0]
    assert (row["versions"], row["seed"], row["val_accuracy"]) == ("python 3.11, torch 2.13", 1, 0.9)
    # Smoothed: 0.6, 0.667, 0.8, 0.867, 0.9 ...; final 0.9; the first at 0.85 or more is the fourth.
    assert (row["convergence_epoch"], row["convergence_tolerance"]) == (4, 0.05)
    assert read_runs(tmp_path / "mine", tolerance=0.15).results["convergence_epoch"].item() == 3


def test_without_a_tolerance_that_of_the_run_counts(tmp_path: Path) -> None:
    write_run(tmp_path, "mine", RISING, tolerance=0.15)
    row = read_runs(tmp_path / "mine").results.iloc[0]
    assert (row["convergence_epoch"], row["convergence_tolerance"]) == (3, 0.15)


def test_the_diagnosis_is_what_todays_rules_say(tmp_path: Path) -> None:
    kept = write_run(tmp_path, "mine", [0.1] * 8, val_loss=[2.3] * 8)
    kept.write_result((kept.result() or {}) | {"diagnosis": "crawling", "diagnosis_evidence": "an older rule"})
    begun = write_run(tmp_path, "mine", [0.1] * 8, seed=1, status="failed")
    begun.write_result((begun.result() or {}) | {"diagnosis": None})
    results = read_runs(tmp_path / "mine").results.set_index("seed")
    assert results.loc[0, "diagnosis"] == "stuck"
    assert results.isna().loc[1, "diagnosis"]
    assert results.loc[0, "diagnosis_evidence"].startswith("The lowest loss in 8 epochs was 2.3")


@pytest.mark.parametrize(("accuracy", "status"), [([0.11] * 8, None), (RISING, "diverged")])
def test_who_guesses_or_diverges_never_converges(tmp_path: Path, accuracy: list[float], status: str | None) -> None:
    write_run(tmp_path, "mine", accuracy, status=status)
    assert read_runs(tmp_path / "mine").results["convergence_epoch"].isna().all()


def test_what_results_do_not_say_comes_from_the_configuration(tmp_path: Path) -> None:
    for baseline in ("first_epoch", "untrained"):
        write_run(tmp_path / baseline, "mine", RISING, config={"strategy": {"baseline": baseline, "ratio": 0.01}})
        (tmp_path / "mine").mkdir(exist_ok=True)
        (folder,) = (tmp_path / baseline / "mine").iterdir()
        folder.rename(tmp_path / "mine" / baseline)
    results = read_runs(tmp_path / "mine").results
    assert results["strategy.baseline"].tolist() == ["first_epoch", "untrained"]
    assert "strategy.ratio" not in results
    assert len(discover("mine", results).settings) == 2


def test_seeds_that_were_trained_in_another_way_are_another_setting(tmp_path: Path) -> None:
    data = write_run(tmp_path, "mine", RISING).config()["data"]
    # What does not shape a run, and what may differ from seed to seed, makes no setting.
    write_run(tmp_path, "mine", RISING, seed=1, config={"data": data | {"root": "elsewhere", "split_seed": 7}})
    write_run(tmp_path, "mine", RISING, seed=2, config={"probes": {"sharpness": {"every": 2}}})
    assert len(discover("mine", read_runs(tmp_path / "mine").results).settings) == 1
    write_run(tmp_path, "mine", [0.2] * 8, seed=3, config={"data": data | {"limit": 100}})
    runs = read_runs(tmp_path / "mine")
    assert [s.label for s in discover("mine", runs.results).settings] == ["limit=100", "limit=null"]
    with pytest.raises(UserError, match=r"of setting a have data\.limit="):
        with_metrics(runs, Study("mine", "Mine", settings=[Setting("a", "A", {"lr": 0.01})]))


def test_what_settings_are_told_by_comes_from_the_configuration_even_if_it_never_varies(tmp_path: Path) -> None:
    write_run(tmp_path, "mine", RISING)
    assert read_runs(tmp_path / "mine", told_by=["data.limit", "lr"]).results["data.limit"].isna().all()
    assert read_runs(tmp_path / "mine", told_by=["model.width"]).results["model.width"].item() == 1
    assert "model.width" not in read_runs(tmp_path / "mine").results


def test_a_study_without_runs(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="holds no run with a result"):
        read_runs(tmp_path / "nothing")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (None, "No such file"),
        ("", "cannot be read as CSV"),
        ("seed,lr\n1,0.1\n", "no column status"),
        (
            "status,seed,optimizer\ncompleted,1,sgd\n",
            "no column lr; give a table as results.csv of a study's report is",
        ),
        ("status,seed,optimizer,lr\ncompleted,,sgd,0.1\n", "a seed that is not a whole number"),
        ("status,seed,optimizer,lr,val_loss\ncompleted,1,sgd,0.1,high\n", "row 1: val_loss=high is not a number"),
        ("status,seed,optimizer,lr,momentum\ncompleted,1,sgd,0.1,-\n", "row 1: momentum=- is not a number"),
    ],
)
def test_a_table_that_cannot_be_read(tmp_path: Path, text: str | None, words: str) -> None:
    if text is not None:
        (tmp_path / "table.csv").write_text(text)
    with pytest.raises(UserError, match=words):
        read_table(tmp_path / "table.csv")


def test_a_report_keeps_the_runs_exactly(tmp_path: Path) -> None:
    for seed in range(3):
        write_run(tmp_path, "mine", [1 / (3 + seed), 2 / 3, 0.7 + 1e-15, 0.8], seed=seed)
    runs = read_runs(tmp_path / "mine")
    study = discover("mine", runs.results)
    for folder in ("once", "twice"):
        write_runs(runs, with_metrics(runs, study), tmp_path / folder)
    files = [(tmp_path / folder / "histories.csv.gz").read_bytes() for folder in ("once", "twice")]
    assert files[0] == files[1]
    assert files[0][4:8] == bytes(4), "gzip would say there when it was written"
    kept = read_report(tmp_path / "once")
    pd.testing.assert_frame_equal(kept.histories, runs.histories)
    common = ["run", "seed", "val_accuracy", "val_loss", "convergence_epoch"]
    pd.testing.assert_frame_equal(kept.results[common], runs.results[common])


def test_a_setting_that_was_renamed_since_is_kept_by_its_new_name(tmp_path: Path) -> None:
    write_run(tmp_path, "mine", RISING)
    runs = read_runs(tmp_path / "mine")
    for name in ("old", "new"):
        study = Study("mine", "Mine", settings=[Setting(name, name, {"lr": 0.01})])
        write_runs(runs, with_metrics(runs, study), tmp_path)
        assert pd.read_csv(tmp_path / "results.csv")["setting"].tolist() == [name]
        columns = list(pd.read_csv(tmp_path / "results.csv"))
        runs = read_report(tmp_path)
    write_runs(runs, with_metrics(runs, study), tmp_path)
    assert list(pd.read_csv(tmp_path / "results.csv")) == columns


def test_a_report_keeps_no_traceback(tmp_path: Path) -> None:
    write_run(tmp_path, "mine", RISING)
    runs = read_runs(tmp_path / "mine")
    runs = replace(runs, results=runs.results.assign(error="Traceback"))
    write_runs(runs, with_metrics(runs, discover("mine", runs.results)), tmp_path)
    assert "error" not in read_report(tmp_path).results


def test_metrics_that_a_study_adds(tmp_path: Path) -> None:
    write_run(tmp_path, "mine", [0.6, 0.8, 0.8, 0.8, 0.8, 0.8], lr=0.1, seed=0)
    write_run(tmp_path, "mine", [0.5, 0.9, 0.7, 0.9, 0.6, 0.5], lr=0.2, seed=0)
    write_run(tmp_path, "mine", [0.1, 0.2, 0.3, 0.4, 0.5, 0.6], lr=0.3, seed=0)
    runs = read_runs(tmp_path / "mine")
    study = discover("mine", runs.results)
    added = with_metrics(runs, replace(study, benchmark="lr=0.1")).results.set_index("lr")
    assert added["decline"].tolist() == pytest.approx([0, 0.4, 0])
    assert added["early_falls"].tolist() == pytest.approx([0, 0.2 + 0.3 + 0.1, 0])
    # The benchmark ends at 0.8, the mean of its last five epochs; smoothed it is there at its third epoch.
    # The second setting, smoothed: 0.7, 0.7, 0.833 ...
    assert added["benchmark_epoch"].tolist()[:2] == [3, 3]
    assert pd.isna(added["benchmark_epoch"].iloc[2])
    values = Values(added.reset_index(), [s.name for s in study.settings], "it")
    assert values.series("lr=0.3", "benchmark_epoch") == {0: inf}


def test_early_falls_are_those_of_the_first_ten_epochs(tmp_path: Path) -> None:
    write_run(tmp_path, "mine", [*[0.5] * 9, 0.4, 0.2])
    runs = read_runs(tmp_path / "mine")
    added = with_metrics(runs, discover("mine", runs.finished)).results
    assert added["early_falls"].item() == pytest.approx(0.1)
    assert added["falls"].item() == pytest.approx(0.3)


def test_a_benchmark_run_that_diverged_does_not_set_the_accuracy_to_reach() -> None:
    results = pd.DataFrame({"run": ["a", "b"], "setting": "sgd", "status": ["completed", "diverged"]})
    histories = {"a": pd.DataFrame({"val_accuracy": [0.8]}), "b": pd.DataFrame({"val_accuracy": [0.1]})}
    assert [benchmark_accuracy(results, histories, name) for name in ("sgd", "adam")] == [0.8, None]


@pytest.mark.parametrize(("censored", "missing"), [(True, {0: inf}), (False, {})])
def test_a_missing_epoch_is_never_in_runs_and_unknown_in_a_document(censored: bool, missing: dict[int, float]) -> None:
    rows = pd.DataFrame({"setting": ["a", "b"], "seed": 0, "status": "completed", "convergence_epoch": [5, None]})
    values = Values(rows, ["a", "b"], "it", censored=censored)
    assert [values.series(name, "convergence_epoch") for name in ("a", "b")] == [{0: 5}, missing]


def test_values_are_of_finished_runs() -> None:
    status = ["completed", "diverged", "failed", "running"]
    rows = pd.DataFrame({"setting": "a", "seed": range(4), "status": status, "val_accuracy": [0.9, 0.1, 0.5, 0.5]})
    values = Values(rows, ["a"], "it")
    assert values.series("a", "val_accuracy") == {0: 0.9, 1: 0.1}
    assert (values.run_count("a"), values.run_count("a", "diverged"), values.run_count("b")) == (2, 1, 0)


def test_what_nobody_measured_is_not_never() -> None:
    rows = pd.DataFrame({"setting": ["a"], "seed": 0, "status": "completed", "benchmark_epoch": [None]})
    assert Values(rows, ["a"], "it").series("a", "benchmark_epoch") == {}


def test_curves_are_over_finished_runs_as_far_as_they_went(tmp_path: Path) -> None:
    write_run(tmp_path, "mine", [0.5, 0.6, 0.7], seed=0)
    write_run(tmp_path, "mine", [0.3, 0.8, 0.7], seed=1, val_loss=[1.0, inf, 1.0])
    write_run(tmp_path, "mine", [0.0, 0.0, 0.0], seed=2, status="failed")
    runs = read_runs(tmp_path / "mine")
    runs = with_metrics(runs, discover("mine", runs.finished))
    table = runs.curve("all runs", "val_accuracy")
    assert table["epoch"].tolist() == [1, 2, 3]
    assert table["mean"].tolist() == pytest.approx([0.4, 0.7, 0.7])
    assert table["low"].tolist() == [0.3, 0.6, 0.7]
    assert table["high"].tolist() == [0.5, 0.8, 0.7]
    loss = runs.curve("all runs", "val_loss")
    assert loss["high"].iloc[1] == pytest.approx(2.3 * 0.4), "what is not finite is left out"
    assert loss["runs"].tolist() == [2, 1, 2]
    assert runs.curve("nobody", "val_loss").empty


@pytest.mark.parametrize(
    ("losses", "rise"),
    [([2.0, 1.0, 1.5, 0.5], 0.25), ([2.0, 1.0, 0.8, 0.4], -0.1), ([2.0, float("nan")], inf), ([2.0], float("nan"))],
)
def test_the_largest_rise_of_the_training_loss(tmp_path: Path, losses: list[float], rise: float) -> None:
    """From 1 to 1.5, over the first 2; without a rise the smallest fall, from 1 to 0.8."""
    write_run(tmp_path, "mine", RISING[: len(losses)], train_loss=losses)
    runs = read_runs(tmp_path / "mine")
    found = with_metrics(runs, discover("mine", runs.finished)).results["largest_rise"].item()
    assert found == pytest.approx(rise, nan_ok=True)


def test_how_far_a_run_overfits(tmp_path: Path) -> None:
    write_run(tmp_path, "mine", RISING[:3], train_loss=[2.0, 1.0, 0.25], val_loss=[1.5, 1.25, 2.0])
    runs = read_runs(tmp_path / "mine")
    results = with_metrics(runs, discover("mine", runs.finished)).results
    assert results["loss_gap"].item() == 2.0 - 0.25
    assert results["val_loss_rise"].item() == 2.0 - 1.25


def test_a_validation_loss_that_is_lost_has_risen_without_bound(tmp_path: Path) -> None:
    write_run(tmp_path, "mine", RISING[:3], val_loss=[1.5, 1.25, float("nan")])
    runs = read_runs(tmp_path / "mine")
    assert with_metrics(runs, discover("mine", runs.finished)).results["val_loss_rise"].item() == inf


@pytest.mark.parametrize(
    ("losses", "share"),
    [([2.0, 1.0, 1.01, 1.5, 0.5], 0.25), ([2.0, 1.9, 1.8], 0), ([2.0, 1.0, inf], 0.5), ([2.0, 1.0, float("nan")], 0.5)],
)
def test_how_often_the_training_loss_rises(tmp_path: Path, losses: list[float], share: float) -> None:
    """By 0.01 is no rise, where the first loss is 2; to a loss that is no number is one."""
    write_run(tmp_path, "mine", RISING[: len(losses)], train_loss=losses)
    runs = read_runs(tmp_path / "mine")
    assert with_metrics(runs, discover("mine", runs.finished)).results["rises"].item() == pytest.approx(share)


def test_a_probes_column_counts_with_its_last_value(tmp_path: Path) -> None:
    folder = write_run(tmp_path, "mine", RISING)
    measured = [3.0, None, 5.0, None, None, None, None, None]
    rows = [row | {"sharpness": value} for row, value in zip(folder.history(), measured, strict=True)]
    folder.write_history(rows)
    runs = read_runs(tmp_path / "mine")
    results = with_metrics(runs, discover("mine", runs.finished)).results
    assert results["sharpness"].item() == 5
    assert Values(results, ["all runs"], "it").series("all runs", "sharpness") == {0: 5}


def test_what_a_probe_measured_before_a_loss_broke_does_not_stand_for_the_end(tmp_path: Path) -> None:
    folder = write_run(tmp_path, "mine", RISING[:3], train_loss=[2.0, 1.0, float("nan")])
    rows = [row | {"sharpness": value} for row, value in zip(folder.history(), [3.0, 5.0, None], strict=True)]
    folder.write_history(rows)
    runs = read_runs(tmp_path / "mine")
    assert with_metrics(runs, discover("mine", runs.finished)).results["sharpness"].isna().all()


def test_only_a_collapsed_run_has_a_plateau(tmp_path: Path) -> None:
    collapsed, healthy = [2.0, 1.0, 0.5, 9.0, *[2.3] * 8], [2.0, 1.0, 0.5, 0.4, *[0.3] * 8]
    for lr, losses in ((0.1, collapsed), (0.01, healthy)):
        folder = write_run(tmp_path, "mine", [1 - loss / 10 for loss in losses], lr=lr, val_loss=losses)
        measured = {"gradient_norm/a": 2.0, "dead_units/a": 0.5, "sharpness": 5.0, "stability_limit": 2 / lr}
        folder.write_history([row | measured for row in folder.history()])
    runs = read_runs(tmp_path / "mine")
    results = with_metrics(runs, discover("mine", runs.finished)).results.set_index("lr")
    assert results["diagnosis"].to_dict() == {0.1: "collapsed", 0.01: "healthy"}
    assert results["plateau_gradient"].to_dict() == pytest.approx({0.1: 1, 0.01: float("nan")}, nan_ok=True)
    assert results["plateau_dead_units"].to_dict() == pytest.approx({0.1: 0.5, 0.01: float("nan")}, nan_ok=True)
    assert results["sharpest"].to_dict() == pytest.approx({0.1: 0.25, 0.01: 0.025})
    assert results["forgotten"].to_dict() == pytest.approx({0.1: 0.18, 0.01: 0})
