"""A stand-in for FER2013 where Kaggle's file is missing: as many real pictures of its size and number of classes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from lr_lab.chance import generator
from lr_lab.data.cifar import CIFAR10
from lr_lab.data.fer2013 import FER2013
from lr_lab.data.files import Decoded, decoded_copy, make_root
from lr_lab.data.split import Split, stratified_sample

_TRAIN, _VAL = 28_709, 3_589  # FER2013's Training and PublicTest
_WRONG = 0.1  # of the labels
_LUMA = torch.tensor([0.299, 0.587, 0.114])  # ITU-R BT.601, as every grey conversion of pictures


class FER2013StandIn(CIFAR10):
    """28,709 and 3,589 grey 48x48 pictures of CIFAR-10's first seven classes, a tenth of the labels wrong.

    As in FER2013 both splits have wrong labels; unlike there the classes are of one size. Which pictures are taken and
    which labels are wrong is fixed.
    """

    input_shape = FER2013.input_shape
    classes = FER2013.classes

    def read(self) -> tuple[Split, Split | None]:
        make_root(self.root)
        return decoded_copy(self.root, "fer2013_standin", self._find, self._decode).splits()

    def _decode(self, files: Sequence[Path]) -> Decoded:
        train_pixels, train_labels, test_pixels, test_labels, _ = super()._decode(files)
        return Decoded(*_stand_in(train_pixels, train_labels, _TRAIN), *_stand_in(test_pixels, test_labels, _VAL))


def _stand_in(pixels: np.ndarray, labels: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """`count` of the pictures uint8 (N, 32, 32, 3), stratified, as uint8 (count, 48, 48, 1), and their labels."""
    chance = generator(0, "stand-in", count)
    _, side, _ = FER2013.input_shape
    known = torch.from_numpy(labels < FER2013.classes).nonzero().flatten()
    chosen = known[stratified_sample(torch.from_numpy(labels)[known], count, chance)]
    grey = torch.from_numpy(pixels)[chosen].float() @ _LUMA
    large = F.interpolate(grey[:, None], size=(side, side), mode="bilinear", align_corners=False)
    targets = _with_errors(torch.from_numpy(labels)[chosen], chance)
    return large.round().to(torch.uint8).movedim(1, -1).contiguous().numpy(), targets.numpy()


def _with_errors(labels: Tensor, chance: torch.Generator) -> Tensor:
    """A tenth of the labels replaced by another class, each other class as likely."""
    wrong = torch.randperm(len(labels), generator=chance)[: round(_WRONG * len(labels))]
    shift = torch.randint(1, FER2013.classes, (len(wrong),), generator=chance)
    return labels.index_put((wrong,), (labels[wrong] + shift) % FER2013.classes)
