"""FER2013: faces in seven expressions, from the CSV files that Kaggle hands out."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from lr_lab.data.files import Decoded, decoded_copy
from lr_lab.data.in_memory import InMemoryDataModule, Split
from lr_lab.errors import UserError

_FILES = ("fer2013.csv", "icml_face_data.csv", "train.csv")
_SIDE = 48
_CLASSES = 7
_USAGES = ("Training", "PublicTest", "PrivateTest")
_CHUNK = 2000  # rows; the text of all rows at once would take a gigabyte


class FER2013(InMemoryDataModule):
    """28,709 grey 48x48 faces to train on, in 7 classes (Goodfellow et al. 2013).

    Read from `fer2013.csv`, `icml_face_data.csv` or `train.csv` in `<root>/fer2013` or `root`, the first that
    is there. The first two have a Usage column: Training is trained on, PublicTest is the validation set, and
    PrivateTest is left alone. `train.csv` has none: a part of it (`val_fraction`, by default a fifth) is the
    validation set.
    """

    input_shape = (1, _SIDE, _SIDE)
    classes = _CLASSES

    def read(self) -> tuple[Split, Split | None]:
        [file] = self._find()
        return decoded_copy(self.root, f"fer2013-{file.stem}", lambda: [file], _decode).splits()

    def _find(self) -> list[Path]:
        for folder in (self.root / "fer2013", self.root):
            for name in _FILES:
                if (folder / name).is_file():
                    return [folder / name]
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
    try:
        # Everything as text: a damaged value must not turn a column of numbers into something else.
        chunks = pd.read_csv(file, dtype=str, keep_default_na=False, skip_blank_lines=False, chunksize=_CHUNK)
        for chunk in chunks:
            chunk.columns = chunk.columns.str.strip()
            if missing := {"emotion", "pixels"} - set(chunk.columns):
                raise UserError(
                    f"{file} has no column {' and no column '.join(sorted(missing))}; download it again from Kaggle."
                )
            usage = chunk["Usage"] if "Usage" in chunk else [_USAGES[0]] * len(chunk)
            for row, emotion, text, use in zip(chunk.index, chunk["emotion"], chunk["pixels"], usage, strict=True):
                where = f"{file}, line {row + 2}"  # from 1, after the header
                labels.append(_label(emotion, where))
                pixels.append(_face(text, where))
                usages.append(_usage(use, where))
    except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError) as error:
        raise UserError(
            f"{file} is not a whole CSV file ({str(error).splitlines()[0]}); download it again from Kaggle."
        ) from error
    faces = np.stack(pixels)[..., None] if pixels else np.empty((0, _SIDE, _SIDE, 1), np.uint8)
    emotions, used = np.array(labels, np.int64), np.array(usages, np.str_)
    train, test = (used == usage for usage in _USAGES[:2])
    if not train.any():
        raise UserError(f"{file} has no rows to train on; download it again from Kaggle.")
    return Decoded(faces[train], emotions[train], faces[test], emotions[test])


def _label(text: str, where: str) -> int:
    if text.strip() not in map(str, range(_CLASSES)):
        raise UserError(f"{where}: emotion is {text!r}, not a whole number from 0 to {_CLASSES - 1}; correct the row.")
    return int(text)


def _face(text: str, where: str) -> np.ndarray:
    """uint8 (48, 48)."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", DeprecationWarning)  # numpy's word for text that is no number
            values = np.fromstring(text, np.int64, sep=" ")
    except (ValueError, DeprecationWarning) as error:
        raise UserError(f"{where}: pixels has something that is not a whole number; correct the row.") from error
    if len(values) != _SIDE**2:
        raise UserError(f"{where}: pixels has {len(values)} values, not {_SIDE**2}; correct the row.")
    if values.min() < 0 or values.max() > 255:
        raise UserError(f"{where}: pixels has a value that is not from 0 to 255; correct the row.")
    return values.astype(np.uint8).reshape(_SIDE, _SIDE)


def _usage(text: str, where: str) -> str:
    if text.strip() not in _USAGES:
        raise UserError(f"{where}: Usage is {text!r}, not one of {', '.join(_USAGES)}; correct the row.")
    return text.strip()
