"""The index of all reports: it says what the reports say, and changes with the results."""

from pathlib import Path

import pandas as pd
import pytest
from synthetic_study import write_decay_study, write_run

from lr_lab.errors import UserError
from lr_lab.report.evidence import OUTCOMES
from lr_lab.report.index import write_index
from lr_lab.report.making import make_report


def test_the_index_has_answer_claims_and_cost_of_every_study(tmp_path: Path) -> None:
    write_decay_study(tmp_path, "decay_mnist", {"seq4_cutoff": 0.97, "seq1_epoch": 0.80}, range(3))
    write_run(tmp_path, "demo", [0.3, 0.5, 0.6], lr=0.1)
    write_run(tmp_path, "demo", [0.3, 0.5, 0.7], lr=0.2)
    for name in ("decay_mnist", "demo"):
        make_report(name, tmp_path)
    text = write_index(tmp_path / "reports").read_text()

    outcomes = pd.read_csv(tmp_path / "reports" / "decay_mnist" / "verdicts.csv")["verdict"].map(OUTCOMES)
    counts = [f"{(outcomes == name).sum()}" for name in OUTCOMES.values() if (outcomes == name).any()]
    assert f"| [decay_mnist](decay_mnist/report.md) | {' | '.join(counts)} | 42 | 0.42 |" in text
    assert "2 studies, 44 runs, 0.44 hours" in text  # 36 seconds each
    assert "**Answer.** lr=0.2 has the highest final validation accuracy: 70.00% over 1 seed." in text
    assert "](demo/figures/answer.png)" in text
    links = [tmp_path / "reports" / part.partition(")")[0] for part in text.split("](")[1:]]
    assert all(link.exists() for link in links)


def test_other_results_make_another_index(tmp_path: Path) -> None:
    for lr, final in ((0.1, 0.6), (0.2, 0.7), (0.3, 0.8)):
        write_run(tmp_path, "demo", [0.3, 0.5, final], lr=lr)
        make_report("demo", tmp_path)
        text = write_index(tmp_path / "reports").read_text()
        assert f"final validation accuracy: {100 * final:.2f}% over 1 seed." in text


def test_no_report_no_index(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"reports has no report yet; make one first"):
        write_index(tmp_path / "reports")
