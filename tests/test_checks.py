"""Checks of values: the truth values of Python are ints to Python, and no numbers to a person."""

import math
from functools import partial
from typing import Any

import pytest

from lr_lab.checks import check_choice, check_fraction, check_list, check_number, check_whole_number, typed
from lr_lab.errors import NotAllowed, UserError


@pytest.mark.parametrize("value", [True, False, None, 0, 1.0, "1", math.nan])
def test_what_is_not_a_whole_number_of_at_least_1(value: Any) -> None:
    with pytest.raises(
        NotAllowed, match=rf"^steps={typed(value)} is not allowed; give a whole number of at least 1\.$"
    ):
        check_whole_number("steps", value, 1)


def test_whole_numbers() -> None:
    check_whole_number("steps", 2**63 - 1, 1)
    with pytest.raises(NotAllowed, match="at least 1 and at most 9223372036854775807"):
        check_whole_number("steps", 2**63, 1)
    check_whole_number("steps", 1, 1)
    check_whole_number("steps", None, 1, optional=True)
    with pytest.raises(NotAllowed, match="at least 1, or null"):
        check_whole_number("steps", True, 1, optional=True)


@pytest.mark.parametrize("value", [True, None, "0.5", math.nan, math.inf, -0.1, 1.1])
def test_what_is_not_a_fraction(value: Any) -> None:
    with pytest.raises(NotAllowed, match=rf"^part={typed(value)} is not allowed; give a number from 0 to 1\.$"):
        check_fraction("part", value)


def test_numbers() -> None:
    for value in (0, 1, 0.5):
        check_fraction("part", value)
    for value in (1e300, 10**400):
        check_number("rate", value, "a number", lambda x: True)


def test_values_are_told_as_they_are_typed() -> None:
    assert [typed(value) for value in (None, True, False, "True", 1.0)] == ["null", "true", "false", "true", "1.0"]


def test_choices_are_told_as_they_are_typed() -> None:
    check_choice("graphs", False, (None, True, False, "warn"))
    for value in (1, 0, "true"):
        with pytest.raises(NotAllowed, match=rf"^graphs={value} .* choose one of null, true, false, warn\.$"):
            check_choice("graphs", value, (None, True, False, "warn"))


def test_a_choice_that_is_close_is_named() -> None:
    with pytest.raises(NotAllowed, match=r"accelerator=GPU .* auto, cpu, gpu; did you mean gpu\?$"):
        check_choice("accelerator", "GPU", ("auto", "cpu", "gpu"))


def test_lists() -> None:
    check_list("sizes", [1, 2], partial(check_whole_number, least=1))
    with pytest.raises(NotAllowed, match="sizes=0 is not allowed"):
        check_list("sizes", [1, 0], partial(check_whole_number, least=1))
    values: list[Any] = [1, "12", [], None]
    for value in values:
        with pytest.raises(NotAllowed, match="is not a list; write sizes="):
            check_list("sizes", value, partial(check_whole_number, least=1))


def test_a_refused_value_is_an_error_of_a_person_and_of_a_value() -> None:
    assert issubclass(NotAllowed, UserError)
    assert issubclass(NotAllowed, ValueError)
