"""How fast a population trains on this device: `python -m src.benchmark_population`.

All numbers are training samples per second, over all members together. A population is compared with one run of ours
under Lightning, with a single run as CUDA graphs (a population of one), and with several of those in processes that
share the device. None of the numbers includes validation. Images are random; nothing is downloaded.
"""

from __future__ import annotations

import gc
import itertools
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import torch
from omegaconf import DictConfig
from rich.console import Console
from rich.table import Table

from lr_lab.benchmark.run import Case
from lr_lab.population.network import CONVOLUTIONS, Population
from lr_lab.population.trials import largest_that_fits
from lr_lab.run.config import compose
from lr_lab.run.folder import RunFolder, run_path, write_csv
from lr_lab.run.parts import Parts
from lr_lab.run.recorder import device_name
from lr_lab.run.training import train

plt.switch_backend("agg")

PRECISIONS = ("fp32", "tf32", "bf16")


@dataclass(frozen=True)
class Way:
    """How a population is computed."""

    convolution: str = "grouped"
    precision: str = "fp32"
    graphs: bool = True
    compiled: bool = False
    one_seed: bool = False  # so that all members share their batches

    def __str__(self) -> str:
        extras = {"graphs": self.graphs, "compiled": self.compiled, "one seed": self.one_seed}
        return ", ".join([self.convolution, self.precision, *(name for name, chosen in extras.items() if chosen)])


class OutOfTime(Exception):
    """The minutes allowed are over."""


class Watch:
    """Limits the minutes of a benchmark."""

    def __init__(self, minutes: float) -> None:
        self._end = time.monotonic() + 60 * minutes

    def check(self) -> None:
        """Raises OutOfTime when they are over."""
        if time.monotonic() > self._end:
            raise OutOfTime


def build_population(case: Case, way: Way, members: int) -> Population:
    """A population with up to ten seeds, as a study of 14 settings x 10 seeds has."""
    config = compose(*case.overrides)
    parts = Parts.of(config).read()
    parts.data.to(device())
    return Population(
        parts.module,
        [parts.net] * members,
        [config["optimizer"]] * members,
        parts.data,
        [0 if way.one_seed else member % 10 for member in range(members)],
        torch.bfloat16 if way.precision == "bf16" else None,
        way.convolution,
        way.graphs,
        way.compiled,
    )


def device() -> torch.device:
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


@contextmanager
def tf32(allowed: bool) -> Iterator[None]:
    """Allows TensorFloat-32 in all products and convolutions, or in none. PyTorch's default is convolutions alone."""
    matmul, cudnn = torch.backends.cuda.matmul, torch.backends.cudnn
    before = matmul.allow_tf32, cudnn.allow_tf32
    matmul.allow_tf32 = cudnn.allow_tf32 = allowed
    try:
        yield
    finally:
        matmul.allow_tf32, cudnn.allow_tf32 = before


def samples_per_second(case: Case, way: Way, members: int, seconds: float) -> float | None:
    """Training samples per second over all members; None if they do not fit into memory."""
    gc.collect()
    torch.cuda.empty_cache()
    try:
        with tf32(way.precision == "tf32"):
            return pace(build_population(case, way, members), seconds)
    except torch.OutOfMemoryError:
        return None


def pace(population: Population, seconds: float) -> float:
    """Training samples per second, over all members."""
    batches = population.batches(0)
    rates = torch.full((len(batches), len(population)), 1e-3)
    for _ in range(3):  # as usual, captured, replayed
        population.train_epoch(batches, rates)
    start = time.perf_counter()
    for calls in itertools.count(1):
        population.train_epoch(batches, rates)  # waits for the device at its end
        elapsed = time.perf_counter() - start
        if elapsed >= seconds:
            samples = sum(batch.shape[1] for batch in batches) * len(population)
            return calls * samples / elapsed
    raise AssertionError


def one_run(case: Case) -> float:
    """Training samples per second of a run of ours with everything that a run does, in its second epoch."""
    with tempfile.TemporaryDirectory() as folder:
        config = case.config(Path(folder))
        train(config)
        seconds = RunFolder(run_path(config)).history()[1]["seconds"]
    return case.steps * case.batch_size / seconds


def shared(cases: Sequence[Case], way: Way, processes: int, seconds: float) -> list[float]:
    """Per case, the samples per second of single runs in processes of their own that share the device."""
    context = torch.multiprocessing.get_context("spawn")
    barrier, results = context.Barrier(processes), context.Queue()
    children = [
        context.Process(target=_share, args=(cases, way, seconds, barrier, results), daemon=True)
        for _ in range(processes)
    ]
    for child in children:
        child.start()
    paces = [results.get(timeout=300) for _ in children]
    for child in children:
        child.join()
    return [sum(each) for each in zip(*paces, strict=True)]


def _share(cases: Sequence[Case], way: Way, seconds: float, barrier: Any, results: Any) -> None:
    torch.set_num_threads(1)
    paces = []
    for case in cases:
        population = build_population(case, way, members=1)
        pace(population, 0)
        barrier.wait(timeout=300)
        paces.append(pace(population, seconds))
        barrier.wait(timeout=300)
    results.put(paces)


def ways(compiled: bool) -> list[Way]:
    """The variants to compare: each convolution in each precision; then without graphs, with one seed, compiled."""
    every = [Way(convolution, precision) for precision in PRECISIONS for convolution in CONVOLUTIONS]
    every += [Way(convolution, graphs=False) for convolution in CONVOLUTIONS]
    every += [Way(convolution, one_seed=True) for convolution in CONVOLUTIONS]
    return every + ([Way(convolution, compiled=True) for convolution in ("grouped", "matmul")] if compiled else [])


def leaks(case: Case, way: Way) -> bool:
    """True if a diverged member spoils the weights of its neighbours."""
    population = build_population(case, way, members=8)
    batches = population.batches(0)[:4]
    rates = torch.full((len(batches), 8), 1e-3)
    rates[:, 3] = 1e30
    for _ in range(3):
        population.train_epoch(batches, rates)
    sound = [member for member in range(8) if member != 3]
    return not all(weights[sound].isfinite().all() for weights in population.weights.values())


@dataclass
class Findings:
    """All measurements, by case; a missing key was left out for lack of time."""

    lightning: dict[Case, float]
    processes: dict[tuple[Case, int], float]
    populations: dict[tuple[Case, Way, int], float | None]
    leaking: dict[tuple[Case, str], bool]
    largest: dict[Case, int]

    def fastest(self, case: Case, members: int, precisions: Sequence[str] = ("fp32",)) -> Way:
        """The fastest way of those measured with several seeds; the default way if none was measured."""
        measured = {
            way: value
            for (of, way, size), value in self.populations.items()
            if (of, size) == (case, members) and value and way.precision in precisions and not way.one_seed
        }
        return max(measured, key=lambda way: measured[way], default=Way())

    def best_single(self, case: Case) -> float | None:
        """The better of a single run as CUDA graphs and processes sharing the device."""
        alone = [v for (of, _, size), v in self.populations.items() if of == case and size == 1 and v]
        return max(alone + [v for (of, _), v in self.processes.items() if of == case], default=None)


def measure(cfg: DictConfig, findings: Findings, console: Console) -> None:
    """Fills in the findings, the most important first.

    Raises:
        OutOfTime: not all could be measured.
    """
    watch = Watch(cfg.minutes)
    cases = [Case(model, batch, cfg.steps) for model in cfg.models for batch in cfg.batch_sizes]

    def add(case: Case, way: Way, members: int) -> None:
        if (case, way, members) not in findings.populations:
            watch.check()
            value = samples_per_second(case, way, members, cfg.seconds)
            findings.populations[case, way, members] = value
            said = "does not fit" if value is None else f"{value:,.0f} samples/s"
            console.print(f"{case.model}, batch {case.batch_size}, {members} members, {way}: {said}", highlight=False)

    for case in cases:
        findings.lightning[case] = one_run(replace(case, steps=4 * cfg.steps))
        for way in ways(compiled=False):
            add(case, way, cfg.members[0])
        add(case, findings.fastest(case, cfg.members[0]), 1)
    for processes in cfg.processes:
        watch.check()
        for case, value in zip(cases, shared(cases, Way(), processes, cfg.seconds), strict=True):
            findings.processes[case, processes] = value
    for case, members in itertools.product(cases, cfg.members[1:]):
        for convolution, precision in itertools.product(CONVOLUTIONS, PRECISIONS):
            add(case, Way(convolution, precision), members)
    for case in cases:
        for convolution in CONVOLUTIONS:
            findings.leaking[case, convolution] = leaks(case, Way(convolution))
        if device().type == "cuda":
            watch.check()
            way = findings.fastest(case, cfg.members[0])
            findings.largest[case] = largest_that_fits(partial(build_population, case, way), device())
    for case, members in itertools.product(cases, cfg.growth):
        add(case, findings.fastest(case, cfg.members[0]), members)
    if cfg.compiled:
        for case in cases[:: len(cfg.batch_sizes)]:
            for way in ways(compiled=True):
                add(case, way, cfg.members[0])


def rows(findings: Findings) -> list[dict[str, Any]]:
    """A row per measurement."""
    found: list[dict[str, Any]] = []
    for case, value in findings.lightning.items():
        found.append(_row(case, "one Lightning process", 1, value))
    for (case, processes), value in findings.processes.items():
        found.append(_row(case, "processes sharing the device, a population of 1 each", processes, value))
    for (case, way, members), measured in findings.populations.items():
        found.append(_row(case, str(way), members, measured))
    return found


def _row(case: Case, way: str, members: int, value: float | None) -> dict[str, Any]:
    return {
        "model": case.model,
        "batch_size": case.batch_size,
        "way": way,
        "members": members,
        "samples_per_second": value,
        "ms_per_step": 1000 * members * case.batch_size / value if value else None,
    }


def table(findings: Findings, sizes: Sequence[int], machine: str) -> Table:
    """A table of how far a population is ahead of the plain ways."""
    result = Table(title=f"training samples per second on {machine}")
    for column in ("network", "one Lightning\nprocess", "best single run\nor processes"):
        result.add_column(column, justify="left" if column == "network" else "right")
    for members in sizes:
        result.add_column(f"{members} members,\nfastest in fp32", justify="right")
    result.add_column(f"fastest at {sizes[-1]}\nin any precision")
    for case, lightning in findings.lightning.items():
        single = findings.best_single(case)
        cells = [f"{case.model}, batch {case.batch_size}", f"{lightning:,.0f}", f"{single:,.0f}" if single else "?"]
        for members in sizes:
            way = findings.fastest(case, members)
            value = findings.populations.get((case, way, members))
            ratios = f"{value / lightning:.1f} x, {value / single:.1f} x" if value and single else "?"
            cells.append(f"{value:,.0f}\n{ratios}\n{way}" if value else "?")
        result.add_row(*cells, str(findings.fastest(case, sizes[-1], PRECISIONS)))
    return result


def draw(findings: Findings, reference: int, machine: str, file: Path) -> None:
    """Milliseconds per step against members, a line per case, by the way that is fastest for `reference` members."""
    figure, axis = plt.subplots(figsize=(5.5, 3.6))
    for case in findings.lightning:
        way = findings.fastest(case, reference)
        points = sorted((m, v) for (of, by, m), v in findings.populations.items() if (of, by) == (case, way) and v)
        times = [1000 * members * case.batch_size / value for members, value in points]
        axis.plot([members for members, _ in points], times, marker="o", label=f"{case.model}, batch {case.batch_size}")
    axis.set(xscale="log", yscale="log", xlabel="members of the population", ylabel="ms per step of all members")
    axis.set_title(f"Growth of a population on {machine}", fontsize=10)
    axis.spines[["top", "right"]].set_visible(False)
    axis.legend(frameon=False, fontsize=8)
    figure.tight_layout()
    figure.savefig(file, dpi=150)
    plt.close(figure)


def benchmark(cfg: DictConfig) -> None:
    """Measures, prints the table, writes population.csv and population.png."""
    console = Console()
    machine = device_name(device())
    folder = Path(cfg.output_dir).absolute()
    folder.mkdir(parents=True, exist_ok=True)
    if device().type == "cuda":
        torch.backends.cudnn.benchmark = True  # as train_population does
    findings = Findings({}, {}, {}, {}, {})
    try:
        measure(cfg, findings, console)
    except OutOfTime:
        console.print(f"The {cfg.minutes:g} minutes are over; the rest is left out.")
    measured = rows(findings)
    write_csv(folder / "population.csv", list(measured[0]), measured)
    draw(findings, cfg.members[0], machine, folder / "population.png")
    console.print(table(findings, cfg.members, machine))
    for case, most in findings.largest.items():
        console.print(f"{case.model}, batch {case.batch_size}: up to {most:,} members fit into memory", highlight=False)
    for (case, convolution), leaking in findings.leaking.items():
        if leaking:
            console.print(f"{case.model}, {convolution}: NaN in one member reaches other members.")
    console.print(f"Written to {folder}: population.csv, population.png", soft_wrap=True)
