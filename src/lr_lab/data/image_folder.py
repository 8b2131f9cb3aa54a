"""A person's own images, one folder per class."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image
from torchvision.datasets.folder import IMG_EXTENSIONS

from lr_lab.data.files import Decoded, decoded_copy
from lr_lab.data.in_memory import InMemoryDataModule, Split, check_whole_number
from lr_lab.errors import UserError

# What people call the folder of the validation set, the first found being it; and what else beside class folders is no
# class.
_HELD_OUT = ("val", "valid", "validation", "test", "testing")
_SPLITS = ("train", "training", *_HELD_OUT)

# The tag of a photo that says how the camera was held (Exif 2.3, section 4.6.4), and what undoes it.
_ORIENTATION = 0x0112
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


class ImageFolder(InMemoryDataModule):
    """Images in folders named after their classes, brought to one size (the aspect ratio is not kept).

    `images` has a folder `train` and beside it `val`, `valid` or `validation`, or else `test` or `testing` (the
    validation set), each with a folder per class; or it, or `train` alone, has a folder per class, and a
    stratified part (`val_fraction`, by default a fifth) is the validation set. Classes are numbered in the order
    of their names.

    Args:
        images: their folder. Unlike the `root` of other datasets it says which data these are, not just where.
        batch_size, seed, val_fraction, split_seed, limit, scaling, block_size: as in InMemoryDataModule.
        size: pixels a side.
        channels: 3 (colour) or 1 (grey).

    Raises:
        UserError: an argument is out of range, there are fewer than two classes, a folder beside class folders is named
            after a part of the data, or (in `setup`) a class or a validation set is without images, or an image cannot
            be read or holds fractions.
    """

    def __init__(
        self,
        batch_size: int,
        seed: int,
        images: str | Path = "data/folder",
        size: int = 32,
        channels: int = 3,
        val_fraction: float | None = None,
        split_seed: int = 0,
        limit: int | None = None,
        scaling: str = "standardised",
        block_size: int | None = None,
    ) -> None:
        super().__init__(batch_size, seed, images, val_fraction, split_seed, limit, scaling, block_size)
        check_whole_number("data.size", size, 1)
        if channels not in (1, 3):
            raise UserError(f"data.channels={channels} is not allowed; give 3 for colour or 1 for grey.")
        self.input_shape = (channels, size, size)
        if not self.root.is_dir():
            raise UserError(f"data.images={self.root} is not a folder; give the folder your images are in.")
        self._train = self.root / "train" if (self.root / "train").is_dir() else self.root
        beside = {path.name.lower(): path for path in self.root.iterdir() if path.is_dir() and self._train != self.root}
        self._test = next((beside[name] for name in _HELD_OUT if name in beside), None)
        self.names = _class_names(self._train)
        splits = [name for name in self.names if name.lower() in _SPLITS and _is_split(self._train / name)]
        if splits and self._train == self.root:
            raise UserError(
                f"{self._train / splits[0]} counts as a class; call the folder of the training images train, and that "
                "of the others val."
            )
        if len(self.names) < 2:
            raise UserError(
                f"{self._train} has {len(self.names)} class folders; make at least two, with images in each."
            )
        self.classes = len(self.names)

    def read(self) -> tuple[Split, Split | None]:
        channels, size, _ = self.input_shape
        return decoded_copy(self.root, f"folder-{channels}x{size}x{size}", self._find, self._decode).splits()

    def _find(self) -> list[Path]:
        files = [file for name in self.names for file in _images(self._train / name)]
        if self._test is not None:
            if unknown := sorted(set(_class_names(self._test)) - set(self.names)):
                raise UserError(f"{self._test / unknown[0]} is a class that {self._train} lacks; add or remove it.")
            found = [file for name in _class_names(self._test) for file in _images(self._test / name)]
            if not found:
                raise UserError(f"{self._test} has no class folders; put its images in such, or remove it.")
            files += found
        return files

    def _decode(self, files: Sequence[Path]) -> Decoded:
        test = [file for file in files if self._test is not None and file.is_relative_to(self._test)]
        train = files[: len(files) - len(test)]
        return Decoded(*self._load(self._train, train), *self._load(self._test or self.root, test))

    def _load(self, folder: Path, files: Sequence[Path]) -> tuple[np.ndarray, np.ndarray]:
        channels, size, _ = self.input_shape
        pixels = np.empty((len(files), size, size, channels), np.uint8)
        for i, file in enumerate(files):
            try:
                with Image.open(file) as image:
                    if image.mode == "F":
                        raise UserError(
                            f"{file} cannot be read as an image: it holds fractions, and nobody knows which is white; "
                            "save it with 8 or 16 bits, or remove it."
                        )
                    upright = _eight_bits(_upright(image)).convert("RGB" if channels == 3 else "L")
            except UserError:
                raise
            except Exception as error:  # whatever a damaged file makes Pillow raise
                raise UserError(f"{file} cannot be read as an image; repair or remove it.") from error
            scaled = upright.resize((size, size), Image.Resampling.BILINEAR)
            pixels[i] = np.asarray(scaled).reshape(size, size, channels)
        labels = [self.names.index(file.relative_to(folder).parts[0]) for file in files]
        return pixels, np.array(labels, np.int64)


def _upright(image: Image.Image) -> Image.Image:
    """As the camera was held. ImageOps.exif_transpose writes all other tags anew, too, and fails on mistyped ones."""
    image.load()  # which turns a TIFF, and then no longer says that it has to be
    turn = _TURNS.get(image.getexif().get(_ORIENTATION, 1))
    return image if turn is None else image.transpose(turn)


def _eight_bits(image: Image.Image) -> Image.Image:
    """A picture of 16 bits a pixel by its upper eight; Pillow's own conversion cuts off all above 255."""
    if not image.mode.startswith("I"):
        return image
    pixels = np.asarray(image, np.int64)
    if pixels.max() <= 255:  # 8 bits in the space of more, as some formats hold them
        return Image.fromarray(pixels.astype(np.uint8))
    return Image.fromarray((pixels >> 8).clip(0, 255).astype(np.uint8))


def _is_split(folder: Path) -> bool:
    """Whether a folder is of a part of the data; one called Train that has images and no folders is of trains."""
    return folder.name.lower() != "train" or bool(_class_names(folder))


def _class_names(folder: Path) -> list[str]:
    """Folders, but hidden ones: the decoded copy is in such a one."""
    return sorted(path.name for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))


def _images(folder: Path) -> list[Path]:
    files = sorted(
        path
        for path in folder.rglob("*")
        if path.suffix.lower() in IMG_EXTENSIONS and not path.name.startswith(".") and path.is_file()
    )
    if not files:
        raise UserError(f"{folder} has no images ({', '.join(IMG_EXTENSIONS)}); add some or remove the folder.")
    return files
