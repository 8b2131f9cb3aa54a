"""src/lr_lab/data/digits.py"""

import numpy as np
from sklearn.datasets import load_digits

from lr_lab.data.digits import Digits


def test_digits_are_scikit_learns_scaled_up_with_a_stratified_fifth_held_out() -> None:
    data = Digits(batch_size=64, seed=0)
    data.setup()
    digits = load_digits()
    assert (len(data.train), len(data.val)) == (1438, 359)
    counts = np.bincount(digits.target)
    np.testing.assert_allclose(data.val.targets.bincount(), counts / 5, atol=1)
    np.testing.assert_array_equal(data.train.targets.bincount() + data.val.targets.bincount(), counts)

    assert data.train.inputs.shape[1:] == data.input_shape
    # Scaling is linear in each direction, between the centres of pixels, and level beyond the outermost ones.
    weights = np.stack([np.interp((np.arange(28) + 0.5) * 8 / 28 - 0.5, np.arange(8), unit) for unit in np.eye(8)])
    everything, _ = data.read()
    expected = np.einsum("nij,iy,jx->nyx", digits.images, weights, weights) * 255 / 16
    np.testing.assert_allclose(everything.inputs[:, 0], expected, atol=0.501)
    np.testing.assert_array_equal(everything.targets, digits.target)
    assert data.train.inputs.min() == 0
    assert data.train.inputs.max() == 255
