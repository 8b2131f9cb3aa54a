"""Command lines as people type them."""

import pytest

from lr_lab.errors import UserError
from lr_lab.run.command_line import tidied

KEYS = ("lr", "data", "study")


@pytest.mark.parametrize(
    ("typed", "read"),
    [
        (["lr=0.1"], ["lr=0.1"]),
        (["data=line", "-m", "lr=0.1,0.2"], ["-m", "data=line", "lr=0.1,0.2"]),
        (["data=line", "--multirun", "lr=0.1"], ["--multirun", "data=line", "lr=0.1"]),
        (["study=2024_11_27"], ["study='2024_11_27'"]),
        (["study=2024,1_1", "lr=1_0"], ["study='2024','1_1'", "lr=1_0"]),
        (["study=first_look", "--cfg", "job"], ["study=first_look", "--cfg", "job"]),
        (["study='2024'"], ["study='2024'"]),
        (["data.root='a=b'"], ["data.root='a=b'"]),
    ],
)
def test_it_is_put_as_hydra_reads_it(typed: list[str], read: list[str]) -> None:
    assert tidied(typed, KEYS) == read


@pytest.mark.parametrize(
    ("typed", "sentence"),
    [
        (["--lr", "0.1"], "--lr is not an option; write lr=0.1, without dashes."),
        (["--lr=0.1"], "--lr=0.1 is not an option; write lr=0.1, without dashes."),
        (["--data.limit"], "--data.limit is not an option; write data.limit=value, without dashes."),
        (["data.root=a=b"], "quote it: \"data.root='a=b'\""),
    ],
)
def test_options_that_hydra_lacks_are_told_with_the_right_spelling(typed: list[str], sentence: str) -> None:
    with pytest.raises(UserError) as refused:
        tidied(typed, KEYS)
    assert str(refused.value).endswith(sentence)
