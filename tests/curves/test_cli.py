"""`lr-explain` as a person uses it."""

import io
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from curves.test_readers import TRAIN, VAL, lines

from lr_lab.curves.assemble import Wishes
from lr_lab.curves.cli import main
from lr_lab.curves.follow import follow

LOG = lines(lambda e: f"{e + 1},{TRAIN[e]},{VAL[e]}", "epoch,loss,val_loss\n")
BROKEN = "epoch,loss,val_loss\n1,2.3,2.3\n2,9.0,9.0\n3,nan,nan\n"


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "log.csv"
    path.write_text(LOG)
    return path


def test_text_names_the_label_the_columns_and_draws_the_curve(log: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(log)]) == 0
    printed = capsys.readouterr().out
    assert printed.startswith(f"{log}: crawling")
    assert "train_loss   █▅▃▂▂▁  2 -> 0.8" in printed
    assert "Read: epoch = epoch; train_loss = loss; val_loss = val_loss; 6 points by epoch." in printed
    assert max(map(len, printed.splitlines())) <= 130


def test_standard_input(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(BROKEN.encode())))
    assert main(["-", "--framework", "keras"]) == 0
    printed = capsys.readouterr().out
    assert "standard input: diverged" in printed
    assert "Keras:" in printed
    assert "PyTorch:" not in printed


def test_json_has_everything(log: Path, capsys: pytest.CaptureFixture[str]) -> None:
    broken = log.with_name("broken.csv")
    broken.write_text(BROKEN)
    assert main([str(log), str(broken), "--json"]) == 0
    first, second = json.loads(capsys.readouterr().out)
    assert first["train_loss"] == TRAIN
    assert first["diagnosis"]["label"] == "crawling"
    assert first["read"]["val_loss"] == "val_loss"
    assert second["train_loss"][-1] == "nan"
    assert second["advice"][0]["code"].keys() == {"Lightning", "Keras", "Hugging Face", "PyTorch"}


def test_several_runs_are_put_beside_each_other_and_the_best_is_named(
    log: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    better = log.with_name("better.csv")
    better.write_text(LOG.replace("1.2\n", "0.2\n"))
    assert main([str(log), str(better)]) == 0
    assert f"Best: {better}, validation loss 0.2 after epoch 6." in capsys.readouterr().out


@pytest.mark.parametrize(("labels", "code"), [("diverged", 1), ("stuck,diverged", 1), ("stuck", 0), ("", 0)])
def test_fail_on(labels: str, code: int, tmp_path: Path) -> None:
    (tmp_path / "log.csv").write_text(BROKEN)
    assert main([str(tmp_path / "log.csv"), "--fail-on", labels]) == code


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["nothing.csv"], "nothing.csv is not there"),
        (["LOG", "--fail-on", "bad"], "--fail-on bad is not a label; choose from healthy"),
        (["LOG", "--column", "loss"], "--column loss has no '='"),
        (["LOG", "--column", "val_loss=x"], "has no such column"),
        (["LOG", "--classes", "1"], "--classes 1 is too few"),
        (["LOG", "--classes", "many"], "argument --classes: invalid int value: 'many'; lr-explain --help"),
        (["LOG", "--follow", "--every", "0"], "--every 0 does not wait"),
        ([], "the following arguments are required: PATH"),
        (["LOG", "--colour", "train_loss=x"], "unrecognized arguments: --colour"),
        (["LOG", "--png", "no/such/folder/a.png"], "--png no/such/folder/a.png can't be written"),
        (["LOG", "--page", "no/such/folder/a.html"], "--page no/such/folder/a.html can't be written"),
        (["-", "--follow"], "--follow needs a file or a folder"),
    ],
)
def test_a_mistake_is_one_sentence_and_exit_code_2(
    arguments: list[str], words: str, log: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([str(log) if argument == "LOG" else argument for argument in arguments]) == 2
    error = capsys.readouterr().err
    assert words in error
    assert error.count("\n") == 1


def test_an_empty_standard_input(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"")))
    assert main(["-"]) == 2
    assert "Standard input is empty" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("to", "encoding", "code"), [("/dev/null", "ascii", 0), ("/dev/full", "utf-8", 2)], ids=["ASCII", "full disk"]
)
def test_a_terminal_without_signs_and_a_full_disk(to: str, encoding: str, code: int, log: Path) -> None:
    named = log.rename(log.with_name("größe.csv"))
    with Path(to).open("w") as out:
        command = [sys.executable, "-m", "src.explain", str(named)]
        env = {**os.environ, "PYTHONIOENCODING": encoding}
        done = subprocess.run(command, stdout=out, stderr=subprocess.PIPE, text=True, env=env, check=False)
    assert done.returncode == code, done.stderr
    assert done.stderr.count("\n") == (code != 0)


def test_page_and_picture_are_whole_and_need_nothing_else(log: Path) -> None:
    evil = log.with_name("<b>&.csv")
    evil.write_text(BROKEN)
    page, picture = log.with_name("page.html"), log.with_name("figure.png")
    assert main([str(log), str(evil), "--page", str(page), "--png", str(picture)]) == 0
    assert picture.read_bytes().startswith(b"\x89PNG")
    text = page.read_text()
    assert "data:image/png;base64," in text
    assert "crawling" in text
    assert "&lt;b&gt;&amp;.csv" in text
    assert "http" not in text


def test_following_says_each_turn_once_and_stops_where_it_is_told_to(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "growing.csv"
    losses = ["2.3,2.3", "9.0,9.0", "nan,nan", "nan,nan"]
    path.write_text("")

    def grow(seconds: float) -> None:
        told = path.read_text() or "epoch,loss,val_loss\n"
        epoch = told.count("\n")
        path.write_text(f"{told}{epoch},{losses[epoch - 1]}\n")

    assert follow([str(path)], Wishes(), 1.0, set(), grow, rounds=5) == 0
    printed = capsys.readouterr().out
    assert printed.count("Waiting for it.") == 1
    assert printed.count("diverged: A loss was not finite after 3 epochs") == 1
    assert follow([str(path)], Wishes(), 1.0, {"diverged"}, grow, rounds=5) == 1


def test_the_library_reads_logs_without_torch_lightning_or_hydra(log: Path) -> None:
    code = (
        "import sys\n"
        "for name in ('torch', 'pytorch_lightning', 'hydra', 'omegaconf', 'pandas', 'matplotlib'):\n"
        "    sys.modules[name] = None\n"
        "from lr_lab.curves.cli import main\n"
        f"sys.exit(main([{str(log)!r}]))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
