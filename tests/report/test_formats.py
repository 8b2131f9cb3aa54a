"""Numbers, intervals and p-values, as people read them."""

from math import inf, nan

import pytest

from lr_lab.report.formats import interval, number, p_value


@pytest.mark.parametrize(
    ("value", "metric", "text"),
    [
        (0.98765, "val_accuracy", "98.77"),
        (21.0, "convergence_epoch", "21"),
        (21.34, "convergence_epoch", "21.3"),
        (inf, "convergence_epoch", "never"),
        (nan, "val_accuracy", "–"),
        (0.0123456, "val_loss", "0.01235"),
        (-0.00001, "val_accuracy", "0.00"),
        (-0.04, "convergence_epoch", "0"),
    ],
)
def test_numbers_for_people(value: float, metric: str, text: str) -> None:
    assert number(value, metric) == text


def test_intervals_and_p_for_people() -> None:
    assert interval(-0.01, 0.02, "val_accuracy", signed=True) == "[-1.00, +2.00]"
    assert interval(-inf, 3, "convergence_epoch") == "[…, 3]"
    assert interval(inf, inf, "convergence_epoch") == "", "never needs no bound"
    assert interval(-inf, inf, "val_accuracy") == ""
    assert [p_value(p) for p in (0.00001, 0.0123, 0.05023, 1.0)] == ["< 0.001", "0.012", "0.0502", "1"]
    assert interval(3, inf, "convergence_epoch") == "[3, …]"
    assert interval(0.00002225, 0.01303, "val_loss", signed=True) == "[+0.00002, +0.01303]"
    assert interval(-1.80189, -0.88214, "val_loss") == "[-1.802, -0.882]"
    assert interval(0, 0, "val_loss") == "[0, 0]"
    assert interval(-3e-7, 1.2345e-8, "largest_rise") == "[-3e-07, 1.235e-08]"
    assert [p_value(p) for p in (0.0009, 0.001, 0.994, 0.996)] == ["< 0.001", "0.001", "0.994", "1"]
