"""Training a stack of runs: each in its own folder, as if it were trained singly.

Afterwards only `trained_as` in result.json tells, but for dropout: masks are drawn for the stack at once, so that a run
with dropout comes out as with another stream of masks, which depends on the runs beside it. Seconds are the stack's,
shared out equally among its members, so that they add up over a study. A member that diverges ends after the epoch that
a single run would end after, and leaves the stack. While it trains, the state of the whole stack is kept in one file,
`.population/*.ckpt` in the folder of the study; a stack that was interrupted, or its rest, goes on from there.
When a member ends, its `checkpoints/last.ckpt` is written, with what a single run's has but Lightning's own position in
its loops.
"""

from __future__ import annotations

import gc
import hashlib
import json
import logging
import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from torch import nn

from lr_lab.chance import stream
from lr_lab.data.in_memory import InMemoryDataModule
from lr_lab.errors import RunBusy, Unwritable, UserError, first_line
from lr_lab.population.network import CONVOLUTIONS, MatmulConv2d, Population, members_of, single_state
from lr_lab.run import parts
from lr_lab.run.folder import FINISHED, RunFolder, run_path, write_text, written_aside
from lr_lab.run.recorder import RunRecord, device_name
from lr_lab.run.summary import summarise
from lr_lab.schedule.position import Position

log = logging.getLogger(__name__)

Config = Mapping[str, Any]
State = dict[str, Any]

_TRIAL = (4, 8)  # members, to learn how much memory one takes
_USABLE = 0.85  # of a GPU's free memory


@dataclass(frozen=True)
class Options:
    """How stacks are trained; what they come to does not depend on it, but for rounding.

    Attributes:
        convolution: one of `CONVOLUTIONS`; None: on a GPU the fastest, measured at the start, else "grouped".
        graphs: CUDA graphs on a GPU.
        compiled: torch.compile.
        max_members: of one stack; None: as many as fit into the memory of a GPU.
    """

    convolution: str | None = None
    graphs: bool = True
    compiled: bool = False
    max_members: int | None = None


@dataclass(frozen=True)
class Member:
    """One run of a stack."""

    config: Config
    folder: RunFolder
    position: Position
    record: RunRecord

    @property
    def name(self) -> str:
        return self.folder.path.name


def train_stack(configs: Sequence[Config], options: Options) -> dict[str, str]:
    """Trains those of the runs that are not finished, nor being trained elsewhere, nor begun singly.

    The others are left as they are. Runs that do not fit into memory together are trained in turn.

    Args:
        configs: resolved; `stack_key` says that they can be members of one stack.

    Returns:
        The runs that cannot be trained as they are, by their folder's name, each with the sentence that says why: a
        part of theirs does not fit the data, or the data have changed since they were begun.

    Raises:
        UserError: the data or a folder are not usable.
    """
    _allow_many_files()
    refused: dict[str, str] = {}
    with ExitStack() as held:
        configs = [config for config in configs if _enter(config, held)]
        if not configs:
            return refused
        parts.prepare_process()
        data = parts.build_data(configs[0])
        data.setup()
        data.to(parts.build_trainer(configs[0], []).strategy.root_device)
        if data.device.type == "cuda":
            torch.backends.cudnn.benchmark = True  # all batches of an epoch but one have the same shape
        members = []
        for config in configs:
            with _refusing(refused, [run_path(config).name]):
                members.append(_member(config, data))
        for checkpoint, part in _by_checkpoint(members):
            with _refusing(refused, [member.name for member in part]):
                sizes = [len(part)] if checkpoint else _sizes(part, data, options)
                for size in sizes:
                    _train_what_fits(part[:size], data, checkpoint, options)
                    part = part[size:]
        _remove_checkpoints_of_finished(run_path(configs[0]).parent)
    return refused


@contextmanager
def _refusing(refused: dict[str, str], names: Sequence[str]) -> Iterator[None]:
    """Notes what is wrong with these runs, so that the others are trained; a folder's trouble is not theirs alone."""
    try:
        yield
    except Unwritable:
        raise
    except UserError as error:
        refused |= dict.fromkeys(names, str(error))


def _allow_many_files() -> None:
    """Every member keeps a lock, a log and TensorBoard's file open; the usual limit is 1,024."""
    with suppress(ImportError, ValueError, OSError):
        import resource

        _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def _enter(config: Config, held: ExitStack) -> bool:
    """Whether the run is this process's to train, from now until `held` ends."""
    folder = RunFolder(run_path(config))
    if (folder.result() or {}).get("status") in FINISHED:
        return False
    if folder.checkpoint_file.exists() or folder.previous_checkpoint_file.exists():
        return False
    try:
        held.enter_context(folder.training(config, blank=summarise(config, [])))
    except RunBusy:
        return False
    # It may have been finished between the look and the lock.
    return (folder.result() or {}).get("status") not in FINISHED


def _member(config: Config, data: InMemoryDataModule) -> Member:
    if data.smallest_batch == 1:
        parts.check_smallest_batch(config, parts.build_network(config, data), data)
    folder = RunFolder(run_path(config))
    record = RunRecord(folder, config, data, trained_as="population")
    record.device = device_name(data.device)
    return Member(config, folder, parts.build_schedule(config, data.steps_per_epoch).position, record)


def _checkpoints(folder: RunFolder) -> list[tuple[Path, list[str]]]:
    """The checkpoints of stacks in the study of a run, newest first, with the names of their members."""
    found = []
    for file in (folder.path.parent / ".population").glob("*.json"):
        with suppress(OSError, ValueError):
            found.append((file.stat().st_mtime, file.with_suffix(".ckpt"), json.loads(file.read_text())))
    return [(checkpoint, names) for _, checkpoint, names in sorted(found, reverse=True)]


def _by_checkpoint(members: Sequence[Member]) -> Iterator[tuple[Path | None, list[Member]]]:
    """The members of each stack that was interrupted, with its checkpoint, and those that begin, with None.

    Who has no epoch in its folder begins, whatever a checkpoint holds of it: its folder was deleted since. Or the
    process was killed as it wrote the first epoch; so after one epoch all of such a stack begin, together.
    """
    left = {member.name: member for member in members}
    epochs = {name: (member.folder.result() or {}).get("epochs_run", 0) for name, member in left.items()}
    for checkpoint, names in _checkpoints(members[0].folder) if any(epochs.values()) else ():
        ours = [name for name in names if name in left and checkpoint.exists()]
        least, most = (pick((epochs[name] for name in ours), default=0) for pick in (min, max))
        part = [left.pop(name) for name in ours if epochs[name] and (least or most > 1)]
        if part:
            yield checkpoint, part
    if left:
        yield None, list(left.values())


def _remove_checkpoints_of_finished(study: Path) -> None:
    for checkpoint, names in _checkpoints(RunFolder(study / "any")):
        if all((RunFolder(study / name).result() or {}).get("status") in FINISHED for name in names):
            checkpoint.unlink(missing_ok=True)
            checkpoint.with_suffix(".json").unlink(missing_ok=True)
            for leftover in checkpoint.parent.glob(f".{checkpoint.stem}.*"):  # of a process that was killed
                leftover.unlink(missing_ok=True)
    with suppress(OSError):
        (study / ".population").rmdir()


def _sizes(members: Sequence[Member], data: InMemoryDataModule, options: Options) -> list[int]:
    """How many members to train in turn, as equal as can be, so that each stack fits into the device's memory."""
    most = options.max_members or len(members)
    if data.device.type == "cuda" and options.max_members is None and len(members) > _TRIAL[1]:
        convolution = options.convolution or "grouped"
        most = largest_that_fits(lambda size: _populate(members[:size], data, convolution, options), data.device)
        log.info("up to %d members fit into the memory of %s", most, device_name(data.device))
    stacks = math.ceil(len(members) / most)
    return [len(members) * (i + 1) // stacks - len(members) * i // stacks for i in range(stacks)]


def largest_that_fits(build: Callable[[int], Population], device: torch.device) -> int:
    """How many members fit into a GPU's memory, extrapolated from two small stacks.

    Args:
        build: a stack of that many members; of `device`.
    """
    taken = []
    for size in _TRIAL:
        _free_memory()
        torch.cuda.reset_peak_memory_stats(device)
        population = build(size)
        _steps(population, 2)  # as usual, and captured as a CUDA graph, which keeps memory of its own
        population.evaluate()
        taken.append(torch.cuda.max_memory_reserved(device))
        del population
    _free_memory()
    each = max(1, (taken[1] - taken[0]) // (_TRIAL[1] - _TRIAL[0]))
    rest = taken[0] - _TRIAL[0] * each
    free, _ = torch.cuda.mem_get_info(device)
    return max(_TRIAL[1], int((_USABLE * free - rest) / each))


def _steps(population: Population, calls: int) -> None:
    """Some steps that move nothing, for their time and memory: at rate 0, over a few batches of the first epoch."""
    batches = population.batches(0)[:2]
    for _ in range(calls):
        population.train_epoch(batches, torch.zeros(len(batches), len(population)))


def _free_memory() -> None:
    gc.collect()
    torch.cuda.empty_cache()


def _populate(
    members: Sequence[Member],
    data: InMemoryDataModule,
    convolution: str,
    options: Options,
    state: State | None = None,
) -> Population:
    """The stack of the members at their initial weights, or in a state."""
    # A state overwrites what the networks start with, so that then one of them can stand for all.
    nets = [_network(member, data) for member in members[: 1 if state else None]]
    population = Population(
        parts.build_module(members[0].config, _network(members[0], data), data, members[0].position.rate),
        nets * (len(members) if state else 1),
        [member.config["optimizer"] for member in members],
        data,
        [member.config["seed"] for member in members],
        torch.bfloat16 if members[0].config["trainer"]["precision"] == "bf16-mixed" else None,
        convolution,
        options.graphs,
        options.compiled,
    )
    if state:
        population.load_state_dict(state)
    return population


def _network(member: Member, data: InMemoryDataModule) -> nn.Module:
    return parts.build_network(member.config, data)


def _convolution(members: Sequence[Member], data: InMemoryDataModule, options: Options) -> str:
    """The way of computing convolutions that is fastest here; the one asked for, if one is."""
    net = _network(members[0], data)
    if options.convolution or data.device.type != "cuda" or not any(map(MatmulConv2d.expresses, net.modules())):
        return options.convolution or "grouped"
    seconds = {}
    for convolution in CONVOLUTIONS:
        _free_memory()
        with suppress(torch.OutOfMemoryError):
            population = _populate(members, data, convolution, options)
            _steps(population, 3)  # as usual, captured, replayed
            started = time.perf_counter()
            _steps(population, 5)
            seconds[convolution] = time.perf_counter() - started
            del population
    _free_memory()
    if not seconds:
        raise torch.OutOfMemoryError(f"a stack of {len(members)} members does not fit into memory")
    log.info("seconds for ten steps: %s", ", ".join(f"{name} {value:.4f}" for name, value in seconds.items()))
    return min(seconds, key=lambda name: seconds[name])


def _train_what_fits(
    members: Sequence[Member], data: InMemoryDataModule, checkpoint: Path | None, options: Options
) -> None:
    """Trains the members together or, should memory not suffice, one half after the other."""
    try:
        with _Stack(members, data, options) as stack:
            stack.start(checkpoint)
            while stack.members:
                stack.train_epoch()
        return
    except torch.OutOfMemoryError:
        if len(members) == 1:
            raise
    # Here and not above, where the exception still holds what takes the memory.
    _free_memory()
    log.warning("%d members do not fit into memory together; going on with half of them at a time", len(members))
    going_on = [member for member in members if not member.record.has_ended]
    for half in (going_on[: len(going_on) // 2], going_on[len(going_on) // 2 :]):
        for newest, part in _by_checkpoint(half):
            _train_what_fits(part, data, newest, options)


class _Stack:
    """Members on their way through the epochs, all at the same one. A context manager: leaving it waits for the files.

    Args:
        members: what to train.
        data: on the device to train on.
        options: as of `train_stack`.

    Attributes:
        members: those that have not ended.
    """

    def __init__(self, members: Sequence[Member], data: InMemoryDataModule, options: Options) -> None:
        self.members = list(members)
        self._data = data
        self._options = options
        names = sorted(member.name for member in members)
        stem = hashlib.sha256("\n".join(names).encode()).hexdigest()[:16]
        self._checkpoint = members[0].folder.path.parent / ".population" / f"{stem}.ckpt"
        self._writer = ThreadPoolExecutor(max_workers=1)
        self._written: Future[None] | None = None
        self._population: Population | None = None
        self._epoch = 0
        self._clock = time.perf_counter()

    def __enter__(self) -> _Stack:
        return self

    def __exit__(self, *_: object) -> None:
        self._writer.shutdown()
        if self._written:
            self._written.result()

    def start(self, checkpoint: Path | None) -> None:
        """Takes up the state that a checkpoint holds, or the initial weights."""
        self._convolution = _convolution(self.members, self._data, self._options)
        kept = _read(checkpoint) if checkpoint else None
        if kept:
            if any(record["data_fingerprint"] != self._data.fingerprint for record in kept["records"]):
                ours = {member.name for member in self.members}
                held = [str(file) for file, names in _checkpoints(self.members[0].folder) if ours & {*names}]
                raise UserError(
                    f"The data have changed since {len(ours)} runs were trained as one up to epoch {kept['epoch']}; "
                    f"bring the old data back to go on, or delete {' and '.join(held)} to start them anew."
                )
            self._go_on_from(kept)
        else:
            self._begin()

    def _begin(self) -> None:
        # A stack that ends removes the folder if it is empty, so this one puts its names there before it trains. The
        # other may still come between the making of the folder and that of the file, once.
        names = json.dumps([member.name for member in self.members])
        self._checkpoint.unlink(missing_ok=True)  # of runs of these names whose folders were deleted since
        try:
            write_text(self._checkpoint.with_suffix(".json"), names)
        except Unwritable:
            write_text(self._checkpoint.with_suffix(".json"), names)
        self._population = _populate(self.members, self._data, self._convolution, self._options)
        for member in self.members:
            member.record.open_board(purge_step=0)
        if any(member.position.wants_baseline for member in self.members):
            for member, metrics in zip(self.members, self._population.evaluate(), strict=True):
                if member.position.wants_baseline:
                    member.position.observe(-1, metrics["val_loss"])

    def _go_on_from(self, kept: State) -> None:
        places = [kept["names"].index(member.name) for member in self.members]
        for member, place in zip(self.members, places, strict=True):
            member.record.load_state_dict(kept["records"][place])
            member.position.load_state_dict(kept["schedules"][place])
            # What was killed may not have come to write its last epoch into every folder.
            member.record.open_board(purge_step=len(member.record.rows) - 1)
        self._epoch = kept["epoch"]
        log.info("going on after epoch %d", self._epoch)
        self._write(self._snapshot(members_of(kept["population"], places)))

    def train_epoch(self) -> None:
        """Trains and validates all members for an epoch; its files are written while the next one is trained."""
        assert self._population is not None
        batches = self._population.batches(self._epoch)
        first = self._epoch * len(batches)
        rates = torch.tensor(
            [member.position.rates(first, len(batches)) for member in self.members], dtype=torch.float64
        ).T
        torch.manual_seed(stream(self.members[0].config["seed"], "dropout", self._epoch))
        started = time.perf_counter()
        summaries = self._population.train_epoch(batches, rates)
        seconds = time.perf_counter() - started
        metrics = self._population.evaluate()
        if self._written:
            self._written.result()
        now = time.perf_counter()
        for member, summary, measured in zip(self.members, summaries, metrics, strict=True):
            member.record.rows.append(
                {
                    "epoch": self._epoch,
                    "val_accuracy": None,
                    "lr": member.position.rate,
                    "train_loss": summary.loss,
                    "train_accuracy": summary.accuracy,
                    "gradient_norm": summary.gradient_norm,
                    "seconds": seconds / len(self.members),
                }
                | measured
            )
            member.record.wall_seconds += (now - self._clock) / len(self.members)
            member.record.updates = member.position.index
            member.position.observe(self._epoch, measured["val_loss"])
        self._clock = now
        self._epoch += 1
        self._write(self._snapshot(self._population.state_dict()))

    def _snapshot(self, population: State) -> State:
        return {
            "epoch": self._epoch,
            "names": [member.name for member in self.members],
            "schedules": [member.position.state_dict() for member in self.members],
            "records": [member.record.state_dict() for member in self.members],
            "population": population,
        }

    def _write(self, snapshot: State) -> None:
        """Has the files of the epoch written in the background, and lets the members go that have ended."""
        # Here and not in the background: building a network sets torch's generator, which dropout draws from meanwhile.
        groups = {member.name: self._parameter_groups(member) for member in self.members if member.record.has_ended}
        self._written = self._writer.submit(self._write_files, list(self.members), snapshot, groups)
        going_on = [i for i, member in enumerate(self.members) if not member.record.has_ended]
        if len(going_on) == len(self.members) and self._population is not None:
            return
        self.members = [self.members[i] for i in going_on]
        self._population = None
        if going_on:
            state = members_of(snapshot["population"], going_on)
            self._population = _populate(self.members, self._data, self._convolution, self._options, state)

    def _parameter_groups(self, member: Member) -> list[dict[str, Any]]:
        """Those of the optimizer that the member would have singly."""
        module = parts.build_module(member.config, _network(member, self._data), self._data, member.position.rate)
        return module.configure_optimizers().state_dict()["param_groups"]

    def _write_files(self, members: Sequence[Member], snapshot: State, groups: Mapping[str, Any]) -> None:
        with written_aside(self._checkpoint) as aside:
            torch.save(snapshot, aside)
        write_text(self._checkpoint.with_suffix(".json"), json.dumps(snapshot["names"]))
        for i, member in enumerate(members):
            if member.record.has_ended:
                member.record.write_epoch(partial(self._save_single, member, i, snapshot, groups[member.name]))
                member.record.finish()
            else:
                member.record.write_epoch()

    def _save_single(self, member: Member, place: int, snapshot: State, groups: Any) -> None:
        """Writes the member's checkpoint as a single run's, but for Lightning's position in its loops."""
        net, optimizer_state = single_state(snapshot["population"], place)
        epochs = len(member.record.rows)
        with written_aside(member.folder.checkpoint_file) as aside:
            torch.save(
                {
                    "epoch": epochs - 1,
                    "global_step": epochs * self._data.steps_per_epoch,
                    "pytorch-lightning_version": pl.__version__,
                    "state_dict": {f"net.{name}": tensor for name, tensor in net.items()},
                    "callbacks": {"Schedule": snapshot["schedules"][place], "Recorder": snapshot["records"][place]},
                    "optimizer_states": [{"state": optimizer_state, "param_groups": groups}],
                    "lr_schedulers": [],
                },
                aside,
            )


def _read(checkpoint: Path) -> State | None:
    try:
        return torch.load(checkpoint, map_location="cpu", weights_only=True)
    except Exception as error:  # whatever a spoiled file makes torch raise
        log.warning("%s cannot be read; its runs start anew: %s", checkpoint, first_line(error))
        return None
