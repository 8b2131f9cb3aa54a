"""src/lr_lab/data/files.py: one decoded copy, made once, shared, and made anew when it has to be."""

from __future__ import annotations

import errno
import multiprocessing
import os
import socket
from collections.abc import Sequence
from pathlib import Path
from typing import IO
from urllib.error import URLError

import numpy as np
import pytest

from lr_lab.data import files
from lr_lab.data.files import Decoded, check_md5, decoded_copy, download, make_root
from lr_lab.errors import UserError


class Toy:
    """A dataset of one file whose bytes are the labels; counts how often it is decoded."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.file = root / "labels.bin"
        self.decodings = 0

    def write(self, labels: bytes, name: str = "labels.bin") -> None:
        self.file = self.root / name
        self.file.write_bytes(labels)

    def decode(self, files: Sequence[Path]) -> Decoded:
        self.decodings += 1
        labels = np.frombuffer(files[0].read_bytes(), np.uint8).astype(np.int64)
        pixels = np.broadcast_to(labels.astype(np.uint8)[:, None, None, None], (len(labels), 64, 64, 3))
        return Decoded(pixels, labels, pixels[:0], labels[:0])

    def read(self, dataset: str = "toy") -> Decoded:
        return decoded_copy(self.root, dataset, lambda: [self.file], self.decode)

    def copies(self) -> list[Path]:
        return sorted(path for path in (self.root / ".decoded").iterdir() if path.suffix == ".npy")


@pytest.fixture
def toy(tmp_path: Path) -> Toy:
    toy = Toy(tmp_path)
    toy.write(bytes([3, 1, 2]))
    return toy


def test_a_dataset_is_decoded_once_and_then_mapped(toy: Toy) -> None:
    first, second = toy.read(), toy.read()
    assert toy.decodings == 1
    for copy in (first, second):
        assert copy.train_labels.tolist() == [3, 1, 2]
        assert copy.train_pixels[:, 0, 0, 0].tolist() == [3, 1, 2]
        assert isinstance(copy.train_pixels, np.memmap)
    second.train_pixels[:] = 0  # stays in this process's view of it
    assert toy.read().train_pixels[0, 0, 0, 0] == 3


@pytest.mark.skipif(os.name == "nt", reason="names are text there")
def test_a_file_may_have_a_name_that_is_no_text(toy: Toy) -> None:
    toy.write(bytes([3, 1, 2]), os.fsdecode(b"caf\xe9.bin"))
    assert toy.read().train_labels.tolist() == [3, 1, 2]


def test_a_file_that_cannot_be_opened_is_named(toy: Toy) -> None:
    toy.file.unlink()
    toy.file.mkdir()
    with pytest.raises(UserError, match=r"labels\.bin cannot be opened \(Is a directory\); allow it, or give another"):
        toy.read()


def test_a_set_without_a_test_set_says_so(toy: Toy) -> None:
    train, test = toy.read().splits()
    assert train.inputs.shape == (3, 3, 64, 64)
    assert test is None


@pytest.mark.parametrize("change", ["content", "time", "name"])
def test_changed_files_are_decoded_anew_and_the_old_copy_goes(toy: Toy, change: str) -> None:
    old = toy.read()
    if change == "content":
        toy.write(bytes([3, 1, 2, 0]))
    elif change == "time":
        os.utime(toy.file, ns=(0, 0))
    else:
        toy.write(bytes([3, 1, 2]), "others.bin")
    new = toy.read()
    assert toy.decodings == 2
    assert len(new.train_labels) == (4 if change == "content" else 3)
    assert len(toy.copies()) == len(Decoded._fields)
    assert old.train_pixels[:, 5, 5, 1].tolist() == [3, 1, 2]  # whoever has it open keeps it


def test_copies_of_other_datasets_stay(toy: Toy) -> None:
    toy.read("toy-64x64")
    toy.read("toy")
    os.utime(toy.file, ns=(0, 0))
    toy.read("toy")
    assert len(toy.copies()) == 2 * len(Decoded._fields)


@pytest.mark.parametrize("size", [0, 50, 5000])
@pytest.mark.parametrize("name", Decoded._fields[:1])
def test_a_truncated_copy_is_noticed_and_made_again(toy: Toy, name: str, size: int) -> None:
    toy.read()
    [copy] = (path for path in toy.copies() if name in path.name)
    os.truncate(copy, size)
    assert toy.read().train_pixels.sum() == 64 * 64 * 3 * 6
    assert toy.decodings == 2
    toy.read()
    assert toy.decodings == 2


def test_a_missing_part_of_a_copy_is_made_again(toy: Toy) -> None:
    toy.read()
    toy.copies()[0].unlink()
    assert toy.read().train_labels.tolist() == [3, 1, 2]
    assert toy.decodings == 2


@pytest.mark.parametrize("obstacle", ["mode", "file"])
def test_where_nothing_can_be_written_the_arrays_are_held_in_memory(toy: Toy, obstacle: str) -> None:
    if obstacle == "mode":
        toy.root.chmod(0o555)
    else:
        (toy.root / ".decoded").write_text("in the way")
    try:
        assert toy.read().train_labels.tolist() == [3, 1, 2]
        assert not (toy.root / ".decoded").is_dir()
    finally:
        toy.root.chmod(0o755)


def test_a_full_disk_is_no_reason_not_to_train(toy: Toy, monkeypatch: pytest.MonkeyPatch) -> None:
    def save(file: IO[bytes], array: np.ndarray) -> None:
        file.write(b"the first bytes")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(np, "save", save)
    assert toy.read().train_labels.tolist() == [3, 1, 2]
    assert [path.name for path in (toy.root / ".decoded").iterdir()] == [".toy.lock"]


def test_what_an_earlier_version_decoded_is_decoded_anew(toy: Toy, monkeypatch: pytest.MonkeyPatch) -> None:
    toy.read()
    monkeypatch.setattr(files, "_DECODING", files._DECODING + 1)
    toy.read()
    assert toy.decodings == 2
    assert len(toy.copies()) == len(Decoded._fields)


def _count_decodings(root: Path, results: multiprocessing.SimpleQueue[tuple[int, int]]) -> None:
    toy = Toy(root)
    labels = toy.read().train_labels
    results.put((toy.decodings, int(labels.sum())))


def test_of_processes_that_start_together_one_decodes(toy: Toy) -> None:
    toy.write(bytes(range(200)))
    context = multiprocessing.get_context("fork")
    results: multiprocessing.SimpleQueue[tuple[int, int]] = context.SimpleQueue()
    processes = [context.Process(target=_count_decodings, args=(toy.root, results)) for _ in range(6)]
    for process in processes:
        process.start()
    answers = [results.get() for _ in processes]
    for process in processes:
        process.join()
    assert sum(decodings for decodings, _ in answers) == 1
    assert {total for _, total in answers} == {sum(range(200))}


def test_a_download_that_fails_is_one_sentence_and_leaves_the_timeout_as_it_was(tmp_path: Path) -> None:
    def unreachable(root: Path, download: bool) -> None:
        assert download
        assert socket.getdefaulttimeout() is not None
        raise URLError("no network")

    with pytest.raises(UserError, match=rf"^Toy is not complete in data.root={tmp_path} .*, or draw it\.$"):
        download(unreachable, "Toy", tmp_path, "draw it")
    assert socket.getdefaulttimeout() is None


def test_a_root_that_cannot_be_made_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match=r"data.root=.*file/data does not exist and cannot be made .*\.$"):
        make_root(tmp_path / "file" / "data")
    with pytest.raises(UserError, match=r"data.root=.*/file is a file; give the folder that it is in"):
        make_root(tmp_path / "file")


def test_an_altered_file_is_named(tmp_path: Path) -> None:
    file = tmp_path / "abc"
    file.write_bytes(b"abc")
    check_md5(file, "900150983cd24fb0d6963f7d28e17f72")  # RFC 1321, appendix A.5
    file.write_bytes(b"abd")
    with pytest.raises(UserError, match=r"abc is truncated or altered"):
        check_md5(file, "900150983cd24fb0d6963f7d28e17f72")
