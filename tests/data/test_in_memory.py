"""src/lr_lab/data/in_memory.py, on a small dataset of random images."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import pytorch_lightning as pl
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import entropy
from torch import Tensor, nn

from lr_lab.augment.augmentation import Chain
from lr_lab.augment.crop_flip import CropFlip
from lr_lab.augment.cutout import Cutout
from lr_lab.chance import generator
from lr_lab.data.in_memory import Block, InMemoryDataModule
from lr_lab.data.line import Line
from lr_lab.data.split import Split, stratified_sample
from lr_lab.errors import UserError

RNG = np.random.default_rng(0)
PIXELS = RNG.integers(0, 256, (330, 5, 4, 3), dtype=np.uint8)
PIXELS[:, :, :, 1] //= 4  # channels that differ in mean and deviation
LABELS = np.repeat(np.arange(3), [200, 100, 30])
TEST_PIXELS = RNG.integers(0, 256, (60, 5, 4, 3), dtype=np.uint8)
TEST_LABELS = np.arange(60) % 3


class Noise(InMemoryDataModule):
    input_shape = (3, 5, 4)
    classes = 3
    pixels, labels = PIXELS, LABELS
    test_pixels, test_labels = TEST_PIXELS, TEST_LABELS

    def read(self) -> tuple[Split, Split]:
        return (
            Split.of_images(torch.from_numpy(self.pixels), torch.from_numpy(self.labels)),
            Split.of_images(torch.from_numpy(self.test_pixels), torch.from_numpy(self.test_labels)),
        )


def noise(batch_size: int = 32, seed: int = 0, **options: Any) -> Noise:
    data = Noise(batch_size, seed, **options)
    data.setup()
    return data


def batches(loader: Any) -> list[tuple[Tensor, Tensor]]:
    return [batch for block in loader for batch in block]


def test_a_batch_is_the_images_standardised_over_the_train_split() -> None:
    data = noise()
    index = torch.tensor([5, 329, 0])
    x, y = data.gather(data.train, index)
    mean, std = (f(PIXELS.astype(np.float64), axis=(0, 1, 2)) for f in (np.mean, np.std))
    expected = ((PIXELS[[5, 329, 0]] - mean) / std).transpose(0, 3, 1, 2)
    np.testing.assert_allclose(x, expected, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(data.mean.flatten(), mean, rtol=1e-7)
    np.testing.assert_allclose(data.std.flatten(), std, rtol=1e-7)
    assert x.dtype == torch.float32
    assert x.is_contiguous(memory_format=torch.channels_last)
    assert y.tolist() == [0, 2, 0]


def test_validation_images_are_standardised_by_the_train_split_too() -> None:
    data = noise()
    x, _ = data.gather(data.val, torch.tensor([3]))
    expected = (TEST_PIXELS[3].transpose(2, 0, 1) - data.mean.numpy()) / data.std.numpy()
    np.testing.assert_allclose(x[0], expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(("scaling", "darkest", "lightest"), [("symmetric", -1, 1), ("unit", 0, 1)])
def test_pixels_between_fixed_limits(scaling: str, darkest: float, lightest: float) -> None:
    data = noise(scaling=scaling)
    index = torch.arange(50)
    x, _ = data.gather(data.train, index)
    expected = darkest + (lightest - darkest) * PIXELS[:50].astype(float).transpose(0, 3, 1, 2) / 255
    np.testing.assert_allclose(x, expected, rtol=1e-5, atol=1e-6)


def test_a_channel_that_never_varies_becomes_zero_and_not_nan() -> None:
    data = Noise(8, 0)
    data.pixels = PIXELS.copy()
    data.pixels[..., 2] = 7
    data.setup()
    x, _ = data.gather(data.train, torch.arange(8))
    assert (x[:, 2] == 0).all()


def test_an_epoch_visits_every_sample_once_in_an_order_of_seed_and_epoch_alone() -> None:
    data = noise(batch_size=32)
    first = data.train_batches(0)
    assert [len(index) for index in first] == [32] * 10 + [10]
    assert data.steps_per_epoch == 11
    assert sorted(torch.cat(first).tolist()) == list(range(330))
    torch.rand(100)  # whatever else is drawn
    again = noise(batch_size=32, split_seed=9).train_batches(0)
    assert torch.equal(torch.cat(first), torch.cat(again))
    others = [noise(seed=1).train_batches(0), data.train_batches(1)]
    assert not any(torch.equal(torch.cat(first), torch.cat(other)) for other in others)


def test_blocks_hold_the_batches_of_the_epoch() -> None:
    data = noise(batch_size=32, block_size=4)
    loader = data.train_dataloader()
    blocks = list(loader)
    assert [len(block) for block in blocks] == [4, 4, 3]
    assert len(loader) == 3
    for (x, y), index in zip(batches(loader), data.train_batches(0), strict=True):
        expected_x, expected_y = data.gather(data.train, index)
        assert torch.equal(x, expected_x)
        assert torch.equal(y, expected_y)


@pytest.mark.parametrize(("batch_size", "blocks"), [(330, 1), (32, 11), (8, 21), (4, 21), (1, 21)])
def test_blocks_grow_while_twenty_are_left(batch_size: int, blocks: int) -> None:
    data = noise(batch_size=batch_size)
    assert len(data.train_dataloader()) == len(list(data.train_dataloader())) == blocks


def test_validation_runs_through_the_set_in_order() -> None:
    labels = torch.cat([y for _, y in batches(noise().val_dataloader())])
    assert labels.tolist() == TEST_LABELS.tolist()


def test_val_fraction_parts_the_training_set_and_leaves_the_test_set_alone() -> None:
    data = noise(val_fraction=0.1)
    assert data.val.targets.bincount().tolist() == [20, 10, 3]
    rows = torch.cat([data.train.rows, data.val.rows])
    original = torch.from_numpy(PIXELS).flatten(1)
    assert sorted(map(tuple, rows.tolist())) == sorted(map(tuple, original.tolist()))
    assert data.mean.flatten()[0].item() == pytest.approx(data.train.inputs[:, 0].double().mean().item())


def test_splits_move_with_split_seed_and_not_with_seed() -> None:
    first, same, other = (noise(seed=s, split_seed=p, val_fraction=0.1) for s, p in ((0, 0), (5, 0), (0, 1)))
    assert first.fingerprint == same.fingerprint != other.fingerprint


def test_limit_takes_at_most_that_many_of_each_split() -> None:
    data = noise(limit=66)
    assert data.train.targets.bincount().tolist() == [40, 20, 6]
    assert len(data.val) == 60


@given(
    sizes=st.lists(st.integers(min_value=1, max_value=40), min_size=1, max_size=6),
    part=st.floats(min_value=0, max_value=1),
    seed=st.integers(min_value=0, max_value=100),
)
def test_a_stratified_sample_has_every_class_and_none_above_its_share(sizes: list[int], part: float, seed: int) -> None:
    targets = torch.repeat_interleave(torch.arange(len(sizes)), torch.tensor(sizes))
    targets = targets[torch.randperm(len(targets), generator=generator(seed, "test"))]
    count = max(len(sizes), round(part * len(targets)))
    index = stratified_sample(targets, count, generator(seed, "split"))
    taken = targets[index].bincount(minlength=len(sizes))
    assert len(index) == count
    assert (index.diff() > 0).all()
    assert (taken >= 1).all()
    assert (taken <= torch.tensor(sizes) * count / len(targets) + 1).all()


def test_a_stratified_sample_is_drawn_evenly() -> None:
    targets = torch.tensor([0] * 10 + [1] * 10)
    hits = torch.zeros(20)
    for seed in range(400):
        hits[stratified_sample(targets, 5, generator(seed, "split"))] += 1
    assert hits.min() > 60  # 100 expected, deviation 8.7
    assert hits.max() < 140


@pytest.mark.parametrize("part", ["pixels", "labels", "test_pixels", "test_labels"])
def test_the_fingerprint_knows_every_value_and_neither_seed_nor_batch_size(part: str) -> None:
    data = noise()
    assert data.fingerprint == noise(seed=3, batch_size=7).fingerprint
    changed = Noise(32, 0)
    values = getattr(Noise, part).copy()
    values.reshape(-1)[-1] ^= 1
    setattr(changed, part, values)
    changed.setup()
    assert changed.fingerprint != data.fingerprint


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"batch_size": 0}, "batch_size=0"),
        ({"batch_size": 1.5}, "batch_size=1.5"),
        ({"seed": -1}, "seed=-1"),
        ({"val_fraction": 0}, "val_fraction=0"),
        ({"val_fraction": 1.0}, "val_fraction=1.0"),
        ({"val_fraction": "half"}, "val_fraction=half"),
        ({"limit": 2}, "limit=2"),
        ({"limit": 0}, "limit=0"),
        ({"scaling": "halved"}, "data.scaling=halved is not known; allowed are standardised, symmetric, unit"),
        ({"block_size": 0}, "block_size=0"),
        ({"split_seed": -3}, "split_seed=-3"),
        ({"val_fraction": 0.99}, "no sample of class 2 to train on"),
        ({"val_fraction": 0.003}, "no sample of class . to validate on"),
    ],
)
def test_what_cannot_be_is_refused_in_a_sentence(options: dict[str, Any], words: str) -> None:
    with pytest.raises(UserError, match=words) as refusal:
        noise(**options)
    assert str(refusal.value).endswith(".")
    assert "\n" not in str(refusal.value)


def augmented(batch_size: int = 32, seed: int = 0, **options: Any) -> Noise:
    data = Noise(batch_size, seed, **options)
    data.augment_with(Chain([CropFlip(2), Cutout(3)]))
    data.setup()
    return data


@pytest.mark.parametrize("scaling", ["standardised", "unit"])
def test_training_batches_are_augmented_as_bytes_and_then_normalised(scaling: str) -> None:
    data, plain = augmented(scaling=scaling), noise(scaling=scaling)
    drawn = data.drawn(3)
    assert drawn is not None
    mean = torch.from_numpy(PIXELS.mean(axis=(0, 1, 2)).round().astype(np.uint8))
    pixels = Chain([CropFlip(2), Cutout(3)]).apply(torch.from_numpy(PIXELS), drawn, mean)
    for (x, y), index in zip(data.train_epoch(3), plain.train_batches(3), strict=True):
        expected = (pixels[index].movedim(-1, 1) - plain.mean) / plain.std
        torch.testing.assert_close(x, expected)
        assert x.is_contiguous(memory_format=torch.channels_last)
        assert torch.equal(y, plain.train.targets[index])


def test_a_picture_is_the_same_whatever_the_batch_size() -> None:
    def by_sample(batch_size: int) -> Tensor:
        data = augmented(batch_size)
        order = torch.cat(data.train_batches(1)).argsort()
        return torch.cat([x for x, _ in data.train_epoch(1)])[order]

    assert torch.equal(by_sample(32), by_sample(7))
    assert not torch.equal(augmented().drawn(1), augmented(seed=1).drawn(1))  # type: ignore[arg-type]


def test_only_training_is_augmented() -> None:
    data, plain = augmented(), noise()
    for (x, _), (expected, _) in zip(batches(data.val_dataloader()), batches(plain.val_dataloader()), strict=True):
        assert torch.equal(x, expected)
    index = torch.arange(20)
    assert torch.equal(data.gather(data.train, index)[0], plain.gather(plain.train, index)[0])  # as probes do
    assert not torch.equal(next(iter(data.train_epoch(0)))[0], next(iter(plain.train_epoch(0)))[0])
    assert torch.equal(data.mean, plain.mean)
    assert plain.drawn(0) is None


def test_data_without_pictures_cannot_be_augmented() -> None:
    with pytest.raises(UserError, match="augment= changes pictures, and Line has none"):
        Line(4, 0).augment_with(CropFlip())


@pytest.mark.parametrize(("batch_size", "smallest"), [(32, 10), (330, 330), (400, 330), (329, 1), (1, 1)])
def test_the_smallest_batch_is_known(batch_size: int, smallest: int) -> None:
    data = noise(batch_size)
    assert data.smallest_batch == smallest == len(data.train_batches(0)[-1])
    told = ["batch_size=400 is more than the 330 samples to train on: an epoch is one step on all of them."]
    assert data.notes == (told if batch_size > 330 else [])


def test_a_home_is_found(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert noise(root="~/pictures").root == tmp_path / "pictures"


def test_a_class_of_one_sample_is_told() -> None:
    data = Noise(8, 0)
    data.labels = LABELS.copy()
    data.labels[LABELS == 2] = 1
    data.labels[0] = 2
    data.setup()
    assert data.notes == ["Class 2 has fewer than two samples to train on."]


class Recorder(pl.LightningModule):
    """Notes the labels of every batch it is given, by epoch."""

    def __init__(self) -> None:
        super().__init__()
        self.automatic_optimization = False
        self.layer = nn.Linear(1, 1)
        self.seen: dict[int, list[Tensor]] = {}
        self.validated: list[Tensor] = []

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=0.1)

    def training_step(self, block: Block, _: int) -> None:
        self.seen.setdefault(self.current_epoch, []).extend(x.flatten(1)[:, 0] for x, _ in block)

    def validation_step(self, block: Block, _: int) -> None:
        self.validated += [y for _, y in block]


def recorded(folder: Path, epochs: int, **fit: Any) -> tuple[Recorder, pl.Trainer]:
    module = Recorder()
    trainer = pl.Trainer(
        max_epochs=epochs,
        accelerator="cpu",
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        default_root_dir=folder,
    )
    trainer.fit(module, datamodule=Noise(32, 0), **fit)
    return module, trainer


@pytest.mark.filterwarnings("ignore")
def test_lightning_trains_on_the_epochs_order_and_resumes_with_it(tmp_path: Path) -> None:
    whole, _ = recorded(tmp_path, 3)
    data = noise()
    for epoch in range(3):
        expected = [data.gather(data.train, index)[0].flatten(1)[:, 0] for index in data.train_batches(epoch)]
        assert torch.equal(torch.cat(whole.seen[epoch]), torch.cat(expected))
    assert torch.cat(whole.validated).tolist() == TEST_LABELS.tolist() * 3

    first, trainer = recorded(tmp_path, 1)
    trainer.save_checkpoint(tmp_path / "one.ckpt")
    resumed, _ = recorded(tmp_path, 3, ckpt_path=tmp_path / "one.ckpt")
    assert sorted(resumed.seen) == [1, 2]
    for epoch, seen in ({0: first.seen[0]} | resumed.seen).items():
        assert torch.equal(torch.cat(seen), torch.cat(whole.seen[epoch]))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("free", [None, 1000])
def test_batches_on_a_gpu_are_those_on_the_cpu(monkeypatch: pytest.MonkeyPatch, free: int | None) -> None:
    """Whether the data fit there or, with `free` bytes left, do not."""
    if free is not None:
        monkeypatch.setattr(torch.cuda, "mem_get_info", lambda _: (free, free))
    there, here = noise(), noise()
    there.to("cuda")
    assert there.train.inputs.is_cuda == (free is None)
    for batch, expected in zip(batches(there.train_dataloader()), batches(here.train_dataloader()), strict=True):
        for tensor, expected_tensor in zip(batch, expected, strict=True):
            assert tensor.is_cuda
            torch.testing.assert_close(tensor.cpu(), expected_tensor)
    assert there.fingerprint == here.fingerprint


def test_guessing_costs_the_entropy_of_the_training_classes() -> None:
    data = noise()
    shares = np.bincount(data.train.targets.numpy()) / len(data.train)
    assert data.guess_loss == pytest.approx(entropy(shares))
    assert Line(4, 0).guess_loss is None
