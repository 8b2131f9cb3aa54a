"""src/lr_lab/data/folders.py, on trees of empty files."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

import pytest

from lr_lab.data.folders import find, layout, left_out, role, suffixes
from lr_lab.errors import UserError


def plant(root: Path, *paths: str) -> None:
    for path in paths:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).touch()


def classes(*parts: str) -> Iterable[str]:
    """A picture of a cat and one of a dog in each part."""
    return (f"{part}/{name}/0.png" for part in parts for name in ("cats", "dogs"))


@pytest.mark.parametrize(
    ("name", "part", "stem"),
    [
        ("train", "train", set()),
        ("Train2017", "train", set()),
        ("training_set", "train", set()),
        ("TrainSet", "train", set()),
        ("trainset", "train", set()),
        ("trainingData", "train", set()),
        ("train-images", "train", set()),
        ("seg_train", "train", {"seg"}),
        ("VALID", "val", set()),
        ("dev", "val", set()),
        ("testimages", "test", set()),
        ("seg_pred", "unlabelled", {"seg"}),
        ("test tube", "test", {"tube"}),
    ],
)
def test_a_part_is_known_in_any_spelling(name: str, part: str, stem: set[str]) -> None:
    assert role(name) == (part, stem)


@pytest.mark.parametrize("name", ["cats", "trains", "trainee", "invalid", "contest", "test_train", "", "7", "devil"])
def test_other_names_are_no_parts(name: str) -> None:
    assert role(name) is None


@pytest.mark.parametrize(
    ("train", "held_out"),
    [
        ("train", "val"),
        ("Train", "Validation"),
        ("training_set", "test_set"),
        ("training_set/training_set", "test_set/test_set"),
        ("seg_train/seg_train", "seg_test/seg_test"),
        ("train_set", "dev"),
        ("flowers-train", "flowers-valid"),
        ("trainImages", "testImages"),
    ],
)
def test_parts_are_found(tmp_path: Path, train: str, held_out: str) -> None:
    plant(tmp_path, *classes(train, held_out), "seg_pred/0.png", "README.md")
    found = layout(tmp_path)
    assert (found.train, found.held_out) == (tmp_path / train, tmp_path / held_out)
    assert found.classes == ["cats", "dogs"]
    assert [path.name for path in found.left_out] == ["seg_pred"]


def test_val_is_preferred_to_test_and_plain_names_to_longer_ones(tmp_path: Path) -> None:
    plant(tmp_path, *classes("train", "train_masks", "test_masks", "val", "test"))
    found = layout(tmp_path)
    assert (found.train.name, found.held_out) == ("train", tmp_path / "val")


@pytest.mark.parametrize("names", [("train station", "tube"), ("test tube", "rack"), ("training shoe", "test tube")])
def test_a_class_may_have_such_a_word_in_its_name(tmp_path: Path, names: tuple[str, str]) -> None:
    plant(tmp_path, *(f"{name}/deeper/0.png" for name in names))
    assert layout(tmp_path).classes == sorted(names)


@pytest.mark.parametrize(
    ("paths", "words"),
    [
        (["train/0.png", "test/0.png"], "test would count as a class.* put the training pictures into .*/train,"),
        (["train/0.png"], "train would count as a class"),
        (["cats/0.png", "dogs/0.png", "test/0.png"], "test would count as a class"),
        (["valid/0.png", "invalid/0.png"], "valid would count as a class.* or rename the folder if it is a class"),
        (classes("train", "Training"), "could both be the train part of the data"),
        (classes("train", "val", "validation"), "could both be the val part of the data"),
        (
            classes("pets"),
            r"one class folder only, pets, .*pets are the folders cats, dogs; .* give data.images=.*/pets\.",
        ),
        (classes("a/b/pets"), r"in .*/a/b/pets are the folders cats, dogs; .* give data.images=.*/a/b/pets\."),
        (classes("pets/train", "pets/val"), "are the folders train, val; .* give data.images=.*/pets"),
        (classes("train/pets"), r"move these up into .*/train\."),
        (classes("2023", "2024"), "2023, 2024 in .* all hold the folders cats, dogs"),
        (["images_001/images/0.png", "images_002/images/1.png"], "images_001, images_002 in .* are called like parts"),
        (["fold1/0.png", "fold2/0.png"], r"are called like parts of the data; .* put them into .*/train\."),
        (["0.png", "1.png"], "has 0 class folders; put its pictures into a folder for each class"),
        ([".cats/0.png", "dogs/0.png", "__MACOSX/0.png"], "has 1 class folder; make at least two"),
    ],
)
def test_parts_and_levels_never_become_classes(tmp_path: Path, paths: Iterable[str], words: str) -> None:
    plant(tmp_path, *paths)
    with pytest.raises(UserError, match=words):
        layout(tmp_path)


def test_outer_folders_are_classes_if_they_are_said_to_be(tmp_path: Path) -> None:
    plant(tmp_path, *classes("train/2023", "train/2024"), *classes("train/fold"))
    assert layout(tmp_path).classes == ["2023", "2024", "fold"]


def test_classes_may_be_numbers(tmp_path: Path) -> None:
    plant(tmp_path, "0/0.png", "1/0.png")
    assert layout(tmp_path).classes == ["0", "1"]


def test_copies_and_thumbnails_are_no_data(tmp_path: Path) -> None:
    plant(
        tmp_path,
        *("a/0.png", "a/deep/er/1.JPG", "b/0.gif"),
        *("a/.ipynb_checkpoints/0-checkpoint.png", "a/@eaDir/0.png/THUMB.jpg", "a/.thumbnails/0.png", "b/._0.gif"),
        *("__MACOSX/a/._0.png", "b/Thumbs.db", ".decoded/x.npy"),
    )
    found = find(layout(tmp_path))
    assert [str(path.relative_to(tmp_path)) for path in found.train] == ["a/0.png", "a/deep/er/1.JPG", "b/0.gif"]
    assert found.others == []


def test_everything_pillow_reads_counts_and_the_rest_is_named(tmp_path: Path) -> None:
    kinds = [".gif", ".jfif", ".avif", ".webp", ".tiff", ".bmp", ".jp2", ".tga", ".pgm", ".ico", ".apng"]
    assert set(kinds) <= suffixes()
    assert not {".h5", ".pdf", ".mpg", ".svg", ".heic", ".npy"} & suffixes()
    others = ["a/1.heic", "a/2.HEIC", "a/labels.txt", "a/README", "loose.png"]
    plant(tmp_path, *(f"{name}/0{kind}" for name in "ab" for kind in kinds), *others, "notes.txt")
    found = find(layout(tmp_path))
    assert len(found.train) == 2 * len(kinds)
    assert left_out(tmp_path, [tmp_path / "extra"], found.others) == [
        f"Left out of {tmp_path}: 5 files: 2 .heic, 1 .png, 1 without a suffix, 1 .txt (such as loose.png) and the "
        "folder extra."
    ]
    assert left_out(tmp_path, [], []) == []


def test_links_to_folders_are_followed_once(tmp_path: Path) -> None:
    plant(tmp_path, "elsewhere/cats/0.png", "elsewhere/more/1.png", "images/dogs/0.png")
    (tmp_path / "images" / "cats").symlink_to(tmp_path / "elsewhere" / "cats")
    (tmp_path / "images" / "dogs" / "more").symlink_to(tmp_path / "elsewhere" / "more")
    (tmp_path / "images" / "dogs" / "once more").symlink_to(tmp_path / "elsewhere" / "more")
    (tmp_path / "images" / "dogs" / "round").symlink_to(tmp_path / "images" / "dogs")
    (tmp_path / "images" / "dogs" / "up").symlink_to(tmp_path / "images")
    found = find(layout(tmp_path / "images"))
    assert [str(path.relative_to(tmp_path / "images")) for path in found.train] == [
        *("cats/0.png", "dogs/0.png", "dogs/more/1.png"),
    ]


@pytest.mark.parametrize("place", ["dogs", "cats/1.png", "cats/deeper", "cats/deeper/2.png"])
def test_links_that_lead_nowhere_are_named(tmp_path: Path, place: str) -> None:
    plant(tmp_path, "cats/0.png", "birds/0.png")
    (tmp_path / place).parent.mkdir(exist_ok=True)
    (tmp_path / place).symlink_to("/nowhere/at/all")
    with pytest.raises(UserError, match=f"1 link leads nowhere .*{place} -> /nowhere/at/all.*; repair or remove it"):
        find(layout(tmp_path))


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="root may open everything")
def test_a_closed_folder_is_named(tmp_path: Path) -> None:
    plant(tmp_path, "cats/inner/0.png", "dogs/0.png")
    (tmp_path / "cats" / "inner").chmod(0)
    with pytest.raises(UserError, match="cats/inner cannot be opened"):
        find(layout(tmp_path))


@pytest.mark.parametrize(
    ("paths", "words"),
    [
        (["a/0.png", "b/x.heic", "b/y.heic"], r"b has no images that Pillow can read; it has 2 files: 2 .heic; add"),
        (["a/0.png", "b/c/.hidden"], r"b has no images that Pillow can read; add some or remove"),
        ([*classes("train"), "val/birds/0.png"], "val/birds is a class that .*/train lacks"),
        ([*classes("train"), "val/0.png"], "val has no class folders"),
    ],
)
def test_classes_without_pictures_are_refused(tmp_path: Path, paths: list[str], words: str) -> None:
    plant(tmp_path, *paths)
    with pytest.raises(UserError, match=words):
        find(layout(tmp_path))
