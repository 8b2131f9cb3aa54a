"""Pictures in folders: which folders are parts of the data, which are classes, which files are pictures. No torch."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import NamedTuple

from PIL import Image

from lr_lab.errors import UserError, listed

# The words that people use for the parts of a dataset, and the words that they put beside them.
_PARTS = {
    "train": {"train", "training", "trn", "trainval"},
    "val": {"val", "valid", "validation", "dev", "eval", "evaluation"},
    "test": {"test", "testing", "tst", "holdout"},
    "unlabelled": {"pred", "predict", "prediction", "predictions", "unlabeled", "unlabelled"},
}
_WORDS = {word: part for part, words in _PARTS.items() for word in words}
_FILLERS = {
    *("set", "sets", "data", "dataset", "split", "part", "folder", "dir", "files", "samples", "subset"),
    *("fold", "batch", "chunk", "shard"),
    *("image", "images", "img", "imgs", "picture", "pictures", "pic", "pics", "photo", "photos"),
}

# Folders and files that systems leave beside pictures: thumbnails, waste baskets, settings of a viewer.
_LITTER = {"@eadir", "__macosx", "#recycle", "$recycle.bin", "lost+found", "__pycache__", "thumbs.db", "desktop.ini"}

# Formats that Pillow knows by name and reads, if at all, with the help of another program.
_STUBS = {"BUFR", "EPS", "GRIB", "HDF5", "MPEG", "WMF"}


class Role(NamedTuple):
    """The part of the data that a folder's name speaks of, and its other words: "seg_train" is ("train", {"seg"})."""

    part: str
    stem: frozenset[str]


@dataclass(frozen=True)
class Layout:
    """Folders of a dataset.

    Attributes:
        train: has a folder per class.
        held_out: the validation set's folder, or None.
        left_out: folders beside `train` that are not used.
    """

    train: Path
    held_out: Path | None = None
    left_out: tuple[Path, ...] = ()

    @property
    def classes(self) -> list[str]:
        """Names of the classes, in order."""
        return [folder.name for folder in folders(self.train)]


@dataclass(frozen=True)
class Found:
    """Files of a dataset: pictures in the order of their classes, and others."""

    train: Sequence[Path]
    held_out: Sequence[Path]
    others: Sequence[Path]


def role(name: str) -> Role | None:
    """The part of the data that a folder's name stands for, in any common spelling; None if it names no part.

    "training_set", "TrainSet", "trainset" and "train2017" are all ("train", {}); "test_train" is None.
    """
    words = _words(name)
    parts = [word for word in words if word in _WORDS]
    if len(parts) != 1:
        return None
    return Role(_WORDS[parts[0]], frozenset(words) - _FILLERS - {parts[0]})


def _words(name: str) -> list[str]:
    words = re.findall("[a-z]+", re.sub("(?<=[a-z])(?=[A-Z])", " ", name).lower())
    return [piece for word in words for piece in _pieces(word)]


def _pieces(word: str) -> tuple[str, ...]:
    """("train", "set") for "trainset"; the word itself if it is not a part and a filler."""
    cuts = [(word[:i], word[i:]) for i in range(3, len(word))]
    return next((cut for cut in cuts if cut[0] in _WORDS and cut[1] in _FILLERS), (word,))


def folders(folder: Path) -> list[Path]:
    """The folders in a folder, links followed, in the order of their names; without hidden ones and litter.

    Raises:
        UserError: the folder cannot be opened, or a link leads nowhere.
    """
    try:
        entries = [path for path in folder.iterdir() if _counts(path.name)]
    except OSError as error:
        raise _closed(error) from error
    _refuse_dead_links(path for path in entries if path.is_symlink() and not path.exists())
    return sorted((path for path in entries if path.is_dir()), key=lambda path: path.name)


def layout(root: Path) -> Layout:
    """Finds the training set, the validation set (`val` before `test`) and the classes below `root`.

    Raises:
        UserError: `root` is not a folder, parts of the data would count as classes, several folders claim to be one
            part, there are fewer than two classes, or the classes are a level deeper.
    """
    if not root.is_dir():
        raise UserError(f"data.images={root} is not a folder; give the folder your images are in.")
    beside = folders(root)
    parts = _parts(beside)
    training = [path for path, named in parts.items() if named.part == "train" and folders(path)]
    if not training:
        _refuse_parts_as_classes(root, beside, parts)
        found = Layout(root)
    else:
        chosen = _plainest(training, parts)
        stem = parts[chosen].stem
        held_out = [path for path, named in parts.items() if named.part == "val" and named.stem <= stem]
        held_out = held_out or [path for path, named in parts.items() if named.part == "test" and named.stem <= stem]
        test = _plainest(held_out, parts) if held_out else None
        found = Layout(
            _innermost(chosen),
            _innermost(test) if test else None,
            tuple(path for path in beside if path not in (chosen, test)),
        )
    _refuse_wrong_level(root, found)
    return found


def _parts(beside: Sequence[Path]) -> dict[Path, Role]:
    """Folders that are parts of a dataset; a "train station" is not, unless a "test station" stands beside it."""
    named = {path: spoken for path in beside if (spoken := role(path.name))}
    return {
        path: spoken
        for path, spoken in named.items()
        if not spoken.stem or any(other.part != spoken.part and other.stem == spoken.stem for other in named.values())
    }


def _plainest(paths: Sequence[Path], parts: dict[Path, Role]) -> Path:
    """The one with the fewest other words in its name: `train` before `train_masks`."""
    ranked = sorted(paths, key=lambda path: len(parts[path].stem))
    if len(ranked) > 1 and len(parts[ranked[0]].stem) == len(parts[ranked[1]].stem):
        raise UserError(
            f"{ranked[0]} and {ranked[1].name} could both be the {parts[ranked[0]].part} part of the data; "
            "rename or remove one."
        )
    return ranked[0]


def _innermost(part: Path) -> Path:
    """`training_set/training_set` for `training_set`, as archives that are extracted into their own name leave it."""
    while len(inner := folders(part)) == 1:
        outside, inside = role(part.name), role(inner[0].name)
        if outside is None or inside is None or inside.part != outside.part:
            break
        part = inner[0]
    return part


def _refuse_parts_as_classes(root: Path, beside: Sequence[Path], parts: dict[Path, Role]) -> None:
    wrong = [path for path, named in parts.items() if named.part != "train" or len(parts) == len(beside)]
    if wrong:
        without = next((path for path, named in parts.items() if named.part == "train"), None)
        raise UserError(
            f"{wrong[0]} would count as a class, but its name is that of a part of the data; put the training pictures "
            f"into {without or root / 'train'}, with a folder for each class, and those to validate on into "
            f"{root / 'val'} in the same way, or rename the folder if it is a class."
        )


def _refuse_wrong_level(root: Path, found: Layout) -> None:
    below = classes = folders(found.train)
    inside = found.train
    while len(below) == 1:
        inside, below = below[0], folders(below[0])
    if len(classes) == 1 and below:
        advice = f"give data.images={inside}" if found.train == root else f"move these up into {found.train}"
        raise UserError(
            f"{found.train} has one class folder only, {classes[0].name}, and in {inside} are the folders "
            f"{_names(below)}; if these are the classes, {advice}."
        )
    if len(classes) < 2:
        loose = any(_is_picture(path) for path in found.train.iterdir())
        advice = (
            "put its pictures into a folder for each class, or give the folder above it if it is one class of several"
            if loose
            else "make at least two, with images in each"
        )
        raise UserError(f"{found.train} has {len(classes)} class folder{'s' * (not classes)}; {advice}.")
    if found.train == root:
        _refuse_unnamed_parts(root, classes)


def _refuse_unnamed_parts(root: Path, classes: Sequence[Path]) -> None:
    """Folders such as images_001 and images_002, or 2023 and 2024 that both hold cats and dogs, may be no classes."""
    inner = [[path.name for path in folders(path)] for path in classes]
    if len(inner[0]) > 1 and all(names == inner[0] for names in inner):
        why = f"all hold the folders {listed(inner[0])}"
    elif all((words := set(_words(path.name))) and words <= _FILLERS for path in classes):
        why = "are called like parts of the data"
    else:
        return
    raise UserError(
        f"{_names(classes)} in {root} {why}; if they are parts, name them train and val, with a folder for each class "
        f"in both, or give one of them; if they are the classes, put them into {root / 'train'}."
    )


def find(found: Layout) -> Found:
    """All files of the data. Folders are searched at any depth, links followed.

    Raises:
        UserError: a class or the validation set has no pictures, the validation set has a class of its own, a folder
            cannot be opened, or links lead nowhere.
    """
    train, others = _search(found.train, found.classes)
    if found.held_out is None:
        return Found(train, (), others)
    classes = [folder.name for folder in folders(found.held_out)]
    if unknown := sorted(set(classes) - set(found.classes)):
        raise UserError(f"{found.held_out / unknown[0]} is a class that {found.train} lacks; add or remove it.")
    if not classes:
        raise UserError(f"{found.held_out} has no class folders; put its images in such, or remove it.")
    held_out, more = _search(found.held_out, classes)
    return Found(train, held_out, [*others, *more])


def _search(part: Path, classes: Iterable[str]) -> tuple[list[Path], list[Path]]:
    """Pictures and other files of a part; other files beside its class folders only if they are pictures."""
    pictures: list[Path] = []
    others = [path for path in sorted(part.iterdir()) if path.is_file() and _counts(path.name) and _is_picture(path)]
    dead: list[Path] = []
    for name in classes:
        files = sorted(_walk(part / name))
        dead += [path for path in files if path.is_symlink() and not path.exists()]
        images = [path for path in files if _is_picture(path) and path.is_file()]
        if not images and not dead:
            kinds = f"; it has {_kinds(files)}" if files else ""
            raise UserError(f"{part / name} has no images that Pillow can read{kinds}; add some or remove the folder.")
        pictures += images
        others += sorted(set(files) - set(images))
    _refuse_dead_links(dead)
    return pictures, others


def _walk(folder: Path) -> Iterator[Path]:
    """All files in a folder at any depth. A folder is entered once, however many links lead to it."""
    entered = {folder.resolve(), *folder.resolve().parents}

    def stop(error: OSError) -> None:
        raise _closed(error) from error

    for here, inner, files in os.walk(folder, onerror=stop, followlinks=True):
        real = {Path(here, name).resolve(): name for name in sorted(inner, reverse=True) if _counts(name)}
        inner[:] = [name for path, name in real.items() if path not in entered]
        entered.update(real)
        yield from (Path(here, name) for name in files if _counts(name))


def left_out(root: Path, unused: Sequence[Path], others: Sequence[Path]) -> list[str]:
    """One sentence on what is not part of the data although somebody may think so; [] if there is nothing."""
    said = []
    if others:
        said.append(f"{_kinds(others)} (such as {others[0].relative_to(root)})")
    if unused:
        said.append(f"the folder{'s' if len(unused) > 1 else ''} {_names(unused)}")
    return [f"Left out of {root}: {' and '.join(said)}."] if said else []


def _kinds(files: Sequence[Path]) -> str:
    """The files in words: "3 files: 2 .txt, 1 .heic"."""
    counts = Counter(path.suffix.lower() or "without a suffix" for path in files)
    kinds = listed([f"{count} {suffix}" for suffix, count in counts.most_common()])
    return f"{len(files)} file{'s' if len(files) > 1 else ''}: {kinds}"


def _names(paths: Sequence[Path]) -> str:
    return listed([path.name for path in paths])


def _counts(name: str) -> bool:
    """Whether a file or folder can be data: hidden ones cannot, nor what systems leave behind."""
    return not name.startswith(".") and name.lower() not in _LITTER


def _is_picture(path: Path) -> bool:
    return path.suffix.lower() in suffixes()


@cache
def suffixes() -> frozenset[str]:
    """The endings of all formats that Pillow reads by itself."""
    known = Image.registered_extensions()
    return frozenset(ending for ending, kind in known.items() if kind in Image.OPEN and kind not in _STUBS)


def _refuse_dead_links(links: Iterable[Path]) -> None:
    if dead := sorted(links):
        shown = listed([f"{path} -> {path.readlink()}" for path in dead])
        raise UserError(
            f"{len(dead)} link{'s lead' if len(dead) > 1 else ' leads'} nowhere ({shown}); repair or remove "
            f"{'them' if len(dead) > 1 else 'it'}."
        )


def _closed(error: OSError) -> UserError:
    return UserError(f"{error.filename} cannot be opened ({error.strerror}); allow it or remove the folder.")
