"""src/lr_lab/data/tables.py: one small table, spelled in many ways."""

from __future__ import annotations

from pathlib import Path

import pytest

from lr_lab.data.tables import rows
from lr_lab.errors import UserError

EXPECTED = [{"name": "a b", "value": "1"}, {"name": "", "value": "2"}]


def read(folder: Path, content: str | bytes) -> list[tuple[int, dict[str, str]]]:
    (folder / "table.csv").write_bytes(content if isinstance(content, bytes) else content.encode())
    return list(rows(folder / "table.csv", ("name", "value"), ("split",)))


@pytest.mark.parametrize(
    "content",
    [
        "name,value\na b,1\n,2\n",
        "name,value\na b,1\n,2",
        "name,value\r\na b,1\r\n,2\r\n\r\n\r\n",
        "name,value\ra b,1\r,2\r",
        "\ufeffname,value\na b,1\n,2\n",
        "Name , VALUE\na b, 1\n,2\n",
        "name;value\na b;1\n;2\n",
        "name\tvalue\na b\t1\n\t2\n",
        "name|value\na b|1\n|2\n",
        '"name","value"\n"a b","1"\n"","2"\n',
        "name,value,\na b,1,\n,2,\n",
        "name,value\na b,1,,\n,2,\n,,,\n,\n",
        "name\tvalue\na b\t1\n\t2\n".encode("utf-16"),
    ],
)
def test_a_table_reads_the_same_however_it_is_spelled(tmp_path: Path, content: str | bytes) -> None:
    assert [row for _, row in read(tmp_path, content)] == EXPECTED


def test_rows_know_their_lines_and_short_ones_are_filled(tmp_path: Path) -> None:
    assert read(tmp_path, "value,name,split\n1\n\n2,b\n") == [
        (2, {"value": "1", "name": "", "split": ""}),
        (4, {"value": "2", "name": "b", "split": ""}),
    ]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("", "is no table: it is empty; get it again"),
        ("<!DOCTYPE html><html>", "is no table: it is a web page; get it again"),
        (b"PK\x03\x04\xff", "is no table: it is a zip archive"),
        (
            "name,value\n1,2\n".encode("utf-16-be"),
            "is not text in UTF-8, nor in UTF-16 with its mark; save",
        ),
        ("name,value\n1,2\n".encode("utf-32"), "is not text in UTF-8, nor in UTF-16 with its mark; save"),
        ("1" * 99 + ",2\n", rf"its columns are {'1' * 40}\.\.\., 2\.$"),
        ("\nname,value\n", "begins with an empty line"),
        ("name\n1\n", "has no column value; its columns are name"),
        ("name,value,Name\n1,2,3\n", "has 2 columns called name"),
        ("name,value\n1,2,3\n", "line 2: 3 values under 2 names"),
        ('name,value\n"1,2\n', "not a whole CSV file"),
        (b"name,value\n\xff\xfe\xfd,1\n", "not a whole CSV file"),
    ],
)
def test_what_is_no_such_table_is_refused(tmp_path: Path, content: str | bytes, words: str) -> None:
    with pytest.raises(UserError, match=words):
        read(tmp_path, content)
