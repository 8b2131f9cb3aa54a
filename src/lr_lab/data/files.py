"""Datasets that live in files: found or downloaded, decoded once, and the copy shared by all processes."""

from __future__ import annotations

import hashlib
import os
import re
import socket
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from http.client import HTTPException
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from filelock import FileLock

from lr_lab.data.split import Split
from lr_lab.errors import UserError

_DOWNLOAD_TIMEOUT = 30  # seconds without a byte

# Raised whenever a dataset's decoding changes: copies of before are then decoded anew.
_DECODING = 4


class Decoded(NamedTuple):
    """Pixels uint8 (N, H, W, C), labels int64 (N,), and notes for a person on how files were read, text (n,).

    There are no rows for test if the dataset has no test set.
    """

    train_pixels: np.ndarray
    train_labels: np.ndarray
    test_pixels: np.ndarray
    test_labels: np.ndarray
    notes: np.ndarray = np.array([], np.str_)

    def splits(self) -> tuple[Split, Split | None]:
        """The training set and the test set, sharing these arrays' memory."""
        train_pixels, train_labels, test_pixels, test_labels = map(torch.from_numpy, self[:-1])
        train = Split.of_images(train_pixels, train_labels)
        return train, Split.of_images(test_pixels, test_labels) if len(test_labels) else None


def decoded_copy(
    root: Path,
    dataset: str,
    find: Callable[[], Sequence[Path]],
    decode: Callable[[Sequence[Path]], Decoded],
) -> Decoded:
    """The dataset's arrays, mapped from `<root>/.decoded/`, so that processes share the memory they are in.

    The copy is made if it is missing, truncated, or made from other files than those found (by name, size and
    time of change) or by an earlier version's decoding; it then replaces the dataset's earlier copy. One process
    makes it while others wait.
    Where nothing can be written, the arrays are decoded into this process's own memory.

    Args:
        root: the folder of the files.
        dataset: names the dataset and whatever shapes its decoding, such as the size images are brought to.
        find: the dataset's files; may download them.
        decode: from those files to the arrays.
    """
    folder = root / ".decoded"
    with _opened(root), _alone(folder, dataset) as writable:
        sources = find()
        stem = f"{dataset}-{digest_of_files(root, sources, f'{_DECODING}')[:16]}"
        copy = _open(folder, stem)
        if copy is None:
            copy = decode(sources)
            if writable and _save(folder, stem, copy):
                _remove_others(folder, dataset, stem)
                copy = _open(folder, stem) or copy
        return copy


@contextmanager
def _opened(root: Path) -> Iterator[None]:
    """Raises UserError for a file below `root`, or a folder on the way to it, that cannot be opened."""
    try:
        yield
    except OSError as error:
        raise UserError(
            f"{error.filename or root} cannot be opened ({error.strerror or error}); allow it, or give another folder."
        ) from error


@contextmanager
def _alone(folder: Path, dataset: str) -> Iterator[bool]:
    """Holds the dataset's lock; yields False, without a lock, where nothing can be written."""
    with ExitStack() as stack:
        try:
            # The mode too: a folder marked read-only is meant to stay as it is, whoever runs this.
            writable = bool(folder.parent.stat().st_mode & 0o222)
            if writable:
                folder.mkdir(exist_ok=True)
                writable = os.access(folder, os.W_OK)
            if writable:
                stack.enter_context(FileLock(folder / f".{dataset}.lock"))
        except OSError:
            writable = False
        yield writable


def digest_of_files(root: Path, files: Iterable[Path], *words: str) -> str:
    """SHA-256, in hex, of words and of files by path below `root`, size and time of change; no file is opened."""
    digest = hashlib.sha256("".join(f"{word}\n" for word in words).encode())
    for path in files:
        stat = path.stat()
        digest.update(
            f"{path.relative_to(root)}\n{stat.st_size}\n{stat.st_mtime_ns}\n".encode(errors="surrogateescape")
        )
    return digest.hexdigest()


def _open(folder: Path, stem: str) -> Decoded | None:
    """None if a file is missing or cut short."""
    try:
        # "c": a write would stay in this process. PyTorch warns of memory that cannot be written to.
        return Decoded(*(np.load(folder / f"{stem}.{name}.npy", mmap_mode="c") for name in Decoded._fields))
    except (OSError, ValueError, EOFError):
        return None


def _save(folder: Path, stem: str, arrays: Decoded) -> bool:
    """Whether all arrays could be written. Each is written aside and renamed: none is seen half-written."""
    aside = folder / f"{stem}.{os.getpid()}.aside"
    try:
        for name, array in arrays._asdict().items():
            with aside.open("wb") as file:
                np.save(file, array)
            aside.replace(folder / f"{stem}.{name}.npy")
    except OSError:  # training works without the copy, for example on a full disk
        aside.unlink(missing_ok=True)
        return False
    return True


def _remove_others(folder: Path, dataset: str, stem: str) -> None:
    copies = re.compile(re.escape(dataset) + r"-[0-9a-f]{16}\.")
    for path in folder.iterdir():
        if copies.match(path.name) and not path.name.startswith(f"{stem}."):
            path.unlink(missing_ok=True)  # processes that have it mapped keep it


def make_root(root: Path) -> None:
    """Makes the folder that downloads go to.

    Raises:
        UserError: it is a file, or does not exist and cannot be made.
    """
    try:
        root.mkdir(parents=True, exist_ok=True)
    except FileExistsError as error:
        raise UserError(f"data.root={root} is a file; give the folder that it is in, or another.") from error
    except OSError as error:
        raise UserError(
            f"data.root={root} does not exist and cannot be made ({error.strerror}); give another folder."
        ) from error


def download(dataset: Callable[..., object], name: str, root: Path, by_hand: str) -> None:
    """Lets a torchvision dataset download what is missing.

    Raises:
        UserError: it could not; the sentence ends with what to do `by_hand`.
    """
    timeout = socket.getdefaulttimeout()
    socket.setdefaulttimeout(_DOWNLOAD_TIMEOUT)
    try:
        dataset(root, download=True)
    except (OSError, RuntimeError, EOFError, HTTPException) as error:  # a URLError is an OSError
        raise UserError(
            f"{name} is not complete in data.root={root} and could not be downloaded; "
            f"connect to the network, or {by_hand}."
        ) from error
    finally:
        socket.setdefaulttimeout(timeout)


def check_md5(path: Path, md5: str) -> None:
    """Raises UserError unless the file is the one its authors published."""
    with path.open("rb") as file:
        found = hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
    if found != md5:
        raise UserError(f"{path} is truncated or altered (its md5 is not {md5}); delete it and start again.")
