"""TensorBoard's event files, one or a folder of them, by TensorBoard's own reader."""

from __future__ import annotations

import logging
from collections import Counter
from pathlib import Path

from lr_lab.curves.names import TEST, TRAIN, VAL, named, split_of, words
from lr_lab.curves.readers.base import Reader
from lr_lab.curves.source import Source
from lr_lab.curves.table import Row, Table

PATTERN = "*tfevents*"


class Tensorboard(Reader):
    format = "TensorBoard's event files"
    order = 1

    def sure(self, source: Source) -> float:
        if source.is_folder and source.path:
            return 0.9 if _parts(source.path) else 0.0
        # Every record begins with its length (eight bytes); the first names the version of the file.
        return 1.0 if b"brain.Event:" in source.data[:64] else 0.0

    def tables(self, source: Source) -> list[Table]:
        assert source.path is not None, "standard input is text"
        parts = _parts(source.path) if source.is_folder else [("", source.path)]
        rows = [row for prefix, path in parts for row in _rows(path, prefix)]
        return [Table(sorted(rows, key=_place), source.name)]


def _place(row: Row) -> float:
    return row.values.get("step", 0.0)


def _parts(folder: Path) -> list[tuple[str, Path]]:
    """The folders that hold one run together, each with the word that marks its tags.

    Keras writes `train` and `validation`, PyTorch's add_scalars one folder per line of a figure.
    """
    found = [("", folder)] if any(folder.glob(PATTERN)) else []
    for inner in sorted(path for path in folder.iterdir() if path.is_dir() and any(path.glob(PATTERN))):
        split = split_of(set(words(inner.name)) & (TRAIN | VAL | TEST))
        if split:
            found.append((split, inner))
    return found


def _rows(path: Path, prefix: str) -> list[Row]:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    from tensorboard.util import tensor_util

    logging.getLogger("tensorboard").setLevel(logging.ERROR)
    events = EventAccumulator(str(path), size_guidance={"scalars": 0, "tensors": 0}).Reload()
    series = [(tag, [(event.step, event.value) for event in events.Scalars(tag)]) for tag in events.Tags()["scalars"]]
    for tag in events.Tags()["tensors"]:
        arrays = [(event.step, tensor_util.make_ndarray(event.tensor_proto)) for event in events.Tensors(tag)]
        series.append(
            (tag, [(step, float(array)) for step, array in arrays if array.shape == () and array.dtype.kind in "fiu"])
        )
    epochs = dict(next((points for tag, points in series if named(tag).kind == "epoch"), []))
    rows: dict[tuple[int, int], dict[str, float]] = {}
    for tag, points in series:
        name = f"{prefix} {tag}" if prefix and not named(tag).split else tag
        written: Counter[int] = Counter()
        for step, value in points if named(tag).kind != "epoch" else ():
            place = {"epoch": float(step)} if tag.startswith("epoch_") else {"step": float(step)}
            place |= {"epoch": epochs[step]} if step in epochs else {}
            rows.setdefault((step, written[step]), place)[name] = value
            written[step] += 1  # a step may be written several times, as by Ultralytics, where it is the epoch
    return [Row(values) for values in rows.values()]
