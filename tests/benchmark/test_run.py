"""The benchmark: every contender really trains, and the table says what was measured."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from conftest import REPOSITORY

from lr_lab.benchmark.run import (
    BARE,
    OURS,
    PLAIN,
    SWEEP,
    TEMPLATE,
    Case,
    bare_loop,
    fresh_data,
    loaders,
    markdown,
    measure,
    plain_loop,
)
from lr_lab.run import parts

CASE = Case("simple_cnn", batch_size=8, steps=3)
AUGMENTED = Case("resnet20", batch_size=8, steps=2, augment="crop_flip")


def test_a_round_has_a_time_for_every_contender(tmp_path: Path) -> None:
    (times,) = measure(CASE, rounds=1, folder=tmp_path)
    assert set(times) == {PLAIN, TEMPLATE, BARE, OURS}
    assert all(0 < milliseconds < 60_000 for milliseconds in times.values())


@pytest.mark.parametrize("case", [CASE, AUGMENTED], ids=lambda case: case.title)
def test_the_loops_train_the_network_they_are_given(tmp_path: Path, case: Case) -> None:
    config = case.config(tmp_path)
    data = fresh_data(config)
    for start in (lambda net: plain_loop(net, data, torch.device("cpu")), lambda net: bare_loop(net, data)):
        net = parts.build_network(config, data)
        before = [parameter.clone() for parameter in net.parameters()]
        start(net)()
        assert all(not torch.equal(a, b) for a, b in zip(before, net.parameters(), strict=True))


def test_pictures_are_augmented_for_the_plain_loop_where_ours_are(tmp_path: Path) -> None:
    """In training only: a crop after padding has black borders, a validation picture is the same each time."""
    data = fresh_data(AUGMENTED.config(tmp_path))
    train, val = loaders(data)
    black = torch.tensor((0 - 0.5) / 0.25)
    pictures = torch.stack([train.dataset[0][0] for _ in range(20)])
    assert len(pictures.unique(dim=0)) > 10
    assert (pictures[:, :, 0] == black).all(dim=-1).any()
    assert torch.equal(val.dataset[0][0], val.dataset[0][0])


def test_the_table_holds_the_medians_and_their_ratios() -> None:
    text = markdown({CASE: {PLAIN: 20.0, TEMPLATE: 24.0, BARE: 5.0, OURS: 6.0, SWEEP: 4.0}}, "a machine")
    rows = dict(line.strip("| ").split(" | ") for line in text.splitlines() if " | " in line)
    assert rows["ms per step on a machine"] == "simple_cnn, batch 8"
    assert rows["**(d) / (c)**"] == "**1.20**"
    assert rows["**(b) / (d)**"] == "**4.00**"
    assert rows["**(d) / (e)**"] == "**1.50**"
    assert not any("(f)" in name for name in rows)


@pytest.mark.slow
def test_the_command_measures_and_draws(tmp_path: Path) -> None:
    arguments = [
        "models=[simple_cnn]",
        "batch_sizes=[8]",
        "steps=3",
        "augmented_steps=2",
        "rounds=1",
        f"output_dir={tmp_path}",
    ]
    command = [sys.executable, "-m", "src.benchmark", *arguments]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "(e) a sweep" in done.stdout
    assert {file.name for file in tmp_path.iterdir()} >= {"benchmark.csv", "benchmark.md", "benchmark.png"}
