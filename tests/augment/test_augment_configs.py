"""Every choice of conf/augment changes pictures and builds by its public name."""

from __future__ import annotations

import pytest
import torch

from lr_lab.run import parts
from lr_lab.run.config import CONFIG_DIR, compose

CHOICES = sorted(file.stem for file in (CONFIG_DIR / "augment").glob("*.yaml") if file.stem != "none")


@pytest.mark.parametrize("choice", CHOICES)
@pytest.mark.parametrize("channels", [1, 3])
def test_a_choice_changes_training_pictures(choice: str, channels: int) -> None:
    images = ("data=random_images", "data.samples=60", f"data.channels={channels}")
    varied, plain = (parts.build_data(compose(*images, f"augment={name}")) for name in (choice, "none"))
    for data in (varied, plain):
        data.setup()
    (changed, labels), (original, expected) = (next(iter(data.train_epoch(0))) for data in (varied, plain))
    assert changed.shape == original.shape
    assert torch.equal(labels, expected)
    assert (changed != original).flatten(1).any(dim=1).double().mean() > 0.9
