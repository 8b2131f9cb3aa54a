"""src/lr_lab/data/mnist.py, on the real files and on small ones in their format."""

from __future__ import annotations

import gzip
import hashlib
import struct
from pathlib import Path

import numpy as np
import pytest
from torchvision import datasets

from lr_lab.data import mnist
from lr_lab.data.mnist import MNIST, Content, FashionMNIST
from lr_lab.errors import UserError

NAMES = [name for name, _ in datasets.MNIST.resources]


@pytest.fixture
def linked(real_data: Path, tmp_path: Path) -> Path:
    """A root of our own with links to the four gz files."""
    raw = tmp_path / "MNIST" / "raw"
    raw.mkdir(parents=True)
    for name in NAMES:
        if not (real_data / "MNIST" / "raw" / name).is_file():
            pytest.skip("MNIST is not there as gz files")
        (raw / name).symlink_to(real_data / "MNIST" / "raw" / name)
    return tmp_path


def idx(array: np.ndarray) -> bytes:
    return struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape) + array.astype(np.uint8).tobytes()


def write(raw: Path, arrays: dict[str, np.ndarray], compress: bool = False, dotted: bool = False) -> None:
    raw.mkdir(parents=True)
    for name, array in arrays.items():
        spelled = name.replace("-idx", ".idx") if dotted else name
        content = idx(array)
        (raw / (spelled if compress else spelled.removesuffix(".gz"))).write_bytes(
            gzip.compress(content) if compress else content
        )


@pytest.fixture
def arrays(monkeypatch: pytest.MonkeyPatch) -> dict[str, np.ndarray]:
    """20 images and 10 that are, for this test, Fashion-MNIST as published."""
    rng = np.random.default_rng(0)
    small = {
        NAMES[0]: rng.integers(0, 256, (20, 28, 28)),
        NAMES[1]: np.arange(20) % 10,
        NAMES[2]: rng.integers(0, 256, (10, 28, 28)),
        NAMES[3]: np.arange(10),
    }
    content = Content((2,) * 10, (1,) * 10, small[NAMES[0]].sum())
    monkeypatch.setitem(mnist._CONTENTS, "FashionMNIST", content)
    return small


def fashion(root: Path) -> FashionMNIST:
    data = FashionMNIST(batch_size=4, seed=0, root=root)
    data.setup()
    return data


def test_real_mnist_has_its_published_sizes_and_moments(linked: Path) -> None:
    data = MNIST(batch_size=64, seed=0, root=linked)
    data.setup()
    assert data.train.inputs.shape == (60_000, *data.input_shape)
    assert len(data.val) == 10_000
    assert (data.mean / 255).item() == pytest.approx(0.1307, abs=5e-5)
    assert (data.std / 255).item() == pytest.approx(0.3081, abs=5e-5)
    assert data.train.targets[:10].tolist() == [5, 0, 4, 1, 9, 2, 1, 3, 1, 4]
    assert data.val.targets[:10].tolist() == [7, 2, 1, 0, 4, 1, 4, 9, 5, 9]
    assert {path.name for path in (linked / "MNIST" / "raw").iterdir()} == set(NAMES)  # nothing was extracted

    again = MNIST(batch_size=64, seed=0, root=linked)  # from the decoded copy
    again.setup()
    assert again.fingerprint == data.fingerprint


def test_a_truncated_archive_is_named(linked: Path) -> None:
    damaged = linked / "MNIST" / "raw" / NAMES[1]
    content = damaged.read_bytes()
    damaged.unlink()
    damaged.write_bytes(content[:-100])
    with pytest.raises(UserError, match=rf"{NAMES[1]} is truncated or altered"):
        MNIST(batch_size=64, seed=0, root=linked).setup()


def test_an_archive_with_other_test_pictures_is_named(linked: Path) -> None:
    damaged = linked / "MNIST" / "raw" / NAMES[2]
    pixels = gzip.decompress(damaged.read_bytes())
    damaged.unlink()
    damaged.write_bytes(gzip.compress(pixels[:-1] + b"\x03"))
    with pytest.raises(UserError, match=rf"{NAMES[2]} is truncated or altered \(its md5"):
        MNIST(batch_size=64, seed=0, root=linked).setup()


@pytest.mark.parametrize("folder", ["FashionMNIST/raw", "FashionMNIST"])
@pytest.mark.parametrize("dotted", [False, True])
def test_extracted_files_do_as_well(tmp_path: Path, arrays: dict[str, np.ndarray], dotted: bool, folder: str) -> None:
    write(tmp_path / folder, arrays, dotted=dotted)
    data = fashion(tmp_path)
    np.testing.assert_array_equal(data.train.inputs[:, 0], arrays[NAMES[0]])
    np.testing.assert_array_equal(data.val.targets, arrays[NAMES[3]])


def test_archives_are_read_without_extracting(
    tmp_path: Path, arrays: dict[str, np.ndarray], monkeypatch: pytest.MonkeyPatch
) -> None:
    raw = tmp_path / "FashionMNIST" / "raw"
    write(raw, arrays, compress=True)
    published = [(name, hashlib.md5((raw / name).read_bytes()).hexdigest()) for name in NAMES]
    monkeypatch.setattr(datasets.FashionMNIST, "resources", published)
    tmp_path.chmod(0o555)
    try:
        data = fashion(tmp_path)
    finally:
        tmp_path.chmod(0o755)
    np.testing.assert_array_equal(data.val.inputs[:, 0], arrays[NAMES[2]])
    assert sorted(path.name for path in tmp_path.iterdir()) == ["FashionMNIST"]


def test_a_file_that_is_something_else_is_named_for_what_it_is(tmp_path: Path, arrays: dict[str, np.ndarray]) -> None:
    raw = tmp_path / "FashionMNIST" / "raw"
    write(raw, arrays)
    for content, kind in ((b"<html>", r" \(it is a web page\)"), (struct.pack(">HBB", 0, 8, 0) + b"x", "")):
        (raw / NAMES[0].removesuffix(".gz")).write_bytes(content)
        with pytest.raises(UserError, match=rf"idx3-ubyte is truncated or altered{kind}; delete it"):
            FashionMNIST(batch_size=8, seed=0, root=tmp_path).setup()


@pytest.mark.parametrize("size", [0, 3, 10, 5000])
def test_a_truncated_extracted_file_is_named(tmp_path: Path, arrays: dict[str, np.ndarray], size: int) -> None:
    raw = tmp_path / "FashionMNIST" / "raw"
    write(raw, arrays)
    damaged = raw / NAMES[0].removesuffix(".gz")
    damaged.write_bytes(damaged.read_bytes()[:size])
    with pytest.raises(UserError, match=r"train-images-idx3-ubyte is truncated or altered"):
        fashion(tmp_path)


@pytest.mark.parametrize("extracted", [True, False])
def test_digits_under_the_name_of_clothes_are_recognised(linked: Path, extracted: bool) -> None:
    raw = linked / "FashionMNIST" / "raw"
    raw.mkdir(parents=True)
    for name in NAMES:
        archive = (linked / "MNIST" / "raw" / name).read_bytes()
        if extracted:
            (raw / name.removesuffix(".gz")).write_bytes(gzip.decompress(archive))
        else:
            (raw / name).write_bytes(archive)
    with pytest.raises(UserError, match=r"FashionMNIST/raw are not FashionMNIST as published.*: they hold MNIST;"):
        fashion(linked)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({1: np.arange(20) % 5}, r"20 and 10 pictures of 28x28 in 5 classes, others or altered"),
        ({1: np.arange(20) + 7, 3: np.arange(10) + 1}, "in 20 classes"),
        ({0: np.zeros((20, 32, 32)), 2: np.zeros((10, 32, 32))}, "20 and 10 pictures of 32x32"),
        ({0: np.zeros((12, 28, 28)), 1: np.arange(12) % 10}, "12 and 10 pictures of 28x28"),
        ({0: np.zeros((124_800, 1, 1)), 2: np.zeros((20_800, 1, 1))}, "they hold EMNIST letters;"),
        ({0: np.arange(20)}, "20 and 10 pictures of no size"),
        ({0: np.ones((20, 28, 28))}, "others or altered"),
    ],
)
def test_other_sizes_labels_and_pixels_are_named(
    tmp_path: Path, arrays: dict[str, np.ndarray], change: dict[int, np.ndarray], words: str
) -> None:
    write(tmp_path / "FashionMNIST", arrays | {NAMES[number]: array for number, array in change.items()})
    with pytest.raises(UserError, match=words):
        fashion(tmp_path)


def test_inputs_are_the_same_wherever_published_files_lie(tmp_path: Path, arrays: dict[str, np.ndarray]) -> None:
    write(tmp_path / "a" / "FashionMNIST", arrays)
    write(tmp_path / "b" / "FashionMNIST", arrays, dotted=True)
    first, second, other = (
        kind(4, 0, root=tmp_path / root).inputs_fingerprint()
        for kind, root in ((FashionMNIST, "a"), (FashionMNIST, "b"), (MNIST, "a"))
    )
    assert first == second != other


def test_without_files_and_network_the_sentence_says_what_to_put_where(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(datasets.MNIST, "mirrors", ["http://127.0.0.1:9/"])  # nobody listens there
    with pytest.raises(UserError, match=r"MNIST is not complete .* put train-images.*gz into .*/MNIST/raw\.$"):
        MNIST(batch_size=4, seed=0, root=tmp_path / "new").setup()
