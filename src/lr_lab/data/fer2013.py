"""FER2013: faces in seven expressions, from the CSV files that Kaggle hands out."""

from __future__ import annotations

import warnings
from collections.abc import Collection, Sequence
from pathlib import Path

import numpy as np

from lr_lab.data.files import Decoded, decoded_copy
from lr_lab.data.in_memory import InMemoryDataModule
from lr_lab.data.split import Split
from lr_lab.data.tables import rows
from lr_lab.errors import UserError, shown

_FILES = ("fer2013.csv", "icml_face_data.csv", "train.csv")
_SIDE = 48
_CLASSES = 7
_USAGES = ("Training", "PublicTest", "PrivateTest")
_PUBLISHED = 28_709  # rows to train on (Goodfellow et al. 2013)


class FER2013(InMemoryDataModule):
    """28,709 grey 48x48 faces to train on, in 7 classes (Goodfellow et al. 2013).

    Read from `fer2013.csv`, `icml_face_data.csv` or `train.csv` in `<root>/fer2013` or `root`, the first that
    is there; `tables.rows` says how such a file may be spelled. The first two have a Usage column: Training is trained
    on, PublicTest is the validation set, and PrivateTest is left alone. `train.csv` has none: a part of it
    (`val_fraction`, by default a fifth) is the validation set. A file with other columns but without Usage is refused,
    as one of these may say which rows are not for training.
    """

    input_shape = (1, _SIDE, _SIDE)
    classes = _CLASSES

    def read(self) -> tuple[Split, Split | None]:
        [file] = self._find()
        copy = decoded_copy(self.root, f"fer2013-{file.stem}", lambda: [file], _decode)
        self.notes = copy.notes.tolist()
        return copy.splits()

    def files(self) -> list[Path]:
        places = (folder / name for folder in (self.root / "fer2013", self.root) for name in _FILES)
        return [file for file in places if file.is_file()][:1]

    def _find(self) -> list[Path]:
        if found := self.files():
            return found
        raise UserError(
            f"FER2013 is not in data.root={self.root}; download one of {', '.join(_FILES)} from Kaggle's "
            "challenges-in-representation-learning-facial-expression-recognition-challenge "
            f"and put it into {self.root / 'fer2013'}."
        )


def _decode(files: Sequence[Path]) -> Decoded:
    [file] = files
    pixels: list[np.ndarray] = []
    labels: list[int] = []
    usages: list[str] = []
    for line, row in rows(file, ("emotion", "pixels"), ("usage",)):
        if not labels:
            _check_split(file, row)
        where = f"{file}, line {line}"
        labels.append(_label(row["emotion"], where))
        pixels.append(_face(row["pixels"], where))
        usages.append(_usage(row.get("usage", _USAGES[0]), where))
    faces = np.stack(pixels)[..., None] if pixels else np.empty((0, _SIDE, _SIDE, 1), np.uint8)
    emotions, used = np.array(labels, np.int64), np.array(usages, np.str_)
    train, test = (used == usage for usage in _USAGES[:2])
    if not train.any():
        raise UserError(f"{file} has no rows to train on; download it again from Kaggle.")
    part = f"{file} has {train.sum():,} rows to train on; FER2013 as published has {_PUBLISHED:,}."
    notes = np.array([part] if test.any() and train.sum() != _PUBLISHED else [], np.str_)
    return Decoded(faces[train], emotions[train], faces[test], emotions[test], notes)


def _check_split(file: Path, row: Collection[str]) -> None:
    """Raises UserError if a column may say which rows are for training and nobody knows how."""
    if "usage" not in row and (unknown := sorted(set(row) - {"emotion", "pixels", "id", "index"})):
        raise UserError(
            f"{file} has no column Usage, but {', '.join(unknown)}; if it says which rows are for training, call it "
            f"Usage, with the values {', '.join(_USAGES)}; if not, remove it."
        )


def _label(text: str, where: str) -> int:
    if text.strip() not in map(str, range(_CLASSES)):
        raise UserError(
            f"{where}: emotion is {shown(text)!r}, not a whole number from 0 to {_CLASSES - 1}; correct the row."
        )
    return int(text)


def _face(text: str, where: str) -> np.ndarray:
    """uint8 (48, 48)."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", DeprecationWarning)  # numpy warns so of text that is not a number
            values = np.fromstring(text, np.int64, sep=" ")
    except (ValueError, DeprecationWarning) as error:
        raise UserError(f"{where}: pixels has something that is not a whole number; correct the row.") from error
    if len(values) != _SIDE**2:
        raise UserError(f"{where}: pixels has {len(values)} values, not {_SIDE**2}; correct the row.")
    if values.min() < 0 or values.max() > 255:
        raise UserError(f"{where}: pixels has a value that is not from 0 to 255; correct the row.")
    return values.astype(np.uint8).reshape(_SIDE, _SIDE)


def _usage(text: str, where: str) -> str:
    for usage in _USAGES:
        if "".join(text.split()).casefold() == usage.casefold():
            return usage
    raise UserError(f"{where}: Usage is {shown(text)!r}, not one of {', '.join(_USAGES)}; correct the row.")
