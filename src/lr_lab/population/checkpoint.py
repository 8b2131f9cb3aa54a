"""The files that training goes on from: one of the whole population, and one of each member that has ended.

`.population/` in the folder of a study has two files for each population: `.ckpt` with its state and `.json` with the
names of its members.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch

from lr_lab.data.in_memory import InMemoryDataModule
from lr_lab.errors import Unwritable, first_line
from lr_lab.population.members import Member, State
from lr_lab.population.network import single_state
from lr_lab.run.folder import FINISHED, RunFolder, write_text, written_aside
from lr_lab.run.parts import Parts
from lr_lab.run.recorder import Recorder

log = logging.getLogger(__name__)


class Checkpoint:
    """The state of some members, in a file named by a hash of their names."""

    def __init__(self, members: Sequence[Member]) -> None:
        names = sorted(member.name for member in members)
        stem = hashlib.sha256("\n".join(names).encode()).hexdigest()[:16]
        self._file = members[0].folder.path.parent / ".population" / f"{stem}.ckpt"

    def begin(self, names: Sequence[str]) -> None:
        """Claims the folder before anything is trained.

        Raises:
            Unwritable: the folder cannot be written.
        """
        self._file.unlink(missing_ok=True)  # left by runs of these names whose folders somebody deleted
        try:
            self._write_names(names)
        except Unwritable:
            # Another population that ends removes the folder while it is still empty. This can happen once.
            self._write_names(names)

    def write(self, snapshot: State) -> None:
        """Writes the state, then the names: `checkpoints` finds a state by its names."""
        with written_aside(self._file) as aside:
            torch.save(snapshot, aside)
        self._write_names(snapshot["names"])

    def _write_names(self, names: Sequence[str]) -> None:
        write_text(self._file.with_suffix(".json"), json.dumps(list(names)))


def checkpoints(folder: RunFolder) -> list[tuple[Path, list[str]]]:
    """The checkpoints in the study of a run, newest first, with the names of their members."""
    found = []
    for file in (folder.path.parent / ".population").glob("*.json"):
        with suppress(OSError, ValueError):
            found.append((file.stat().st_mtime, file.with_suffix(".ckpt"), json.loads(file.read_text())))
    return [(checkpoint, names) for _, checkpoint, names in sorted(found, reverse=True)]


def by_checkpoint(members: Sequence[Member]) -> Iterator[tuple[Path | None, list[Member]]]:
    """The members that go on from each checkpoint; with None, the members that start from scratch.

    A member without a recorded epoch starts from scratch even if a checkpoint has it: its folder was deleted. If some
    members of a checkpoint have no epoch and none has more than one, the process was killed as it wrote the first
    epoch, so all of them start from scratch, together.
    """
    left = {member.name: member for member in members}
    epochs = {name: (member.folder.result() or {}).get("epochs_run", 0) for name, member in left.items()}
    for checkpoint, names in checkpoints(members[0].folder) if any(epochs.values()) else ():
        ours = [name for name in names if name in left and checkpoint.exists()]
        least, most = (pick((epochs[name] for name in ours), default=0) for pick in (min, max))
        part = [left.pop(name) for name in ours if epochs[name] and (least or most > 1)]
        if part:
            yield checkpoint, part
    if left:
        yield None, list(left.values())


def read(checkpoint: Path) -> State | None:
    """The state in a file; None, with a warning, if torch cannot read it."""
    try:
        return torch.load(checkpoint, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises many types for a spoiled file
        log.warning("%s cannot be read; its runs start anew: %s", checkpoint, first_line(error))
        return None


def remove_checkpoints_of_finished(study: Path) -> None:
    """Removes the checkpoints whose members are all finished, and the folder once it is empty."""
    for checkpoint, names in checkpoints(RunFolder(study / "any")):
        if all((RunFolder(study / name).result() or {}).get("status") in FINISHED for name in names):
            checkpoint.unlink(missing_ok=True)
            checkpoint.with_suffix(".json").unlink(missing_ok=True)
            for leftover in checkpoint.parent.glob(f".{checkpoint.stem}.*"):  # left by a killed process
                leftover.unlink(missing_ok=True)
    with suppress(OSError):
        (study / ".population").rmdir()


def save_as_single(
    member: Member, place: int, snapshot: State, groups: list[dict[str, Any]], data: InMemoryDataModule
) -> None:
    """Writes the checkpoint that a single run would have, without Lightning's own position in its loops.

    Args:
        place: the member's index in the snapshot.
        groups: parameter groups of the optimizer that a single run would have.
    """
    net, optimizer_state = single_state(snapshot["population"], place)
    schedule = Parts.of(member.config, data).schedule
    recorder = Recorder(member.folder, member.config, schedule, data)
    schedule.load_state_dict(snapshot["schedules"][place])
    recorder.load_state_dict(snapshot["records"][place])
    epochs = len(recorder.rows)
    with written_aside(member.folder.checkpoint_file) as aside:
        torch.save(
            {
                "epoch": epochs - 1,
                "global_step": epochs * data.steps_per_epoch,
                "pytorch-lightning_version": pl.__version__,
                "state_dict": {f"net.{name}": tensor for name, tensor in net.items()},
                "callbacks": {callback.state_key: callback.state_dict() for callback in (schedule, recorder)},
                "optimizer_states": [{"state": optimizer_state, "param_groups": groups}],
                "lr_schedulers": [],
            },
            aside,
        )
