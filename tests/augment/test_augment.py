"""src/lr_lab/augment/ against a slow twin, one picture at a time, written with torchvision's functions."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor
from torchvision.transforms.v2 import functional as tv

from lr_lab.augment.augmentation import Augmentation, Chain
from lr_lab.augment.crop_flip import CropFlip
from lr_lab.augment.cutout import Cutout
from lr_lab.chance import generator
from lr_lab.errors import UserError

MEAN = torch.tensor([7, 8, 9], dtype=torch.uint8)


def pictures(count: int = 50, height: int = 8, width: int = 6) -> Tensor:
    return torch.randint(256, (count, height, width, 3), dtype=torch.uint8, generator=generator(0, "test"))


def draw(augmentation: Augmentation, count: int = 50, seed: int = 0, epoch: int = 0) -> Tensor:
    return augmentation.draw(count, 8, 6, generator(seed, "augment", epoch))


def cropped(picture: Tensor, drawn: list[int], padding: int) -> Tensor:
    """One picture (C, H, W) as torchvision crops and mirrors it."""
    top, left, mirrored = drawn
    _, height, width = picture.shape
    part = tv.crop(tv.pad(picture, [padding]), top, left, height, width)
    return tv.horizontal_flip(part) if mirrored else part


def covered(picture: Tensor, drawn: list[int], size: int) -> Tensor:
    """One picture (C, H, W) with a square of the mean colour whose middle was drawn, cut off at the border."""
    line, column = (middle - size // 2 for middle in drawn)
    top, left = max(line, 0), max(column, 0)
    square = MEAN[:, None, None].expand(3, size, size)[:, : line + size - top, : column + size - left]
    _, height, width = picture.shape
    return tv.erase(picture, top, left, *square.shape[1:], square[:, : height - top, : width - left])


@pytest.mark.parametrize("padding", [0, 1, 4, 9])
@pytest.mark.parametrize("flip", [True, False])
def test_crops_and_flips_are_torchvisions_given_the_same_offsets(padding: int, flip: bool) -> None:
    augmentation, batch = CropFlip(padding, flip), pictures()
    drawn = draw(augmentation)
    changed = augmentation.apply(batch, drawn, MEAN)
    for picture, numbers, result in zip(batch, drawn.tolist(), changed, strict=True):
        assert torch.equal(result.permute(2, 0, 1), cropped(picture.permute(2, 0, 1), numbers, padding))
    assert changed.is_contiguous()
    assert drawn[:, 2].any() == flip


@pytest.mark.parametrize("size", [1, 2, 3, 5, 30])
def test_cutouts_are_torchvisions_given_the_same_middles(size: int) -> None:
    augmentation, batch = Cutout(size), pictures()
    drawn = draw(augmentation)
    changed = augmentation.apply(batch, drawn, MEAN)
    for picture, numbers, result in zip(batch, drawn.tolist(), changed, strict=True):
        assert torch.equal(result.permute(2, 0, 1), covered(picture.permute(2, 0, 1), numbers, size))
    assert changed.is_contiguous()


def test_a_chain_applies_its_steps_in_order() -> None:
    augmentation, batch = Chain([CropFlip(2), Cutout(3)]), pictures()
    drawn = draw(augmentation)
    assert drawn.shape == (50, 5)
    expected = Cutout(3).apply(CropFlip(2).apply(batch, drawn[:, :3], MEAN), drawn[:, 3:], MEAN)
    assert torch.equal(augmentation.apply(batch, drawn, MEAN), expected)


def test_a_crop_worked_by_hand() -> None:
    picture = torch.tensor([[1, 2], [3, 4]], dtype=torch.uint8)[None, :, :, None]
    drawn = torch.tensor([[0, 1, 0], [2, 1, 0], [1, 0, 0], [1, 0, 1]])  # (1, 1) leaves it in place
    changed = CropFlip(1).apply(picture.expand(4, 2, 2, 1).contiguous(), drawn, MEAN[:1])
    assert changed[..., 0].tolist() == [[[0, 0], [1, 2]], [[3, 4], [0, 0]], [[0, 1], [0, 3]], [[1, 0], [3, 0]]]


@pytest.mark.parametrize("augmentation", [CropFlip(3), Cutout(4), Chain([CropFlip(1), Cutout(2)])])
def test_what_is_drawn_is_a_function_of_seed_and_epoch(augmentation: Augmentation) -> None:
    assert torch.equal(draw(augmentation), draw(augmentation))
    assert not torch.equal(draw(augmentation), draw(augmentation, seed=1))
    assert not torch.equal(draw(augmentation), draw(augmentation, epoch=1))


def test_every_offset_is_drawn_as_often() -> None:
    drawn = draw(CropFlip(1), 9000)
    for column, values in ((0, 3), (1, 3), (2, 2)):
        counts = drawn[:, column].bincount(minlength=values)
        expected = 9000 / values
        assert len(counts) == values
        assert (counts - expected).abs().max() < 4 * expected**0.5
    middles = draw(Cutout(1), 4800)
    assert middles.amin(0).tolist() == [0, 0]
    assert middles.amax(0).tolist() == [7, 5]


@pytest.mark.parametrize(
    ("kind", "options", "words"),
    [
        (CropFlip, {"padding": -1}, "augment.padding=-1"),
        (CropFlip, {"flip": "yes"}, "augment.flip=yes"),
        (Cutout, {"size": 0}, "augment.size=0"),
    ],
)
def test_arguments_out_of_range_are_refused(kind: type[Augmentation], options: dict[str, Any], words: str) -> None:
    with pytest.raises(UserError, match=words):
        kind(**options)
