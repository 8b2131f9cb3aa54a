"""src/lr_lab/data/mnist.py, on the real files and on small ones in their format."""

from __future__ import annotations

import gzip
import hashlib
import struct
from pathlib import Path

import numpy as np
import pytest
from torchvision import datasets

from lr_lab.data.mnist import MNIST, FashionMNIST
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


def small(root: Path, compress: bool) -> dict[str, np.ndarray]:
    """Writes 20 images and 10 in Fashion-MNIST's layout."""
    rng = np.random.default_rng(0)
    raw = root / "FashionMNIST" / "raw"
    raw.mkdir(parents=True)
    arrays = {
        NAMES[0]: rng.integers(0, 256, (20, 28, 28)),
        NAMES[1]: np.arange(20) % 10,
        NAMES[2]: rng.integers(0, 256, (10, 28, 28)),
        NAMES[3]: np.arange(10),
    }
    for name, array in arrays.items():
        content = idx(array)
        (raw / (name if compress else name.removesuffix(".gz"))).write_bytes(
            gzip.compress(content) if compress else content
        )
    return arrays


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


@pytest.mark.parametrize("damage", ["truncated", "altered"])
def test_a_damaged_archive_is_named(linked: Path, damage: str) -> None:
    damaged = linked / "MNIST" / "raw" / NAMES[1]
    content = damaged.read_bytes()
    labels = gzip.decompress(content)
    damaged.unlink()
    damaged.write_bytes(content[:-100] if damage == "truncated" else gzip.compress(labels[:-1] + b"\x03"))
    with pytest.raises(UserError, match=rf"{NAMES[1]} is truncated or altered \(its md5"):
        MNIST(batch_size=64, seed=0, root=linked).setup()


def test_extracted_files_do_as_well(tmp_path: Path) -> None:
    arrays = small(tmp_path, compress=False)
    data = FashionMNIST(batch_size=4, seed=0, root=tmp_path)
    data.setup()
    np.testing.assert_array_equal(data.train.inputs[:, 0], arrays[NAMES[0]])
    np.testing.assert_array_equal(data.val.targets, arrays[NAMES[3]])


def test_archives_are_read_without_extracting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    arrays = small(tmp_path, compress=True)
    raw = tmp_path / "FashionMNIST" / "raw"
    published = [(name, hashlib.md5((raw / name).read_bytes()).hexdigest()) for name in NAMES]
    monkeypatch.setattr(datasets.FashionMNIST, "resources", published)
    tmp_path.chmod(0o555)
    try:
        data = FashionMNIST(batch_size=4, seed=0, root=tmp_path)
        data.setup()
    finally:
        tmp_path.chmod(0o755)
    np.testing.assert_array_equal(data.val.inputs[:, 0], arrays[NAMES[2]])
    assert sorted(path.name for path in tmp_path.iterdir()) == ["FashionMNIST"]


@pytest.mark.parametrize("size", [0, 3, 10, 5000])
def test_a_truncated_extracted_file_is_named(tmp_path: Path, size: int) -> None:
    small(tmp_path, compress=False)
    damaged = tmp_path / "FashionMNIST" / "raw" / NAMES[0].removesuffix(".gz")
    damaged.write_bytes(damaged.read_bytes()[:size])
    with pytest.raises(UserError, match=r"train-images-idx3-ubyte is truncated or altered"):
        FashionMNIST(batch_size=4, seed=0, root=tmp_path).setup()


def test_without_files_and_network_the_sentence_says_what_to_put_where(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(datasets.MNIST, "mirrors", ["http://127.0.0.1:9/"])  # nobody listens there
    with pytest.raises(UserError, match=r"MNIST is not complete .* put train-images.*gz into .*/MNIST/raw\.$"):
        MNIST(batch_size=4, seed=0, root=tmp_path / "new").setup()
