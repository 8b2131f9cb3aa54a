"""Files of studies, read as people write them."""

from pathlib import Path

import pytest

from lr_lab.study.entries import read_yaml


@pytest.mark.parametrize(
    ("text", "value"),
    [("1e-3", 0.001), ("1E5", 1e5), ("-2.e+3", -2000.0), ("1_0e2", 1000.0), ("1e-3x", "1e-3x"), ("7", 7), ("e3", "e3")],
)
def test_numbers_are_those_of_the_command_line(tmp_path: Path, text: str, value: object) -> None:
    file = tmp_path / "study.yaml"
    file.write_text(f"lr: {text}\n")
    assert read_yaml(file) == {"lr": value}
