"""src/lr_lab/data/fer2013_standin.py, on the real files."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from lr_lab.data.cifar import CIFAR10
from lr_lab.data.fer2013_standin import FER2013StandIn
from lr_lab.data.files import Decoded


@pytest.fixture(scope="module")
def root(real_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    (folder / "cifar-10-batches-py").symlink_to(real_data / "cifar-10-batches-py")
    return folder


@pytest.fixture(scope="module")
def data(root: Path) -> FER2013StandIn:
    data = FER2013StandIn(batch_size=32, seed=0, root=root)
    data.setup()
    return data


def test_it_has_the_size_of_fer2013_and_classes_of_one_size(data: FER2013StandIn) -> None:
    assert data.train.inputs.shape == (28_709, 1, 48, 48)
    assert data.val.inputs.shape == (3_589, 1, 48, 48)
    for split, share in ((data.train, 28_709 / 7), (data.val, 3_589 / 7)):
        counts = split.targets.bincount(minlength=7)
        assert len(counts) == 7
        # Which labels are wrong is drawn: a class gains and loses about a tenth.
        assert ((counts - share).abs() < 5 * (0.2 * share) ** 0.5).all()


def test_pictures_are_those_of_cifar10_and_a_tenth_of_the_labels_is_wrong(root: Path, data: FER2013StandIn) -> None:
    original = CIFAR10(batch_size=32, seed=0, root=root)
    original.setup()
    pixels = original.val.inputs.movedim(1, -1).numpy()
    # Pillow's own grey conversion and enlargement are the oracle; their rounding between the two is ours only once.
    bilinear = Image.Resampling.BILINEAR
    theirs = np.stack([np.asarray(Image.fromarray(p).convert("L").resize((48, 48), bilinear)) for p in pixels])
    small = theirs[:, ::8, ::8].reshape(len(theirs), -1).astype(np.float32)
    ours = data.val.inputs[:, 0]
    found = torch.cdist(ours[:, ::8, ::8].flatten(1).float(), torch.from_numpy(small)).argmin(dim=1)
    assert len(found.unique()) == len(ours)
    assert (ours.float() - torch.from_numpy(theirs)[found].float()).abs().max() <= 2
    right = (original.val.targets[found] == data.val.targets).double().mean().item()
    assert right == pytest.approx(0.9, abs=1e-4)
    assert original.val.targets[found].max() == 6


def test_the_second_reading_takes_the_shared_copy(
    root: Path, data: FER2013StandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(FER2013StandIn, "_decode")
    monkeypatch.setattr(CIFAR10, "_decode", None)  # not callable: nothing is decoded again
    again = FER2013StandIn(batch_size=32, seed=1, root=root)
    again.setup()
    assert again.fingerprint == data.fingerprint
    assert len(list((root / ".decoded").glob("fer2013_standin-*.npy"))) == len(Decoded._fields)
