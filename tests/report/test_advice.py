"""Advice: what each kind of evidence gives rise to, with its numbers, and silence where there is none."""

import re
from dataclasses import replace
from math import inf
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from synthetic_study import write_run

from lr_lab.report.advice import advise, missing
from lr_lab.study import inference
from lr_lab.study.measured import with_metrics
from lr_lab.study.runs import Runs, read_runs
from lr_lab.study.study_file import Setting, Study, discover
from lr_lab.study.values import Values

SETTLED = [0.5, 0.8, 0.9, 0.9, 0.9, 0.9, 0.9, 0.9]


def _study(output_dir: Path) -> tuple[Study, Values, Runs]:
    runs = read_runs(output_dir / "mine")
    study = discover("mine", runs.results)
    runs = with_metrics(runs, study)
    return study, Values(runs.results, [setting.name for setting in study.settings], "it"), runs


def _shifted(by: float) -> list[float]:
    return [accuracy + by for accuracy in SETTLED]


def test_nothing_to_say(tmp_path: Path) -> None:
    for seed in range(8):
        for lr, lead in ((0.1, 0.0), (0.2, 0.05), (0.3, 0.0)):
            write_run(tmp_path, "mine", _shifted(lead + 0.001 * np.sin(seed * lr * 9)), lr=lr, seed=seed)
    assert advise(*_study(tmp_path)) == []


@pytest.mark.parametrize(
    ("best", "words"), [(0.3, "0.3, is the highest of the 3 tried"), (0.1, "0.1, is the lowest of the 3 tried")]
)
def test_the_best_rate_on_the_edge(tmp_path: Path, best: float, words: str) -> None:
    for lr in (0.1, 0.2, 0.3):
        write_run(tmp_path, "mine", _shifted(0.05 if lr == best else 0), lr=lr)
    (sentence,) = [s for s in advise(*_study(tmp_path)) if "The best rate" in s]
    assert words in sentence
    assert "(final validation accuracy 95.00, and 90.00 at 0.2): " in sentence
    if best == 0.1:  # one step of the grid on: 0.1 * 0.1 / 0.2
        assert "extend the grid, lr=0.05 next. Certain to be stable" in sentence
    else:
        assert "lr=" not in sentence
        assert "no evidence says which higher rates are stable. Find out first: python -m src.lr_find" in sentence


def test_the_rate_beside_the_lowest_says_how_far_to_go(tmp_path: Path) -> None:
    for lr in (0.1, 0.4, 0.8):
        write_run(tmp_path, "mine", _shifted(0.05 if lr == 0.1 else 0), lr=lr)
    (sentence,) = [s for s in advise(*_study(tmp_path)) if "The best rate" in s]
    assert "and 90.00 at 0.4): extend the grid, lr=0.025 next." in sentence


def test_beside_a_rate_far_off_the_grid_goes_on_by_ten_times(tmp_path: Path) -> None:
    for lr in (0.1, 5000):
        write_run(tmp_path, "mine", _shifted(0.05 if lr == 0.1 else 0), lr=lr)
    (sentence,) = [s for s in advise(*_study(tmp_path)) if "extend the grid" in s]
    assert "extend the grid, lr=0.01 next." in sentence


def test_of_an_optimizer_the_sequence_of_the_lowest_loss_has_an_edge(tmp_path: Path) -> None:
    for sequence, losses in (("inverse", (0.5, 0.4)), ("exponential", (0.3, 0.2)), ("cyclic", (0.7, 0.6))):
        for lr, loss in zip((0.1, 0.2), losses, strict=True):
            write_run(tmp_path, "mine", SETTLED, lr=lr, sequence=sequence, val_loss=[1.0] * 7 + [loss])
    study, _, runs = _study(tmp_path)
    study = replace(study, metrics=["val_loss"])
    values = Values(runs.results, [setting.name for setting in study.settings], "it")
    (sentence,) = [s for s in advise(study, values, runs) if "The best rate" in s]
    assert sentence.startswith("The best rate of sgd with exponential by epoch, 0.2, is the highest of the 2 tried")


def test_rates_that_other_choices_came_with_have_no_edge(tmp_path: Path) -> None:
    write_run(tmp_path, "mine", _shifted(0.05), lr=0.1, sequence="inverse")
    write_run(tmp_path, "mine", SETTLED, lr=0.01, sequence="constant")
    assert not [sentence for sentence in advise(*_study(tmp_path)) if "The best rate" in sentence]


def test_rates_of_networks_that_differ_have_no_edge(tmp_path: Path) -> None:
    for rate, dropout, lead in ((0.1, 0.0, 0.0), (0.2, 0.5, 0.05)):
        model = write_run(tmp_path, "other", SETTLED, lr=rate).config()["model"] | {"dropout": dropout}
        write_run(tmp_path, "mine", _shifted(lead), lr=rate, config={"model": model})
    runs = read_runs(tmp_path / "mine", told_by=["model.dropout"])
    study = discover("mine", runs.finished)
    runs = with_metrics(runs, study)
    values = Values(runs.results, [setting.name for setting in study.settings], "it")
    assert not [sentence for sentence in advise(study, values, runs) if "The best rate" in sentence]


def test_how_many_seeds_tell_two_settings_apart(tmp_path: Path) -> None:
    leads = [0.010, 0.002, -0.004, 0.016]
    for seed, lead in enumerate(leads):
        write_run(tmp_path, "mine", _shifted(lead), lr=0.2, seed=seed)
        write_run(tmp_path, "mine", SETTLED, lr=0.1, seed=seed)
    (sentence,) = [s for s in advise(*_study(tmp_path)) if "told apart" in s]
    mean, spread = float(np.mean(leads)), float(np.std(leads, ddof=1))
    # The page decides who is best and who converges first together: each at half of 5%.
    needed, fewest, most = (
        inference.seeds_needed(mean + shift, spread, alpha=0.025) for shift in (0.0, spread / 2, -spread / 2)
    )
    assert needed is not None
    assert most is not None
    assert fewest is not None
    assert 4 < fewest < needed < most
    assert "lr=0.2 and lr=0.1 are not told apart by 4 seeds: 0.60 points of final validation accuracy apart" in sentence
    assert f"about {needed} seeds show it with 80% power, corrections included" in sentence
    assert sentence.endswith(f"a standard error larger, {fewest} do, and if it is one smaller, {most} do.")


def test_the_rival_named_is_one_that_the_winner_is_not_known_to_lead(tmp_path: Path) -> None:
    """The nearest, 0.2, is told apart by its steady lead; 0.3, further away, is not."""
    for seed in range(4):
        noise = 0.0001 * (-1) ** seed
        write_run(tmp_path, "mine", _shifted(0.02 + noise), lr=0.1, seed=seed)
        write_run(tmp_path, "mine", _shifted(0.01), lr=0.2, seed=seed)
        write_run(tmp_path, "mine", _shifted(0.2 * (seed % 2) - 0.15), lr=0.3, seed=seed)
    (sentence,) = [s for s in advise(*_study(tmp_path)) if "told apart" in s]
    assert sentence.startswith("lr=0.1 and lr=0.3 are not told apart by 4 seeds: 7.00 points")


def test_of_the_rivals_that_may_be_ahead_the_nearest_is_named(tmp_path: Path) -> None:
    for seed in range(4):
        noise = 0.1 * (-1) ** seed
        for lr, behind in ((0.1, 0.0), (0.2, 0.05), (0.3, 0.02)):
            write_run(tmp_path, "mine", _shifted(-0.1 if lr == 0.1 else noise - 0.1 - behind), lr=lr, seed=seed)
    (sentence,) = [s for s in advise(*_study(tmp_path)) if "told apart" in s]
    assert sentence.startswith("lr=0.1 and lr=0.3 are not told apart by 4 seeds: 2.00 points")


def test_a_lead_in_loss_has_the_interval_of_the_lead(tmp_path: Path) -> None:
    leads = [0.10, 0.02, -0.04, 0.16]
    for seed, lead in enumerate(leads):
        write_run(tmp_path, "mine", SETTLED, lr=0.2, seed=seed, val_loss=[1.0] * 7 + [0.5 - lead])
        write_run(tmp_path, "mine", SETTLED, lr=0.1, seed=seed, val_loss=[1.0] * 7 + [0.5])
    study, _, runs = _study(tmp_path)
    study = replace(study, metrics=["val_loss"])
    values = Values(runs.results, [setting.name for setting in study.settings], "it")
    (sentence,) = [s for s in advise(study, values, runs) if "told apart" in s]
    expected = inference.estimate(dict(enumerate(leads)))
    assert f": 0.06 of final validation loss apart, [{expected.low:.4f}, {expected.high:.4f}]." in sentence


def test_a_lead_over_what_never_gets_there_takes_six_seeds(tmp_path: Path) -> None:
    for seed in range(3):
        write_run(tmp_path, "mine", SETTLED, lr=0.1, seed=seed)
        write_run(tmp_path, "mine", [0.1] * 8, lr=0.2, seed=seed)
    study, _, runs = _study(tmp_path)
    study = replace(study, metrics=["convergence_epoch"])
    values = Values(runs.results, [setting.name for setting in study.settings], "it")
    (sentence,) = [s for s in advise(study, values, runs) if "told apart" in s]
    assert sentence.startswith("lr=0.1 and lr=0.2 are not told apart by 3 seeds, in epochs to convergence")
    assert "takes 6 seeds at least" in sentence
    decided = inference.winner(
        {"a": dict.fromkeys(range(6), 1.0), "b": dict.fromkeys(range(6), np.inf)}, lower_is_better=True
    )
    assert inference.judge({"a": decided[1]})["a"].verdict == "reproduced"
    five = inference.winner(
        {"a": dict.fromkeys(range(5), 1.0), "b": dict.fromkeys(range(5), np.inf)}, lower_is_better=True
    )
    assert inference.judge({"a": five[1]})["a"].verdict == "undecided"


def test_two_rates_that_diverged_with_different_seeds_are_as_good(tmp_path: Path) -> None:
    for seed in range(3):
        for lr, broken in ((0.1, 0), (0.2, 1)):
            losses = [1.0] * 7 + [inf if seed == broken else 0.5]
            write_run(tmp_path, "mine", SETTLED, lr=lr, seed=seed, val_loss=losses)
    study, _, runs = _study(tmp_path)
    study = replace(study, metrics=["val_loss"])
    values = Values(runs.results, [setting.name for setting in study.settings], "it")
    assert any("only who is ahead counts" in sentence for sentence in advise(study, values, runs))


def test_two_that_diverged_with_the_same_seed_are_compared_on_the_others(tmp_path: Path) -> None:
    for seed in range(3):
        for lr, end in ((0.1, 0.2), (0.2, 0.5)):
            losses = [1.0] * 7 + [inf if seed == 0 else end + 0.01 * seed]
            write_run(tmp_path, "mine", SETTLED, lr=lr, seed=seed, val_loss=losses)
    study, _, runs = _study(tmp_path)
    study = replace(study, metrics=["val_loss"])
    sentences = advise(study, Values(runs.results, [setting.name for setting in study.settings], "it"), runs)
    assert any(sentence.startswith("lr=0.1 and lr=0.2 are not told apart by 3 seeds: 0.2") for sentence in sentences)


def test_a_rate_at_which_a_run_diverged_is_behind_those_at_which_none_did(tmp_path: Path) -> None:
    for sequence, ends in (("inverse", (0.5, 0.5, 0.5)), ("exponential", (inf, 0.4, 0.4))):
        for seed, end in enumerate(ends):
            for lr in (0.1, 0.2):
                losses = [1.0] * 7 + [end if lr == 0.2 else 0.9]
                write_run(tmp_path, "mine", SETTLED, lr=lr, seed=seed, sequence=sequence, val_loss=losses)
    study, _, runs = _study(tmp_path)
    study = replace(study, metrics=["val_loss"])
    sentences = advise(study, Values(runs.results, [setting.name for setting in study.settings], "it"), runs)
    (edge,) = [sentence for sentence in sentences if "The best rate" in sentence]
    assert edge.startswith("The best rate of sgd with inverse by epoch, 0.2")


def test_the_winner_of_settings_that_share_no_seed_is_the_best(tmp_path: Path) -> None:
    write_run(tmp_path, "mine", [0.2] * 8, lr=0.1, seed=0)
    write_run(tmp_path, "mine", [0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9], lr=0.2, seed=1)
    (sentence,) = [s for s in advise(*_study(tmp_path)) if "winner" in s]
    assert sentence.startswith("The winner, lr=0.2, still gains")


def test_one_seed_is_no_verdict(tmp_path: Path) -> None:
    write_run(tmp_path, "mine", _shifted(0.05), lr=0.2)
    write_run(tmp_path, "mine", SETTLED, lr=0.1)
    assert any("in the one seed they share: no verdict comes from one" in s for s in advise(*_study(tmp_path)))


def test_differences_too_small_to_chase(tmp_path: Path) -> None:
    for seed in range(4):
        write_run(tmp_path, "mine", _shifted(0.01 * (-1) ** seed + 0.0001), lr=0.2, seed=seed)
        write_run(tmp_path, "mine", SETTLED, lr=0.1, seed=seed)
    (sentence,) = [s for s in advise(*_study(tmp_path)) if "told apart" in s]
    assert re.search(r"takes over 100 seeds, and \d+ if it is a standard error larger: choose by something", sentence)


def test_a_winner_that_overfits(tmp_path: Path) -> None:
    val_loss = [1.0, 0.6, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9]
    train_loss = [1.0, 0.6, 0.4, 0.3, 0.2, 0.1, 0.05, 0.02]
    write_run(tmp_path, "mine", SETTLED, val_loss=val_loss, train_loss=train_loss)
    (sentence,) = [s for s in advise(*_study(tmp_path)) if "overfits" in s]
    assert "overfits from epoch 3: its validation loss rises from 0.4 to 0.9" in sentence
    assert "its training loss falls from 0.4 to 0.02; stop there (epochs=3)" in sentence


def test_a_winner_that_overfits_a_little(tmp_path: Path) -> None:
    val_loss = [1.0, 0.6, 0.4, 0.44, 0.48, 0.52, 0.55, 0.58]
    train_loss = [1.0, 0.6, 0.4, 0.3, 0.2, 0.1, 0.05, 0.02]
    write_run(tmp_path, "mine", SETTLED, val_loss=val_loss, train_loss=train_loss)
    assert any("overfits from epoch 3" in sentence for sentence in advise(*_study(tmp_path)))


def test_nobody_is_told_to_try_what_the_winner_has(tmp_path: Path) -> None:
    losses: dict[str, Any] = {"val_loss": [1.0, 0.4, 0.6, 0.9], "train_loss": [1.0, 0.4, 0.1, 0.02]}
    config = write_run(tmp_path, "other", SETTLED).config()
    optimizer = {"optimizer": config["optimizer"] | {"weight_decay": 0.01}}
    write_run(tmp_path, "mine", [0.5, 0.8, 0.9, 0.9], config=optimizer, **losses)
    (sentence,) = [s for s in advise(*_study(tmp_path)) if "overfits" in s]
    assert sentence.endswith("; try dropout (model.dropout=0.5). A guess: it rests on one run.")
    assert "weight decay" not in sentence
    network = {"model": config["model"] | {"dropout": 0.5}}
    write_run(tmp_path / "drops", "mine", [0.5, 0.8, 0.9, 0.9], config=network, **losses)
    (sentence,) = [s for s in advise(*_study(tmp_path / "drops")) if "overfits" in s]
    assert sentence.endswith("; try weight decay (optimizer.weight_decay=1e-4). A guess: it rests on one run.")


@pytest.mark.parametrize(
    ("accuracy", "gains"),
    [([0.5, 0.8, 0.85, 0.9], True), ([0.5, 0.8, 0.8, 0.801], False), ([0.5, 0.8, 0.8, 0.7], False)],
)
def test_who_is_told_to_stop_hears_what_it_costs(tmp_path: Path, accuracy: list[float], gains: bool) -> None:
    losses: dict[str, Any] = {"val_loss": [1.0, 0.4, 0.6, 0.9], "train_loss": [1.0, 0.4, 0.1, 0.02]}
    write_run(tmp_path, "mine", accuracy, **losses)
    (sentence,) = [s for s in advise(*_study(tmp_path)) if "overfits" in s]
    assert ("the accuracy still gains 10.00 points after that" in sentence) is gains
    assert ("still gains" in sentence) is gains
    assert ("stop there (epochs=2), or try weight decay" in sentence) is not gains


def test_nobody_is_told_to_stop_a_sequence_that_ends_with_the_run(tmp_path: Path) -> None:
    losses: dict[str, Any] = {"val_loss": [1.0, 0.4, 0.6, 0.9], "train_loss": [1.0, 0.4, 0.1, 0.02]}
    write_run(tmp_path, "mine", [0.5, 0.8, 0.8, 0.7], sequence="cosine", **losses)
    (sentence,) = [s for s in advise(*_study(tmp_path)) if "overfits" in s]
    remedies = "try weight decay (optimizer.weight_decay=1e-4), or try dropout (model.dropout=0.5). "
    assert sentence.endswith(f"0.02; {remedies}A guess: it rests on one run.")


def test_the_best_is_advised_on_over_the_seeds_that_all_share(tmp_path: Path) -> None:
    """0.1 is better over its own three seeds only because the three that it lacks are hard ones."""
    for seed in range(6):
        hard = -0.3 if seed >= 3 else 0.0
        write_run(tmp_path, "mine", _shifted(0.02 + hard), lr=0.2, seed=seed)
        if seed < 3:
            write_run(tmp_path, "mine", _shifted(0.0), lr=0.1, seed=seed)
    sentences = advise(*_study(tmp_path))
    (apart,) = [s for s in sentences if "told apart" in s]
    assert apart.startswith("lr=0.2 and lr=0.1 are not told apart by 3 seeds: 2.00 points")
    (edge,) = [s for s in sentences if "The best rate" in s]
    assert edge.startswith("The best rate of sgd with inverse by epoch, 0.2, is the highest of the 2 tried")


def test_a_winner_whose_loss_barely_turns_is_not_told_to_stop(tmp_path: Path) -> None:
    """Seen in `make demo`: 0.058 to 0.065 on a way down from 2.3 is no overfitting, and the diagnosis says so."""
    val_loss = [2.3, 1.0, 0.4, 0.1, 0.07, 0.0585, 0.06, 0.0655]
    train_loss = [2.3, 1.0, 0.4, 0.1, 0.05, 0.0318, 0.0317, 0.0316]
    write_run(tmp_path, "mine", SETTLED, val_loss=val_loss, train_loss=train_loss)
    assert not any("overfits" in sentence for sentence in advise(*_study(tmp_path)))


def test_a_winner_that_still_rises(tmp_path: Path) -> None:
    write_run(tmp_path, "mine", [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8])
    (sentence,) = [s for s in advise(*_study(tmp_path)) if "train longer" in s]
    assert "still gains 10.00 points of validation accuracy within its last 2 epochs" in sentence
    assert sentence.endswith("train longer, epochs=16. A guess: it rests on one run.")


def test_three_runs_make_advice_likely(tmp_path: Path) -> None:
    for seed in range(3):
        write_run(tmp_path, "mine", [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8], seed=seed)
    (sentence,) = [s for s in advise(*_study(tmp_path)) if "train longer" in s]
    assert sentence.endswith("epochs=16. Likely: it rests on the mean of 3 runs.")


def test_an_accuracy_that_goes_up_and_down_does_not_rise(tmp_path: Path) -> None:
    """The last epoch is 4 points above the one before, as it was below it two epochs earlier."""
    write_run(tmp_path, "mine", [0.1, 0.4, 0.5, 0.46, 0.5, 0.46, 0.46, 0.5])
    assert not any("train longer" in sentence for sentence in advise(*_study(tmp_path)))


@pytest.mark.parametrize(("gain", "says"), [(0.001, False), (0.003, True)])
def test_a_fifth_of_a_point_is_a_rise(tmp_path: Path, gain: float, says: bool) -> None:
    write_run(tmp_path, "mine", [*SETTLED[:7], 0.9 + gain])
    assert any("train longer" in sentence for sentence in advise(*_study(tmp_path))) is says


def test_a_setting_that_diverged_at_several_rates_is_to_go_below_the_lowest(tmp_path: Path) -> None:
    for lr in (0.6, 0.9):
        write_run(tmp_path, "mine", [0.1] * 8, lr=lr, status="diverged")
    study, values, runs = _study(tmp_path)
    together = replace(runs, results=runs.results.assign(setting="lr=0.6"))
    (sentence,) = [s for s in advise(study, values, together) if "diverged" in s]
    assert sentence.startswith(
        "2 of 2 runs of lr=0.6 diverged at rate 0.6, 0.9: lower it, or, as a guess, put a warmup before it"
    )
    assert "no lower rate was tried. Find out first: python -m src.lr_find" in sentence


def test_who_is_told_to_stop_is_not_told_to_go_on(tmp_path: Path) -> None:
    losses: dict[str, Any] = {"val_loss": [1.0, 0.4, *[0.9] * 6], "train_loss": [1.0, 0.4, *[0.1] * 6]}
    write_run(tmp_path, "mine", [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8], **losses)
    sentences = advise(*_study(tmp_path))
    assert any("overfits from epoch 2" in sentence for sentence in sentences)
    assert not any("train longer" in sentence for sentence in sentences)


def test_runs_that_diverged_or_did_not_finish(tmp_path: Path) -> None:
    write_run(tmp_path, "mine", SETTLED, lr=0.1)
    write_run(tmp_path, "mine", [0.1] * 8, lr=0.9, seed=0, status="diverged")
    write_run(tmp_path, "mine", [0.1] * 8, lr=0.9, seed=1)
    write_run(tmp_path, "mine", SETTLED, lr=0.1, seed=1, status="failed")
    sentences = advise(*_study(tmp_path))
    assert sentences[0].startswith("Of 4 runs 1 failed: start the same sweep again")
    assert (
        sentences[1] == "1 of 2 runs of lr=0.9 diverged and 1 ended stuck at rate 0.9: take 0.1, the best rate at "
        "which none did, or, as a guess, put a warmup before it (warmup=linear). A guess: it rests on 2 runs there "
        "and 1 at 0.1."
    )


def test_no_warmup_saves_a_linear_network(tmp_path: Path) -> None:
    write_run(tmp_path, "mine", [0.1] * 8, lr=0.9, status="diverged", model="linear")
    study, values, runs = _study(tmp_path)
    (sentence,) = [s for s in advise(study, values, runs) if "diverged" in s]
    assert "diverged at rate 0.9: lower it. How far is not known" in sentence
    of_a_table = replace(runs, results=runs.results.drop(columns="model"))  # which may lack it
    (sentence,) = [s for s in advise(study, values, of_a_table) if "diverged" in s]
    assert "diverged at rate 0.9: lower it, or, as a guess, put a warmup before it (warmup=linear). How far" in sentence


@pytest.mark.parametrize(("lead", "best"), [(0.0, "0.3"), (0.01, "0.1")])
def test_the_rate_to_take_instead_is_the_best_that_was_tried(tmp_path: Path, lead: float, best: str) -> None:
    write_run(tmp_path, "mine", _shifted(lead), lr=0.1)
    for lr, status in ((0.3, "completed"), (0.5, "diverged"), (0.9, "diverged")):
        write_run(tmp_path, "mine", _shifted(0.0), lr=lr, status=status)
    write_run(tmp_path, "mine", SETTLED, lr=0.4, sequence="cosine")
    lost = [sentence for sentence in advise(*_study(tmp_path)) if "diverged" in sentence]
    assert len(lost) == 2
    assert all(f"take {best}, the best rate at which none did" in sentence for sentence in lost)


def test_rates_that_are_alike_or_all_diverged_have_no_edge(tmp_path: Path) -> None:
    for lr in (0.1, 0.2):
        write_run(tmp_path, "mine", SETTLED, lr=lr)
        write_run(tmp_path, "mine", _shifted(-lr), lr=lr, optimizer="adam", status="diverged")
    assert not [sentence for sentence in advise(*_study(tmp_path)) if "The best rate" in sentence]


def test_what_nobody_has_begun_to_train(tmp_path: Path) -> None:
    write_run(tmp_path, "mine", SETTLED, lr=0.1)
    write_run(tmp_path, "mine", SETTLED, lr=0.2, status="failed")
    study, _, runs = _study(tmp_path)
    assert missing(study, runs) == []
    more = replace(study, settings=[*study.settings, Setting(name="more", label="more", where={"lr": 0.3})])
    (sentence,) = missing(more, runs)
    assert sentence.startswith("1 of 3 settings has no run yet: start the sweep again")


def test_a_table_that_lacks_the_sequence_has_an_edge_all_the_same(tmp_path: Path) -> None:
    for lr, lead in ((0.1, 0.05), (0.2, 0.0)):
        write_run(tmp_path, "mine", _shifted(lead), lr=lr)
    study, values, runs = _study(tmp_path)
    bare = replace(runs, results=runs.results.drop(columns=["sequence", "strategy"]))
    (sentence,) = [s for s in advise(study, values, bare) if "extend the grid" in s]
    assert sentence.startswith("The best rate of sgd, 0.1, is")


def test_a_constant_rate_goes_by_no_strategy(tmp_path: Path) -> None:
    for lr, lead in ((0.1, 0.05), (0.2, 0.0)):
        write_run(tmp_path, "mine", _shifted(lead), lr=lr, sequence="constant")
    (sentence,) = [s for s in advise(*_study(tmp_path)) if "extend the grid" in s]
    assert sentence.startswith("The best rate of sgd, 0.1, is the lowest of the 2 tried")
