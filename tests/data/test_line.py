"""src/lr_lab/data/line.py"""

from typing import Any

import numpy as np
import pytest
import torch

from lr_lab.data.line import Line
from lr_lab.errors import UserError


@pytest.mark.parametrize(("noise", "intercept"), [("uniform", 2.5), ("gaussian", 2.0)])
def test_least_squares_finds_the_line(noise: str, intercept: float) -> None:
    data = Line(batch_size=5000, seed=0, n=5000, noise=noise)
    data.setup()
    [(x, y)] = [batch for block in data.train_dataloader() for batch in block]
    solution, *_ = np.linalg.lstsq(x.numpy(), y.numpy(), rcond=None)
    np.testing.assert_allclose(solution, [3, intercept], atol=0.1)
    hessian = 2 * x.T @ x / len(x)  # of the mean squared error: about diag(2/3, 2)
    torch.testing.assert_close(hessian, torch.diag(torch.tensor([2 / 3, 2])), atol=0.1, rtol=0)


def test_points_are_served_as_they_are_and_validate_on_themselves() -> None:
    data = Line(batch_size=100, seed=0)
    data.setup()
    x, y = data.gather(data.val, torch.arange(100))
    assert torch.equal(x, data.train.inputs)
    assert torch.equal(y, data.train.targets)
    assert (x[:, 1] == 1).all()
    assert -1 <= x[:, 0].min() < x[:, 0].max() < 1
    residual = y - x @ torch.tensor([3.0, 2.0])
    assert -1e-6 <= residual.min() < residual.max() <= 1 + 1e-6


def test_the_points_move_with_split_seed_and_not_with_seed() -> None:
    first, same, other = (Line(10, seed, split_seed=split) for seed, split in ((0, 0), (1, 0), (0, 1)))
    for data in (first, same, other):
        data.setup()
    assert first.fingerprint == same.fingerprint != other.fingerprint


@pytest.mark.parametrize(("options", "words"), [({"n": 1}, "data.n=1"), ({"noise": "pink"}, "data.noise=pink")])
def test_unknown_arguments_are_refused(options: dict[str, Any], words: str) -> None:
    with pytest.raises(UserError, match=words):
        Line(10, 0, **options)
