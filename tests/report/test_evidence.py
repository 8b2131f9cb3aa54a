"""Claims as a report shows them: the numbers against those worked out by hand."""

from typing import Any

import pandas as pd
import pytest

from lr_lab.report.evidence import ShownClaim, shown_claim
from lr_lab.study.claims import Claim, Finding
from lr_lab.study.judgement import judge
from lr_lab.study.study_file import Setting, Study
from lr_lab.study.values import Values
from lr_lab.study.verdicts import Verdict

ACCURACIES = {"a": [0.90, 0.92, 0.94, 0.92], "b": [0.80, 0.83, 0.84, 0.81], "c": [0.60, 0.62, 0.64, 0.62]}


def _shown(**claim: Any) -> ShownClaim:
    rows = [
        {"setting": name, "seed": seed, "status": "completed", "val_accuracy": accuracy}
        | {"convergence_epoch": 10 * (1 + "abc".index(name)), "collapsed": float(seed < 3)}
        for name, accuracies in ACCURACIES.items()
        for seed, accuracy in enumerate(accuracies)
    ]
    claims = {"it": {"place": "1", "says": "It is so.", **claim}}
    study = Study("mine", "Mine", settings=[Setting(name, name.upper(), {}) for name in "abc"], claims=claims)
    values = Values(pd.DataFrame(rows), list("abc"), "the test")
    _, (finding,) = judge(study, values, Values.published(study))
    return shown_claim(finding, values)


@pytest.mark.parametrize(
    ("claim", "measured", "limit"),
    [
        (
            {"test": "ahead", "metric": "val_accuracy", "rivals": {"a": "b"}},
            "lead in final validation accuracy: +10.00 points [",
            "over 0",
        ),
        (
            {"test": "ahead", "metric": "val_accuracy", "rivals": {"a": ["b", "c"]}, "margin": 0.05},
            "smallest lead in final validation accuracy: +10.00 points [",
            "over 5 points",
        ),
        (
            {"test": "order", "metric": "convergence_epoch", "settings": ["c", "b"]},
            "lead in epochs to convergence: -10 epochs",
            "over 0",
        ),
        (
            {"test": "similar", "metric": "val_accuracy", "within": [["a", "b", "c"]], "margin": 0.02},
            "largest difference in final validation accuracy: 30.00 points",
            "under 2 points",
        ),
        (
            {"test": "bounded", "metric": "val_accuracy", "settings": "a", "below": 0.5},
            "final validation accuracy: 92.00% [89.40, 94.60]",  # 1.633 x 3.182 / sqrt(4)
            "under 50%",
        ),
        (
            {"test": "bounded", "metric": "val_accuracy", "settings": "*", "above": 0.255, "below": 0.95},
            "final validation accuracy: 62.00% to 92.00%",
            "over 25.5% and under 95%",
        ),
        (
            {"test": "bounded", "metric": "convergence_epoch", "settings": "b", "above": 1},
            "epochs to convergence: 20 epochs",
            "over 1 epoch",
        ),
        (
            {"test": "share", "metric": "collapsed", "setting": "a", "above": 0.1},
            "share of runs that collapsed: 75% [",
            "over 10%",
        ),
        (
            {"test": "within_factor", "metric": "convergence_epoch", "settings": "*", "factor": 2},
            "largest over smallest epochs to convergence: 3 times",
            "under 2 times",
        ),
        (
            {"test": "wider", "metric": "val_accuracy", "settings": ["b", "c"], "than": ["a", "b"], "factor": 1.5},
            "final validation accuracy: 20.00 points apart, the others 10.00 points",
            "over 15.00 points",
        ),
    ],
)
def test_the_measured_number_stands_beside_its_limit(claim: dict[str, Any], measured: str, limit: str) -> None:
    shown = _shown(**claim)
    assert shown.measured.startswith(measured)
    assert (shown.limit, shown.seeds) == (limit, 4)
    assert shown.evidence == f"{shown.measured}; the claim needs {limit}; 4 seeds"


def test_of_some_runs_their_own_number_of_seeds_is_told() -> None:
    shown = _shown(test="bounded", metric="val_accuracy", settings="a", above=0.5, among="collapsed")
    assert shown.measured.startswith("final validation accuracy: 92.00% [")
    assert shown.seeds == 3


def test_the_p_value_comes_with_the_look_or_with_a_bound() -> None:
    claim = Claim("it", "1", "It is so.", "ahead", arguments={"metric": "val_accuracy", "rivals": {"a": "b"}})
    held = Verdict("reproduced", 0.1, 0.09, 0.11, seeds=4, p=0.0004, look=4)
    unsure = Verdict("undecided", 0.1, -0.02, 0.22, seeds=4, p=0.21, look=4)
    statistics = [ShownClaim(Finding(claim, verdict, "silent"), "", "", 4).statistics for verdict in (held, unsure)]
    assert statistics == [
        "p < 0.001, decided at the look at 4 seeds",
        "p = 0.210; any difference is below 22.00 points (95%)",
    ]


def test_nothing_measured_is_said() -> None:
    shown = _shown(test="bounded", metric="sharpness", settings="a", above=0.5)
    assert shown.evidence == "its settings share no seed yet"
    assert shown.sentence.startswith("Open: “It is so” (its settings share")
