"""The Schedule in a real Trainer: the rate logged is the rate used, and it is the sequence's."""

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest
import pytorch_lightning as pl
import torch

from lr_lab.run import parts
from lr_lab.run.folder import RunFolder, run_path
from lr_lab.run.recorder import Recorder
from lr_lab.run.training import train
from lr_lab.schedule.callback import Schedule

Configure = Callable[..., dict[str, Any]]

FORMULAS: dict[str, Callable[[int], float]] = {
    "inverse": lambda n: 1 / n,
    "inverse_sqrt": lambda n: n**-0.5,
    "exponential": lambda n: 0.9**n,
    "cyclic": lambda n: (1 - ((n - 1) % 10) / 10) / (n // 10 + 1),
}


def rates_from_losses(sequence: str, strategy: str, losses: list[float], lr: float) -> list[float]:
    """The rates of the design's tables, written down independently: one per epoch."""
    n, cutoff, rates = 0, 0.01 * losses[0], [lr]
    for before, after in pairwise([None, *losses][:-1]):
        if strategy == "epoch":
            n += 1
        elif strategy == "oscillate":
            n += before is not None and after > before
        elif before is not None and abs(after - before) < cutoff:
            n += 1
            cutoff *= 0.2
        rates.append(lr if n == 0 else FORMULAS[sequence](n) * lr)
    return rates


@pytest.mark.parametrize("strategy", ["epoch", "cutoff", "oscillate"])
@pytest.mark.parametrize("sequence", FORMULAS)
def test_rates_follow_from_the_validation_losses(run_config: Configure, sequence: str, strategy: str) -> None:
    config = run_config(
        f"sequence={sequence}", f"strategy={strategy}", "optimizer=momentum", "lr=0.1", "epochs=12", "data.limit=128"
    )
    train(config)
    history = RunFolder(run_path(config)).history()
    expected = rates_from_losses(sequence, strategy, [row["val_loss"] for row in history], lr=0.1)
    assert [row["lr"] for row in history] == pytest.approx(expected, rel=1e-12)


class RatesUsed(pl.Callback):
    """Writes down the rates of all parameter groups as the optimizer steps; comes after the Schedule."""

    def __init__(self) -> None:
        self.by_epoch: dict[int, list[float]] = {}

    def on_before_optimizer_step(self, trainer: pl.Trainer, pl_module: Any, optimizer: torch.optim.Optimizer) -> None:
        rates = {group["lr"] for group in optimizer.param_groups}
        assert len(rates) == 1
        self.by_epoch.setdefault(trainer.current_epoch, []).append(rates.pop())


@pytest.mark.parametrize(
    "overrides",
    [
        ("sequence=cyclic",),
        ("sequence=cosine", "strategy=every_step"),
        ("sequence=exponential", "warmup=linear", "warmup.length=2"),
        ("sequence=torch", "sequence.step_size=1"),
        ("sequence=inverse", "strategy=every", "strategy.k=2"),
    ],
)
def test_the_rate_logged_is_the_rate_used(run_config: Configure, overrides: tuple[str, ...]) -> None:
    config = run_config("epochs=4", *overrides)
    data = parts.build_data(config)
    data.setup()
    schedule = parts.build_schedule(config, data.steps_per_epoch)
    module = parts.build_module(config, parts.build_network(config, data), data, schedule.rate)
    module.configure_optimizers = two_groups(module)
    used, recorder = RatesUsed(), Recorder(RunFolder(run_path(config)), config, schedule, data)
    parts.build_trainer(config, [schedule, used, recorder]).fit(module, data)
    assert [row["lr"] for row in recorder.rows] == [used.by_epoch[epoch][-1] for epoch in range(4)]
    if schedule.strategy.per_step:
        steps = [rate for epoch in range(4) for rate in used.by_epoch[epoch]]
        assert steps == [schedule.sequence(n) for n in range(4 * data.steps_per_epoch)]
    else:
        assert all(len(set(rates)) == 1 for rates in used.by_epoch.values())


def two_groups(module: Any) -> Callable[[], torch.optim.Optimizer]:
    first, *rest = module.net.parameters()
    return lambda: torch.optim.SGD([{"params": [first]}, {"params": rest}], lr=1.0)


def test_the_untrained_loss_is_the_baseline_asked_for(run_config: Configure) -> None:
    config = run_config("strategy=oscillate", "strategy.baseline=untrained", "lr=10", "epochs=1")
    train(config)
    history = RunFolder(run_path(config)).history()
    data = parts.build_data(config)
    data.setup()
    net = parts.build_network(config, data).eval()
    with torch.no_grad():
        inputs, targets = data.gather(data.val, torch.arange(len(data.val)))
        untrained = torch.nn.functional.cross_entropy(net(inputs), targets).item()
    # One epoch at a rate of 10 leaves the network worse than untrained; r_1 of the inverse sequence is r_0 again.
    assert history[0]["val_loss"] > untrained
    assert torch.load(RunFolder(run_path(config)).checkpoint_file)["callbacks"]["Schedule"]["index"] == 1


def test_the_state_is_one_index_and_plain_numbers() -> None:
    config = {"strategy": {"_target_": "lr_lab.schedule.strategies.Cutoff"}, "lr": 0.1, "epochs": 5, "warmup": {}}
    config["sequence"] = {"_target_": "lr_lab.schedule.sequences.Exponential"}
    schedule = parts.build_schedule(config, steps_per_epoch=10)
    other = Schedule(schedule.sequence, schedule.strategy)
    schedule.index = 7
    other.load_state_dict(schedule.state_dict())
    assert other.rate == 0.1 * 0.9**7
