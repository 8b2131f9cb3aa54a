"""Command lines as people type them."""

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from hypothesis import assume, given
from hypothesis import strategies as st

from lr_lab.errors import UserError
from lr_lab.run.command_line import tidied
from lr_lab.run.config import compose

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
        (["lr=0.1", "lr=0.2"], ["lr=0.1", "lr=0.2"]),
        (["data.root='a=b'"], ["data.root='a=b'"]),
        (["study=null"], ["study='null'"]),
        (["study=1e5"], ["study='1e5'"]),
        (["study=größe"], ["study='größe'"]),
        (["study=it's a test"], ["study='it\\'s a test'"]),
        (["study=a,b"], ["study=a,b"]),
        (["-m", "study=a,2"], ["-m", "study=a,'2'"]),
        (["-m", "study=choice(a,b)"], ["-m", "study=choice(a,b)"]),
        (["output_dir=a=b, c (1)"], ["output_dir='a=b, c (1)'"]),
        (["output_dir=C:\\new\\"], ["output_dir='C:\\new\\\\'"]),
        (["output_dir=${oc.env:HOME}/x"], ["output_dir=${oc.env:HOME}/x"]),
        (["data.images=~/pictures"], ["data.images=/home/me/pictures"]),
        (["init_from=null", "results="], ["init_from=null", "results="]),
        (["also=[lr=1,optimizer.betas=[0.9,0.99]]"], ["also=['lr=1','optimizer.betas=[0.9,0.99]']"]),
        (["also=epochs=3"], ["also=['epochs=3']"]),
        (["also=['epochs=3']", "also=[]"], ["also=['epochs=3']", "also=[]"]),
    ],
)
def test_it_is_put_as_hydra_reads_it(typed: list[str], read: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/me")
    assert tidied(typed, KEYS) == read


@given(st.text(st.characters(blacklist_categories=["Cs", "Cc"]), min_size=1))
def test_hydra_reads_a_name_as_it_was_typed(name: str) -> None:
    assume(name[0] not in "'\"[{~" and "${" not in name and "(" not in name)
    [override] = OverridesParser.create().parse_overrides(tidied([f"output_dir={name}"], KEYS))
    assert override.value() == name


@pytest.mark.parametrize(
    ("typed", "sentence"),
    [
        (["--lr", "0.1"], "--lr is not an option; write lr=0.1, without dashes."),
        (["--lr=0.1"], "--lr=0.1 is not an option; write lr=0.1, without dashes."),
        (["--data.limit"], "--data.limit is not an option; write data.limit=value, without dashes."),
        (["-lr", "0.1"], "-lr is not an option; write lr=0.1, without dashes."),
        (["-lr=.1", "-m"], "-lr=.1 is not an option; write lr=.1, without dashes."),
        (
            ["--multi-run"],
            "--multi-run is not an option; did you mean --multirun? A value is set by key=value, such as lr=0.1.",
        ),
        (["-m", "lr=0.1", "seed=1", "+lr=0.2"], "lr is given 2 times; write all values once: lr=0.1,0.2"),
        (["lr", "=", "0.1"], "lr and 0.1 stand apart; write lr=0.1, without spaces."),
        (["lr=", "0.1"], "lr and 0.1 stand apart; write lr=0.1, without spaces."),
        (["data.limit", "=5"], "data.limit and 5 stand apart; write data.limit=5, without spaces."),
        (["lr", "0.1", "data=line"], "lr and 0.1 stand apart; write lr=0.1, without spaces."),
        (["data.file=a=b"], "quote it: \"data.file='a=b'\""),
    ],
)
def test_options_that_hydra_lacks_are_told_with_the_right_spelling(typed: list[str], sentence: str) -> None:
    with pytest.raises(UserError) as refused:
        tidied(typed, KEYS)
    assert str(refused.value).endswith(sentence)


@pytest.mark.parametrize(
    ("typed", "sentence"),
    [
        (["lr=0,1"], "lr=0,1 has several values; start the program with -m to train one run for each, or give one"),
        (["seed=range(3)"], "seed=range(3) has several values; start the program with -m"),
        (["study=a,b"], "text with a comma is quoted: \"study='a,b'\")."),
        (["lr=0.1,"], "lr=0.1, ends with a comma; leave it out, or give another value after it."),
        (
            ["lr=10^-3"],
            "lr=10^-3 has signs that Hydra reads otherwise; close all brackets, and quote text: \"lr='text'\"",
        ),
        (["lr=[1"], "lr=[1 has signs that Hydra reads otherwise; close all brackets"),
        (["lr:0.1"], "lr:0.1 is not a key and a value; write key=value, such as lr=0.1."),
        (["data.limt=3"], "; did you mean data.limit?"),
    ],
)
def test_what_hydra_cannot_read_is_told_in_a_sentence(typed: list[str], sentence: str) -> None:
    with pytest.raises(UserError) as refused:
        compose(*typed)
    assert sentence in str(refused.value)
