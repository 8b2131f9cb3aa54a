"""src/lr_lab/data/pictures.py, on pictures drawn here."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageDraw, ImageOps, TiffImagePlugin

from lr_lab.data.pictures import load
from lr_lab.errors import UserError

RNG = np.random.default_rng(0)
SIGNED = {339: 2}  # TIFF's SampleFormat


def save(folder: Path, *arrays: np.ndarray, suffix: str = ".tif", tags: dict[int, int] | None = None) -> list[Path]:
    ifd: Any = TiffImagePlugin.ImageFileDirectory_v2()
    for tag, value in (tags or {}).items():
        ifd[tag] = value
    files = [folder / f"{len(list(folder.iterdir())) + i:03}{suffix}" for i in range(len(arrays))]
    for file, array in zip(files, arrays, strict=True):
        options: dict[str, Any] = {"tiffinfo": ifd} if tags else {}
        Image.fromarray(array).save(file, **options)
    return files


def flat(values: Sequence[float], kind: Any) -> list[np.ndarray]:
    return [np.full((4, 4), value, kind) for value in values]


def levels(files: Sequence[Path], channels: int = 1) -> list[int]:
    """The one value of each flat picture."""
    pixels, _ = load(files, 4, channels)
    assert (pixels == pixels[:, :1, :1, :1]).all()
    return pixels[:, 0, 0, 0].tolist()


def glyph(mode: str) -> Image.Image:
    """A black ring on a transparent ground."""
    image = Image.new("RGBA", (24, 24))
    ImageDraw.Draw(image).ellipse([4, 4, 19, 19], outline=(0, 0, 0, 255), width=3)
    if mode != "P":
        return image.convert(mode)
    palette = Image.fromarray((np.asarray(image)[..., 3] > 0).astype(np.uint8), mode="P")
    palette.putpalette([0] * 768)
    palette.info["transparency"] = bytes([0, 255])
    return palette


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(
    ("mode", "suffix", "options"),
    [
        ("RGBA", ".png", {}),
        ("LA", ".png", {}),
        ("P", ".png", {}),
        ("RGBA", ".gif", {}),
        ("RGBA", ".webp", {"lossless": True}),
        ("RGBA", ".tiff", {}),
    ],
)
def test_transparency_is_laid_on_white(
    tmp_path: Path, mode: str, suffix: str, options: dict[str, Any], channels: int
) -> None:
    glyph(mode).save(tmp_path / f"0{suffix}", **options)
    [pixels], _ = load([tmp_path / f"0{suffix}"], 24, channels)
    ring = np.asarray(glyph("RGBA"))[..., 3] > 0
    np.testing.assert_array_equal(pixels, np.where(ring, 0, 255)[..., None].repeat(channels, axis=2))


def test_a_transparent_colour_is_white_and_half_transparency_half_white(tmp_path: Path) -> None:
    Image.new("RGB", (4, 4), (9, 9, 9)).save(tmp_path / "0.png", transparency=(9, 9, 9))
    Image.new("RGBA", (4, 4), (0, 0, 0, 51)).save(tmp_path / "1.png")
    Image.new("RGBA", (4, 4), (7, 7, 7, 255)).save(tmp_path / "2.png")
    Image.fromarray(np.full((4, 4), 9, np.uint16)).save(tmp_path / "3.png", transparency=9)
    files = sorted(tmp_path.iterdir())
    assert levels(files) == [255, 204, 7, 255]


@pytest.mark.parametrize("channels", [1, 3])
def test_ordinary_pictures_are_pillows_own(tmp_path: Path, channels: int) -> None:
    grey, colour = (RNG.integers(0, 256, shape, np.uint8) for shape in ((20, 30), (20, 30, 3)))
    files = [file for array in (grey, colour) for file in save(tmp_path, array, suffix=".png")]
    pixels, notes = load(files, 12, channels)
    for read, array in zip(pixels, (grey, colour), strict=True):
        expected = (
            Image.fromarray(array).convert("L" if channels == 1 else "RGB").resize((12, 12), Image.Resampling.BILINEAR)
        )
        np.testing.assert_array_equal(read.squeeze(), np.asarray(expected))
    assert notes == []


@pytest.mark.parametrize(
    ("kind", "tags", "values", "expected", "scale"),
    [
        (np.uint16, None, [0, 300, 32_896, 65_535], [0, 1, 128, 255], "0 to 65535"),
        (np.uint16, None, [0, 100, 252], [0, 100, 252], "0 to 255"),
        (np.int32, None, [0, 100, 252], [0, 100, 252], "0 to 255"),
        (np.uint16, None, [200, 2048, 4000], [12, 128, 249], "0 to 4095"),
        (np.int16, SIGNED, [-1000, 40, 900], [0, 140, 255], "-1000 to 900"),
        (np.int32, None, [-(2**31), 0, 2**31 - 1], [0, 128, 255], "-2.14748e+09 to 2.14748e+09"),
        (np.int8, SIGNED, [-128, 0, 127], [0, 128, 255], "-128 to 127"),
        (np.float32, None, [0, 0.25, 0.5], [0, 64, 128], "0 to 1"),
        (np.float32, None, [0, 25.5, 100], [0, 26, 100], "0 to 255"),
        (np.float32, None, [-1.5, 0, 1.5], [0, 128, 255], "-1.5 to 1.5"),
        (np.float32, None, [7.5, 1e6], [0, 255], "7.5 to 1e+06"),
        (np.uint16, {262: 0}, [65_535, 0], [0, 255], "0 to 65535"),
    ],
)
def test_deep_pictures_share_one_scale(
    tmp_path: Path, kind: type, tags: dict[int, int] | None, values: list[float], expected: list[int], scale: str
) -> None:
    if tags is not None and kind is not np.uint16:
        store: dict[type, type] = {np.int16: np.uint16, np.int8: np.uint8}
        files = save(tmp_path, *(array.view(store[kind]) for array in flat(values, kind)), tags=tags)
    else:
        files = save(tmp_path, *flat(values, kind), tags=tags)
    for channels in (1, 3):
        assert levels(files, channels) == pytest.approx(expected, abs=1)
    _, [note] = load(files, 4, 1)
    assert note.startswith(
        f"{len(values)} of {len(values)} pictures have more than 8 bits a pixel: {scale} become 0 to"
    )


def test_thirty_two_bits_without_a_sign_do_not_wrap(tmp_path: Path) -> None:
    files = []
    for value in (0, 2**31, 2**32 - 1):
        # TIFF 6.0 by hand, as Pillow writes signed ones: header, nine tags (number, type, count, value), one pixel.
        tags = [(256, 1), (257, 1), (258, 32), (259, 1), (262, 1), (273, 122), (277, 1), (278, 1), (279, 4)]
        directory = b"".join(struct.pack("<HHII", tag, 4, 1, number) for tag, number in tags)
        files.append(tmp_path / f"{value}.tif")
        files[-1].write_bytes(struct.pack("<2sHIH", b"II", 42, 8, len(tags)) + directory + struct.pack("<II", 0, value))
    pixels, _ = load(files, 1, 1)
    assert pixels.ravel().tolist() == [0, 128, 255]


@given(values=st.lists(st.integers(-(2**15), 2**16), min_size=2, max_size=6))
def test_deep_pictures_keep_their_order(tmp_path_factory: pytest.TempPathFactory, values: list[int]) -> None:
    files = save(tmp_path_factory.mktemp("deep"), *flat(values, np.int32))
    read = levels(files)
    assert [read[i] for i in np.argsort(values)] == sorted(read)


def test_a_flat_set_is_black(tmp_path: Path) -> None:
    assert levels(save(tmp_path, *flat([-7, -7], np.int32))) == [0, 0]


def test_sixteen_bits_beside_eight_take_all_of_their_range(tmp_path: Path) -> None:
    deep = save(tmp_path, *flat([257, 4000], np.uint16), suffix=".png")
    assert levels([*deep, *save(tmp_path, *flat([100], np.uint8), suffix=".png")]) == [1, 16, 100]


@pytest.mark.parametrize("array", flat([-1], np.int32) + flat([70_000], np.int32) + flat([-0.5], np.float32))
def test_deep_pictures_without_a_common_scale_are_refused_beside_others(tmp_path: Path, array: np.ndarray) -> None:
    files = save(tmp_path, np.zeros((4, 4), np.uint8), array)
    with pytest.raises(UserError, match=r"001.tif and 000.tif have no scale in common: .* stand beside pictures of 8"):
        load(files, 4, 1)


def test_a_deep_picture_is_resized_as_any_other(tmp_path: Path) -> None:
    values = RNG.integers(0, 256, (20, 30), np.uint8)
    deep, plain = save(tmp_path, values.astype(np.uint16), suffix=".png"), save(tmp_path, values, suffix=".png")
    (read,), (expected,) = load(deep, 8, 1)[0], load(plain, 8, 1)[0]
    np.testing.assert_allclose(read, expected, atol=1)


def test_the_first_of_several_pictures_counts_and_that_is_told(tmp_path: Path) -> None:
    first, second = Image.new("L", (4, 4), 10), Image.new("L", (4, 4), 200)
    first.save(tmp_path / "a.gif", save_all=True, append_images=[second])
    first.save(tmp_path / "b.png")
    pixels, notes = load([tmp_path / "a.gif", tmp_path / "b.png"], 4, 1)
    assert pixels[:, 0, 0, 0].tolist() == [10, 10]
    assert notes == [f"The first picture counts of {tmp_path / 'a.gif'}, which hold several."]


@pytest.mark.parametrize(("kind", "bands"), [(2, 3), (4, 2)], ids=["colour", "grey and transparency"])
def test_sixteen_bits_that_pillow_shortens_are_told(tmp_path: Path, kind: int, bands: int) -> None:
    """A PNG of one pixel, 0x1234 in each band, as the format says (W3C PNG, sections 5 and 11.2)."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", 1, 1, 16, kind, 0, 0, 0))
    pixel = chunk(b"IDAT", zlib.compress(b"\0" + b"\x12\x34" * (bands - (kind == 4)) + b"\xff\xff" * (kind == 4)))
    file = tmp_path / "a.png"
    file.write_bytes(b"\x89PNG\r\n\x1a\n" + header + pixel + chunk(b"IEND", b""))
    pixels, notes = load([file], 1, 1)
    assert pixels.item() == 0x12
    assert notes == [f"Of {file}, which have 16 bits a colour, Pillow reads the upper 8 bits."]


def written(content: bytes) -> Callable[[Path], object]:
    return lambda file: file.write_bytes(content)


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (written(b""), "it is empty"),
        (written(b"hello"), "it is no picture that Pillow knows"),
        (written(b"\n <!DOCTYPE HTML><html>"), "it is a web page"),
        (written(b"\xef\xbb\xbf<html lang='en'>"), "it is a web page"),
        (written(b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\n"), "it is a pointer of Git LFS; "),
        (written(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic"), "it is HEIC, which Pillow does not read; "),
        (written(b"PK\x03\x04..."), "it is a zip archive"),
        (written(b'{"error": "not found"}'), "it is JSON text"),
        (lambda file: file.mkdir(), "it cannot be opened: Is a directory"),
        (lambda file: Image.fromarray(np.full((4, 4), np.nan, np.float32)).save(file, "TIFF"), "not finite"),
        (lambda file: Image.new("LAB", (4, 4)).save(file, "TIFF"), "Pillow cannot read it: conversion from LAB"),
    ],
)
def test_a_broken_file_is_named_for_what_it_is(tmp_path: Path, make: Callable[[Path], object], reason: str) -> None:
    make(tmp_path / "0.png")
    [good] = save(tmp_path, np.zeros((4, 4), np.uint8))
    with pytest.raises(UserError, match=f"^1 of 2 pictures cannot be read: .*0.png .*{reason}.*; repair or remove"):
        load([good, tmp_path / "0.png"], 4, 1)


def test_an_over_large_picture_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 30)
    with pytest.raises(UserError, match=r"000.tif \(it has over 60 pixels, too many to open safely; make it smaller\)"):
        load(save(tmp_path, np.zeros((8, 8), np.uint8)), 4, 1)


def test_several_broken_files_are_named_together(tmp_path: Path) -> None:
    files = [tmp_path / f"{i}.png" for i in range(7)]
    for file in files:
        file.touch()
    with pytest.raises(UserError) as refusal:
        load(files, 4, 1)
    assert str(refusal.value).startswith("7 of 7 pictures cannot be read: ")
    assert str(refusal.value).endswith("4.png (it is empty) and 2 more; repair or remove them.")


def test_a_photo_with_a_mistyped_tag_is_read_all_the_same(tmp_path: Path) -> None:
    # TIFF 6.0: header, two entries of (tag, type, count, value): the orientation, and a resolution that is a text.
    entries = struct.pack("<HHIHH", 0x0112, 3, 1, 6, 0) + struct.pack("<HHI4s", 0x011A, 2, 4, b"72\0\0")
    exif = b"Exif\0\0" + struct.pack("<2sHIH", b"II", 42, 8, 2) + entries + bytes(4)
    Image.new("RGB", (16, 16), "white").save(tmp_path / "0.jpg", exif=exif)
    with Image.open(tmp_path / "0.jpg") as photo, pytest.raises(TypeError):
        ImageOps.exif_transpose(photo)  # what is to be worked around
    assert (load([tmp_path / "0.jpg"], 16, 3)[0] > 250).all()


@pytest.mark.parametrize("suffix", ["png", "tiff"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_photo_is_turned_as_pillow_would(tmp_path: Path, orientation: int, suffix: str) -> None:
    photo = Image.fromarray(RNG.integers(0, 256, (16, 16, 3), np.uint8))
    exif = photo.getexif()
    exif[0x0112] = orientation
    file = tmp_path / f"0.{suffix}"
    photo.save(file, exif=exif)
    with Image.open(file) as saved:
        np.testing.assert_array_equal(load([file], 16, 3)[0][0], np.asarray(ImageOps.exif_transpose(saved)))
