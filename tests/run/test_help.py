"""The text of --help on choices and numbers."""

import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from lr_lab.run.config import CONFIG_DIR
from lr_lab.run.help import comments, group_comments, summary

CHOICES = sorted(file for group in group_comments() for file in (CONFIG_DIR / group).glob("*.yaml"))
PROGRAMS = ("train", "lr_find", "report", "study", "benchmark", "benchmark_population", "benchmark_study")


@pytest.mark.parametrize("file", CHOICES, ids=lambda file: f"{file.parent.name}/{file.stem}")
def test_each_choice_says_in_a_line_what_it_is_and_what_each_of_its_values_is(file: Path) -> None:
    line = summary(file)
    assert len(line) > 15
    assert line.count("(") == line.count(")")  # a sentence that ends on the line
    if file.parent.name == "experiment":
        return  # its values are those of the choices
    values = [key for key in yaml.safe_load(file.read_text()) or {} if key not in ("_target_", "_partial_", "defaults")]
    parts = {key.partition(".")[0] for key in comments(file)} | {"steps", "diagnosis"}
    assert [key for key in values if key not in parts] == []


@pytest.mark.parametrize("program", PROGRAMS)
def test_each_value_of_a_program_has_its_comment(program: str) -> None:
    file = CONFIG_DIR / f"{program}.yaml"
    content = yaml.safe_load(file.read_text())
    keys = [key for key, value in content.items() if not isinstance(value, dict) and key != "defaults"]
    assert [key for key in keys if key not in comments(file)] == []


def test_comments_are_found_by_the_path_of_their_key(tmp_path: Path) -> None:
    file = tmp_path / "x.yaml"
    file.write_text(
        "# @package probes.x\n# What it is.\n_target_: a.B\n"
        "one: 1 # first\nabove: # of all\n  below: 2   # second\n  other: 3\nlast: 'a#b'\n"
        "defaults:\n  - data: digits # third\n"
    )
    assert comments(file) == {"one": "first", "above": "of all", "above.below": "second", "defaults.data": "third"}
    assert summary(file) == "What it is."


def test_a_file_without_a_comment_says_nothing(tmp_path: Path) -> None:
    file = tmp_path / "x.yaml"
    file.write_text("# @package probes.x\none: 1 # first\n")
    assert summary(file) == ""


def _help(program: str, *arguments: str) -> str:
    command = [sys.executable, "-m", f"src.{program}", *arguments, "--help"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=CONFIG_DIR.parent, check=True)
    return " ".join(done.stdout.split())


def test_help_shows_every_choice_and_the_numbers_of_those_that_were_made() -> None:
    shown = _help("train", "sequence=wsd", "probes=[descent]", "hydra/launcher=slurm")
    for file in CHOICES:
        group = file.parent.relative_to(CONFIG_DIR)
        assert f" {group}={file.stem} {' '.join(summary(file).split())}" in shown
    assert "lr=0.01 r_0, the initial learning rate" in shown
    assert "sequence.decay=0.2 the part of total that falls" in shown
    assert "probes.descent.every=1 epochs between measurements" in shown
    assert "analysis.diagnosis.gap=2.0 validation loss over training loss" in shown
    assert "hydra.launcher.memory=4G main memory per run" in shown
    assert "_target_" not in shown


@pytest.mark.parametrize(
    ("program", "said"),
    [
        ("lr_find", "lr_find.steps=300 optimizer steps"),
        ("study", "study=... a file of conf/studies"),
    ],
)
def test_help_of_another_program_shows_its_own_numbers(program: str, said: str) -> None:
    assert said in _help(program)
