"""Tables in text files as people have them: any delimiter, spelling of columns and ending."""

from __future__ import annotations

import csv
from collections.abc import Collection, Iterator
from pathlib import Path

from lr_lab.data.disguised import disguise
from lr_lab.errors import UserError, listed, shown

_DELIMITERS = ",;\t|"
_UTF16 = (b"\xff\xfe", b"\xfe\xff")


def rows(file: Path, needed: Collection[str], optional: Collection[str] = ()) -> Iterator[tuple[int, dict[str, str]]]:
    """Rows of a table as (line number from 1, {column: text}), one at a time.

    Column names are compared without case and spaces. A byte-order mark, empty rows, and empty cells after the last
    column are passed over; the delimiter (comma, semicolon, tab or bar) is the one in the first line. A column without
    a name is not used; a row's missing cells are "".

    Args:
        file: in UTF-8, or in UTF-16 with its mark.
        needed: names of columns that must be there, in lower case.
        optional: names of others that may be there; a column of `optional` that is absent is not in the rows.

    Raises:
        UserError: a needed column is missing, one is there twice, a row has more cells than there are columns, or the
            file is not text.
    """
    with file.open("rb") as content:
        start = content.read(512)
    if other := disguise(start):
        raise UserError(f"{file} is no table: {other}; get it again.")
    encoding = "utf-16" if start[:2] in _UTF16 and start[2:4] != b"\0\0" else "utf-8-sig"
    if encoding != "utf-16" and b"\0" in start:
        raise UserError(f"{file} is not text in UTF-8, nor in UTF-16 with its mark; save it as UTF-8.")
    try:
        with file.open(encoding=encoding, newline="") as text:
            header = text.readline()
            delimiter = max(_DELIMITERS, key=header.count)
            names = [_plain(name) for name in next(csv.reader([header], delimiter=delimiter), [])]
            _check_columns(file, names, needed, optional)
            reader = csv.reader(text, delimiter=delimiter, strict=True)
            for row in reader:
                cells = [cell.strip() for cell in row]
                line = reader.line_num + 1
                if any(cells[len(names) :]):
                    raise UserError(
                        f"{file}, line {line}: {len(row)} values under {len(names)} names of columns; give each column "
                        "a name, or correct the row."
                    )
                if any(cells):
                    padded = cells + [""] * (len(names) - len(cells))
                    yield line, {name: cell for name, cell in zip(names, padded, strict=False) if name}
    except (csv.Error, UnicodeError) as error:
        raise UserError(f"{file} is not a whole CSV file ({error}); correct it or get it again.") from error


def _plain(name: str) -> str:
    return "".join(name.split()).casefold()


def _check_columns(file: Path, names: Collection[str], needed: Collection[str], optional: Collection[str]) -> None:
    if not any(names):
        raise UserError(f"{file} is not a whole CSV file (it begins with an empty line); correct it or get it again.")
    if missing := [name for name in needed if name not in names]:
        raise UserError(
            f"{file} has no column {' and no column '.join(missing)}; its columns are "
            f"{listed([shown(name) for name in names if name])}."
        )
    for name in (*needed, *optional):
        if list(names).count(name) > 1:
            raise UserError(f"{file} has {list(names).count(name)} columns called {name}; keep one.")
