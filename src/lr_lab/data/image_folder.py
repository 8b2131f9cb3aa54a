"""A person's own images, one folder per class."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

import numpy as np

from lr_lab.checks import check_whole_number
from lr_lab.data import folders, pictures
from lr_lab.data.files import Decoded, decoded_copy
from lr_lab.data.in_memory import InMemoryDataModule
from lr_lab.data.split import Split
from lr_lab.errors import UserError


class ImageFolder(InMemoryDataModule):
    """Images in folders named after their classes, brought to one size (the aspect ratio is not kept).

    `images` has a folder for training and beside it one for validation, or else for tests (the validation set), in any
    common spelling (`train`, `training_set`, `seg_train`; `val`, `dev`, `test`), each with a folder per class; or it,
    or the training folder alone, has a folder per class, and a stratified part (`val_fraction`, by default a fifth) is
    the validation set. Classes are numbered in the order of their names; images may lie at any depth in them.
    `pictures` defines the value of a pixel. `notes` names the files and folders that are left out, but for hidden
    folders and thumbnails.

    Args:
        images: their folder. Unlike the `root` of other datasets it says which data these are, not just where.
        batch_size, seed, val_fraction, split_seed, limit, scaling, block_size: as in InMemoryDataModule.
        size: pixels a side.
        channels: 3 (colour) or 1 (grey).

    Raises:
        UserError: an argument is out of range, there are fewer than two classes, a part of the data would count as a
            class, or (in `setup`) a class or a validation set is without images, or images cannot be read.
    """

    def __init__(
        self,
        batch_size: int,
        seed: int,
        images: str | Path = "data/folder",
        size: int = 32,
        channels: int = 3,
        val_fraction: float | None = None,
        split_seed: int = 0,
        limit: int | None = None,
        scaling: str = "standardised",
        block_size: int | None = None,
    ) -> None:
        super().__init__(batch_size, seed, images, val_fraction, split_seed, limit, scaling, block_size)
        check_whole_number("data.size", size, 1)
        if channels not in (1, 3):
            raise UserError(f"data.channels={channels} is not allowed; give 3 for colour or 1 for grey.")
        self.input_shape = (channels, size, size)
        self._layout = folders.layout(self.root)
        self.names = self._layout.classes
        self.classes = len(self.names)

    @cached_property
    def _found(self) -> folders.Found:
        found = folders.find(self._layout)
        counts = Counter(file.relative_to(self._layout.train).parts[0] for file in found.train)
        if single := [name for name in self.names if counts[name] == 1]:
            raise UserError(
                f"{self._layout.train / single[0]} has one image only, too few to learn a class from; add more or "
                "remove the folder."
            )
        return found

    def files(self) -> list[Path]:
        return [*self._found.train, *self._found.held_out]

    def read(self) -> tuple[Split, Split | None]:
        channels, size, _ = self.input_shape
        copy = decoded_copy(self.root, f"folder-{channels}x{size}x{size}", self.files, self._decode)
        self.notes = folders.left_out(self.root, self._layout.left_out, self._found.others) + copy.notes.tolist()
        return copy.splits()

    def _decode(self, files: Sequence[Path]) -> Decoded:
        channels, size, _ = self.input_shape
        pixels, notes = pictures.load(files, size, channels)
        numbers = {name: number for number, name in enumerate(self.names)}
        train = len(self._found.train)
        parts = [self._layout.train] * train + [self._layout.held_out or self.root] * (len(files) - train)
        classes = [file.relative_to(part).parts[0] for file, part in zip(files, parts, strict=True)]
        labels = np.array([numbers[name] for name in classes], np.int64)
        return Decoded(pixels[:train], labels[:train], pixels[train:], labels[train:], np.array(notes, np.str_))
