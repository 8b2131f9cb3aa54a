"""The overrides of a run's network: what it composes is what the run had."""

import pytest

from lr_lab.run.config import compose
from lr_lab.run.range_reading import result_folder
from lr_lab.run.retyped import network_overrides


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
def test_a_range_test_of_the_overrides_tests_what_the_run_trained(overrides: list[str]) -> None:
    config = compose(*overrides)
    again = compose(*network_overrides(config))
    assert result_folder(again) == result_folder(config)
    for group in ("data", "augment", "model", "optimizer"):
        assert again[group] == config[group]


def test_only_what_differs_is_typed() -> None:
    typed = network_overrides(compose("model.dropout=0.5", "lr=3", "epochs=2", "sequence=cosine"))
    assert typed == ["data=digits", "model=mnist_cnn", "optimizer=sgd", "model.dropout=0.5"]
