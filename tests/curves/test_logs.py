"""Logs that other libraries wrote while faults were provoked: the numbers are read right, the faults are told."""

import pytest
from curves import measure

from lr_lab.curves.explanation import Explanation, explain

Explained = list[tuple[Explanation, measure.Row]]


@pytest.fixture(scope="module", params=["tuning", "scoring"])
def explained(request: pytest.FixtureRequest) -> Explained:
    return [(explain(measure.curve(row)), row) for row in measure.rows(request.param)]


def test_the_numbers_are_right_in_nineteen_of_twenty_logs(explained: Explained) -> None:
    faulty = {row["folder"]: bad for one, row in explained if (bad := measure.wrong(one.curve, row))}
    assert len(faulty) <= 0.05 * len(explained), faulty


def test_labels_are_as_by_eye(explained: Explained) -> None:
    right, total, right_of_ill, ill = measure.score([(one.diagnosis.label, row) for one, row in explained])
    assert right >= 0.85 * total
    assert right_of_ill >= 0.75 * ill


SIGNS = {
    "nan": ({"diverged"}, {"not_finite"}),
    "rate_div1000": ({"stuck", "crawling"}, {"rate_too_low"}),
    "lowered_early": ({"crawling", "stuck"}, {"lowered_too_early"}),
    "tiny_data": ({"overfitting"}, {"gap", "best_thrown_away"}),
    "wrong_resume": (set(), {"taken_up_wrongly", "rate_raised"}),
    "dropout": (set(), {"validation_better"}),
}


@pytest.mark.parametrize("fault", SIGNS)
def test_a_fault_that_shows_is_told_in_most_logs(fault: str, explained: Explained) -> None:
    """Not in all: a log may lack the rate or the training loss, and a fault may have done no harm."""
    labels, kinds = SIGNS[fault]
    provoked = [one for one, row in explained if row["fault"] == fault]
    told = [o for o in provoked if o.diagnosis.label in labels or {f.kind for f in o.findings} & kinds]
    assert len(told) >= 0.6 * len(provoked)


def test_faults_are_not_told_of_healthy_runs(explained: Explained) -> None:
    grave = {"not_finite", "taken_up_wrongly", "rate_raised", "lowered_too_early", "same_order", "jumps_between_epochs"}
    false = [
        row["folder"] for one, row in explained if row["fault"] == "healthy" and {f.kind for f in one.findings} & grave
    ]
    assert false == []
