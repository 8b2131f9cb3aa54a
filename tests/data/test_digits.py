"""src/data/digits.py"""

import numpy as np
import torch
from sklearn.datasets import load_digits

from src.data.digits import Digits


def test_digits_are_scikit_learns_scaled_up_with_a_stratified_fifth_held_out() -> None:
    data = Digits(batch_size=64, seed=0)
    data.setup()
    digits = load_digits()
    assert (len(data.train), len(data.val)) == (1438, 359)
    counts = np.bincount(digits.target)
    np.testing.assert_allclose(data.val.targets.bincount(), counts / 5, atol=1)
    np.testing.assert_array_equal(data.train.targets.bincount() + data.val.targets.bincount(), counts)

    assert data.train.inputs.shape[1:] == data.input_shape
    # Averaged back over 8x8 tiles of 3.5 pixels, every picture is nearest to one of its own class.
    small = torch.nn.functional.interpolate(data.val.inputs.float(), size=(8, 8), mode="area").flatten(1) * 16 / 255
    nearest = torch.cdist(small, torch.from_numpy(digits.images).float().flatten(1)).argmin(dim=1)
    assert torch.equal(torch.from_numpy(digits.target)[nearest], data.val.targets)
    assert data.train.inputs.min() == 0
    assert data.train.inputs.max() == 255
