"""The answer does not depend on units, on names, or on where the epochs begin."""

from dataclasses import replace

from curves.shapes import curve
from curves.test_readers import of_text
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from lr_lab.curves.curve import Curve
from lr_lab.curves.explanation import explain

losses = st.floats(0.01, 50, allow_nan=False).map(lambda value: float(f"{value:.4g}"))
accuracies = st.floats(0.2, 0.99).map(lambda value: float(f"{value:.3g}"))
rows = st.lists(st.tuples(losses, losses, accuracies), min_size=3, max_size=30)


def answer(found: Curve) -> tuple[object, ...]:
    explained = explain(found)
    return explained.diagnosis.label, sorted({finding.kind for finding in explained.findings}), len(explained.advice)


def text(table: list[tuple[float, float, float]], header: str = "epoch,loss,val_loss,val_acc", first: int = 1) -> str:
    lines = (f"{epoch},{','.join(f'{value:.10g}' for value in row)}" for epoch, row in enumerate(table, first))
    return "\n".join([header, *lines])


@given(rows, st.integers(-4, 4))
@settings(max_examples=60)
def test_scaling_the_loss_changes_nothing_where_guessing_has_no_known_loss(table, power) -> None:  # type: ignore[no-untyped-def]
    train, val = [row[0] for row in table], [row[1] for row in table]
    before = curve(train, val, classes=None)
    scaled = curve([value * 2.0**power for value in train], [value * 2.0**power for value in val], classes=None)
    assert answer(before) == answer(scaled)


@given(rows, st.integers(1, 500))
@settings(max_examples=60)
def test_adding_a_number_of_epochs_changes_nothing_but_the_epochs(table, more) -> None:  # type: ignore[no-untyped-def]
    (before,), (after,) = of_text(text(table)), of_text(text(table, first=1 + more))
    assert answer(before) == answer(after)
    since, later = explain(before).diagnosis.since, explain(after).diagnosis.since
    assert (since is None and later is None) or (since is not None and later == since + more)


@given(rows)
@settings(max_examples=60)
def test_percent_is_fraction(table) -> None:  # type: ignore[no-untyped-def]
    assume(max(row[2] for row in table) > 0.02)
    (before,) = of_text(text(table))
    (after,) = of_text(text([(train, val, 100 * accuracy) for train, val, accuracy in table]))
    assert answer(before) == answer(after)


NAMES = (
    *("Epoch,Train Loss,Valid Loss,Valid Accuracy", "epochs,training/loss,validation/loss,validation/acc"),
    *("ep;lossTrain;lossVal;accVal", "epoch\ttrain_loss_epoch\teval_loss\teval_acc", "Epoch,trn_nll,dev_nll,dev_top1"),
)


@given(rows, st.sampled_from(NAMES))
@settings(max_examples=60)
def test_the_names_of_columns_change_nothing(table, names) -> None:  # type: ignore[no-untyped-def]
    delimiter = next(sign for sign in ";\t," if sign in names)
    (before,) = of_text(text(table))
    (after,) = of_text("\n".join(line.replace(",", delimiter) for line in text(table, names).splitlines()))
    assert answer(before) == answer(after)
    assert replace(before, read=(), notes=()) == replace(after, read=(), notes=())
