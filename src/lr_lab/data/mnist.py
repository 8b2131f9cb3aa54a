"""MNIST and Fashion-MNIST."""

from __future__ import annotations

import gzip
import struct
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from torchvision import datasets

from lr_lab.data.disguised import disguise
from lr_lab.data.files import Decoded, check_md5, decoded_copy, download, make_root
from lr_lab.data.in_memory import InMemoryDataModule
from lr_lab.data.split import Split
from lr_lab.errors import UserError


class Content(NamedTuple):
    """The marks of one dataset of 28x28 pictures: samples of each class, and the sum of all training pixels."""

    train: tuple[int, ...]
    test: tuple[int, ...]
    pixel_sum: int


# As published; the means of the training pixels are 0.1307 and 0.2860 of white.
_CONTENTS = {
    "MNIST": Content(
        (5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949),
        (980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009),
        1_567_298_545,
    ),
    "FashionMNIST": Content((6000,) * 10, (1000,) * 10, 3_431_114_169),
}

# Pictures to train on and to test on in the parts of EMNIST (Cohen et al. 2017), which come in such files, too.
_EMNIST = {
    (697_932, 116_323): "EMNIST by class or by merge",
    (112_800, 18_800): "EMNIST balanced",
    (124_800, 20_800): "EMNIST letters",
    (240_000, 40_000): "EMNIST digits",
}


class MNIST(InMemoryDataModule):
    """60,000 and 10,000 grey handwritten digits of 10 classes (LeCun, Cortes, Burges).

    Read from the authors' four gz files, or those files extracted, in `<root>/MNIST/raw` or `<root>/MNIST`, spelled
    `train-images-idx3-ubyte` or `train-images.idx3-ubyte`; downloaded if missing. Files with other content are refused.
    """

    input_shape = (1, 28, 28)
    classes = 10
    source = datasets.MNIST
    published = True

    def read(self) -> tuple[Split, Split | None]:
        make_root(self.root)
        return decoded_copy(self.root, self.source.__name__.lower(), self._find, self._decode).splits()

    def files(self) -> list[Path]:
        folder = self.root / self.source.__name__
        found = [
            next(
                (path for place in (folder / "raw", folder) for path in _spellings(place / name) if path.is_file()),
                None,
            )
            for name, _ in self.source.resources
        ]
        return [path for path in found if path] if all(found) else []

    def _find(self) -> list[Path]:
        if found := self.files():
            return found
        raw = self.root / self.source.__name__ / "raw"
        names = ", ".join(name for name, _ in self.source.resources)
        download(self.source, self.source.__name__, self.root, f"put {names} into {raw}")
        return self.files()

    def _decode(self, files: Sequence[Path]) -> Decoded:
        arrays = [_read_idx(file) for file in files]
        self._refuse_others(files[0].parent, arrays)
        for file, (_, md5) in zip(files, self.source.resources, strict=True):
            if file.suffix == ".gz":
                check_md5(file, md5)
        train_pixels, train_labels, test_pixels, test_labels = arrays
        return Decoded(
            train_pixels[..., None],
            train_labels.astype(np.int64),
            test_pixels[..., None],
            test_labels.astype(np.int64),
        )

    def _refuse_others(self, folder: Path, arrays: Sequence[np.ndarray]) -> None:
        """Raises UserError unless the arrays are those of this dataset."""
        name = self.source.__name__
        content = _content(arrays)
        sizes = [array.shape[1:] for array in arrays]
        if content == _CONTENTS[name] and sizes == [(28, 28), (), (28, 28), ()]:
            return
        train, _, test, _ = arrays
        known = next((known for known in _CONTENTS if _CONTENTS[known] == content), None)
        known = known or _EMNIST.get((len(train), len(test)))
        size = "x".join(map(str, sizes[0])) or "no size"
        classes = np.count_nonzero(content.train)
        found = known or f"{len(train):,} and {len(test):,} pictures of {size} in {classes} classes, others or altered"
        raise UserError(
            f"The files in {folder} are not {name} as published (60,000 and 10,000 pictures of 28x28 in 10 classes): "
            f"they hold {found}; put {name}'s files there, or choose the dataset that they are."
        )


class FashionMNIST(MNIST):
    """60,000 and 10,000 grey pictures of clothes in 10 classes (Xiao et al. 2017), laid out as MNIST."""

    source = datasets.FashionMNIST


def _spellings(archive: Path) -> list[Path]:
    """The archive, its content extracted, and both under the names with a dot."""
    dotted = archive.with_name(archive.name.replace("-idx", ".idx"))
    return [archive, archive.with_suffix(""), dotted, dotted.with_suffix("")]


def _content(arrays: Sequence[np.ndarray]) -> Content:
    pixels, train, _, test = arrays
    train_counts, test_counts = (tuple(np.bincount(labels.ravel()).tolist()) for labels in (train, test))
    return Content(train_counts, test_counts, int(pixels.sum(dtype=np.int64)))


def _read_idx(path: Path) -> np.ndarray:
    """An array in the IDX format of MNIST's authors: two zeros, 8 (for uint8), rank, sizes, values."""
    try:
        content = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
        zeros, kind, rank = struct.unpack_from(">HBB", content)
        if (zeros, kind) != (0, 8) or rank == 0:
            raise ValueError
        shape = struct.unpack_from(f">{rank}I", content, 4)
        return np.frombuffer(bytearray(content), np.uint8, offset=4 + 4 * rank).reshape(shape)
    except (gzip.BadGzipFile, EOFError, ValueError, zlib.error, struct.error) as error:
        with path.open("rb") as file:
            start = file.read(512)
        is_archive = path.suffix == ".gz" and start.startswith(b"\x1f\x8b")
        other = None if is_archive else disguise(start)
        reason = f" ({other})" if other else ""
        raise UserError(f"{path} is truncated or altered{reason}; delete it and start again.") from error
