"""Diagnosis held to labelled curves of real runs, to hand-made shapes, and to properties of every history."""

import csv
import json
import math
import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
import yaml
from curves.shapes import GUESS, curve
from hypothesis import assume, given
from hypothesis import strategies as st
from processes import result_of
from scipy.stats import entropy
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from lr_lab.curves.curve import Curve
from lr_lab.curves.diagnosis import LABELS, Diagnosis, diagnose
from lr_lab.curves.thresholds import Thresholds
from lr_lab.errors import UserError
from lr_lab.run.config import CONFIG_DIR, compose
from lr_lab.run.convergence import convergence_epoch
from lr_lab.run.folder import RunFolder, run_path
from lr_lab.run.summary import summarise
from lr_lab.run.training import train

CURVES = Path(__file__).parent
SETTINGS = yaml.safe_load((CONFIG_DIR / "analysis" / "default.yaml").read_text())["diagnosis"]
THRESHOLDS = Thresholds.of(SETTINGS)
HELD_OUT = {
    *("fer_digits", "mnist_schedules", "cifar_simple", "mnist_high", "cifar_small_batch", "fer_high"),
    *("descent_line", "line_gaussian", "mnist_adam_small"),
}

Losses = Sequence[float | None]
Labelled = list[tuple[str, dict[str, str], Diagnosis]]


def made(train_losses: Losses, val_losses: Losses | None = None, classes: int | None = 10, **more: Any) -> Curve:
    """A curve; None is a loss that is not finite."""
    val_losses = train_losses if val_losses is None else val_losses
    losses = ([math.nan if loss is None else loss for loss in values] for values in (train_losses, val_losses))
    return curve(*losses, classes=classes, **more)


def label(train_losses: Losses, val_losses: Losses | None = None, classes: int | None = 10, **more: Any) -> str:
    return diagnose(made(train_losses, val_losses, classes, **more), THRESHOLDS).label


@pytest.fixture(scope="module")
def labelled() -> Labelled:
    """Of every labelled curve: its line of labels.csv, and what the rules say of it."""
    labels = {line["id"]: line for line in csv.DictReader((CURVES / "labels.csv").open())}
    runs = json.loads((CURVES / "histories.json").read_text())
    assert len(runs) == len(labels) == len({run["id"] for run in runs})
    found = [diagnose(made(run["train_loss"], run["val_loss"], run["classes"]), THRESHOLDS) for run in runs]
    return [(run["study"], labels[run["id"]], diagnosis) for run, diagnosis in zip(runs, found, strict=True)]


def confusion(labelled: Labelled) -> Counter[tuple[str, str]]:
    """Count of each (label by eye, label by rule)."""
    return Counter((line["label"], found.label) for _, line, found in labelled)


def test_eight_in_nine_held_out_curves_are_labelled_as_by_eye(labelled: Labelled) -> None:
    table = confusion([curve for curve in labelled if curve[0] in HELD_OUT])
    right = sum(table[label, label] for label in LABELS)
    assert table.total() == 81
    assert right >= 72, dict(table)


def test_curves_that_set_the_thresholds_are_labelled_as_by_eye(labelled: Labelled) -> None:
    table = confusion([curve for curve in labelled if curve[0] not in HELD_OUT])
    assert {pair for pair in table if pair[0] != pair[1]} == set()
    assert table.total() == 79


def test_nineteen_in_twenty_fresh_curves_are_labelled_as_by_eye() -> None:
    lines = {line["id"]: line for line in csv.DictReader((CURVES / "fresh.csv").open())}
    right = 0
    for run in json.loads((CURVES / "fresh.json").read_text()):
        found = diagnose(made(run["train_loss"], run["val_loss"], run["classes"], lr=tuple(run["lr"])), THRESHOLDS)
        line = lines.pop(run["id"])
        right += found.label in (line["label"], *line["other"].split(";"))
    assert not lines
    assert right >= 40


@pytest.mark.parametrize("held_out", [True, False])
def test_every_label_has_three_curves_on_either_side(labelled: Labelled, held_out: bool) -> None:
    count = Counter(line["label"] for study, line, _ in labelled if (study in HELD_OUT) == held_out)
    assert set(count) == set(LABELS)
    assert min(count.values()) >= 3


def test_the_epoch_since_which_is_as_by_eye_within_three_for_most(labelled: Labelled) -> None:
    pairs = [(int(line["since"]), found.since) for _, line, found in labelled if line["since"] and found.since]
    near = [abs(seen - found) <= 3 for seen, found in pairs]
    assert len(near) >= 30
    assert sum(near) >= 0.85 * len(near)


def test_a_labelled_curve_is_made_again_by_its_overrides(tmp_path: Path) -> None:
    runs = json.loads((CURVES / "histories.json").read_text())
    run = next(run for run in runs if run["study"] == "descent_line" and "lr=0.7" in run["overrides"])
    config = compose(*run["overrides"].split(), f"output_dir={tmp_path}", "trainer.accelerator=cpu")
    train(config)
    losses = [row["val_loss"] for row in RunFolder(run_path(config)).history()]
    assert losses == pytest.approx(run["val_loss"], rel=1e-3)


def test_what_loses_points_to_the_end_is_not_healthy() -> None:
    """Two runs of decay_cifar10 by cutoff, which lost 4 and 7 points of accuracy."""
    rises_together = label(
        [
            1.450,
            1.137,
            1.047,
            1.012,
            0.996,
            0.999,
            1.017,
            0.937,
            0.949,
            0.951,
            0.964,
            0.984,
            0.993,
            1.006,
            1.016,
            1.019,
            1.087,
            1.110,
            1.113,
            1.131,
            1.179,
            1.169,
            1.163,
            1.217,
            1.211,
        ],
        [
            1.200,
            0.997,
            0.981,
            0.941,
            0.924,
            0.902,
            0.895,
            0.902,
            0.944,
            0.911,
            1.000,
            1.036,
            1.078,
            1.163,
            1.110,
            1.231,
            1.109,
            1.127,
            1.222,
            1.175,
            1.154,
            1.441,
            1.167,
            1.393,
            1.247,
        ],
    )
    assert rises_together == "collapsed"
    trains_at_its_level = label(
        [
            1.441,
            1.124,
            1.035,
            1.012,
            0.999,
            1.005,
            1.017,
            1.043,
            0.807,
            0.728,
            0.707,
            0.697,
            0.714,
            0.691,
            0.699,
            0.704,
            0.702,
            0.712,
            0.709,
            0.703,
            0.730,
            0.731,
            0.738,
            0.782,
            0.768,
        ],
        [
            1.151,
            1.001,
            0.984,
            1.003,
            0.999,
            1.051,
            1.063,
            1.062,
            0.835,
            0.925,
            0.855,
            0.933,
            0.868,
            0.884,
            0.945,
            0.881,
            1.046,
            1.108,
            0.972,
            1.039,
            1.195,
            1.169,
            1.095,
            1.131,
            1.156,
        ],
    )
    assert trains_at_its_level == "overfitting"


FALLING = [GUESS * 0.6**epoch for epoch in range(20)]


@pytest.mark.parametrize(
    ("expected", "train_losses", "val_losses"),
    [
        ("healthy", FALLING, [0.2 + loss for loss in FALLING]),
        ("healthy", [2.3, 1.0], None),  # two epochs have no swing
        ("healthy", [2.3] * 20, [max(1.5, 2.3 - 0.2 * epoch) for epoch in range(20)]),  # learned, as validation says
        ("healthy", [2.34], [2.06]),  # the mean over its first epoch lies above guessing
        ("crawling", [2.3 - 0.01 * epoch for epoch in range(20)], None),
        ("crawling", [2.31 - 0.0005 * epoch for epoch in range(20)], None),
        ("stuck", [2.30262 - 0.000002 * epoch for epoch in range(20)], None),
        ("overfitting", FALLING, [*FALLING[:6], *(FALLING[5] + 0.05 * epoch for epoch in range(14))]),
        ("oscillating", [0.5, 1.5] * 10, None),
        ("stuck", [2.31, 2.3] * 10, None),
        ("stuck", [1e9] + [2.4] * 19, None),
        ("stuck", [40.0 - epoch for epoch in range(20)], None),  # falls, but from far above guessing
        ("diverged", [1e6, 1e5, 1e4], None),  # blew up in its first epoch
        ("diverged", [2.3026, 40.0, 23.1], None),
        ("stuck", [2.3026, 40.0, 23.0], None),
        (
            "stuck",
            [2.303, *(2.4 - 0.01 * abs(epoch - 9) for epoch in range(1, 20))],
            None,
        ),  # up, and not all the way down
        ("healthy", [1.9 - 0.0005 * epoch for epoch in range(20)], None),  # hardly falls, at one rate throughout
        ("collapsed", [*FALLING[:8], *[2.31] * 12], None),
        ("collapsed", [2.3, 2.0, 1.0, 0.5, 0.1, *[1.6] * 7], [2.3, 2.0, *[2.4] * 10]),  # and overfits
        ("collapsed", [0.5, 23.0], None),  # ten times the loss of guessing and not more
        ("diverged", [0.5, 23.1], None),
        ("collapsed", [0.2, 0.1, 0.08, *[2.303] * 12], None),  # learned most of it within its first epoch
        ("diverged", [*FALLING[:8], None], None),
        ("diverged", FALLING, [*FALLING[:19], math.inf]),
        ("diverged", [2.3, 2.0, 50.0], None),
    ],
)
def test_plain_shapes(expected: str, train_losses: Losses, val_losses: Losses | None) -> None:
    assert label(train_losses, val_losses) == expected


def test_evidence_says_since_when_and_how_much() -> None:
    val_losses = [2.3, 1.5, 1.0, 0.7, 0.8, 0.9, 1.0, 1.1, 1.2, 1.3, 1.4, 1.5]
    found = diagnose(made([2.3 * 0.7**epoch for epoch in range(12)], val_losses), THRESHOLDS)
    # The median of 1.0, 0.7 and 0.8 is 0.8, of 0.7, 0.8 and 0.9 too: the first of them is the fourth epoch.
    assert (found.label, found.since) == ("overfitting", 4)
    assert found.evidence == (
        "After 4 epochs the validation loss had come down to 0.8 (smoothed), and by the end it rose to 1.4 "
        "while the training loss went from 0.7889 to 0.06497 (medians of the last 3 epochs)."
    )


def test_a_healthy_run_says_when_it_was_at_its_best() -> None:
    found = diagnose(made([2.3, 1.0, 0.5, 0.3, 0.2, 0.1], [2.3, 1.0, 0.5, 0.35, 0.3, 0.31]), THRESHOLDS)
    assert found.evidence == "The validation loss was lowest, 0.3, after 5 epochs and 0.31 at the end of 6."


def history(losses: Sequence[float]) -> list[dict[str, Any]]:
    """Rows as a run records them."""
    return [{"epoch": epoch, "train_loss": loss, "val_loss": loss} for epoch, loss in enumerate(losses)]


def descent(rate: float, curvature: float = 1.0, steps: int = 60) -> list[float]:
    """Losses of gradient descent on curvature / 2 w^2 from w = 3, in closed form."""
    return [curvature / 2 * 9 * (1 - rate * curvature) ** (2 * step) for step in range(steps)]


@pytest.mark.parametrize(
    ("rate", "expected"),
    [(1e-3, "crawling"), (0.1, "healthy"), (1.0, "healthy"), (1.9, "healthy"), (2.1, "diverged")],
)
def test_gradient_descent_on_a_parabola(rate: float, expected: str) -> None:
    assert label(descent(rate), classes=None) == expected


losses = st.floats(0, 1e6, width=32)
histories = st.lists(st.tuples(losses, losses), min_size=1, max_size=40)
classes = st.sampled_from([None, 2, 10, 1000])


def columns(history: list[tuple[float, float]]) -> tuple[list[float], list[float]]:
    """Training and validation losses."""
    return [train for train, _ in history], [val for _, val in history]


@given(histories, classes)
def test_every_history_gets_a_label_and_a_sentence_with_its_numbers(
    history: list[tuple[float, float]], classes: int | None
) -> None:
    found = diagnose(made(*columns(history), classes), THRESHOLDS)
    assert found.label in LABELS
    assert re.fullmatch(r"[A-Z][^\n]*\.", found.evidence)
    numbers = re.findall(r"\d[\d.]*(?:e[+-]\d+)?(?<!\.)", found.evidence)
    assert set(numbers) & {f"{loss:.4g}" for pair in history for loss in pair}
    assert (found.since is not None) == (found.label in ("overfitting", "collapsed"))
    assert found.since is None or 1 <= found.since <= len(history)


@given(histories, classes, st.data())
def test_a_loss_that_is_not_finite_is_divergence(
    history: list[tuple[float, float]], classes: int | None, data: st.DataObject
) -> None:
    assume(len(history) > 1)
    epoch, column = data.draw(st.integers(0, len(history) - 1)), data.draw(st.integers(0, 1))
    train, val = columns(history)
    (train, val)[column][epoch] = data.draw(st.sampled_from([math.nan, math.inf]))
    assert label(train, val, classes) == "diverged"


def test_a_validation_loss_that_is_never_finite_is_a_fault_of_validation() -> None:
    losses = [2.3 - 0.01 * epoch for epoch in range(20)]
    assert label(losses, [None] * 20) == label(losses) == "crawling"


def test_one_lucky_validation_does_not_make_a_run_that_guesses_healthy() -> None:
    lucky = [2.31, 2.31, 2.3, 1.6, *[2.31] * 8]
    assert label([2.31] * 12, lucky) == "stuck"
    assert label([2.31] * 12, [2.31, 2.31, *[1.6] * 10]) == "healthy"


def test_a_validation_loss_of_twice_its_lowest_is_overfitting_though_it_is_small() -> None:
    trained = [0.2, 0.08, 0.05, 0.03, 0.02, 0.015, 0.01, 0.008, 0.006, 0.005]
    risen = [0.06, 0.042, 0.04, 0.045, 0.055, 0.06, 0.07, 0.075, 0.08, 0.08]
    assert label(trained, risen) == "overfitting"
    assert label(trained, [0.06, 0.042, 0.04, 0.041, 0.043, 0.042, 0.044, 0.043, 0.045, 0.045]) == "healthy"


def test_one_rise_in_three_epochs_does_not_oscillate() -> None:
    assert label([2.0, 0.9, 1.3]) != "oscillating"
    assert label([2.0, 0.9, 1.3, 0.8, 1.3, 0.8, 1.3, 0.8]) == "oscillating"


def test_a_rate_that_was_gone_within_the_first_epoch_is_no_healthy_run() -> None:
    losses = [2.25, *(2.1 - 1e-6 * epoch for epoch in range(11))]
    gone: dict[str, Any] = {"lr": (1e-9,) * 12}
    assert label(losses, **gone) == "healthy"  # a constant rate, as far as it is told
    found = diagnose(made(losses, initial_lr=0.1, **gone), THRESHOLDS)
    assert found.label == "crawling"
    assert found.evidence.startswith(
        "By epoch 1 the rate had fallen from 0.1 to 1e-09, and the training loss went only"
    )


def test_one_answer_for_everything_is_stuck_at_the_loss_of_the_shares() -> None:
    losses = [0.24, *[0.2] * 9]
    always: dict[str, Any] = {"classes": 2, "val_accuracy": (0.95,) * 10}
    assert label(losses, **always) == "stuck"
    assert label(losses, **(always | {"val_accuracy": (0.94, *[0.95] * 8, 0.96)})) == "healthy"
    assert label(losses, classes=2, guess_loss=0.1985) == "stuck"


@pytest.mark.parametrize("level", [2.31, 5.3])
def test_a_run_that_guesses_shows_its_number_of_classes(level: float) -> None:
    losses = [level * 1.1, level * 1.05, *[level] * 10]
    classes = round(math.exp(level))
    assert label(losses, classes=None, val_accuracy=(0.9 / classes, *[1 / classes] * 11)) == "stuck"
    assert label(losses, classes=None, val_accuracy=tuple(rising / classes for rising in range(1, 13))) == "healthy"


def test_a_loss_that_creeps_while_no_answer_changes_is_stuck() -> None:
    losses = [2.32 - 0.0006 * epoch for epoch in range(20)]
    assert label(losses, val_accuracy=(0.103,) * 20) == "stuck"
    assert label(losses, val_accuracy=tuple(0.1 + 0.004 * epoch for epoch in range(20))) == "crawling"


def test_losses_in_two_units_are_not_put_on_one_scale() -> None:
    train, val = [0.9**epoch for epoch in range(20)], [60.0, 50.0, 45.0, 44.0, *[44.0] * 16]
    assert label(train, val, classes=None) != "collapsed"
    assert label(train, [60.0, 50.0, 45.0, *(45.0 + 2 * epoch for epoch in range(17))], classes=None) == "overfitting"


def test_training_losses_alone_are_enough() -> None:
    bare = Curve(at=tuple(map(float, range(1, 21))), train_loss=tuple(2.3 - 0.01 * epoch for epoch in range(20)))
    assert diagnose(bare, THRESHOLDS).label == "crawling"
    assert diagnose(bare, THRESHOLDS).evidence.startswith("The training loss still fell")


@pytest.mark.parametrize(
    ("clear", "close", "expected"),
    [
        ([0.5, 1.5] * 10, [1.0, 1.25] * 10, "oscillating"),
        ([2.3 - 0.1 * epoch for epoch in range(20)], [*(2.3 * 0.8**epoch for epoch in range(10))], "crawling"),
    ],
)
def test_a_verdict_near_its_threshold_is_less_sure_and_names_the_other(
    clear: list[float], close: list[float], expected: str
) -> None:
    sure, unsure = diagnose(made(clear), THRESHOLDS), diagnose(made(close), THRESHOLDS)
    assert sure.label == expected
    assert sure.confidence > unsure.confidence
    assert expected in (unsure.label, *unsure.alternatives)


@given(histories, st.integers(-10, 10))
def test_units_of_a_regression_do_not_matter(history: list[tuple[float, float]], exponent: int) -> None:
    scaled = [(t * 2.0**exponent, v * 2.0**exponent) for t, v in history]
    assert label(*columns(history), classes=None) == label(*columns(scaled), classes=None)


@given(st.lists(losses, min_size=1, max_size=40), classes)
def test_losses_that_only_fall_neither_overfit_nor_collapse_nor_oscillate(
    falling: list[float], classes: int | None
) -> None:
    falling.sort(reverse=True)
    found = label(falling, None, classes)
    assert found not in ("overfitting", "collapsed", "oscillating")
    assert found != "diverged" or (classes is not None and falling[-1] > 10 * math.log(classes))


def test_a_steep_fall_of_few_epochs_does_not_oscillate() -> None:
    assert label([1.92, 1.03, 0.42], [2.13, 1.08, 0.58]) == "healthy"


plateaus = st.tuples(st.floats(0.1, 0.5), st.floats(0.01, 1.5), st.integers(20, 40)).map(
    lambda shape: [shape[1] + (GUESS - shape[1]) * shape[0] ** epoch for epoch in range(shape[2])]
)


@given(plateaus, st.integers(1, 60))
def test_a_healthy_plateau_stays_healthy_however_long_it_lasts(plateau: list[float], more: int) -> None:
    assert label(plateau) == "healthy"
    assert label(plateau + plateau[-1:] * more) == "healthy"


@given(plateaus, st.integers(1, 60))
def test_a_run_stays_stuck_however_long_it_lasts(plateau: list[float], more: int) -> None:
    flat = [GUESS + loss / 100 for loss in plateau]
    assume(label(flat) == "stuck")
    assert label(flat + flat[-1:] * more) == "stuck"


@given(plateaus, st.floats(GUESS, 10), st.integers(5, 40))
def test_a_healthy_run_thrown_back_to_guessing_has_collapsed_since_its_best_epoch(
    plateau: list[float], level: float, rest: int
) -> None:
    found = diagnose(made(plateau + [level] * rest), THRESHOLDS)
    assert (found.label, found.since) == ("collapsed", plateau.index(min(plateau)) + 1)


@given(plateaus, st.floats(0.2, 1))
def test_a_validation_loss_that_turns_is_overfitting(plateau: list[float], slope: float) -> None:
    turned = plateau + [plateau[-1] + slope * epoch for epoch in range(1, 11)]
    trained = plateau + [plateau[-1] * 0.9**epoch for epoch in range(1, 11)]
    assert label(trained, turned) == "overfitting"


def test_no_epoch_no_diagnosis() -> None:
    with pytest.raises(ValueError, match="without a finished epoch"):
        diagnose(Curve(at=()), THRESHOLDS)


@pytest.mark.parametrize("value", [0, -1, math.nan, math.inf, "much", None, True])
def test_a_threshold_is_a_number_above_zero(value: Any) -> None:
    with pytest.raises(UserError, match=rf"analysis.diagnosis.swing={value} is not a threshold"):
        Thresholds.of({**SETTINGS, "swing": value})


def test_thresholds_are_known() -> None:
    with pytest.raises(UserError, match=r"analysis.diagnosis has no swings; its thresholds are learned, "):
        Thresholds.of({**SETTINGS, "swings": 1.0})
    assert Thresholds.of({}) == THRESHOLDS  # a run that was recorded before a rule existed


def test_the_configuration_holds_every_threshold_with_its_default() -> None:
    assert list(SETTINGS) == [field.name for field in fields(Thresholds)]
    assert Thresholds() == THRESHOLDS


@pytest.mark.parametrize("config", [5, None])
def test_thresholds_are_a_group(config: Any) -> None:
    with pytest.raises(UserError, match=f"analysis.diagnosis={config} is not a group of thresholds"):
        Thresholds.of(config)


def test_a_run_leaves_its_diagnosis_and_its_convergence(run_config: Callable[..., dict[str, Any]]) -> None:
    config = run_config("lr=1e-5", "model=simple_cnn", "epochs=4", "sequence=constant")
    result = train(config)
    folder = RunFolder(run_path(config))
    found = diagnose(Curve.of_history(folder.history(), 10, initial_lr=config["lr"]), THRESHOLDS)
    assert (result["diagnosis"], result["diagnosis_evidence"]) == (found.label, found.evidence)
    assert result_of(folder)["diagnosis_evidence"] == found.evidence
    accuracies = [row["val_accuracy"] for row in folder.history()]
    assert result["convergence_epoch"] == convergence_epoch(accuracies, 0.01, guessing=0.1)
    board = EventAccumulator(str(folder.path / "tensorboard"), size_guidance={"tensors": 0}).Reload()
    (text,) = board.Tensors("diagnosis/text_summary")
    assert text.tensor_proto.string_val[0].decode() == f"{found.label}: {found.evidence}"
    assert summarise(config, folder.history()[:2])["diagnosis"] is None


def test_the_best_accuracy_is_of_any_epoch() -> None:
    accuracies = zip(history([2.0, 0.9, 1.5]), [0.2, 0.9, 0.5], strict=True)
    result = summarise(compose("epochs=3"), [row | {"val_accuracy": accuracy} for row, accuracy in accuracies])
    assert (result["best_val_accuracy"], result["val_accuracy"]) == (0.9, 0.5)


def test_a_run_on_uneven_classes_starts_from_the_loss_of_their_shares() -> None:
    rows = [row | {"val_accuracy": 0.94 + 0.005 * (row["epoch"] % 3)} for row in history([0.21, *[0.2] * 9])]
    config = compose("epochs=10", "model.classes=2")
    assert summarise(config, rows)["diagnosis"] == "healthy"
    found = summarise(config, rows, guess_loss=entropy([0.95, 0.05]))
    assert found["diagnosis"] == "stuck"
    assert "the loss of guessing by the classes' shares is 0.1985" in found["diagnosis_evidence"]
    assert summarise(config, rows, guess_loss=math.log(2))["diagnosis"] == "healthy"


def test_of_a_regression_the_steps_to_converge_are_counted() -> None:
    config = compose("data=line", "model=linear", "batch_size=100", "lr=0.1", "epochs=60")
    losses = descent(0.1)
    result = summarise(config, [row | {"val_accuracy": None} for row in history(losses)])
    assert result["convergence_epoch"] == next(step for step, loss in enumerate(losses) if loss <= 0.01 * losses[0])
    assert result["diagnosis"] == "healthy"


def test_a_rate_lowered_to_nothing_too_early_is_crawling(run_config: Callable[..., dict[str, Any]]) -> None:
    """Seen in `make demo`: r_0 / n from 0.001 on stops far from where the same rate held constant goes on to."""
    config = run_config("lr=0.001", "epochs=16", "data.limit=null")
    result = train(config)
    assert result["diagnosis"] == "crawling"
    assert "fell only from" in result["diagnosis_evidence"]
    # The same losses at a constant rate: a run that learns nothing more at its full rate is as far as it goes.
    history = RunFolder(run_path(config)).history()
    constant = [row | {"lr": 0.001} for row in history]
    assert diagnose(Curve.of_history(constant, 10), THRESHOLDS).label == "healthy"


def test_a_run_that_has_arrived_may_lower_its_rate_as_it_likes() -> None:
    def halving(losses: Sequence[float]) -> str:
        return label(losses, lr=tuple(0.1 * 0.5**epoch for epoch in range(len(losses))))

    losses = [2.3, 1.2, 0.5, 0.2, 0.1, 0.09, 0.088, 0.086, 0.084, 0.082, 0.08, 0.078]
    assert halving(losses) == "healthy"
    assert halving([2.3, *(1.3 + loss for loss in losses[1:])]) == "crawling"  # as little, but far from arrived


def test_a_rate_of_zero_is_no_reason_to_crawl() -> None:
    losses = [2.3, *(2.0 - 0.002 * epoch for epoch in range(11))]
    assert label(losses, lr=tuple(0.1 if epoch < 9 else 0.0 for epoch in range(12))) == "healthy"
