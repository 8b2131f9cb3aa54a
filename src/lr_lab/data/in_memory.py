"""The base of all datasets: two splits held in memory, cut into batches by index.

No sample passes through a Python transform: a batch is one gather, one conversion and one normalisation.
"""

from __future__ import annotations

import hashlib
import logging
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import pytorch_lightning as pl
import torch
from torch import Tensor

from lr_lab.augment.augmentation import Augmentation
from lr_lab.chance import generator
from lr_lab.checks import check_whole_number
from lr_lab.data.files import digest_of_files
from lr_lab.data.split import Split, stratified_sample
from lr_lab.errors import UserError, listed

_VAL_BATCH = 256
_MAX_BLOCK = 32
_MIN_BLOCKS = 20  # per epoch, for progress bars and interrupts
_SCALINGS = {"symmetric": (127.5, 127.5), "unit": (0.0, 255.0)}  # (subtracted, divided by)
_DEFAULT_FRACTION = 0.2  # validation part of a dataset without a held-out set


@dataclass(frozen=True, eq=False)
class Block:
    """Consecutive batches of a split, as indices; iterating gathers one batch (inputs, targets) at a time.

    Attributes:
        drawn: how the split's pictures are augmented, int64 (N, choices); None: not at all.
    """

    data: InMemoryDataModule
    split: Split
    batches: tuple[Tensor, ...]
    drawn: Tensor | None = None

    def __len__(self) -> int:
        return len(self.batches)

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        for index in self.batches:
            drawn = None if self.drawn is None else self.drawn.index_select(0, index)
            yield self.data.gather(self.split, index, drawn)


class _Blocks:
    """A loader: sized, and iterable once per epoch."""

    def __init__(self, data: InMemoryDataModule, whole: Callable[[], Block], steps: int) -> None:
        self._whole, self._steps = whole, steps
        self._size = data.block_size or min(_MAX_BLOCK, max(1, steps // _MIN_BLOCKS))

    def __len__(self) -> int:
        return math.ceil(self._steps / self._size)

    def __iter__(self) -> Iterator[Block]:
        # A generator: the epoch is read when the first block is asked for. Lightning makes its first iterator
        # before it has put a resumed run's epoch right.
        whole = self._whole()
        for start in range(0, self._steps, self._size):
            yield replace(whole, batches=whole.batches[start : start + self._size])


class InMemoryDataModule(pl.LightningDataModule):
    """A dataset held in memory as two splits, `train` and `val`.

    Batch order is a pure function of `seed` and the epoch. Splits are drawn with `split_seed`, which does not
    move with `seed`. Images are normalised as `scaling` says.

    By default the validation set is the dataset's official test set, as in Yang & Huang 2019: accuracies
    compare to published ones, but a choice by them is a choice on the test set. With `val_fraction`
    the validation set is a part of the training set instead and the official test set is left alone.

    Args:
        batch_size: samples per training batch; the last batch of an epoch may be smaller.
        seed: the run's seed.
        root: folder of the files; used by datasets that have any.
        val_fraction: stratified part of the training set to validate on, in (0, 1). None: the official test
            set, or a fifth if there is no such set.
        split_seed: draws val_fraction and limit.
        limit: at most that many samples of each split, stratified, for a quick look. None: all.
        scaling: how pixels are scaled. "standardised": each channel to mean 0 and deviation 1 over the train split.
            "symmetric": to -1 to 1, as PyTorch's tutorials do. "unit": to 0 to 1.
        block_size: batches per Block. None: up to 32, with at least 20 blocks an epoch.

    Attributes:
        input_shape: (C, H, W) of an image, or (F,). Known before anything is decoded, as `classes` and `names` are.
        classes: their number; None for regression.
        names: names of the classes, in order, where they have any.
        notes: sentences for a person on how the data were read, after `setup`: files left out, a scale, few samples.
            They are logged, too.
        published: whether `read` refuses files of any other content than their authors published.
        train, val: the splits, after `setup`.
        mean, std: a pixel, 0 to 255, becomes (pixel - mean) / std, float32 (C, 1, 1): moments of the train split, or as
            `scaling` says; for float inputs 0 and 1, (F,).

    Raises:
        UserError: an argument is out of range, or (in `setup`) the files are missing or damaged.
    """

    input_shape: tuple[int, ...]
    classes: int | None
    names: Sequence[str] = ()
    published = False

    train: Split
    val: Split
    mean: Tensor
    std: Tensor

    def __init__(
        self,
        batch_size: int,
        seed: int,
        root: str | Path = "data",
        val_fraction: float | None = None,
        split_seed: int = 0,
        limit: int | None = None,
        scaling: str = "standardised",
        block_size: int | None = None,
    ) -> None:
        super().__init__()
        for name, value, optional, least in (
            ("batch_size", batch_size, False, 1),
            ("seed", seed, False, 0),
            ("data.split_seed", split_seed, False, 0),
            ("data.limit", limit, True, 1),
            ("data.block_size", block_size, True, 1),
        ):
            check_whole_number(name, value, least, optional)
        if val_fraction is not None and not (isinstance(val_fraction, int | float) and 0 < val_fraction < 1):
            raise UserError(
                f"data.val_fraction={val_fraction} is not between 0 and 1; give a part such as 0.1, or null."
            )
        if scaling not in ("standardised", *_SCALINGS):
            raise UserError(f"data.scaling={scaling} is not known; allowed are standardised, {', '.join(_SCALINGS)}.")
        self.batch_size = batch_size
        self.seed = seed
        self.root = Path(root).expanduser()  # shells do not expand the ~ of data.root=~/data
        self.val_fraction = val_fraction
        self.split_seed = split_seed
        self.limit = limit
        self.scaling = scaling
        self.block_size = block_size
        self.device = torch.device("cpu")
        self.augmentation: Augmentation | None = None
        self.notes: list[str] = []
        self._fingerprint: str | None = None

    def read(self) -> tuple[Split, Split | None]:
        """The training set and the official test set, None if the dataset has none. Sets `notes`."""
        raise NotImplementedError

    def augment_with(self, augmentation: Augmentation) -> None:
        """Changes the pictures that are trained on; those validated on and those that probes look at stay.

        Raises:
            UserError: the data are not pictures.
        """
        if len(self.input_shape) != 3:
            raise UserError(f"augment= changes pictures, and {type(self).__name__} has none; give augment=none.")
        self.augmentation = augmentation

    def files(self) -> Sequence[Path]:
        """The files below `root` that `read` decodes; [] if data are computed or still have to be downloaded."""
        return []

    def inputs_fingerprint(self) -> str:
        """A digest of what the data are made from, SHA-256 in hex; cheap, as no file is opened.

        It covers the class and, unless their content is `published` and so checked, each file's path below `root`, size
        and time of change. Equal digests mean the same inputs. Different ones mean that files were added, removed or
        written since, perhaps with the same content: only the values tell (`fingerprint`, after `setup`).
        """
        return digest_of_files(self.root, [] if self.published else self.files(), type(self).__name__)

    def setup(self, stage: str | None = None) -> None:
        """Reads the data, once, and moves them to the trainer's device, if there is a trainer."""
        if not hasattr(self, "train"):
            train, held_out = self.read()
            train, val = self._split(train, held_out)
            self.train, self.val = self._limited(train, 0), self._limited(val, 1)
            self.mean, self.std = self._normalisation()
            self._note_few_samples()
            for note in self.notes:
                logging.getLogger(__name__).info(note)
            self.to(self.device)
        if self.trainer is not None:
            self.to(self.trainer.strategy.root_device)

    def _split(self, train: Split, held_out: Split | None) -> tuple[Split, Split]:
        if held_out is not None and self.val_fraction is None:
            return train, held_out
        fraction = _DEFAULT_FRACTION if self.val_fraction is None else self.val_fraction
        chance = generator(self.split_seed, "split")
        chosen = stratified_sample(train.targets, round(fraction * len(train)), chance)
        rest = torch.ones(len(train), dtype=torch.bool).index_fill_(0, chosen, False).nonzero().flatten()
        parts = train.part(rest), train.part(chosen)
        present = train.targets.unique()
        for part in parts:
            missing = present[~torch.isin(present, part.targets)]
            if len(missing):
                raise UserError(
                    f"A part of {fraction:g} for validation leaves no sample of class {self._name(missing[0].item())} "
                    f"{'to train on' if part is parts[0] else 'to validate on'}; "
                    "give more samples of it or another data.val_fraction."
                )
        return parts

    def _name(self, number: int) -> str:
        return self.names[number] if self.names else str(number)

    def _note_few_samples(self) -> None:
        if self.batch_size > len(self.train):
            self.notes.append(
                f"batch_size={self.batch_size} is more than the {len(self.train)} samples to train on: an epoch is one "
                "step on all of them."
            )
        if self.classes is not None:
            few = [n for n, count in enumerate(self.train.targets.bincount(minlength=self.classes)) if count < 2]
            self.notes += [f"Class {self._name(number)} has fewer than two samples to train on." for number in few]
            absent = [n for n, count in enumerate(self.val.targets.bincount(minlength=self.classes)) if not count]
            if absent:
                self.notes.append(f"Class {listed([self._name(n) for n in absent])} has no sample to validate on.")

    def _limited(self, split: Split, counter: int) -> Split:
        if self.limit is None or self.limit >= len(split):
            return split
        if self.limit < (self.classes or 1):
            raise UserError(
                f"data.limit={self.limit} is less than one sample per class; give at least {self.classes}, or null."
            )
        chance = generator(self.split_seed, "limit", counter)
        return split.part(stratified_sample(split.targets, self.limit, chance))

    def _normalisation(self) -> tuple[Tensor, Tensor]:
        if self.scaling == "standardised":
            return _moments(self.train.inputs)
        shape = (self.train.inputs.shape[1], 1, 1)
        mean, std = (torch.full(shape, value) for value in _SCALINGS[self.scaling])
        return mean, std

    def to(self, device: torch.device | str) -> None:
        """Makes `device` the one that batches are on.

        The splits themselves move there too, unless they would take half of a GPU's free memory: then they
        stay, and each batch is moved.
        """
        self.device = torch.device(device)
        home = self.device
        if self.device.type == "cuda" and self.train.inputs.device != self.device:
            need = sum(t.nbytes for s in (self.train, self.val) for t in (s.inputs, s.targets))
            free, _ = torch.cuda.mem_get_info(self.device)
            if free <= 2 * need:
                home = torch.device("cpu")
        self.train, self.val = self.train.to(home), self.val.to(home)
        # One value per element of a row: normalising then runs along memory, not across three channels at a time.
        size = self.train.rows.shape[1]
        inverse = torch.where(self.std > 0, 1 / self.std, 1)
        self._shift, self._scale = (v.flatten().repeat(size // v.numel()).to(self.device) for v in (self.mean, inverse))

    def gather(self, split: Split, index: Tensor, drawn: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """The batch at `index`, int64 (B,) on the split's device: inputs and targets on `self.device`.

        Inputs are float32, normalised, (B, C, H, W) with the channel innermost in memory, or (B, F). With `drawn`,
        the batch's rows of what `self.drawn` returns, pictures are augmented before that, as bytes.
        """
        channels, *size = split.inputs.shape[1:]
        rows = split.rows.index_select(0, index)
        if self.augmentation is not None and drawn is not None:
            pixels = rows.view(-1, *size, channels)
            mean = self._mean_pixel.to(rows.device)
            rows = self.augmentation.apply(pixels, drawn, mean).flatten(1)
        rows = rows.to(self.device, non_blocking=True).float().sub_(self._shift).mul_(self._scale)
        inputs = rows.view(-1, *size, channels).movedim(-1, 1)
        return inputs, split.targets.index_select(0, index).to(self.device, non_blocking=True)

    @property
    def channels(self) -> int:
        """Channels of a picture; known before anything is decoded."""
        return self.input_shape[0]

    @property
    def size(self) -> int:
        """Pixels a side of a square picture; known before anything is decoded."""
        return self.input_shape[-1]

    @cached_property
    def _mean_pixel(self) -> Tensor:
        """uint8 (C,), whatever the pixels are scaled to."""
        mean, _ = _moments(self.train.inputs.cpu())
        return mean.flatten().round().to(torch.uint8)

    @property
    def steps_per_epoch(self) -> int:
        return math.ceil(len(self.train) / self.batch_size)

    @property
    def smallest_batch(self) -> int:
        """Samples in the last training batch of an epoch."""
        return len(self.train) - (self.steps_per_epoch - 1) * self.batch_size

    @cached_property
    def guess_loss(self) -> float | None:
        """Loss of always answering with the shares of the training classes (nats); None for regression."""
        if self.classes is None:
            return None
        shares = self.train.targets.bincount().double() / len(self.train)
        return -float(torch.xlogy(shares, shares).sum())

    @property
    def fingerprint(self) -> str:
        """SHA-256, in hex, of the shapes and values of both splits as used."""
        if self._fingerprint is None:
            digest = hashlib.sha256()
            for tensor in (self.train.rows, self.train.targets, self.val.rows, self.val.targets):
                digest.update(f"{tensor.dtype}{tuple(tensor.shape)}".encode())
                digest.update(tensor.cpu().numpy().data)
            self._fingerprint = digest.hexdigest()
        return self._fingerprint

    def train_batches(self, epoch: int) -> tuple[Tensor, ...]:
        """The batches of an epoch as indices into `train`, int64, a pure function of seed and epoch."""
        order = torch.randperm(len(self.train), generator=generator(self.seed, "order", epoch))
        return order.to(self.train.targets.device).split(self.batch_size)

    def drawn(self, epoch: int) -> Tensor | None:
        """How each training picture is augmented in an epoch, int64 (N, choices); None if it is not.

        A pure function of seed and epoch: neither batch size nor order, rate or launcher move it.
        """
        if self.augmentation is None:
            return None
        _, height, width = self.input_shape
        chance = generator(self.seed, "augment", epoch)
        return self.augmentation.draw(len(self.train), height, width, chance).to(self.train.targets.device)

    def train_epoch(self, epoch: int) -> Block:
        """All batches of an epoch, augmented, for a plain loop."""
        return Block(self, self.train, self.train_batches(epoch), self.drawn(epoch))

    def train_dataloader(self) -> _Blocks:
        def whole() -> Block:
            return self.train_epoch(self.trainer.current_epoch if self.trainer is not None else 0)

        return _Blocks(self, whole, self.steps_per_epoch)

    def val_dataloader(self) -> _Blocks:
        batches = torch.arange(len(self.val), device=self.val.targets.device).split(_VAL_BATCH)
        return _Blocks(self, lambda: Block(self, self.val, batches), len(batches))

    def transfer_batch_to_device(self, batch: Block, device: torch.device, dataloader_idx: int) -> Block:
        """Leaves a Block as it is: its batches are on the device already."""
        return batch


def _moments(inputs: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and deviation of each channel, in float64 from the exact counts of the 256 values."""
    if inputs.dtype != torch.uint8:
        return torch.zeros(inputs.shape[1:]), torch.ones(inputs.shape[1:])
    values = torch.arange(256, dtype=torch.float64)
    moments = []
    for channel in range(inputs.shape[1]):
        share = torch.bincount(inputs[:, channel].flatten(), minlength=256).double()
        share /= share.sum()
        mean = (share * values).sum()
        moments.append((mean, (share * (values - mean).square()).sum().sqrt()))
    mean, std = torch.tensor(moments).T.float().view(2, -1, 1, 1)
    return mean, std
