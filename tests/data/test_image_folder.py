"""src/lr_lab/data/image_folder.py, on images drawn here."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

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
    data = ImageFolder(options.pop("batch_size", 4), 0, root, **options)
    data.setup()
    return data


@pytest.mark.parametrize(
    ("train", "held_out"),
    [("train", "val"), ("train", "testing"), ("Training", "Dev"), ("seg_train", "seg_test/seg_test")],
)
def test_train_and_held_out_folders(tmp_path: Path, train: str, held_out: str) -> None:
    draw(tmp_path / train, 5)
    draw(tmp_path / held_out, 2)
    for data in (read(tmp_path, size=8), read(tmp_path, size=8)):  # decoded, then from the decoded copy
        assert data.classes == 2
        assert data.names == ["blue", "red"]
        assert data.input_shape == data.train.inputs.shape[1:] == (3, 8, 8)
        assert (data.channels, data.size) == (3, 8)
        assert data.train.targets.tolist() == [0] * 5 + [1] * 5
        assert data.val.targets.tolist() == [0, 0, 1, 1]
        for split in (data.train, data.val):
            colours = np.array(list(COLOURS.values()))[split.targets]
            np.testing.assert_array_equal(split.inputs, np.tile(colours[..., None, None], (1, 1, 8, 8)))


def test_a_class_that_is_not_validated_on_is_told(tmp_path: Path) -> None:
    for part in ("train", "val"):
        draw(tmp_path / part, 3)
    shutil.rmtree(tmp_path / "val" / "red")
    assert read(tmp_path).notes == ["Class red has no sample to validate on."]


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


def test_trains_are_a_class_of_vehicles(tmp_path: Path) -> None:
    draw(tmp_path, 5)
    (tmp_path / "blue").rename(tmp_path / "Train")
    assert ImageFolder(batch_size=4, seed=0, images=tmp_path).names == ["Train", "red"]


def test_a_person_hears_of_files_left_out_and_of_a_scale(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    draw(tmp_path, 5)
    (tmp_path / "red" / "1.heic").touch()
    for name in COLOURS:
        Image.fromarray(np.full((8, 8), 300, np.uint16)).save(tmp_path / name / "deep.png")
    with caplog.at_level("INFO"):
        for _ in ("decoded", "from the decoded copy"):
            left_out, scale, batch = read(tmp_path, batch_size=64).notes
            assert left_out == f"Left out of {tmp_path}: 1 file: 1 .heic (such as red/1.heic)."
            assert scale == "2 of 12 pictures have more than 8 bits a pixel: 0 to 65535 become 0 to 255 in all of them."
            assert (
                batch == "batch_size=64 is more than the 10 samples to train on: an epoch is one step on all of them."
            )
            assert caplog.messages[-3:] == [left_out, scale, batch]


def test_inputs_change_with_each_file_and_not_with_what_is_no_data(tmp_path: Path) -> None:
    def now() -> str:
        return ImageFolder(4, 0, tmp_path).inputs_fingerprint()

    draw(tmp_path, 2)
    seen = [now()]
    read(tmp_path, batch_size=1, val_fraction=0.5)  # leaves a decoded copy
    (tmp_path / "red" / ".hidden.png").touch()
    assert now() == seen[0]
    picture = tmp_path / "red" / "0.png"
    for change in (
        lambda: os.utime(picture, ns=(0, 0)),
        lambda: picture.rename(tmp_path / "red" / "new.png"),
        lambda: Image.new("RGB", (9, 9)).save(tmp_path / "red" / "new.png"),
    ):
        change()
        seen.append(now())
    assert len(set(seen)) == 4


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


def _single_in_train(root: Path) -> None:
    draw(root / "train", 2)
    draw(root / "val", 2)
    (root / "train" / "red" / "0.png").unlink()


def _no_common_scale(root: Path) -> None:
    draw(root, 5)
    (root / "red" / "1.png").unlink()
    Image.fromarray(np.full((8, 8), -0.5, np.float32)).save(root / "red" / "1.tiff")


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda root: None, "has 0 class folders"),
        (_one_class, "has 1 class folder; "),
        (_no_images, "red has no images"),
        (_unreadable, r"1 of 10 pictures cannot be read: .*red/1.png \(it is no picture that Pillow knows\)"),
        (_cut_short, r"red/1.jpg \(it is cut short or damaged\)"),
        (_unknown_class, "val/green is a class that .*/train lacks"),
        (lambda root: draw(root, 1), "blue has one image only, too few to learn a class from"),
        (_single_in_train, "train/red has one image only"),
        (_loose_test_images, "val has no class folders"),
        (_no_common_scale, "red/1.tiff and 0.png have no scale in common"),
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
        ImageFolder(4, 0, options.pop("images", tmp_path), **options)
