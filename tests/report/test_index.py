"""The index of all reports: it says what the reports say, and changes with the results."""

import re
import shutil
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from conftest import REPOSITORY
from omegaconf import OmegaConf
from synthetic_study import write_decay_study, write_run

from lr_lab.errors import UserError
from lr_lab.report.evidence import OUTCOMES
from lr_lab.report.index import described, read_summaries, with_answers, write_index
from lr_lab.report.making import make_report

MARKS = "<!-- answer: `python -m src.report index=true` writes this from the reports -->\n<!-- end of answer -->"


def test_the_index_has_answer_claims_and_cost_of_every_study(tmp_path: Path) -> None:
    write_decay_study(tmp_path, "decay_mnist", {"seq4_cutoff": 0.97, "seq1_epoch": 0.80}, range(3))
    write_run(tmp_path, "demo", [0.3, 0.5, 0.6], lr=0.1)
    write_run(tmp_path, "demo", [0.3, 0.5, 0.7], lr=0.2)
    for name in ("decay_mnist", "demo"):
        make_report(name, tmp_path)
    page = write_index(tmp_path / "reports").read_text()
    text = (tmp_path / "reports" / "index.md").read_text()

    outcomes = pd.read_csv(tmp_path / "reports" / "decay_mnist" / "verdicts.csv")["verdict"].map(OUTCOMES)
    counts = [f"{(outcomes == name).sum()}" for name in OUTCOMES.values() if (outcomes == name).any()]
    assert f"| [decay_mnist](decay_mnist/report.md) | {' | '.join(counts)} | 42 | 0.42 |" in text
    assert "2 studies, 44 runs, 0.44 hours" in text  # 36 seconds each
    assert "**Answer.** lr=0.2 has the highest final validation accuracy: 70.00% over 1 seed." in text
    assert "](demo/figures/answer.png)" in text
    links = [tmp_path / "reports" / part.partition(")")[0] for part in text.split("](")[1:]]
    assert all(link.exists() for link in links)
    assert "lr=0.2 has the highest final validation accuracy: 70.00% over 1 seed." in page
    assert all((tmp_path / "reports" / file).exists() for file in re.findall(r'(?:src|href)="([^"]+)"', page))


def test_other_results_make_another_index(tmp_path: Path) -> None:
    for lr, final in ((0.1, 0.6), (0.2, 0.7), (0.3, 0.8)):
        write_run(tmp_path, "demo", [0.3, 0.5, final], lr=lr)
        make_report("demo", tmp_path)
        text = write_index(tmp_path / "reports").read_text()
        assert f"final validation accuracy: {100 * final:.2f}% over 1 seed." in text


def test_no_report_no_index(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"reports has no report yet; make one first"):
        write_index(tmp_path / "reports")


def test_readme_says_what_the_reports_say() -> None:
    readme = (REPOSITORY / "README.md").read_text()
    leading = OmegaConf.load(REPOSITORY / "conf" / "report.yaml").leading
    summaries = described(read_summaries(REPOSITORY / "outputs" / "reports"))
    assert with_answers(readme, summaries, leading) == readme, "python -m src.report index=true writes it anew"
    for name in leading:
        assert " ".join(summaries[name]["answer"]) in readme


@pytest.mark.parametrize("name", ["descent_line", pytest.param("decay_cifar10", marks=pytest.mark.slow)])
def test_a_kept_summary_is_that_of_its_results(tmp_path: Path, name: str) -> None:
    kept = REPOSITORY / "outputs" / "reports" / name
    shutil.copytree(kept, tmp_path / "reports" / name)  # the report is rebuilt from what the earlier one kept
    make_report(name, tmp_path)
    assert read_summaries(tmp_path / "reports")[name] == read_summaries(kept.parent)[name]


def test_readme_counts_no_first_look() -> None:
    assert list(described({"decay_mnist": {"runs": 1}, "demo": {"runs": 27}})) == ["decay_mnist"]


def test_other_answers_make_another_readme() -> None:
    summaries: dict[str, dict[str, Any]] = {
        "one": {"title": "One", "answer": ["A is best."], "picture": "figures/answer.png", "claims": {"holds": 2},
                "reads": [], "runs": 3, "hours": 1.0},
    }  # fmt: skip
    text = with_answers("# T\n\n" + MARKS + "\n\nThe rest.\n", summaries, ["one"])
    assert "- [one](outputs/reports/one/report.md): A is best.\n" in text
    assert "1 study, 3 runs, 1 hours of training summed over runs. Of 2 claims 2 hold." in text
    assert text.startswith("# T\n\n<!--")
    assert text.endswith("<!-- end of answer -->\n\nThe rest.\n")
    assert with_answers(text, summaries, ["one"]) == text
    summaries["one"]["answer"] = ["B is best."]
    assert "A is best" not in with_answers(text, summaries, ["one"])
    assert with_answers("no marks", summaries, ["one"]) == "no marks"
    with pytest.raises(UserError, match="study=two"):
        with_answers(text, summaries, ["two"])
