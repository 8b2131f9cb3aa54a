"""Tables: their numbers against an independent computation, and what people read."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from synthetic_study import write_rates_study, write_run

from lr_lab.errors import UserError
from lr_lab.report import tables as report_tables
from lr_lab.report.formats import NOTHING
from lr_lab.report.selection import pick, table_metrics
from lr_lab.study import inference
from lr_lab.study.measured import with_metrics
from lr_lab.study.runs import Runs, read_runs
from lr_lab.study.study_file import Setting, Study, discover
from lr_lab.study.values import Values

RATES = {"sgd": 0.001, "low": 0.01, "high": 0.1}


@pytest.fixture
def runs_and_study(tmp_path: Path) -> tuple[Runs, Study]:
    return write_rates_study(tmp_path)


def _values(runs: Runs, study: Study) -> Values:
    return Values(runs.results, [setting.name for setting in study.settings], "it")


def test_the_comparison_equals_an_independent_computation(runs_and_study: tuple[Runs, Study]) -> None:
    runs, study = runs_and_study
    table = report_tables.comparison(study, _values(runs, study), runs)
    frame = table.frame.set_index("setting")
    for name, rate in RATES.items():
        accuracies = runs.results.loc[runs.results["lr"] == rate, "val_accuracy"].to_numpy()
        low, high = stats.t.interval(0.95, 7, accuracies.mean(), stats.sem(accuracies))
        row = frame.loc[name]
        assert row["val_accuracy"] == pytest.approx(accuracies.mean())
        assert (row["val_accuracy_low"], row["val_accuracy_high"]) == pytest.approx((low, high))
        assert row["runs"] == 8
    assert frame.loc["low", "difference_val_accuracy"] == pytest.approx(frame.loc["low", "val_accuracy"] - 0.95)
    # Half of the benchmark's own runs end above its mean; all others are far above.
    assert frame["benchmark_reached"].to_dict() == {"high": 8, "low": 8, "sgd": 4}


def test_the_best_is_bold_and_the_notes_say_what_a_reader_needs(runs_and_study: tuple[Runs, Study]) -> None:
    runs, study = runs_and_study
    table = report_tables.comparison(study, _values(runs, study), runs)
    column = table.header.index("Final validation accuracy (%)")
    assert [row[column].startswith("**") for row in table.rows] == [True, False, False], "best first"
    assert [row[column + 1] for row in table.rows] == ["–", "**95.00**", "81.00"]
    notes = " ".join(table.notes)
    assert "less 1.0 points" in notes
    assert "Momentum: sgd 0." in notes
    lines = table.markdown().splitlines()
    assert lines[2].startswith("| Strategy | Setting | Final validation accuracy (%) | Document (%) |")
    assert lines[6].startswith("| Benchmark | SGD | 80.0")


def test_a_setting_with_a_run_that_never_gets_there_is_not_the_best(tmp_path: Path) -> None:
    for seed, (always, sometimes) in enumerate(((3, 3), (3, 3), (3, None))):
        for lr, first in ((0.1, always), (0.2, sometimes)):
            accuracy = [0.1] * 8 if first is None else [0.1] * (first - 1) + [0.9] * (9 - first)
            write_run(tmp_path, "mine", accuracy, lr=lr, seed=seed)
    study = discover("mine", read_runs(tmp_path / "mine").results)
    runs = with_metrics(read_runs(tmp_path / "mine"), study)
    table = report_tables.comparison(study, _values(runs, study), runs)
    column = table.header.index("Epochs to convergence")
    assert [row[column].startswith("**") for row in table.rows] == [True, False], table.rows


def test_metrics_that_there_are_not(runs_and_study: tuple[Runs, Study]) -> None:
    runs, study = runs_and_study
    with pytest.raises(UserError, match="metrics=accuracy; known are val_accuracy"):
        table_metrics(replace(study, metrics=["accuracy"]), _values(runs, study))
    with pytest.raises(UserError, match="it has no column sharpness"):
        table_metrics(replace(study, metrics=["sharpness"]), _values(runs, study))
    bare = replace(runs, results=runs.results.drop(columns="val_accuracy"))
    assert table_metrics(study, _values(bare, study)) == ["val_loss", "convergence_epoch"]


def test_what_only_explains_has_no_best(runs_and_study: tuple[Runs, Study]) -> None:
    runs, study = runs_and_study
    runs = Runs(runs.results.assign(sharpest=runs.results["lr"]), runs.histories)
    table = report_tables.comparison(replace(study, metrics=["val_accuracy", "sharpest"]), _values(runs, study), runs)
    column = table.header.index("Highest sharpness over the stability limit while it learned")
    assert [row[column].partition(" ")[0] for row in table.rows] == ["0.1", "0.01", "0.001"]
    assert any(row[2].startswith("**") for row in table.rows)


def test_columns_that_say_nothing_are_left_out(runs_and_study: tuple[Runs, Study]) -> None:
    runs, study = runs_and_study
    bare = replace(study, settings=[replace(s, group="", published={}) for s in study.settings], benchmark=None)
    header = report_tables.comparison(bare, _values(runs, bare), runs).header
    assert not [
        heading for heading in header if heading.startswith(("Strategy", "Document", "Difference", "Epochs to the"))
    ]


def test_both_stages_of_selection(runs_and_study: tuple[Runs, Study]) -> None:
    runs, study = runs_and_study
    values = _values(runs, study)
    picks = pick(study, values)
    assert picks[0].setting == "high"
    first = report_tables.selection(study, picks)
    assert first.rows[0][:3] == ["Rates", "final validation accuracy", "HIGH"]
    assert first.frame["told_apart"].iloc[0]
    assert first.frame["document"].iloc[0] == "low"
    second = report_tables.against_benchmarks(study, values, picks)
    assert second is not None
    assert (second.frame["benchmark"].iloc[0], second.frame["outcome"].iloc[0]) == ("sgd", "better")
    leads = [
        values.series("high", "val_accuracy")[seed] - values.series("sgd", "val_accuracy")[seed] for seed in range(8)
    ]
    assert second.frame["lead"].iloc[0] == pytest.approx(np.mean(leads))
    # Its own interval, as one of the two that it was picked from.
    assert second.frame["low"].iloc[0] == pytest.approx(
        np.mean(leads) - stats.t.ppf(1 - 0.05 / 4, 7) * stats.sem(leads)
    )


def test_epochs_to_the_benchmark_are_a_median_with_the_count_of_those_who_get_there(
    runs_and_study: tuple[Runs, Study],
) -> None:
    runs, study = runs_and_study
    epochs = runs.results["setting"].map({"sgd": 2.0, "low": 3.0, "high": 4.0}).where(runs.results["seed"] < 5)
    runs = Runs(runs.results.assign(benchmark_epoch=epochs), runs.histories)
    table = report_tables.comparison(study, _values(runs, study), runs)
    column = table.header.index("Epochs to the accuracy of SGD")
    assert [row[column] for row in table.rows] == ["4 (5 of 8)", "3 (5 of 8)", "2 (5 of 8)"]


def test_both_stages_by_a_loss(runs_and_study: tuple[Runs, Study]) -> None:
    runs, study = runs_and_study
    losses = {"sgd": 0.2, "low": 0.1, "high": 0.3}
    settings = [replace(s, published={"val_loss": losses[s.name]}) for s in study.settings]
    study = replace(study, settings=settings, metrics=["val_loss"])
    values = _values(runs, study)
    picks = pick(study, values)
    first, second = report_tables.selection(study, picks), report_tables.against_benchmarks(study, values, picks)
    assert first.frame[["setting", "document"]].iloc[0].tolist() == ["high", "low"]
    assert second is not None
    assert second.frame["outcome"].tolist() == ["better"]
    assert second.frame["lead"].item() == pytest.approx(2.3 * 0.1, rel=0.1)


def test_a_benchmark_may_be_better(runs_and_study: tuple[Runs, Study]) -> None:
    runs, study = runs_and_study
    groups = {"sgd": "Rates", "low": "Rates", "high": "Benchmark"}
    settings = [replace(s, group=groups[s.name]) for s in study.settings]
    study = replace(study, settings=settings, benchmark="high", metrics=["val_accuracy"])
    values = _values(runs, study)
    second = report_tables.against_benchmarks(study, values, pick(study, values))
    assert second is not None
    assert second.frame[["setting", "benchmark", "outcome"]].iloc[0].tolist() == ["low", "high", "worse"]


def test_no_benchmark_no_second_stage(runs_and_study: tuple[Runs, Study]) -> None:
    runs, study = runs_and_study
    bare = replace(study, benchmark=None)
    values = _values(runs, bare)
    assert report_tables.against_benchmarks(bare, values, pick(bare, values)) is None


def test_settings_that_are_exactly_as_good_are_named_with_the_best(runs_and_study: tuple[Runs, Study]) -> None:
    runs, study = runs_and_study
    alike = runs.results.assign(val_accuracy=0.1)
    values = _values(Runs(alike), study)
    published = [replace(s, published={"val_accuracy": 0.95}) for s in study.settings]
    table = report_tables.selection(replace(study, settings=published), pick(study, values))
    assert table.rows[0][2] == "LOW (and HIGH)"
    assert table.rows[0][-1] == "LOW (and HIGH)"
    assert pick(study, _values(runs, study))[0].ties == []


def test_a_study_that_has_only_begun_still_has_a_table(runs_and_study: tuple[Runs, Study]) -> None:
    runs, study = runs_and_study
    begun = Runs(runs.results[runs.results["setting"] == "low"], runs.histories)
    table = report_tables.comparison(study, _values(begun, study), begun)
    assert table.frame.set_index("setting").loc["high", "runs"] == 0
    assert [best.setting for best in pick(study, _values(begun, study))] == ["low", "low"]


def test_a_cell_cannot_break_its_row() -> None:
    table = report_tables.Table("it", "It", ["A", "B"], [["a|b", "c"]], pd.DataFrame())
    assert table.markdown().splitlines()[-1] == "| a/b | c |"


def test_files(runs_and_study: tuple[Runs, Study], tmp_path: Path) -> None:
    runs, study = runs_and_study
    table = report_tables.comparison(study, _values(runs, study), runs)
    table.write(tmp_path)
    read = pd.read_csv(tmp_path / "comparison.csv", float_precision="round_trip")
    assert read["val_accuracy"].tolist() == table.frame["val_accuracy"].tolist()
    assert (tmp_path / "comparison.md").read_text() == table.markdown()


def test_likeness_by_hand(tmp_path: Path) -> None:
    """Two methods held against the same two numbers; one ends 1 and 3 points away, the other 10 and 20."""
    rivals = {("sgd", 0.1): 0.81, ("sgd", 0.01): 0.73, ("adam", 0.1): 0.9, ("adam", 0.01): 0.5}
    document = {0.1: 0.8, 0.01: 0.7}
    settings = []
    for (optimizer, lr), accuracy in rivals.items():
        write_run(tmp_path, "mine", [accuracy] * 5, lr=lr, val_loss=[0.2] * 5, optimizer=optimizer)
        where = {"optimizer": optimizer, "lr": lr}
        published = {"val_accuracy": document[lr], "val_loss": 0.1 if lr == 0.1 else 0.4}
        settings.append(Setting(f"{optimizer}_{lr}", str(lr), where, optimizer, published))
    study = Study("mine", "Mine", settings=settings, metrics=["val_accuracy", "val_loss"])
    runs = with_metrics(read_runs(tmp_path / "mine"), study)
    table = report_tables.likeness(study, _values(runs, study))
    assert table is not None
    assert [row[:2] for row in table.rows] == [["sgd", "2.00"], ["adam", "15.00"]]
    assert table.frame["val_loss"].tolist() == pytest.approx([2, 2])  # once twice, once half


def test_nothing_to_be_like_yet(tmp_path: Path) -> None:
    write_run(tmp_path, "mine", [0.5] * 5, lr=0.3)
    published = {"val_accuracy": 0.8}
    settings = [Setting(str(lr), str(lr), {"lr": lr}, "", {} if lr == 0.3 else published) for lr in (0.3, 0.2, 0.1)]
    study = Study("mine", "Mine", settings=settings)
    runs = with_metrics(read_runs(tmp_path / "mine"), study)
    assert report_tables.likeness(study, _values(runs, study)) is None


def test_a_metric_that_the_document_lacks_does_not_hide_one_that_it_has(runs_and_study: tuple[Runs, Study]) -> None:
    runs, study = runs_and_study
    study = replace(study, metrics=["val_accuracy", "decline"])  # both in percent
    table = report_tables.comparison(study, _values(runs, study), runs)
    column = table.header.index("Document (%)")
    assert [row[column] for row in table.rows] == [NOTHING, "**95.00**", "81.00"]


def test_likeness_takes_rivals(runs_and_study: tuple[Runs, Study]) -> None:
    runs, study = runs_and_study
    assert report_tables.likeness(study, _values(runs, study)) is None


def test_what_is_explored_is_not_judged(runs_and_study: tuple[Runs, Study]) -> None:
    """Both rates end above the benchmark; explored, they stand in the table, but the benchmark is its best."""
    runs, study = runs_and_study
    study = replace(study, exploration=["Rates"])
    rows = report_tables.comparison(study, _values(runs, study), runs).rows
    assert [row[1] for row in rows] == ["SGD", "HIGH", "LOW"]
    assert [row[2].startswith("**") for row in rows] == [True, False, False]
    assert [setting.name for setting in study.without_exploration.settings] == ["sgd"]


def test_the_study_says_what_its_table_shows(runs_and_study: tuple[Runs, Study]) -> None:
    runs, study = runs_and_study
    study = replace(study, metrics=["val_loss", "val_accuracy"], grouped_by="method")
    header = report_tables.comparison(study, _values(runs, study), runs).header
    assert list(header[:4]) == ["Method", "Setting", "Final validation loss", "Final validation accuracy (%)"]
    assert "Epochs to convergence" not in header


def test_updates_are_changes_of_the_rate_whatever_an_earlier_version_counted(tmp_path: Path) -> None:
    names = {"constant": "epoch", "inverse": "cutoff", "cosine": "every_step", "wsd": "every_step"}
    for (sequence, strategy), changes in zip(names.items(), (0, 1, 1, 0), strict=True):
        folder = write_run(tmp_path, "mine", [0.5, 0.7], sequence=sequence, strategy=strategy, updates=changes)
        folder.write_result({**(folder.result() or {}), "lr_updates": 45})  # advances
    study = Study("mine", "Mine", settings=[Setting(name, name, {"sequence": name}) for name in names])
    runs = with_metrics(read_runs(tmp_path / "mine"), study)
    table = report_tables.comparison(study, _values(runs, study), runs)
    column = table.header.index("Rate updates")
    # The history of a run that goes by steps does not tell how often its rate changed, but that it did.
    assert {row[0]: row[column] for row in table.rows} == {"constant": "0", "inverse": "1", "cosine": "45", "wsd": "0"}


@pytest.mark.parametrize(
    ("metric", "values", "low", "high"),
    [
        ("val_accuracy", (0.999, 0.9), None, 1.0),
        ("convergence_epoch", (1.0, 30.0), 0.0, None),
        ("val_loss", (0.01, 1.0), 0.0, None),
        ("loss_gap", (0.01, 1.0), None, None),
    ],
)
def test_an_interval_leaves_out_what_cannot_be(
    metric: str, values: tuple[float, float], low: float | None, high: float | None
) -> None:
    rows = pd.DataFrame([{"setting": "a", "seed": s, "status": "completed", metric: x} for s, x in enumerate(values)])
    found = report_tables.estimate(Values(rows, ["a"], "it"), "a", metric)
    plain = inference.estimate(dict(enumerate(values)))
    assert found.low == (plain.low if low is None else low)
    assert found.high == (plain.high if high is None else high)
    assert plain.low < 0 or plain.high > 1


def test_epochs_are_at_most_those_that_were_trained() -> None:
    rows = pd.DataFrame(
        {"setting": "a", "seed": range(3), "status": "completed", "epochs": 25, "convergence_epoch": (25.0, 25.0, 20.0)}
    )
    assert report_tables.estimate(Values(rows, ["a"], "it"), "a", "convergence_epoch").high == 25


def test_each_settings_curves_have_a_diagnosis_with_the_sentence_of_a_run(
    runs_and_study: tuple[Runs, Study],
) -> None:
    runs, study = runs_and_study
    labels = pd.Series(["stuck"] * 3 + ["crawling"] * 5)
    told = runs.results.assign(diagnosis=labels[runs.results["seed"]].to_numpy())
    told = told.assign(diagnosis_evidence="It is " + told["diagnosis"] + ".")
    table = report_tables.diagnoses(study, _values(runs, study), Runs(told))
    assert table is not None
    assert table.rows[0] == ["Rates", "HIGH", "crawling", "5 of 8", "Seed 3: It is crawling."]
    untold = Runs(told.drop(columns="diagnosis_evidence"))
    assert report_tables.diagnoses(study, _values(runs, study), untold) is None


def test_a_page_holds_one_column_still(runs_and_study: tuple[Runs, Study]) -> None:
    runs, study = runs_and_study
    table = report_tables.comparison(study, _values(runs, study), runs)
    narrow = table.with_one_key()
    assert (narrow.header[0], narrow.rows[0][0]) == ("Setting, Strategy", "HIGH, Rates")
    assert [len(row) for row in narrow.rows] == [len(narrow.header)] * 3
    assert narrow.rows[0][1] == table.rows[0][2]
