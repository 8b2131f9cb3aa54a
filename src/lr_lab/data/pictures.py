"""The meaning of pixels, decided once for a whole set of pictures.

- Pillow converts pictures of 8 bits a channel to colour or grey. Transparency is laid on white.
- Pictures of one channel with more than 8 bits (16 bits, signed, 32 bits, fractions) are all brought to 0 to 255 on one
  scale, so that they keep their order across files. The scale comes from the whole set:

  | smallest and largest value of the set | black and white |
  |---|---|
  | fractions within 0 and 1 | 0, 1 |
  | within 0 and 255 | 0, 255 |
  | whole numbers within 0 and 65535 | 0, 2^bits - 1, with as few bits as hold the largest value |
  | anything else | the smallest, the largest |

  Beside pictures of 8 bits the third row takes all 16 bits. The last row is then refused, because the two kinds have no
  common scale.
- A file with several pictures counts as its first picture.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image, UnidentifiedImageError

from lr_lab.data.disguised import disguise
from lr_lab.errors import UserError, listed

# Tags of a photo or a TIFF (Exif 2.3, section 4.6.4; TIFF 6.0): how the camera was held and what undoes it; whether the
# smallest value is white; whether numbers are signed.
_ORIENTATION, _PHOTOMETRIC, _SAMPLE_FORMAT = 0x0112, 0x0106, 0x0153
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_SIGNED = 2


class _Deep(NamedTuple):
    """A picture of more than 8 bits: its values float32 (size, size), and facts about all its pixels."""

    values: np.ndarray
    low: float
    high: float
    fractions: bool


def load(files: Sequence[Path], size: int, channels: int) -> tuple[np.ndarray, list[str]]:
    """All pictures of a set, and sentences for a person on how they were read.

    Args:
        files: the whole set, because it fixes the scale of pictures of more than 8 bits.
        size: pixels a side that each is brought to.
        channels: 3 (colour) or 1 (grey).

    Returns:
        Pixels uint8 (N, size, size, channels), and sentences.

    Raises:
        UserError: files cannot be read; all of them are named, with the reason.
    """
    pixels = np.empty((len(files), size, size, channels), np.uint8)
    deep: dict[int, _Deep] = {}
    several: list[Path] = []
    coarse: list[Path] = []
    broken: list[tuple[Path, str]] = []
    for i, file in enumerate(files):
        try:
            with Image.open(file) as image:
                if image.format != "MPO" and getattr(image, "is_animated", False):  # MPO: a photo and its previews
                    several.append(file)
                fine = any(";16" in str(tile.args) for tile in image.tile)  # gone once the pixels are read
                upright = _upright(image)
                values = _values(image, upright)
                if values is None:
                    pixels[i] = _eight_bits(upright, size, channels)
                    if fine:
                        coarse.append(file)
                else:
                    deep[i] = _shrunk(values, size)
        except Exception as error:  # Pillow raises many types for a damaged file
            broken.append((file, _reason(file, error)))
    if broken:
        raise _unreadable(broken, len(files))
    notes = [f"The first picture counts of {listed(several)}, which hold several."] if several else []
    if coarse:
        notes.append(f"Of {listed(coarse)}, which have 16 bits a colour, Pillow reads the upper 8 bits.")
    if deep:
        black, white = _scale(files, deep)
        for i, picture in deep.items():
            scaled = (picture.values - black) * (255 / (white - black))
            pixels[i] = scaled.round().clip(0, 255).astype(np.uint8)[..., None]
        notes.append(
            f"{len(deep)} of {len(files)} pictures have more than 8 bits a pixel: {black:g} to {white:g} become 0 to "
            "255 in all of them."
        )
    return pixels, notes


def _upright(image: Image.Image) -> Image.Image:
    """The picture upright. ImageOps.exif_transpose would rewrite all other tags, too, and fail on mistyped ones."""
    image.load()  # load() already rotates a TIFF and drops the tag; reading the tag first would rotate it twice
    turn = _TURNS.get(image.getexif().get(_ORIENTATION, 1))
    return image if turn is None else image.transpose(turn)


def _values(image: Image.Image, upright: Image.Image) -> np.ndarray | None:
    """A picture of more than 8 bits, or of signed ones, as float64 (H, W); None for any other.

    Pillow leaves three things to its caller: 8-bit numbers with a sign, 32-bit numbers without one, and TIFFs of 16
    bits in which the smallest value is white. A transparent value is laid on the white of 16 bits.
    """
    tags = getattr(image, "tag_v2", {})
    signed = _SIGNED in np.atleast_1d(tags.get(_SAMPLE_FORMAT, 1))
    if image.mode == "L" and signed:
        return np.asarray(upright).view(np.int8).astype(np.float64)
    if not image.mode.startswith(("I", "F")):
        return None
    values = np.asarray(upright).astype(np.float64)
    if image.mode == "I" and tags and not signed:
        values = np.where(values < 0, values + 2**32, values)
    if image.mode.startswith("I;16") and tags.get(_PHOTOMETRIC) == 0:
        values = 65535 - values
    if (transparent := image.info.get("transparency")) is not None:
        values[values == transparent] = 65535
    if not np.isfinite(values).all():
        raise UserError("it holds values that are not finite")
    return values


def _eight_bits(image: Image.Image, size: int, channels: int) -> np.ndarray:
    """uint8 (size, size, channels), transparency laid on white."""
    if image.has_transparency_data:
        coloured = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), coloured)
    scaled = image.convert("RGB" if channels == 3 else "L").resize((size, size), Image.Resampling.BILINEAR)
    return np.asarray(scaled).reshape(size, size, channels)


def _shrunk(values: np.ndarray, size: int) -> _Deep:
    small = Image.fromarray(values.astype(np.float32)).resize((size, size), Image.Resampling.BILINEAR)
    fractions = bool((values % 1 != 0).any())
    return _Deep(np.asarray(small), float(values.min()), float(values.max()), fractions)


def _scale(files: Sequence[Path], deep: dict[int, _Deep]) -> tuple[float, float]:
    """The values of black and white, by the table at the top."""
    low, high = min(p.low for p in deep.values()), max(p.high for p in deep.values())
    fractions = any(p.fractions for p in deep.values())
    beside = next((file for i, file in enumerate(files) if i not in deep), None)
    if low >= 0 and high <= 1 and fractions:
        return 0, 1
    if low >= 0 and high <= 255:
        return 0, 255
    if low >= 0 and high < 2**16 and not fractions:
        return 0, 2 ** (16 if beside else int(high).bit_length()) - 1
    if beside:
        raise UserError(
            f"{files[next(iter(deep))]} and {beside.name} have no scale in common: pictures with values from {low:g} "
            f"to {high:g} stand beside pictures of 8 bits; save all of them in one way."
        )
    return low, high if high > low else low + 1


def _unreadable(broken: Sequence[tuple[Path, str]], count: int) -> UserError:
    shown = listed([f"{file} ({reason})" for file, reason in broken])
    return UserError(
        f"{len(broken)} of {count} pictures cannot be read: {shown}; repair or remove "
        f"{'them' if len(broken) > 1 else 'it'}."
    )


def _reason(file: Path, error: Exception) -> str:
    """The kind of a file that is not a picture, or the fault of a picture."""
    if isinstance(error, UserError):
        return str(error)
    if isinstance(error, Image.DecompressionBombError):
        return f"it has over {2 * (Image.MAX_IMAGE_PIXELS or 0):,} pixels, too many to open safely; make it smaller"
    if isinstance(error, OSError) and error.errno:
        return f"it cannot be opened: {error.strerror}"
    if isinstance(error, ValueError):  # Pillow cannot convert these colours
        return f"Pillow cannot read it: {error}"
    if other := disguise(file.read_bytes()[:512]):
        return other
    return (
        "it is no picture that Pillow knows"
        if isinstance(error, UnidentifiedImageError)
        else "it is cut short or damaged"
    )
