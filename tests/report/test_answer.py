"""The answer to a study's question: it follows from the results alone."""

from collections.abc import Mapping
from dataclasses import replace
from math import inf
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from synthetic_study import write_rates_study, write_run

from lr_lab.report import tables as report_tables
from lr_lab.report.answer import answer, best, closest, first_to_converge, outcomes
from lr_lab.report.evidence import shown_claim
from lr_lab.report.selection import pick
from lr_lab.study.judgement import judge
from lr_lab.study.measured import with_metrics
from lr_lab.study.runs import Runs, read_runs
from lr_lab.study.study_file import Setting, Study, discover
from lr_lab.study.values import Values

SETTLED = [0.5, 0.8, 0.9, 0.9, 0.9, 0.9, 0.9, 0.9]


def _study(output_dir: Path) -> tuple[Study, Values]:
    runs = read_runs(output_dir / "mine")
    study = discover("mine", runs.results)
    return study, _values(with_metrics(runs, study), study)


def _values(runs: Runs, study: Study) -> Values:
    return Values(runs.results, [setting.name for setting in study.settings], "it")


def _shifted(by: float) -> list[float]:
    return [accuracy + by for accuracy in SETTLED]


def _two_rates(output_dir: Path, lead: float) -> list[str]:
    """The answer on 8 seeds of which rate 0.2 leads 0.1 by about so much."""
    for seed in range(8):
        for lr, by in ((0.1, 0.0), (0.2, lead)):
            write_run(output_dir, "mine", _shifted(by + 0.001 * np.sin(seed * lr * 9)), lr=lr, seed=seed)
    return answer(*_study(output_dir), [], None)


def test_the_sentence_changes_with_the_results(tmp_path: Path) -> None:
    assert _two_rates(tmp_path / "a", 0.05) == [
        "lr=0.2 has the highest final validation accuracy: 95.00% [94.94, 95.06] over 8 seeds.",
        "It is ahead of the next best, lr=0.1, by 5.00 points and in 8 of 8 seeds, and the seeds tell it apart from "
        "every other setting.",
    ]
    first, second = _two_rates(tmp_path / "b", -0.05)
    assert first.startswith("lr=0.1 has the highest final validation accuracy: 90.0")
    assert second.startswith("It is ahead of the next best, lr=0.2, by 5.00 points and in 8 of 8 seeds, and")
    _, unsure = _two_rates(tmp_path / "c", 0.0)
    assert unsure.endswith("but the seeds do not tell it apart from all others.")


def test_one_seed_decides_nothing(tmp_path: Path) -> None:
    write_run(tmp_path, "mine", [0.9] * 8, lr=0.1)
    write_run(tmp_path, "mine", [*SETTLED[:4], 0.95, 0.95, 0.95, 0.95], lr=0.2)
    study, values = _study(tmp_path)
    assert best(study, values, "val_accuracy") == [
        "lr=0.2 has the highest final validation accuracy: 95.00% over 1 seed.",
        "It is ahead of the next best, lr=0.1, by 5.00 points and in 1 of 1 seed, but one seed decides nothing.",
    ]
    assert first_to_converge(study, values) == [
        "First to converge: lr=0.1, after 1 epoch, at a final validation accuracy of 90.00%; the seeds do not tell it "
        "apart from all others.",
    ]


def test_a_setting_alone_and_one_that_ties(tmp_path: Path) -> None:
    write_run(tmp_path, "mine", SETTLED, lr=0.1)
    assert best(*_study(tmp_path), "val_accuracy") == [
        "“all runs” is the only setting measured; final validation accuracy: 90.00% over 1 seed."
    ]
    write_run(tmp_path, "mine", SETTLED, lr=0.2)
    assert best(*_study(tmp_path), "val_accuracy")[1] == "lr=0.2 is exactly as good."


def test_a_loss_is_lowest_and_epochs_are_fewest(tmp_path: Path) -> None:
    write_run(tmp_path, "mine", SETTLED, lr=0.1)
    write_run(tmp_path, "mine", [0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.8, 0.8], lr=0.2)
    study, values = _study(tmp_path)
    assert best(study, values, "val_loss")[0] == "lr=0.1 has the lowest final validation loss: 0.23 over 1 seed."
    assert best(study, values, "convergence_epoch")[0].startswith("lr=0.1 needs the fewest epochs to convergence: ")


def test_the_best_is_decided_over_the_seeds_that_all_share(tmp_path: Path) -> None:
    """0.1 is better over its own three seeds only because the three that it lacks are hard ones."""
    for seed in range(6):
        hard = -0.3 if seed >= 3 else 0.0
        write_run(tmp_path, "mine", _shifted(0.02 + hard), lr=0.2, seed=seed)
        if seed < 3:
            write_run(tmp_path, "mine", _shifted(0.0), lr=0.1, seed=seed)
    first, second = best(*_study(tmp_path), "val_accuracy")
    assert first.startswith("lr=0.2 has the highest final validation accuracy")
    assert first.endswith("Decided over the seeds that all settings share.")
    assert "by 2.00 points and in 3 of 3 seeds" in second


def test_settings_that_share_no_seed_are_said_to(tmp_path: Path) -> None:
    write_run(tmp_path, "mine", _shifted(0.02), lr=0.2, seed=0)
    write_run(tmp_path, "mine", _shifted(0.0), lr=0.1, seed=1)
    (only,) = best(*_study(tmp_path), "val_accuracy")
    assert only.endswith("They share no seed.")


def test_a_lead_over_what_never_gets_there_is_not_a_number(tmp_path: Path) -> None:
    for seed in (0, 1):
        write_run(tmp_path, "mine", SETTLED, lr=0.1, seed=seed)
        write_run(tmp_path, "mine", [0.1] * 8, lr=0.2, seed=seed)
    _, second = best(*_study(tmp_path), "convergence_epoch")
    assert second.startswith("It is ahead of the next best, lr=0.2, and in 2 of 2 seeds")


def _rates(output_dir: Path, **fields: Any) -> tuple[Study, list[str]]:
    runs, study = write_rates_study(output_dir)
    study = replace(study, **fields)
    values = _values(runs, study)
    _, findings = judge(study, values, Values.published(study))
    second = report_tables.against_benchmarks(study, values, pick(study, values))
    return study, answer(study, values, [shown_claim(finding, values) for finding in findings], second)


def test_the_benchmark_has_a_sentence_of_its_own(tmp_path: Path) -> None:
    _, sentences = _rates(tmp_path)
    assert len(sentences) == 3
    assert sentences[2].startswith("Against the benchmark, SGD, it is better: +10.00 points [+")


CLAIMS: Mapping[str, object] = {
    "high_wins": {
        "place": "1",
        "says": "High wins.",
        "test": "ahead",
        "metric": "val_accuracy",
        "rivals": {"high": ["low", "sgd"]},
    },
    "low_fails": {
        "place": "2",
        "says": "Low fails.",
        "test": "bounded",
        "metric": "val_accuracy",
        "settings": "low",
        "below": 0.5,
    },
}


def test_the_study_says_which_claims_or_metrics_answer_it(tmp_path: Path) -> None:
    _, (wins, fails, fastest) = _rates(tmp_path, claims=CLAIMS, answers=["high_wins", "low_fails", "val_loss"])
    assert wins.startswith("Holds: “High wins” (smallest lead in final validation accuracy: +5.00 points [+")
    assert wins.endswith("]; the claim needs over 0; 8 seeds).")
    assert fails.startswith("Does not hold: “Low fails” (final validation accuracy: 85.")
    assert fails.endswith("]; the claim needs under 50%; 8 seeds).")
    assert fastest.startswith("“HIGH, Rates” has the lowest final validation loss")


def test_of_what_is_neither_good_nor_bad_each_value_is_told(tmp_path: Path) -> None:
    _, (sentence,) = _rates(tmp_path, answers="rises")
    assert sentence.count("0.00% for ") == 3


def test_nearest_to_the_document(tmp_path: Path) -> None:
    frame = pd.DataFrame({"group": ["a", "b", "c", "d"], "val_accuracy": [0.03, 0.01, 0.0, 0.0]})
    # c averages over other settings, and d is held against other numbers, as those of another dataset.
    frame = frame.assign(over=["X", "X", "Y", "X"], document=["1", "1", "1", "2"])
    (sentence,) = closest(Study("mine", "Mine"), report_tables.Table("likeness", "", [], [], frame))
    assert sentence == (
        "Nearest to the document's numbers for X: b, 1.00 points apart in final validation accuracy, of 2 candidates."
    )


def test_nobody_is_first_where_nobody_converges(tmp_path: Path) -> None:
    for seed in (0, 1):
        write_run(tmp_path, "mine", [0.1] * 8 if seed else SETTLED, lr=0.1, seed=seed)
        write_run(tmp_path, "mine", [0.1] * 8, lr=0.2, seed=seed)
    assert first_to_converge(*_study(tmp_path)) == []


def test_the_first_to_converge_comes_with_how_many_are_as_soon(tmp_path: Path) -> None:
    for lr in (0.1, 0.2, 0.3):
        write_run(tmp_path, "mine", SETTLED, lr=lr)
    write_run(tmp_path, "mine", [0.9] * 8, lr=0.1, seed=1)  # which the others lack
    (first,) = first_to_converge(*_study(tmp_path))
    assert ", as 2 others do, at a final" in first


def test_a_setting_that_does_not_always_converge_is_not_as_soon(tmp_path: Path) -> None:
    for seed in range(3):
        write_run(tmp_path, "mine", SETTLED, lr=0.1, seed=seed)
        write_run(tmp_path, "mine", SETTLED if seed else [0.1] * 8, lr=0.2, seed=seed)
    (first,) = first_to_converge(*_study(tmp_path))
    assert first.startswith("First to converge: lr=0.1, after 4 epochs, at a")


def test_best_and_first_are_told_apart_as_one_family(tmp_path: Path) -> None:
    """The lead has p = 0.043 on its own; both settings converge alike."""
    for seed, lead in enumerate((0.0, 0.02, 0.025, 0.03, 0.055)):
        write_run(tmp_path, "mine", _shifted(lead), lr=0.2, seed=seed)
        write_run(tmp_path, "mine", _shifted(0.0), lr=0.1, seed=seed)
    study, values = _study(tmp_path)
    alone = best(replace(study, metrics=["val_accuracy"]), values, "val_accuracy")[1]
    assert "and the seeds tell it apart" in alone
    assert "do not tell it apart" in best(study, values, "val_accuracy")[1]


def test_a_study_whose_table_does_not_show_convergence(tmp_path: Path) -> None:
    write_run(tmp_path, "mine", [0.9] * 8, lr=0.1)
    write_run(tmp_path, "mine", SETTLED, lr=0.2)
    study, values = _study(tmp_path)
    assert first_to_converge(replace(study, metrics=["val_accuracy"]), values) == []


def test_what_the_second_stage_decided_is_said(tmp_path: Path) -> None:
    for seed in range(4):
        for lr, lead in ((0.1, 0.0), (0.2, 0.05), (0.3, -0.05)):
            write_run(tmp_path, "mine", _shifted(lead + 0.0004 * lr * (seed - 1.5)), lr=lr, seed=seed)
    study, values = _study(tmp_path)
    grouped = [replace(s, group="base" if s.name == "lr=0.1" else f"of {s.name}") for s in study.settings]
    study = replace(study, settings=grouped, benchmark="lr=0.1", metrics=["val_accuracy"])
    second = report_tables.against_benchmarks(study, values, pick(study, values))
    assert second is not None
    what = "Against the benchmarks, final validation accuracy"
    assert outcomes(study, second) == [
        f"{what}: “lr=0.2 of lr=0.2” better than “lr=0.1 base” by 5.00 points.",
        f"{what}: “lr=0.3 of lr=0.3” worse than “lr=0.1 base” by 5.00 points.",
    ]


def test_a_lead_over_what_never_gets_there_has_no_number(tmp_path: Path) -> None:
    study = Study("mine", "Mine", settings=[Setting(name, name.upper(), {}) for name in ("a", "base")])
    rows = {"metric": ["convergence_epoch"], "outcome": ["better"], "setting": ["a"], "benchmark": ["base"]}
    table = report_tables.Table("second", "", [], [], pd.DataFrame({**rows, "lead": [inf]}))
    assert outcomes(study, table) == ["Against the benchmarks, epochs to convergence: A better than BASE."]
