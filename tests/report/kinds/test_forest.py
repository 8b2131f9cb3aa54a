"""All claims of a study in one picture."""

from pathlib import Path

import pandas as pd
import pytest

from lr_lab.report.evidence import shown_claim
from lr_lab.report.kinds.forest import Forest
from lr_lab.report.kinds.kind import Subject
from lr_lab.report.page import Picture
from lr_lab.study.judgement import judge
from lr_lab.study.runs import Runs
from lr_lab.study.study_file import Setting, Study
from lr_lab.study.values import Values


def _subject(claims: dict[str, dict[str, object]]) -> Subject:
    """`a` is 10 points ahead of `b`, in 3 epochs instead of 9."""
    rows = pd.DataFrame(
        [
            {"setting": name, "seed": seed, "status": "completed", "val_accuracy": accuracy, "convergence_epoch": epoch}
            | {"val_loss": 1 - accuracy}
            for name, accuracies, epoch in (("a", (0.91, 0.92, 0.93), 3), ("b", (0.80, 0.83, 0.83), 9))
            for seed, accuracy in enumerate(accuracies)
        ]
    )
    study = Study("mine", "Mine", settings=[Setting(name, name.upper(), {}) for name in "ab"], claims=claims)
    values = Values(rows, list("ab"), "the test")
    _, findings = judge(study, values, Values.published(study))
    shown = [shown_claim(finding, values) for finding in findings]
    return Subject(study, Runs(rows), values, [], lambda split, run: None, shown)


def _claim(place: str, better: str, worse: str, metric: str) -> dict[str, object]:
    return {"place": place, "says": "It is.", "test": "ahead", "metric": metric, "rivals": {better: worse}}


def test_each_claim_is_as_far_from_its_limit_as_measured(tmp_path: Path) -> None:
    claims = {
        "ahead": _claim("1", "a", "b", "val_accuracy") | {"margin": 0.02},
        "behind": _claim("2", "b", "a", "val_accuracy"),
        "sooner": _claim("3", "a", "b", "convergence_epoch"),
        "loss": _claim("4", "a", "b", "val_loss"),  # without a unit, on no axis with the others
    }
    of = _subject(claims)
    entry = Forest.suggested(of)
    assert entry is not None
    shown = Forest(entry, of).draw(tmp_path / "forest")
    assert isinstance(shown, Picture)
    distances = {said[0]: said.partition(", ")[2] for said in shown.alt.removesuffix(".").split("; ")}
    assert distances == {
        "1": "+8 points from its limit",
        "2": "-10 points from its limit",
        "3": "+6 epochs from its limit",
    }


@pytest.mark.parametrize("metric", ["val_accuracy", "val_loss"])
def test_few_claims_make_no_picture(metric: str) -> None:
    assert Forest.suggested(_subject({"one": _claim("1", "a", "b", metric)})) is None
