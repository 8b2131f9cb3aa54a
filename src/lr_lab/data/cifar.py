"""CIFAR-10 and CIFAR-100 (A. Krizhevsky, "Learning Multiple Layers of Features from Tiny Images", 2009)."""

from __future__ import annotations

import pickle
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from torchvision import datasets

from lr_lab.data.files import Decoded, check_md5, decoded_copy, download, make_root
from lr_lab.data.in_memory import InMemoryDataModule
from lr_lab.data.split import Split


class CIFAR10(InMemoryDataModule):
    """50,000 and 10,000 colour pictures of 10 classes.

    Read from the authors' Python files in `<root>/cifar-10-batches-py`; downloaded if missing.
    """

    input_shape = (3, 32, 32)
    classes = 10
    source = datasets.CIFAR10
    label_key = "labels"
    published = True

    def read(self) -> tuple[Split, Split | None]:
        make_root(self.root)
        return decoded_copy(self.root, self.source.__name__.lower(), self._find, self._decode).splits()

    def files(self) -> list[Path]:
        folder = self.root / self.source.base_folder
        files = [folder / name for name, _ in (*self.source.train_list, *self.source.test_list)]
        return files if all(file.is_file() for file in files) else []

    def _find(self) -> list[Path]:
        if found := self.files():
            return found
        by_hand = f"extract {self.source.filename} into {self.root}"
        download(self.source, self.source.__name__, self.root, by_hand)
        return self.files()

    def _decode(self, files: Sequence[Path]) -> Decoded:
        for file, (_, md5) in zip(files, (*self.source.train_list, *self.source.test_list), strict=True):
            check_md5(file, md5)  # and only then unpickled
        first_test = len(self.source.train_list)
        return Decoded(*self._load(files[:first_test]), *self._load(files[first_test:]))

    def _load(self, files: Sequence[Path]) -> tuple[np.ndarray, np.ndarray]:
        parts = [pickle.loads(file.read_bytes(), encoding="latin1") for file in files]
        pixels = np.concatenate([part["data"] for part in parts]).reshape(-1, 3, 32, 32)
        labels = np.concatenate([part[self.label_key] for part in parts]).astype(np.int64)
        return np.ascontiguousarray(pixels.transpose(0, 2, 3, 1)), labels


class CIFAR100(CIFAR10):
    """50,000 and 10,000 colour pictures of 100 classes, in `<root>/cifar-100-python`."""

    classes = 100
    source = datasets.CIFAR100
    label_key = "fine_labels"
