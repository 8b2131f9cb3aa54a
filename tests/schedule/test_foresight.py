"""Warnings about schedules before a run: by their rates, for any class, and silence for good ones."""

import re
from dataclasses import dataclass

import pytest
from conftest import REPOSITORY
from omegaconf import OmegaConf

from lr_lab.errors import NotAllowed
from lr_lab.run.config import compose
from lr_lab.run.parts import build_schedule
from lr_lab.schedule.foresight import oddities, told_once
from lr_lab.schedule.position import Position
from lr_lab.schedule.sequences import (
    Constant,
    Cosine,
    Cyclic,
    Exponential,
    Inverse,
    Linear,
    OneCycle,
    Sequence,
    Staircase,
    TorchScheduler,
    Triangular,
    WarmRestarts,
    Warmup,
    WarmupStableDecay,
)
from lr_lab.schedule.strategies import Cutoff, Epoch, Every, EveryStep, Oscillate, Plateau, Strategy

EPOCH, STEP = Epoch(), EveryStep()


@dataclass(frozen=True)
class Falling(Sequence):
    """Somebody's own: it falls below 0 after ten advances."""

    name = "falling"

    def __call__(self, n: int) -> float:
        return 0.1 - 0.01 * n


def torch_scheduler(name: str, **options: object) -> TorchScheduler:
    return TorchScheduler(0.1, f"torch.optim.lr_scheduler.{name}", **options)


@pytest.mark.parametrize(
    ("sequence", "strategy", "epochs", "kind", "words"),
    [
        (OneCycle(0.1, 2), EPOCH, 2, "gone", "from epoch 2 on the rate is below 1e-05 of its highest, 0.1"),
        (Exponential(0.1, 0.5), EPOCH, 100, "gone", "from epoch 18 on .* while the run has 100 epochs"),
        (Exponential(0.1), STEP, 20, "gone", "from step 111 on .* while the run has 460 steps"),
        (WarmupStableDecay(0.1, 30), EPOCH, 20, "cut off", "ends at the rate 0.1, after 19 of 30 advances"),
        (Cosine(0.1, 100), EPOCH, 20, "cut off", "ends at the rate 0.0914, after 19 of 100 advances"),
        (Linear(0.1, 5), EPOCH, 20, "ends early", "from epoch 6 on the rate stands at its end, 0, and the run has 20"),
        (Warmup(Linear(0.1, 5, end_factor=0.1)), EPOCH, 20, "ends early", "from epoch 11 on .* at its end, 0.01,"),
        (Cosine(0.1, 100), STEP, 20, "ends early", "from step 101 on .* the run has 460 steps"),
        (Staircase(0.1, 30), EPOCH, 20, "still", "stays at 0.1 throughout, because it first changes with epoch 31"),
        (torch_scheduler("MultiStepLR", milestones=[50]), EPOCH, 20, "still", "first changes with epoch 51"),
        (Exponential(0.1), Plateau(patience=10), 10, "still", "10 epochs allow at most 0 advances by plateau"),
        (Inverse(0.1), Cutoff(), 3, "still", "3 epochs allow at most 1 advance by cutoff"),
        (Exponential(0.1), Every(k=25), 20, "still", "20 epochs allow at most 0 advances by every"),
        (WarmRestarts(0.1, 50), EPOCH, 20, "part of a cycle", "rises again with epoch 51, and the run has 20 epochs"),
        (Triangular(0.1, 30), EPOCH, 20, "part of a cycle", "comes to its highest with epoch 31"),
        (Cyclic(0.1), Cutoff(), 8, "part of a cycle", "rises again with advance 11, and 8 epochs allow at most 6"),
        (Warmup(Constant(0.1), start_factor=0), EPOCH, 20, "starts at 0", "the rate of the first epoch is 0"),
    ],
)
def test_what_is_odd(sequence: Sequence, strategy: Strategy, epochs: int, kind: str, words: str) -> None:
    ((found, sentence),) = oddities(Position(sequence, strategy), epochs, steps_per_epoch=23).items()
    assert found == kind
    assert sentence.startswith(f"Schedule {sequence.name} by {strategy.name}: ")
    assert re.search(words, sentence)
    assert sentence.endswith(".")


@pytest.mark.parametrize(
    ("sequence", "strategy", "epochs"),
    [
        (Constant(0.1), EPOCH, 1),
        (Constant(0.1), Plateau(), 5),
        (Inverse(0.1), EPOCH, 2),  # a trial
        (Inverse(0.1), EPOCH, 100),
        (Exponential(0.1), EPOCH, 100),
        (Exponential(0.1), Plateau(), 20),
        (Cyclic(0.1), EPOCH, 20),
        (Cyclic(0.1), Oscillate(), 25),
        (Cosine(0.1, 19), EPOCH, 20),  # as people count that have the last epoch at the end
        (Cosine(0.1, 20), EPOCH, 20),
        (Cosine(0.1, 460), STEP, 20),
        (OneCycle(0.1, 20), EPOCH, 20),
        (OneCycle(0.1, 460), STEP, 20),
        (WarmupStableDecay(0.1, 20), EPOCH, 20),
        (Warmup(Constant(0.1)), EPOCH, 20),
        (Warmup(Cosine(0.1, 15)), EPOCH, 20),
        (Warmup(Constant(0.1), start_factor=0), STEP, 20),
        (WarmRestarts(0.1, 20), EPOCH, 20),  # one whole cycle
        (torch_scheduler("CosineAnnealingLR", T_max=20), EPOCH, 20),
        (torch_scheduler("MultiStepLR", milestones=[5, 10]), EPOCH, 20),  # which stands from there on, and is meant to
        (Triangular(0.1, 5), EPOCH, 20),
        (Falling(), EPOCH, 10),
    ],
)
def test_what_is_as_it_should_be(sequence: Sequence, strategy: Strategy, epochs: int) -> None:
    assert oddities(Position(sequence, strategy), epochs, steps_per_epoch=23) == {}


@pytest.mark.parametrize("strategy", [Epoch(), Cutoff(), EveryStep()])
def test_a_rate_below_0_is_refused_where_the_run_may_come_to_it(strategy: Strategy) -> None:
    with pytest.raises(NotAllowed, match=r"sequence=falling gives the rate -0.01 after 11 advances"):
        oddities(Position(Falling(), strategy), 20, steps_per_epoch=23)


def test_a_rate_that_is_0_throughout_is_refused() -> None:
    class Nothing(Sequence):
        name = "nothing"

        def __call__(self, n: int) -> float:
            return 0.0

    with pytest.raises(NotAllowed, match="gives the rate 0 throughout"):
        oddities(Position(Nothing(), EPOCH), 20)


def test_a_long_run_is_looked_at_here_and_there() -> None:
    found = oddities(Position(Linear(0.1, total=1000), STEP), 100, steps_per_epoch=10_000)
    assert "from step 1,001 on" in found["ends early"]
    assert "the run has 1,000,000 steps" in found["ends early"]


def test_many_runs_are_told_of_in_one_sentence() -> None:
    found = [oddities(Position(Staircase(lr, 30), EPOCH), 20) for lr in (0.1, 0.01, 0.001)]
    (sentence,) = told_once([*found, {}, found[0]])
    assert sentence.startswith("Schedule staircase by epoch: the rate stays at 0.1")
    assert sentence.endswith("The like is true of 2 more schedules.")
    assert len(told_once([*found, oddities(Position(Linear(0.1, 5), EPOCH), 20)])) == 2


SCHEDULE = ("experiment=", "sequence", "strategy", "warmup", "epochs=")


def _schedules() -> list[tuple[str, ...]]:
    """What the sweeps of all studies type of their schedules, a value each."""
    found: dict[tuple[str, ...], None] = {}
    for file in sorted((REPOSITORY / "conf" / "studies").glob("*.yaml")):
        base = [f"experiment={file.stem}"] if (REPOSITORY / "conf" / "experiment" / file.name).exists() else []
        for sweep in OmegaConf.select(OmegaConf.load(file), "sweeps", default=[]):
            words = [*base, *(word for word in sweep.split() if word.startswith(SCHEDULE))]
            jobs: list[tuple[str, ...]] = [()]
            for word in words:
                key, _, values = word.partition("=")
                jobs = [(*job, f"{key}={value}") for job in jobs for value in values.split(",")]
            found |= dict.fromkeys(jobs)
    return list(found)


@pytest.mark.slow
def test_the_studies_schedules_are_as_they_should_be() -> None:
    schedules = _schedules()
    assert len(schedules) > 20
    for overrides in schedules:
        config = compose(*overrides)
        position = build_schedule(config, steps_per_epoch=938).position
        assert oddities(position, config["epochs"], 938) == {}, overrides
