"""The best settings of a study."""

from dataclasses import replace
from pathlib import Path

import pytest
from synthetic_study import write_rates_study

from lr_lab.report.selection import pick
from lr_lab.study.runs import Runs
from lr_lab.study.study_file import Study
from lr_lab.study.values import Values


@pytest.fixture
def runs_and_study(tmp_path: Path) -> tuple[Runs, Study]:
    return write_rates_study(tmp_path)


def _values(runs: Runs, study: Study) -> Values:
    return Values(runs.results, [setting.name for setting in study.settings], "it")


def test_nothing_is_picked_of_settings_that_share_no_seed(runs_and_study: tuple[Runs, Study]) -> None:
    runs, study = runs_and_study
    results = runs.results
    apart = results[(results["setting"] == "high") == (results["seed"] < 4)]
    assert pick(study, _values(Runs(apart), study)) == []


def test_nothing_is_picked_by_what_the_table_does_not_show(runs_and_study: tuple[Runs, Study]) -> None:
    runs, study = runs_and_study
    assert [best.metric for best in pick(study, _values(runs, study))] == [
        "val_accuracy",
        "convergence_epoch",
    ]
    accuracy_only = replace(study, metrics=["val_accuracy"])
    assert [best.metric for best in pick(accuracy_only, _values(runs, study))] == ["val_accuracy"]
