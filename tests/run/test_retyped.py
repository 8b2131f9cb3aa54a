"""The command line that tests a run's network: what it composes is what the run had."""

import shlex
from pathlib import Path

import pytest

from lr_lab.run.config import compose
from lr_lab.run.range_reading import result_folder
from lr_lab.run.retyped import range_test_command

OUTPUTS = Path("outputs")


@pytest.mark.parametrize(
    "overrides",
    [
        [],
        ["optimizer=adam", "optimizer.betas=[0.8,0.99]", "optimizer.weight_decay=1e-4", "+optimizer.amsgrad=true"],
        ["data=digits", "data.limit=256", "augment=crop", "augment.padding=2", "batch_size=32"],
        ["data=cifar10", "model=plain_cnn", "augment=cutout", "trainer.precision=bf16-mixed", "data.root=a folder"],
        ["experiment=high_lr", "model.depth=4", "model.batch_norm=true", "lr=1", "strategy=cutoff", "probes=[]"],
    ],
)
def test_the_command_tests_what_the_run_trained(overrides: list[str]) -> None:
    config = compose(*overrides)
    words = shlex.split(range_test_command(config, OUTPUTS))
    assert words[:3] == ["python", "-m", "src.lr_find"]
    again = compose(*words[3:])
    assert result_folder(again) == result_folder(config)
    for group in ("data", "augment", "model", "optimizer"):
        assert again[group] == config[group]


def test_only_what_differs_is_typed(tmp_path: Path) -> None:
    command = range_test_command(compose("model.dropout=0.5", "lr=3", "epochs=2"), OUTPUTS)
    assert command == "python -m src.lr_find data=digits model=mnist_cnn optimizer=sgd model.dropout=0.5"
    elsewhere = range_test_command(compose(), tmp_path / "a folder")
    assert shlex.split(elsewhere)[-1] == f"output_dir={tmp_path / 'a folder'}"
