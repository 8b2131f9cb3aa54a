"""Files that people find under the name of a picture or a table: what they are, by their first bytes. No torch."""

from __future__ import annotations

_FIRST_BYTES = {
    b"version https://git-lfs": "a pointer of Git LFS; `git lfs pull` fetches the file",
    b"<!doctype html": "a web page",
    b"<html": "a web page",
    b"<svg": "an SVG drawing",
    b"<?xml": "an XML file",
    b"pk\x03\x04": "a zip archive",
    b"\x1f\x8b": "a gzip archive",
    b"%pdf": "a PDF",
    b"{": "JSON text",
}
_HEIC = (b"heic", b"heix", b"hevc", b"heim", b"heis", b"mif1", b"msf1")


def disguise(start: bytes) -> str | None:
    """What a file is that begins so, as the end of a sentence; None if that is not known.

    Args:
        start: its first bytes, a hundred or more where it has them.
    """
    if not start:
        return "it is empty"
    if start[4:8] == b"ftyp" and start[8:12] in _HEIC:
        return "it is HEIC, which Pillow does not read; save it as JPEG or PNG"
    text = start.removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    return next((f"it is {kind}" for first, kind in _FIRST_BYTES.items() if text.startswith(first)), None)
