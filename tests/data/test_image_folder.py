"""src/lr_lab/data/image_folder.py, on images drawn here."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageOps

from lr_lab.data.image_folder import ImageFolder
from lr_lab.errors import UserError

COLOURS = {"blue": (0, 0, 255), "red": (255, 0, 0)}


def draw(folder: Path, count: int, size: tuple[int, int] = (20, 12), suffix: str = ".png") -> None:
    """`count` images of each class, all of the class's colour."""
    for name, colour in COLOURS.items():
        (folder / name).mkdir(parents=True)
        for i in range(count):
            Image.new("RGB", size, colour).save(folder / name / f"{i}{suffix}")


def read(root: Path, **options: Any) -> ImageFolder:
    data = ImageFolder(batch_size=4, seed=0, images=root, **options)
    data.setup()
    return data


@pytest.mark.parametrize("held_out", ["val", "test", "valid", "Validation", "testing"])
def test_train_and_held_out_folders(tmp_path: Path, held_out: str) -> None:
    draw(tmp_path / "train", 5)
    draw(tmp_path / held_out, 2)
    for data in (read(tmp_path, size=8), read(tmp_path, size=8)):  # decoded, then from the decoded copy
        assert data.classes == 2
        assert data.names == ["blue", "red"]
        assert data.input_shape == data.train.inputs.shape[1:] == (3, 8, 8)
        assert data.train.targets.tolist() == [0] * 5 + [1] * 5
        assert data.val.targets.tolist() == [0, 0, 1, 1]
        for split in (data.train, data.val):
            colours = np.array(list(COLOURS.values()))[split.targets]
            np.testing.assert_array_equal(split.inputs, np.tile(colours[..., None, None], (1, 1, 8, 8)))


def test_val_comes_before_test(tmp_path: Path) -> None:
    for name, count in (("train", 3), ("val", 2), ("test", 4)):
        draw(tmp_path / name, count)
    assert len(read(tmp_path).val) == 4


def test_images_lie_at_any_depth_and_hidden_files_are_none(tmp_path: Path) -> None:
    draw(tmp_path, 5)
    (tmp_path / "red" / "deeper").mkdir()
    (tmp_path / "red" / "0.png").rename(tmp_path / "red" / "deeper" / "0.png")
    (tmp_path / "red" / "._0.png").write_text("what a Mac leaves beside a file")
    data = read(tmp_path)
    assert len(data.train) + len(data.val) == 10


@pytest.mark.parametrize("inside", ["", "train"])
def test_class_folders_alone_give_a_stratified_fifth(tmp_path: Path, inside: str) -> None:
    draw(tmp_path / inside, 10)
    for data in (read(tmp_path), read(tmp_path)):  # the decoded copy beside the classes is no class
        assert data.classes == 2
        assert data.val.targets.tolist() == [0, 0, 1, 1]
        assert len(data.train) == 16


def test_grey_images_and_other_formats(tmp_path: Path) -> None:
    draw(tmp_path, 5, suffix=".JPG")
    data = read(tmp_path, channels=1, size=6)
    assert data.train.inputs.shape == (8, 1, 6, 6)
    # ITU-R 601-2 luma, as PIL documents it: blue 0.114, red 0.299.
    np.testing.assert_allclose(data.train.inputs[:, 0, 3, 3], np.repeat([29, 76], 4), atol=2)


def test_a_photo_stands_as_its_camera_was_held(tmp_path: Path) -> None:
    draw(tmp_path, 5)
    lying = Image.new("RGB", (16, 16))
    lying.paste((255, 255, 255), (0, 0, 8, 16))  # its left half is white
    exif = lying.getexif()
    exif[0x0112] = 6  # orientation: turned a quarter to the left; upright, that half is on top
    lying.save(tmp_path / "blue" / "0.png", exif=exif)
    data = ImageFolder(batch_size=4, seed=0, images=tmp_path, size=16)
    train, _ = data.read()
    assert (train.inputs[0, :, :7] == 255).all()
    assert (train.inputs[0, :, 9:] == 0).all()


def test_a_photo_with_a_mistyped_tag_is_read_all_the_same(tmp_path: Path) -> None:
    draw(tmp_path, 5)
    # TIFF 6.0: header, two entries of (tag, type, count, value): the orientation, and a resolution that is a text.
    entries = struct.pack("<HHIHH", 0x0112, 3, 1, 6, 0) + struct.pack("<HHI4s", 0x011A, 2, 4, b"72\0\0")
    exif = b"Exif\0\0" + struct.pack("<2sHIH", b"II", 42, 8, 2) + entries + bytes(4)
    Image.new("RGB", (16, 16), "white").save(tmp_path / "blue" / "0.jpg", exif=exif)
    with Image.open(tmp_path / "blue" / "0.jpg") as photo, pytest.raises(TypeError):
        ImageOps.exif_transpose(photo)  # what is to be worked around
    (tmp_path / "blue" / "0.png").unlink()
    train, _ = ImageFolder(batch_size=4, seed=0, images=tmp_path, size=16).read()
    assert (train.inputs[0] > 250).all()


@pytest.mark.parametrize("suffix", ["png", "tiff"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_photo_is_turned_as_pillow_would(tmp_path: Path, orientation: int, suffix: str) -> None:
    draw(tmp_path, 5)
    photo = Image.fromarray(np.random.default_rng(0).integers(0, 256, (16, 16, 3), np.uint8))
    exif = photo.getexif()
    exif[0x0112] = orientation
    (tmp_path / "blue" / "0.png").unlink()
    photo.save(tmp_path / "blue" / f"0.{suffix}", exif=exif)
    train, _ = ImageFolder(batch_size=4, seed=0, images=tmp_path, size=16).read()
    with Image.open(tmp_path / "blue" / f"0.{suffix}") as saved:
        np.testing.assert_array_equal(train.inputs[0].movedim(0, -1), np.asarray(ImageOps.exif_transpose(saved)))


def test_sixteen_bits_a_pixel_become_eight(tmp_path: Path) -> None:
    for name in ("dark", "light"):
        (tmp_path / name).mkdir()
        for i, level in enumerate((0, 300, 32_896, 65_535)):
            Image.fromarray(np.full((8, 8), level, np.uint16)).save(tmp_path / name / f"{i}.png")
    train, _ = ImageFolder(batch_size=4, seed=0, images=tmp_path, size=8, channels=1).read()
    assert train.inputs[:4, 0, 0, 0].tolist() == [0, 1, 128, 255]


@pytest.mark.parametrize("kind", [np.int32, np.uint16])
def test_bytes_kept_as_long_numbers_stay_as_they_are(tmp_path: Path, kind: type) -> None:
    for name in ("dark", "light"):
        (tmp_path / name).mkdir()
        for i, level in enumerate((0, 100, 252)):
            Image.fromarray(np.full((8, 8), level, kind)).save(tmp_path / name / f"{i}.tiff")
    train, _ = ImageFolder(batch_size=4, seed=0, images=tmp_path, size=8, channels=1).read()
    assert train.inputs[:3, 0, 0, 0].tolist() == [0, 100, 252]


def test_trains_are_a_class_of_vehicles(tmp_path: Path) -> None:
    draw(tmp_path, 5)
    (tmp_path / "blue").rename(tmp_path / "Train")
    assert ImageFolder(batch_size=4, seed=0, images=tmp_path).names == ["Train", "red"]


def test_a_class_may_have_any_name(tmp_path: Path) -> None:
    draw(tmp_path, 5)
    (tmp_path / "blue").rename(tmp_path / "decoded")
    assert read(tmp_path).names == ["decoded", "red"]


def test_another_size_has_a_decoded_copy_of_its_own(tmp_path: Path) -> None:
    draw(tmp_path, 5)
    assert read(tmp_path, size=8).train.inputs.shape[2:] == (8, 8)
    assert read(tmp_path, size=9).train.inputs.shape[2:] == (9, 9)
    copies = {path.name[: len("folder-3x8x8")] for path in (tmp_path / ".decoded").glob("*.npy")}
    assert copies == {"folder-3x8x8", "folder-3x9x9"}


def _no_images(root: Path) -> None:
    draw(root, 2)
    for file in (root / "red").iterdir():
        file.rename(file.with_suffix(".txt"))


def _one_class(root: Path) -> None:
    draw(root, 2)
    (root / "red").rename(root / ".red")


def _unreadable(root: Path) -> None:
    draw(root, 5)
    (root / "red" / "1.png").write_text("no image")


def _cut_short(root: Path) -> None:
    draw(root, 5, size=(200, 200), suffix=".jpg")
    file = root / "red" / "1.jpg"
    file.write_bytes(file.read_bytes()[:700])


def _unknown_class(root: Path) -> None:
    draw(root / "train", 5)
    draw(root / "val", 1)
    (root / "val" / "red").rename(root / "val" / "green")


def _loose_test_images(root: Path) -> None:
    draw(root / "train", 5)
    (root / "val").mkdir()
    Image.new("RGB", (8, 8)).save(root / "val" / "0.png")


def _other_names_of_the_parts(root: Path) -> None:
    draw(root / "Training", 5)
    draw(root / "Validation", 2)


def _capitals(root: Path) -> None:
    draw(root / "Train", 5)
    draw(root / "Dev", 2)


def _fractions(root: Path) -> None:
    draw(root, 5)
    (root / "red" / "1.png").unlink()
    Image.fromarray(np.full((8, 8), 0.5, np.float32)).save(root / "red" / "1.tiff")


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda root: None, "has 0 class folders"),
        (_one_class, "has 1 class folders"),
        (_no_images, "red has no images"),
        (_unreadable, "red/1.png cannot be read"),
        (_cut_short, "red/1.jpg cannot be read"),
        (_unknown_class, "val/green is a class that .*/train lacks"),
        (lambda root: draw(root, 1), "no sample of class 0"),
        (_loose_test_images, "val has no class folders"),
        (_capitals, "Train counts as a class; call the folder of the training images train"),
        (_other_names_of_the_parts, "Training counts as a class; call the folder of the training images train"),
        (_fractions, "red/1.tiff cannot be read"),
    ],
)
def test_a_folder_that_cannot_be_learnt_from_is_refused_in_a_sentence(tmp_path: Path, make: Any, words: str) -> None:
    make(tmp_path)
    with pytest.raises(UserError, match=words):
        read(tmp_path)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"size": 0}, "data.size=0"),
        ({"channels": 2}, "data.channels=2"),
        ({"images": "/dev/null"}, "data.images=/dev/null"),
    ],
)
def test_arguments_out_of_range_are_refused(tmp_path: Path, options: dict[str, Any], words: str) -> None:
    draw(tmp_path, 2)
    with pytest.raises(UserError, match=words):
        ImageFolder(**{"batch_size": 4, "seed": 0, "images": tmp_path} | options)
