"""The study that docs/studies.md writes: trained, judged, and complete in its list of tests."""

import re
from collections.abc import Sequence
from pathlib import Path

import pytest

from lr_lab.run.config import CONFIG_DIR, compose
from lr_lab.run.training import train
from lr_lab.study.claims import TESTS
from lr_lab.study.study_file import Study, read_study
from lr_lab.sweep import budget
from lr_lab.sweep.budget import Limit, state, train_until_decided

PAGE = (CONFIG_DIR.parent / "docs" / "studies.md").read_text(encoding="utf-8")


@pytest.fixture
def study(tmp_path: Path) -> Study:
    """The example, saved where the page says, in a configuration folder of its own."""
    name = re.search(r"Save this as `conf/studies/(\w+)\.yaml`", PAGE)
    text = re.search(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
    assert name
    assert text
    file = tmp_path / "conf" / "studies" / f"{name[1]}.yaml"
    file.parent.mkdir(parents=True)
    file.write_text(text[1])
    found = read_study(tmp_path / "conf", name[1])
    assert found is not None
    return found


def test_the_example_is_trained_and_decided(study: Study, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trained: list[tuple[float, int]] = []

    def train_here(typed: Sequence[Sequence[str]]) -> None:  # as processes would, without waiting for each to start
        for job in typed:
            result = train(compose(*job))
            trained.append((result["lr"], result["seed"]))

    monkeypatch.setattr(budget, "train_runs", train_here)
    train_until_decided(study, tmp_path, Limit(), say=lambda _: None)
    verdicts = {name: verdict.verdict for name, verdict in state(study, tmp_path).outcome.verdicts.items()}
    assert verdicts == {"high_is_ahead": "reproduced", "low_has_hardly_begun": "reproduced"}
    assert {(lr, seed) for lr in (0.1, 0.01, 0.001) for seed in (0, 1, 2)} <= {*trained}
    assert len(trained) == len({*trained}) <= 15


def test_the_page_lists_every_test_and_its_arguments() -> None:
    rows = {
        row[0]: set(re.findall(r"`(\w+)`", row[1])) for row in re.findall(r"^\| `(\w+)` \|.*\| (.*) \|$", PAGE, re.M)
    }
    arguments = {
        name: {*test.__annotations__} - {"values", "return", "lower_is_better"} for name, test in TESTS.items()
    }
    assert rows == arguments
