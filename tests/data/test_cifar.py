"""src/lr_lab/data/cifar.py, on the real files and on small ones in their format."""

from __future__ import annotations

import hashlib
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from torchvision import datasets

from lr_lab.data.cifar import CIFAR10, CIFAR100
from lr_lab.errors import UserError


def test_real_cifar10_has_its_published_moments_and_torchvisions_pixels(real_data: Path, tmp_path: Path) -> None:
    (tmp_path / "cifar-10-batches-py").symlink_to(real_data / "cifar-10-batches-py")
    data = CIFAR10(batch_size=64, seed=0, root=tmp_path)
    data.setup()
    assert data.train.inputs.shape == (50_000, *data.input_shape)
    torch.testing.assert_close(data.mean.flatten() / 255, torch.tensor([0.4914, 0.4822, 0.4465]), atol=5e-5, rtol=0)
    torch.testing.assert_close(data.std.flatten() / 255, torch.tensor([0.2470, 0.2435, 0.2616]), atol=5e-5, rtol=0)
    theirs = datasets.CIFAR10(real_data, train=False)
    np.testing.assert_array_equal(data.val.inputs.permute(0, 2, 3, 1), theirs.data)
    assert data.val.targets.tolist() == theirs.targets


@pytest.fixture
def small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """200 images and 100 in CIFAR-100's layout, with the md5 sums it would publish."""
    folder = tmp_path / "cifar-100-python"
    folder.mkdir()
    rng = np.random.default_rng(0)
    for name, count in (("train", 200), ("test", 100)):
        entry = {
            "data": rng.integers(0, 256, (count, 3072), dtype=np.uint8),
            "fine_labels": [i % 100 for i in range(count)],
            "coarse_labels": [0] * count,
        }
        (folder / name).write_bytes(pickle.dumps(entry))
        md5 = hashlib.md5((folder / name).read_bytes()).hexdigest()
        monkeypatch.setattr(datasets.CIFAR100, f"{name}_list", [[name, md5]])
    return tmp_path


def test_cifar100_has_the_fine_labels_and_channels_last(small: Path) -> None:
    data = CIFAR100(batch_size=10, seed=0, root=small)
    data.setup()
    entry = pickle.loads((small / "cifar-100-python" / "train").read_bytes())
    np.testing.assert_array_equal(data.train.inputs, entry["data"].reshape(-1, 3, 32, 32))
    assert data.train.targets.tolist() == entry["fine_labels"]
    assert data.train.inputs.is_contiguous(memory_format=torch.channels_last)


def test_an_altered_file_is_named_and_not_unpickled(small: Path) -> None:
    (small / "cifar-100-python" / "test").write_bytes(b"not even a pickle")
    with pytest.raises(UserError, match=r"cifar-100-python/test is truncated or altered"):
        CIFAR100(batch_size=10, seed=0, root=small).setup()


def test_without_files_and_network_the_sentence_says_what_to_put_where(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(datasets.CIFAR10, "url", "http://127.0.0.1:9/cifar-10-python.tar.gz")  # nobody listens there
    with pytest.raises(UserError, match=rf"CIFAR10 is not complete .* extract cifar-10-python.tar.gz into {tmp_path}"):
        CIFAR10(batch_size=10, seed=0, root=tmp_path).setup()
