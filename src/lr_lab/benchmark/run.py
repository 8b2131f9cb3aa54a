"""How fast this is here, against the plain ways of doing it: `python -m src.benchmark`, or `make benchmark`.

All contenders train the same network on the same number of random images and validate once per epoch. They are
measured in turn, round after round, so that a machine whose speed drifts treats them alike; what counts is the ratio
of medians within one call. (a) to (d) share a process, and so the plain ways too profit from how it keeps its memory.
"""

from __future__ import annotations

import contextlib
import io
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import pytorch_lightning as pl
import torch
from omegaconf import DictConfig
from pytorch_lightning.loggers import TensorBoardLogger
from rich.console import Console
from rich.table import Table
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, Dataset
from torchmetrics import MeanMetric
from torchmetrics.classification import MulticlassAccuracy
from torchvision import transforms

from lr_lab.data.in_memory import InMemoryDataModule, Split
from lr_lab.run.config import CONFIG_DIR, compose
from lr_lab.run.folder import RunFolder, collect_results, run_path, write_csv
from lr_lab.run.parts import Parts, build_data
from lr_lab.run.process import prepare_process
from lr_lab.run.recorder import Recorder, device_name

plt.switch_backend("agg")

PLAIN, TEMPLATE, BARE = "plain loop", "Lightning template", "bare loop"
OURS, SWEEP, POPULATION = "lr-lab run", "lr-lab sweep", "lr-lab population"
WHAT = {
    PLAIN: "(a) DataLoader, torchvision transforms, .item() each step",
    TEMPLATE: "(b) the same in Lightning, torchmetrics and progress bar each step",
    BARE: "(c) tensors in memory, nothing recorded: the practical limit",
    OURS: "(d) one run with history, schedule, TensorBoard, checkpoint, metrics",
    SWEEP: "(e) a sweep on all cores or GPUs, per run",
    POPULATION: "(f) a sweep of 28 runs as one population on a GPU, per run",
}


Epoch = Callable[[], None]  # trains one epoch and validates


@dataclass(frozen=True)
class Case:
    """A network at a batch size, trained on pictures as they are or augmented."""

    model: str
    batch_size: int
    steps: int
    augment: str = "none"

    @property
    def title(self) -> str:
        augmented = "" if self.augment == "none" else f", {self.augment}"
        return f"{self.model}, batch {self.batch_size}{augmented}"

    @property
    def overrides(self) -> list[str]:
        """Overrides for the configuration of a run of ours."""
        channels, size = (3, 32) if self.model in ("cifar_cnn", "resnet20") else (1, 28)
        return [
            "data=random_images",
            f"data.samples={self.steps * self.batch_size}",
            f"data.channels={channels}",
            f"data.size={size}",
            f"model={self.model}",
            f"augment={self.augment}",
            f"batch_size={self.batch_size}",
            "optimizer=momentum",
            "lr=0.001",
        ]

    def config(self, folder: Path) -> dict[str, Any]:
        return compose(*self.overrides, "epochs=2", f"output_dir={folder}")


class Images(Dataset[tuple[Tensor, int]]):
    """As torchvision's datasets serve them: a PIL image, transformed when asked for.

    Args:
        split: whose pictures.
        augmented: whether each is cropped after padding and flipped, as `augment=crop_flip` does.
    """

    def __init__(self, split: Split, augmented: bool = False) -> None:
        self._pixels = split.inputs.movedim(1, -1).squeeze(-1).cpu().numpy()
        self._labels = split.targets.tolist()
        self._to_pil = transforms.ToPILImage()
        channels = split.inputs.shape[1]
        normalize = transforms.Normalize((0.5,) * channels, (0.25,) * channels)
        crop_flip = [transforms.RandomCrop(split.inputs.shape[-1], padding=4), transforms.RandomHorizontalFlip()]
        self._transform = transforms.Compose([*(crop_flip if augmented else ()), transforms.ToTensor(), normalize])

    def __len__(self) -> int:
        return len(self._labels)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        return self._transform(self._to_pil(self._pixels[index])), self._labels[index]


def loaders(data: InMemoryDataModule) -> tuple[DataLoader[Any], DataLoader[Any]]:
    """Loaders as people write them: shuffled batches to train on, batches of 256 to validate on."""
    train = DataLoader(Images(data.train, data.augmentation is not None), batch_size=data.batch_size, shuffle=True)
    return train, DataLoader(Images(data.val), batch_size=256)


def plain_loop(net: nn.Module, data: InMemoryDataModule, device: torch.device) -> Epoch:
    """(a) The loop of a tutorial."""
    train, val = loaders(data)
    optimizer = torch.optim.SGD(net.parameters(), lr=0.001, momentum=0.9)

    def epoch() -> None:
        total = hits = 0.0
        net.train()
        for inputs, targets in train:
            inputs, targets = inputs.to(device), targets.to(device)
            optimizer.zero_grad()
            outputs = net(inputs)
            loss = F.cross_entropy(outputs, targets)
            loss.backward()
            optimizer.step()
            total += loss.item() * len(targets)
            hits += (outputs.argmax(1) == targets).sum().item()
        net.eval()
        with torch.no_grad():
            for inputs, targets in val:
                outputs = net(inputs.to(device)).cpu()
                total += F.cross_entropy(outputs, targets).item()
                hits += (outputs.argmax(1) == targets).sum().item()

    return epoch


class Template(pl.LightningModule):
    """(b) A LightningModule as project templates write it: metrics updated and logged every step."""

    def __init__(self, net: nn.Module, classes: int) -> None:
        super().__init__()
        self.net = net
        self.train_loss, self.val_loss = MeanMetric(), MeanMetric()
        self.train_accuracy, self.val_accuracy = (MulticlassAccuracy(classes, average="micro") for _ in range(2))

    def training_step(self, batch: tuple[Tensor, Tensor], _: int) -> Tensor:
        inputs, targets = batch
        outputs: Tensor = self.net(inputs)
        loss = F.cross_entropy(outputs, targets)
        self.train_loss(loss)
        self.train_accuracy(outputs, targets)
        self.log("train/loss", self.train_loss, on_step=True, on_epoch=True, prog_bar=True)
        self.log("train/accuracy", self.train_accuracy, on_step=True, on_epoch=True, prog_bar=True)
        return loss

    def validation_step(self, batch: tuple[Tensor, Tensor], _: int) -> None:
        inputs, targets = batch
        outputs: Tensor = self.net(inputs)
        self.val_loss(F.cross_entropy(outputs, targets))
        self.val_accuracy(outputs, targets)
        self.log("val/loss", self.val_loss, prog_bar=True)
        self.log("val/accuracy", self.val_accuracy, prog_bar=True)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.net.parameters(), lr=0.001, momentum=0.9)


def bare_loop(net: nn.Module, data: InMemoryDataModule) -> Epoch:
    """(c) Nothing but the arithmetic, on tensors in memory, the channel innermost; augmentation is ours."""
    net = net.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    optimizer = torch.optim.SGD(net.parameters(), lr=0.001, momentum=0.9)

    def epoch() -> None:
        net.train()
        for inputs, targets in data.train_epoch(0):
            optimizer.zero_grad()
            F.cross_entropy(net(inputs), targets).backward()
            optimizer.step()
        net.eval()
        with torch.no_grad():
            for block in data.val_dataloader():
                for inputs, _ in block:
                    net(inputs)

    return epoch


class Clock(pl.Callback):
    """Notes when epochs end. From one end to the next, every callback has done its work of one epoch."""

    def __init__(self) -> None:
        self.ends: list[float] = []

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        synchronise(pl_module.device)
        self.ends.append(time.perf_counter())

    @property
    def second_epoch(self) -> float:
        """Seconds; the first epoch is the warm-up."""
        return self.ends[1] - self.ends[0]


def template_seconds(case: Case, folder: Path) -> float:
    """(b) Seconds of an epoch."""
    config = case.config(folder)
    data = fresh_data(config)
    train, val = loaders(data)
    clock = Clock()
    trainer = pl.Trainer(
        max_epochs=2,
        accelerator=config["trainer"]["accelerator"],
        devices=1,
        logger=TensorBoardLogger(folder, name="template"),
        callbacks=[clock],
        enable_model_summary=False,
        num_sanity_val_steps=0,
    )
    with contextlib.redirect_stderr(io.StringIO()), contextlib.redirect_stdout(io.StringIO()):
        trainer.fit(Template(Parts.of(config, data).net, data.classes or 1), train, val)
    return clock.second_epoch


def run_seconds(case: Case, folder: Path) -> float:
    """(d) Seconds of an epoch of a run with everything that a run does."""
    with tempfile.TemporaryDirectory(dir=folder) as output_dir:
        config = case.config(Path(output_dir))
        parts = Parts.of(config).read()
        recorder = Recorder(RunFolder(run_path(config)), config, parts.schedule, parts.data)
        clock = Clock()
        parts.trainer(recorder, clock).fit(parts.module, parts.data)
    return clock.second_epoch


def fresh_data(config: dict[str, Any]) -> InMemoryDataModule:
    data = build_data(config)
    data.setup()
    return data


def synchronise(device: torch.device) -> None:
    """Waits until the device has finished its work."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def seconds_of(epoch: Epoch, device: torch.device) -> float:
    synchronise(device)
    start = time.perf_counter()
    epoch()
    synchronise(device)
    return time.perf_counter() - start


def measure(case: Case, rounds: int, folder: Path) -> Iterator[dict[str, float]]:
    """One round after the other: milliseconds per optimizer step, validation included, of each contender."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    config = case.config(folder)
    data = fresh_data(config)
    plain = plain_loop(Parts.of(config, data).net.to(device), data, device)
    data.to(device)
    bare = bare_loop(Parts.of(config, data).net.to(device), data)
    bare()  # warm-up; the others warm up in their first epoch, or have no need
    for _ in range(rounds):
        seconds = {
            PLAIN: seconds_of(plain, device),
            TEMPLATE: template_seconds(case, folder),
            BARE: seconds_of(bare, device),
            OURS: run_seconds(case, folder),
        }
        yield {name: 1000 * value / case.steps for name, value in seconds.items()}


def sweep_milliseconds(case: Case, folder: Path, launcher: str, runs: int, slots: int) -> float:
    """(e), (f) Milliseconds per step of a sweep's runs, shared out over the `slots` that train at the same time.

    From the first batch of a run to its result: the start of the processes is left out.
    """
    epochs = 4
    with tempfile.TemporaryDirectory(dir=folder) as output_dir:
        seeds = ",".join(map(str, range(runs)))
        overrides = [*case.overrides, f"epochs={epochs}", f"output_dir={output_dir}", f"seed={seeds}"]
        command = [sys.executable, "-m", "src.train", "-m", f"hydra/launcher={launcher}", *overrides]
        subprocess.run(command, check=True, capture_output=True, cwd=CONFIG_DIR.parent)
        results = collect_results(Path(output_dir) / "first_look")
    return 1000 * statistics.mean(r["wall_seconds"] for r in results) / slots / (epochs * case.steps)


def sweeps(case: Case, folder: Path) -> dict[str, float]:
    """Both kinds of sweep; the population only where there is a GPU, which it is for."""
    gpus = torch.cuda.device_count()
    slots = gpus or len(os.sched_getaffinity(0))
    milliseconds = {SWEEP: sweep_milliseconds(case, folder, "local", 2 * slots, slots)}
    if gpus:
        # A member's seconds are its share of the population's, so a GPU counts as one slot for any number of members.
        milliseconds[POPULATION] = sweep_milliseconds(case, folder, "population", 28 * gpus, gpus)
    return milliseconds


def ratios(median: dict[str, float]) -> dict[str, float]:
    """How far ours is from the practical limit, and ahead of the plain ways."""
    against = {
        "(d) / (c)": (OURS, BARE),
        "(a) / (d)": (PLAIN, OURS),
        "(b) / (d)": (TEMPLATE, OURS),
        "(d) / (e)": (OURS, SWEEP),
        "(d) / (f)": (OURS, POPULATION),
    }
    return {name: median[one] / median[other] for name, (one, other) in against.items() if other in median}


def draw(medians: dict[Case, dict[str, float]], machine: str, file: Path) -> None:
    """Bars of milliseconds per step: a panel per case, a bar per contender."""
    figure, axes = plt.subplots(1, len(medians), figsize=(3.2 * len(medians), 2.8), sharey=True, squeeze=False)
    for axis, (case, median) in zip(axes[0], medians.items(), strict=True):
        colors = ["#0072B2" if name in (OURS, SWEEP, POPULATION) else "#999999" for name in median]
        bars = axis.barh(list(median), list(median.values()), color=colors)
        axis.bar_label(bars, fmt="%.1f", padding=2)
        axis.margins(x=0.18)
        axis.invert_yaxis()
        axis.set_title(case.title, fontsize=10)
        axis.spines[["top", "right"]].set_visible(False)
        axis.set_xlabel("ms per step")
    figure.suptitle(f"Training and validating, {machine}", fontsize=10)
    figure.tight_layout()
    figure.savefig(file, dpi=150)


def markdown(medians: dict[Case, dict[str, float]], machine: str) -> str:
    """The table of the README."""
    titles = [case.title for case in medians]
    lines = [f"| ms per step on {machine} | " + " | ".join(titles) + " |", "|---|" + "---:|" * len(titles)]
    for name in next(iter(medians.values())):
        lines.append(f"| {WHAT[name]} | " + " | ".join(f"{median[name]:.2f}" for median in medians.values()) + " |")
    by_case = [ratios(median) for median in medians.values()]
    for name in by_case[0]:
        lines.append(f"| **{name}** | " + " | ".join(f"**{ratio[name]:.2f}**" for ratio in by_case) + " |")
    return "\n".join(lines) + "\n"


def show(medians: dict[Case, dict[str, float]], machine: str, console: Console) -> None:
    table = Table(title=f"milliseconds per optimizer step, validation included, on {machine}")
    table.add_column("")
    for case in medians:
        table.add_column(case.title.replace(", ", "\n"), justify="right")
    for name in next(iter(medians.values())):
        table.add_row(WHAT[name], *(f"{median[name]:.2f}" for median in medians.values()))
    table.add_section()
    for name in ratios(next(iter(medians.values()))):
        table.add_row(name, *(f"{ratios(median)[name]:.2f}" for median in medians.values()))
    console.print(table)


def cases(cfg: DictConfig) -> list[Case]:
    """Each network at each batch size, and resnet20 with augmentation, unless `augmented_steps` is 0."""
    plain = [Case(model, size, cfg.steps) for model in cfg.models for size in cfg.batch_sizes]
    augmented = [Case("resnet20", cfg.batch_sizes[0], cfg.augmented_steps, "crop_flip")]
    return plain + (augmented if cfg.augmented_steps else [])


def benchmark(cfg: DictConfig) -> None:
    """Measures, prints the table, writes benchmark.csv, .md and .png."""
    console = Console()
    prepare_process()
    if cfg.threads:
        torch.set_num_threads(cfg.threads)
    gpu = torch.cuda.is_available()
    machine = device_name(torch.device("cuda")) if gpu else f"a CPU, {torch.get_num_threads()} threads"
    folder = Path(cfg.output_dir).absolute()
    folder.mkdir(parents=True, exist_ok=True)
    medians: dict[Case, dict[str, float]] = {}
    rows = []
    for case in cases(cfg):
        rounds = []
        about = {"model": case.model, "batch_size": case.batch_size, "augment": case.augment}
        for number, times in enumerate(measure(case, cfg.rounds, folder), start=1):
            console.print(f"{case.title}, round {number} of {cfg.rounds}", highlight=False)
            rounds.append(times)
            rows += [about | {"round": number, "contender": k, "ms_per_step": v} for k, v in times.items()]
        medians[case] = {name: statistics.median(times[name] for times in rounds) for name in rounds[0]}
        medians[case] |= sweeps(case, folder)
    write_csv(folder / "benchmark.csv", list(rows[0]), rows)
    (folder / "benchmark.md").write_text(markdown(medians, machine), encoding="utf-8")
    draw(medians, machine, folder / "benchmark.png")
    show(medians, machine, console)
    console.print(f"Written to {folder}: benchmark.csv, benchmark.md, benchmark.png")
