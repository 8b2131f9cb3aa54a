"""MNIST and Fashion-MNIST."""

from __future__ import annotations

import gzip
import struct
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from torchvision import datasets

from lr_lab.data.files import Decoded, check_md5, decoded_copy, download, make_root
from lr_lab.data.in_memory import InMemoryDataModule, Split
from lr_lab.errors import UserError


class MNIST(InMemoryDataModule):
    """60,000 and 10,000 grey handwritten digits of 10 classes (LeCun, Cortes, Burges).

    Read from the authors' four gz files, or those files extracted, in `<root>/MNIST/raw`; downloaded if
    missing.
    """

    input_shape = (1, 28, 28)
    classes = 10
    source = datasets.MNIST

    def read(self) -> tuple[Split, Split | None]:
        make_root(self.root)
        return decoded_copy(self.root, self.source.__name__.lower(), self._find, self._decode).splits()

    def _find(self) -> list[Path]:
        raw = self.root / self.source.__name__ / "raw"
        archives = [raw / name for name, _ in self.source.resources]
        extracted = [archive.with_suffix("") for archive in archives]
        for files in (archives, extracted):
            if all(file.is_file() for file in files):
                return files
        names = ", ".join(archive.name for archive in archives)
        download(self.source, self.source.__name__, self.root, f"put {names} into {raw}")
        return archives

    def _decode(self, files: Sequence[Path]) -> Decoded:
        for file, (name, md5) in zip(files, self.source.resources, strict=True):
            if file.name == name:
                check_md5(file, md5)
        train_pixels, train_labels, test_pixels, test_labels = map(_read_idx, files)
        return Decoded(
            train_pixels[..., None],
            train_labels.astype(np.int64),
            test_pixels[..., None],
            test_labels.astype(np.int64),
        )


class FashionMNIST(MNIST):
    """60,000 and 10,000 grey pictures of clothes in 10 classes (Xiao et al. 2017), laid out as MNIST."""

    source = datasets.FashionMNIST


def _read_idx(path: Path) -> np.ndarray:
    """An array in the IDX format of MNIST's authors: two zeros, 8 (for uint8), rank, sizes, values."""
    try:
        content = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
        zeros, kind, rank = struct.unpack_from(">HBB", content)
        if (zeros, kind) != (0, 8):
            raise ValueError
        shape = struct.unpack_from(f">{rank}I", content, 4)
        return np.frombuffer(bytearray(content), np.uint8, offset=4 + 4 * rank).reshape(shape)
    except (OSError, EOFError, ValueError, struct.error) as error:
        raise UserError(f"{path} is truncated or altered; delete it and start again.") from error
