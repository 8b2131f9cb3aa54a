"""Which runs share a population."""

from collections.abc import Callable
from typing import Any

import pytest

from lr_lab.population.membership import population_key, shared_settings
from lr_lab.run.summary import summarise
from lr_lab.sweep.population import plan_populations
from lr_lab.sweep.runs import plan

Configure = Callable[..., dict[str, Any]]


@pytest.mark.parametrize(
    "own",
    [
        "lr=0.3",
        "seed=7",
        "sequence=cosine",
        "strategy=cutoff",
        "strategy=every_step",
        "warmup=linear",
        "optimizer=momentum",
        "optimizer.weight_decay=0.1",
    ],
)
def test_members_differ_in_how_they_are_trained(run_config: Configure, own: str) -> None:
    assert population_key(run_config(own)) == population_key(run_config()) is not None


@pytest.mark.parametrize(
    "other",
    [
        "model=simple_cnn",
        "model.dropout=0.1",
        "data.limit=100",
        "batch_size=32",
        "epochs=9",
        "optimizer=adam",
        "optimizer=nesterov",
        "trainer.precision=bf16-mixed",
        "label_smoothing=0.1",
        "gradient_clip=1",
        "study=another",
        "output_dir=elsewhere",
    ],
)
def test_members_share_what_is_trained(run_config: Configure, other: str) -> None:
    assert None not in (population_key(run_config(other)), population_key(run_config()))
    assert population_key(run_config(other)) != population_key(run_config())


@pytest.mark.parametrize(
    "unusual",
    [
        "optimizer=rmsprop",
        "+optimizer.dampening=0.5",
        "+optimizer.maximize=true",
        "+trainer.deterministic=true",
        "ema=0.9",
        "decay_norms_and_biases=false",
        "+probes.any={_target_: lr_lab.probes.Any}",
    ],
)
def test_what_is_trained_singly(run_config: Configure, unusual: str) -> None:
    assert population_key(run_config(unusual)) is None


def test_optimizers_share_all_but_momentum_and_weight_decay() -> None:
    assert shared_settings({"_target_": "torch.optim.SGD", "momentum": 0.9, "nesterov": True}) == {"nesterov": True}
    adam = {"_target_": "torch.optim.Adam", "_partial_": True, "betas": [0.9, 0.99], "weight_decay": 0.1}
    assert shared_settings(adam) == {"betas": [0.9, 0.99]}
    assert shared_settings({**adam, "amsgrad": True}) is None
    assert shared_settings({"_target_": "torch.optim.RMSprop"}) is None


def test_runs_are_spread_over_slots_and_keep_their_places(run_config: Configure) -> None:
    jobs = [[f"lr={lr}", "epochs=1", "data.limit=20", *more] for lr in (1, 2, 3, 4, 5) for more in ([], ["seed=1"])]
    jobs += [["optimizer=rmsprop"], ["optimizer=adam"]]
    runs = plan([run_config(*job) for job in jobs], jobs)

    def settings(slots: int) -> list[list[int]]:
        return [[runs.index(run) for run in population] for population in plan_populations(runs, slots)]

    assert settings(1) == [[0, 1, 2, 3, 4, 5, 6, 7, 8, 9]]
    assert settings(3) == [[0, 3, 6, 9], [1, 4, 7], [2, 5, 8]]
    runs[3].folder.path.mkdir(parents=True)
    runs[3].folder.write_result({**summarise(runs[3].config, []), "status": "completed"})
    assert settings(3) == [[0, 6, 9], [1, 4, 7], [2, 5, 8]]
