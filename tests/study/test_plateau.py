"""A run that learned, jumped and stayed on a plateau, by hand; and one that did not."""

from math import inf, nan

import pandas as pd
import pytest

from lr_lab.study import plateau

EPOCHS = 8


def history(accuracy: list[float], loss: list[float], **columns: list[float | None]) -> pd.DataFrame:
    return pd.DataFrame(
        {"epoch": range(len(loss)), "train_accuracy": accuracy, "train_loss": loss, "val_loss": loss, **columns}
    )


COLLAPSED = history(
    [0.2, 0.4, 0.6, 0.3, 0.1, 0.12, 0.1, 0.11],
    [2.0, 1.5, 1.0, 9.0, 2.3, 2.3, 2.3, 2.3],
    probe_gradient=[1.0, 3.0, 2.0, 8.0, 0.1, 0.1, 0.05, 0.05],
    dead_units=[0.0, 0.1, 0.1, 0.8, 0.9, 0.9, 1.0, 0.8],
    sharpness_to_limit=[0.5, nan, 1.5, nan, 7.0, nan, 0.0, nan],
)


def test_layers_are_said_of_the_network() -> None:
    layers = pd.DataFrame(
        {
            "gradient_norm": [9.0, 9.0],
            "gradient_norm/a": [3.0, nan],
            "gradient_norm/b": [4.0, nan],
            "dead_units/a": [0.25, nan],
            "dead_units/b": [0.5, nan],
            "sharpness": [10.0, nan],
            "stability_limit": [20.0, 20.0],
        }
    )
    whole = plateau.whole_network(layers)
    assert whole["probe_gradient"].tolist() == pytest.approx([5, nan], nan_ok=True)
    assert whole["dead_units"].tolist() == pytest.approx([0.5, nan], nan_ok=True)
    assert whole["sharpness_to_limit"].tolist() == pytest.approx([0.5, nan], nan_ok=True)


def test_adam_answers_to_its_preconditioned_sharpness() -> None:
    mixed = pd.DataFrame(
        {"sharpness": [10.0, 10.0], "preconditioned_sharpness": [5.0, nan], "stability_limit": [20.0, 20.0]}
    )
    assert plateau.whole_network(mixed)["sharpness_to_limit"].tolist() == [0.25, 0.5]


def test_networks_of_different_depth_share_their_columns() -> None:
    """A layer that a network does not have is no layer without a gradient."""
    both = pd.DataFrame({"gradient_norm/a": [3.0, 6.0], "gradient_norm/b": [4.0, nan]})
    assert plateau.whole_network(both)["probe_gradient"].tolist() == pytest.approx([5, 6])


def test_a_network_whose_outputs_are_no_numbers_has_no_share_of_dead_units() -> None:
    """The probe counts 0 dead units then: nothing is below 0."""
    broken = pd.DataFrame({"gradient_norm/a": [3.0, nan], "dead_units/a": [0.25, 0.0]})
    assert plateau.whole_network(broken)["dead_units"].tolist() == pytest.approx([0.25, nan], nan_ok=True)


def test_a_network_without_a_relu_has_gradients_only() -> None:
    whole = plateau.whole_network(pd.DataFrame({"gradient_norm/a": [3.0]}))
    assert whole["probe_gradient"].tolist() == [3]
    assert whole["dead_units"].isna().all()


def test_without_probes_nothing_is_added() -> None:
    assert list(plateau.whole_network(COLLAPSED[["epoch", "train_loss"]])) == ["epoch", "train_loss"]


def test_what_is_lost_is_what_the_last_quarter_does_not_reach() -> None:
    assert plateau.forgotten(COLLAPSED) == pytest.approx(0.6 - 0.11)
    recovered = COLLAPSED.assign(train_accuracy=[0.2, 0.4, 0.6, 0.3, 0.1, 0.12, 0.6, 0.1])
    assert plateau.forgotten(recovered) == 0


def test_the_gap_is_that_at_the_lowest_training_loss() -> None:
    assert plateau.best_gap(COLLAPSED.assign(val_loss=[2.0, 1.9, 3.5, 9.0, 2.3, 2.3, 2.3, 2.3])) == pytest.approx(2.5)


@pytest.mark.parametrize("broken", [inf, nan])
def test_a_loss_that_is_not_finite_has_lost_everything(broken: float) -> None:
    assert plateau.forgotten(history([0.2, 0.6, 0.5], [2.0, 1.0, broken])) == pytest.approx(0.6)


def test_the_sharpest_is_sought_before_the_fall() -> None:
    assert plateau.sharpest(COLLAPSED) == 1.5
    assert plateau.sharpest(COLLAPSED.assign(train_loss=[2.0, 1.9, 1.8, 1.7, 1.6, 1.5, 1.4, 1.3])) == 7


def test_the_sharpest_of_a_run_that_ended_on_a_loss_that_is_no_number() -> None:
    broken = history([0.2, 0.4, 0.4], [2.0, 1.5, nan], sharpness_to_limit=[0.5, 0.7, nan])
    assert plateau.sharpest(broken) == 0.7


def test_a_plateau_is_held_against_the_epochs_in_which_the_run_learned() -> None:
    """Two last epochs of 0.05 against 1, 3 and 2 before; 1.0 and 0.8 of the units dead."""
    found = plateau.of_plateau(COLLAPSED)
    assert found["plateau_gradient"] == pytest.approx(0.05 / 2)
    assert found["plateau_dead_units"] == pytest.approx(0.9)
