"""src/lr_lab/data/fer2013.py, on small CSV files laid out as Kaggle's."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lr_lab.data.fer2013 import FER2013
from lr_lab.errors import UserError
from lr_lab.run.config import compose
from lr_lab.run.folder import RunFolder, run_path
from lr_lab.run.training import train

RNG = np.random.default_rng(0)
FACES = RNG.integers(0, 256, (70, 48, 48))
LABELS = np.arange(70) % 7
USAGES = ["Training"] * 42 + ["PublicTest"] * 14 + ["PrivateTest"] * 14


def rows() -> list[list[str]]:
    return [
        [str(label), " ".join(map(str, face.flatten())), usage]
        for label, face, usage in zip(LABELS, FACES, USAGES, strict=True)
    ]


def write(file: Path, table: list[list[str]], header: str = "emotion,pixels,Usage", order: str = "012") -> None:
    lines = [",".join(row[int(column)] for column in order) for row in table]
    file.parent.mkdir(exist_ok=True)
    file.write_text("\n".join([header, *lines]) + "\n")


def read(root: Path) -> FER2013:
    data = FER2013(batch_size=8, seed=0, root=root)
    data.setup()
    return data


@pytest.mark.parametrize(
    ("name", "header", "order"),
    [
        ("fer2013.csv", "emotion,pixels,Usage", "012"),
        ("icml_face_data.csv", "emotion, Usage, pixels", "021"),
        ("fer2013/fer2013.csv", "Usage,pixels,emotion", "210"),
    ],
)
def test_rows_are_split_by_usage_whatever_the_order_of_columns(
    tmp_path: Path, name: str, header: str, order: str
) -> None:
    write(tmp_path / name, rows(), header, order)
    for data in (read(tmp_path), read(tmp_path)):  # from the CSV, then from the decoded copy
        np.testing.assert_array_equal(data.train.inputs[:, 0], FACES[:42])
        np.testing.assert_array_equal(data.train.targets, LABELS[:42])
        np.testing.assert_array_equal(data.val.inputs[:, 0], FACES[42:56])
        np.testing.assert_array_equal(data.val.targets, LABELS[42:56])
    assert data.train.inputs.shape[1:] == data.input_shape


def test_train_csv_has_no_usage_and_gives_a_stratified_fifth(tmp_path: Path) -> None:
    write(tmp_path / "train.csv", rows(), "emotion,pixels", "01")
    data = read(tmp_path)
    assert data.val.targets.bincount().tolist() == [2] * 7
    assert data.train.targets.bincount().tolist() == [8] * 7


@pytest.mark.parametrize(
    ("column", "value", "words"),
    [
        (0, "7", "emotion is '7'"),
        (0, "happy", "emotion is 'happy'"),
        (0, "", "emotion is ''"),
        (1, "1 2 3", "3 values, not 2304"),
        (1, "", "0 values, not 2304"),
        (1, "12 abc 13", "not a whole number"),
        (1, " ".join(["0.5"] * 2304), "not a whole number"),
        (1, " ".join(["256"] * 2304), "not from 0 to 255"),
        (1, " ".join(["-1"] * 2304), "not from 0 to 255"),
        (2, "Test", "Usage is 'Test'"),
    ],
)
def test_a_bad_row_is_named(tmp_path: Path, column: int, value: str, words: str) -> None:
    table = rows()
    table[4][column] = value
    write(tmp_path / "fer2013.csv", table)
    with pytest.raises(UserError, match=rf"fer2013.csv, line 6: .*{words}"):
        read(tmp_path)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("emotion,faces\n1,2\n", "has no column pixels; its columns are emotion, faces"),
        ("a,b\n1,2\n", "has no column emotion and no column pixels;"),
        ("", "is no table: it is empty"),
        ("emotion,pixels\n", "has no rows to train on"),
        ("emotion,pixels\n1,2,3,4\n", "line 2: 4 values under 2 names of columns"),
        ("emotion,pixels,pixels\n1,2,3\n", "has 2 columns called pixels"),
        ("emotion,pixels,split\n1,2,train\n", "has no column Usage, but split; if it says which rows"),
        ('emotion,pixels\n1,"2 3', "is not a whole CSV file"),
        ("emotion,pixels\n3\n", "line 2: pixels has 0 values"),
        ("emotion,pixels\n\n,,\n", "has no rows to train on"),
        ("emotion,pixels\n,2\n", "line 2: emotion is ''"),
    ],
)
def test_a_file_that_is_not_fer2013_is_refused_in_a_sentence(tmp_path: Path, content: str, words: str) -> None:
    (tmp_path / "train.csv").write_text(content)
    with pytest.raises(UserError, match=rf"train.csv.*{words}"):
        read(tmp_path)


@pytest.mark.parametrize("usage", ["usage", "USAGE", " Usage "])
@pytest.mark.parametrize("values", [str.upper, str.lower, lambda value: value.replace("Test", " test")])
def test_columns_and_parts_are_known_whatever_their_case_and_spaces(tmp_path: Path, usage: str, values: Any) -> None:
    table = [[label, face, values(use)] for label, face, use in rows()]
    write(tmp_path / "fer2013.csv", table, f"Emotion, PIXELS ,{usage}")
    data = read(tmp_path)
    assert (len(data.train), len(data.val)) == (42, 14)
    assert data.notes[0].endswith("has 42 rows to train on; FER2013 as published has 28,709.")


def test_a_row_number_without_a_heading_is_told(tmp_path: Path) -> None:
    write(tmp_path / "fer2013.csv", [[str(n), *row] for n, row in enumerate(rows())], order="0123")
    with pytest.raises(UserError, match="line 2: 4 values under 3 names of columns; give each column a name"):
        read(tmp_path)


def test_a_file_cut_short_is_noticed_at_its_last_row(tmp_path: Path) -> None:
    write(tmp_path / "fer2013.csv", rows())
    content = (tmp_path / "fer2013.csv").read_text()
    (tmp_path / "fer2013.csv").write_text(content[:-3000])
    with pytest.raises(UserError, match=r"fer2013.csv, line 71: "):
        read(tmp_path)


def test_without_a_file_the_sentence_says_what_to_put_where(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"icml_face_data.csv.*Kaggle.*put it into .*/fer2013\.$"):
        read(tmp_path)


def test_the_study_trains_on_kaggles_file_as_it_is(tmp_path: Path) -> None:
    write(tmp_path / "fer2013" / "fer2013.csv", rows())
    smaller = ("model.width=0.0625", "epochs=2", "probes.sharpness.samples=14")
    config = compose("experiment=fer2013", f"data.root={tmp_path}", f"output_dir={tmp_path}", *smaller)
    result = train(config)
    assert (result["data"], result["train_samples"], result["status"]) == ("fer2013", 42, "completed")
    assert RunFolder(run_path(config)).history()[0]["no_eval/val_accuracy"] is not None
