"""The Schedule in a real Trainer: the rate logged is the rate used, and it is the sequence's."""

import subprocess
import sys
from collections.abc import Callable
from itertools import pairwise
from math import nan
from pathlib import Path
from typing import Any

import pytest
import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import ModelCheckpoint

from lr_lab.errors import UserError
from lr_lab.run import parts
from lr_lab.run.folder import RunFolder, run_path
from lr_lab.run.recorder import Recorder
from lr_lab.run.training import train
from lr_lab.schedule.callback import Schedule
from lr_lab.schedule.sequences import Exponential, Inverse
from lr_lab.schedule.strategies import Cutoff, Epoch, EveryStep, Oscillate, Plateau, Strategy

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
    for before, after in pairwise([nan, *losses][:-1]):
        if strategy == "epoch":
            n += 1
        elif strategy == "oscillate":
            n += after > before
        elif abs(after - before) < cutoff:
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
    module.configure_optimizers = two_groups(module)  # type: ignore[method-assign]
    used, recorder = RatesUsed(), Recorder(RunFolder(run_path(config)), config, schedule, data)
    parts.build_trainer(config, [schedule, used, recorder]).fit(module, data)
    assert [row["lr"] for row in recorder.rows] == [used.by_epoch[epoch][-1] for epoch in range(4)]
    if schedule.position.strategy.per_step:
        steps = [rate for epoch in range(4) for rate in used.by_epoch[epoch]]
        assert steps == [schedule.position.sequence(n) for n in range(4 * data.steps_per_epoch)]
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
    other = Schedule(schedule.position.sequence, schedule.position.strategy)
    schedule.position.index = 7
    other.load_state_dict(schedule.state_dict())
    assert other.rate == 0.1 * 0.9**7


class Theirs(pl.LightningModule):
    """A module of somebody who has never heard of this project: a line fitted to noise."""

    def __init__(self, logs: str = "val_loss", scheduler: bool = False) -> None:
        super().__init__()
        self.first, self.second = torch.nn.Linear(4, 4), torch.nn.Linear(4, 1)
        self.logs, self.scheduler = logs, scheduler

    def training_step(self, batch: list[torch.Tensor], _: int) -> torch.Tensor:
        return self.second(self.first(batch[0])).square().mean()

    def validation_step(self, batch: list[torch.Tensor], _: int) -> None:
        self.log(self.logs, 1.0 / (1 + self.trainer.current_epoch))

    def configure_optimizers(self) -> Any:
        groups = [{"params": self.first.parameters(), "lr": 0.2}, {"params": self.second.parameters(), "lr": 0.02}]
        optimizer = torch.optim.Adam(groups)
        if self.scheduler:
            return [optimizer], [torch.optim.lr_scheduler.StepLR(optimizer, 1)]
        return optimizer


class GroupRates(pl.Callback):
    def __init__(self) -> None:
        self.rates: list[tuple[float, ...]] = []

    def on_train_batch_end(self, trainer: pl.Trainer, *_: Any) -> None:
        self.rates.append(tuple(group["lr"] for group in trainer.optimizers[0].param_groups))


def fit(module: pl.LightningModule, schedule: Schedule, tmp_path: Path, **trainer: Any) -> list[tuple[float, ...]]:
    loader = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(torch.ones(8, 4)), batch_size=4)
    used = GroupRates()
    checkpoint = trainer.pop("ckpt_path", None)
    quiet = {"logger": False, "enable_progress_bar": False, "enable_model_summary": False, "accelerator": "cpu"}
    runner = pl.Trainer(**{**quiet, "enable_checkpointing": False, **trainer}, callbacks=[schedule, used])
    runner.fit(module, loader, loader, ckpt_path=checkpoint)
    runner.save_checkpoint(tmp_path / "theirs.ckpt")
    return used.rates


def test_groups_of_anyones_module_keep_their_ratio_over_a_resume(tmp_path: Path) -> None:
    def schedule() -> Schedule:
        return Schedule(Exponential(lr=0.1), Epoch())

    first = fit(Theirs(), schedule(), tmp_path, max_epochs=2)
    rest = fit(Theirs(), schedule(), tmp_path, max_epochs=5, ckpt_path=tmp_path / "theirs.ckpt")
    expected = [0.1 * 0.9**epoch for epoch in range(5) for _ in range(2)]
    assert [rate for rate, _ in first + rest] == pytest.approx(expected, rel=1e-12)
    assert [rate for _, rate in first + rest] == pytest.approx([rate / 10 for rate in expected], rel=1e-12)


def test_steps_are_those_of_the_optimizer_where_gradients_are_accumulated(tmp_path: Path) -> None:
    schedule = Schedule(Inverse(lr=0.1), EveryStep())
    rates = fit(Theirs(), schedule, tmp_path, max_epochs=4, accumulate_grad_batches=2)
    assert [rate for rate, _ in rates[1::2]] == pytest.approx([0.1, 0.1, 0.05, 0.1 / 3])


def test_a_strategy_is_asked_only_where_there_was_a_validation(tmp_path: Path) -> None:
    # The loss falls at every validation, so a patience of 0 never advances; asked in between, it would.
    schedule = Schedule(Exponential(lr=0.1), Plateau(patience=0, monitor="their/loss"))
    rates = fit(Theirs("their/loss"), schedule, tmp_path, max_epochs=6, check_val_every_n_epoch=2)
    assert {rate for rate, _ in rates} == {0.1}


@pytest.mark.parametrize(
    ("module", "strategy", "sentence"),
    [
        (
            Theirs(scheduler=True),
            Epoch(),
            "Theirs.configure_optimizers returns a scheduler, and Schedule",
        ),
        (Theirs(), Cutoff(monitor="loss"), "monitors loss, which Theirs does not log; it logs val_loss"),
        (Theirs(), Cutoff(baseline="untrained"), "baseline=untrained asks Theirs for a method evaluate"),
    ],
)
def test_what_cannot_work_in_their_module_is_said(
    module: Theirs, strategy: Strategy, sentence: str, tmp_path: Path
) -> None:
    with pytest.raises(UserError, match=sentence):
        fit(module, Schedule(Exponential(lr=0.1), strategy), tmp_path, max_epochs=2)


class Swinging(Theirs):
    """Its loss rises at every other validation, whenever those come."""

    def validation_step(self, batch: list[torch.Tensor], _: int) -> None:
        self.log("val_loss", 1.0 + self.trainer.global_step // 2 % 2 + self.trainer.global_step / 100)


@pytest.mark.parametrize("when", [{"check_val_every_n_epoch": 2}, {"val_check_interval": 1}, {}])
def test_every_checkpoint_resumes_exactly_wherever_it_was_written(when: dict[str, Any], tmp_path: Path) -> None:
    def schedule() -> Schedule:
        return Schedule(Exponential(lr=0.1), Oscillate())

    kept = ModelCheckpoint(tmp_path / "kept", save_top_k=-1, filename="{step}")
    loader = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(torch.ones(8, 4)), batch_size=4)
    quiet: dict[str, Any] = {"logger": False, "enable_progress_bar": False, "enable_model_summary": False}
    used = GroupRates()
    whole = pl.Trainer(**quiet, accelerator="cpu", max_epochs=6, callbacks=[schedule(), used, kept], **when)
    whole.fit(Swinging(), loader, loader)
    assert len(set(used.rates)) > 1
    files = sorted((tmp_path / "kept").glob("*.ckpt"))
    assert len(files) >= 3
    for file in files:
        rest = fit(Swinging(), schedule(), tmp_path, max_epochs=6, ckpt_path=file, **when)
        assert rest == used.rates[int(file.stem.removeprefix("step=")) :]


def test_steps_of_several_optimizers_are_refused(tmp_path: Path) -> None:
    class Two(Theirs):
        def __init__(self) -> None:
            super().__init__()
            self.automatic_optimization = False

        def configure_optimizers(self) -> Any:
            return [torch.optim.SGD(part.parameters(), lr=0.1) for part in (self.first, self.second)]

    with pytest.raises(UserError, match="needs one optimizer, and Two has 2, whose steps Lightning counts together"):
        fit(Two(), Schedule(Exponential(lr=0.1), EveryStep()), tmp_path, max_epochs=1)


_TWO_PROCESSES = """
import lr_lab, sys, pathlib, torch, pytorch_lightning as pl
from lr_lab.schedule import Exponential, Oscillate, Schedule

class Module(pl.LightningModule):
    def __init__(self):
        super().__init__()
        self.line = torch.nn.Linear(4, 1)
    def training_step(self, batch, _):
        return self.line(batch[0]).square().mean()
    def validation_step(self, batch, _):  # the loss rises for the first process and falls, by half, for the other
        self.log("val_loss", self.trainer.global_step * (1.0 if self.global_rank == 0 else -0.5))
    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.1)

class Rates(pl.Callback):
    rates = []
    def on_train_epoch_start(self, trainer, module):
        self.rates.append(trainer.optimizers[0].param_groups[0]["lr"])

loader = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(torch.ones(16, 4)), batch_size=4)
trainer = pl.Trainer(
    max_epochs=4, strategy="ddp", devices=2, accelerator="cpu", logger=False, enable_checkpointing=False,
    enable_progress_bar=False, enable_model_summary=False,
    callbacks=[Schedule(Exponential(lr=1.0), Oscillate()), Rates()],
)
trainer.fit(Module(), loader, loader)
pathlib.Path(sys.argv[1], str(trainer.global_rank)).write_text(repr(Rates.rates))
"""


@pytest.mark.slow
def test_two_processes_move_alike(tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text(_TWO_PROCESSES)
    subprocess.run([sys.executable, program, tmp_path], check=True, capture_output=True, timeout=200)
    rates = [(tmp_path / rank).read_text() for rank in "01"]
    assert rates == [repr([1.0, 1.0, 0.9, 0.9**2])] * 2
