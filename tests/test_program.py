"""Programs started as a person starts them: mistakes, a missing environment, a checkout of one's own."""

import re
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest
from conftest import REPOSITORY

PROGRAMS = sorted(file.stem for file in (REPOSITORY / "src").glob("[!_]*.py"))
# Without `site` an interpreter sees no installed package; PYTHONPATH would show it the library.
TAB = "found character '\\t' that cannot start any token"
BARE = {"PATH": "/usr/bin:/bin"}


def started(*command: str, place: Path = REPOSITORY, env: dict[str, str] | None = None) -> tuple[int, str, str]:
    done = subprocess.run([sys.executable, *command], cwd=place, env=env, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout, done.stderr


@pytest.mark.parametrize("name", PROGRAMS)
@pytest.mark.parametrize("way", ["module", "file"])
def test_a_missing_environment_is_answered_in_a_sentence(tmp_path: Path, name: str, way: str) -> None:
    log = tmp_path / "log.csv"  # src.explain needs packages once it reads a log
    log.write_text("epoch,train_loss,val_loss\n1,2,2\n2,1,1\n")
    which = ["-m", f"src.{name}"] if way == "module" else [f"src/{name}.py"]
    code, _, said = started("-S", *which, *[str(log)] * (name == "explain"), env=BARE)
    assert code == 2
    assert said.startswith(f"error: {sys.executable} has no package ")
    assert "make setup" in said
    assert ".venv/bin/python" in said
    assert len(said.splitlines()) == 1


@pytest.mark.parametrize(
    ("command", "sentence"),
    [
        (["src.train", "lr=-1"], "lr=-1 is not a learning rate"),
        (["src.train", "data.limt=3"], "data.limt is not a key; .* did you mean data.limit?"),
        (["src.train", "-m", "strategy=cutof,epoch"], "strategy=cutof is not a choice; .* did you mean cutoff?"),
        (["src.train", "-m", "hydra.launcher.slots=0", "output_dir=TMP"], "hydra.launcher.slots=0 is not allowed"),
        (["src.train", "lr=[1"], "error: .*lr=.1"),
        (["src.report", "stdy=x"], "stdy is not a key of this program; allowed are study, .*; did you mean study?"),
        (["src.report", "study=nonesuch", "output_dir=TMP"], "nonesuch"),
        (["src.train", "optimizer.lr=0.1"], "optimizer.lr is not for you to set.*; give lr= instead"),
        (["src.train", "hydra/launcher=locl"], "hydra/launcher=locl is not a choice; .*; did you mean local?"),
        (["src.train", "--cfg", "jobs"], "argument --cfg/-c: invalid choice: 'jobs'"),
        (["src.study", "study=decay_mnst"], "study=decay_mnst is neither .*; did you mean decay_mnist?"),
        (["src.study", "study=decay_mnist", "also=[data.limt=3]", "output_dir=TMP"], "; did you mean data.limit?"),
        (["src.study", "budgt=3h"], "budgt is not a key of this program; .*; did you mean budget?"),
        (["src.benchmark", "steps=many"], "steps=many is not allowed; give a whole number of at least 1"),
        (["src.benchmark_population", "members=28"], r"members=28 is not a list; write members=\[...\]"),
        (["src.benchmark_study", "drawn=0"], "drawn=0 is not allowed; give a whole number of at least 4"),
        (["src.benchmark", "stps=3"], "stps is not a key of this program; .*; did you mean steps?"),
        (["src.lr_find", "range_test.steps=500"], "range_test is called lr_find now"),
        (["src.lr_find", "lr_find.repeats=true"], "lr_find.repeats=true is not allowed; give a whole number"),
        (["src.lr_find", "lr_find.step=500"], "lr_find.step is not a key; .* did you mean lr_find.steps?"),
        (["src.carry_over", "nonesuch"], "nonesuch is not there"),
        (["src.carry_over", "outputs", "--hepl"], "unrecognized arguments: --hepl; did you mean --help?"),
        (["src.carry_over", "docz"], "docz is not there; .*; did you mean docs?"),
        (["src.train", "lr=0,1"], "lr=0,1 has several values; .* -m .*: 0.1"),
    ],
)
def test_a_mistake_is_answered_in_a_sentence(tmp_path: Path, command: list[str], sentence: str) -> None:
    code, said, wrong = started("-m", *(word.replace("TMP", str(tmp_path)) for word in command))
    assert (code, said) == (2, "")
    assert "Traceback" not in wrong
    assert len(wrong.splitlines()) == 1
    assert wrong.startswith("error: ")
    assert re.search(sentence, wrong)


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A second clone, as far as programs are concerned."""
    for name in ("src", "conf"):
        shutil.copytree(REPOSITORY / name, tmp_path / "clone" / name, ignore=shutil.ignore_patterns("__pycache__"))
    return tmp_path / "clone"


@pytest.mark.parametrize(
    ("file", "command"),
    [
        ("conf/train.yaml", ["src.train"]),
        ("conf/model/mnist_cnn.yaml", ["src.train", "-m", "model=mnist_cnn,linear"]),
        ("conf/benchmark.yaml", ["src.benchmark"]),
        ("conf/studies/decay_mnist.yaml", ["src.report", "study=decay_mnist"]),
    ],
)
def test_a_mistake_in_a_yaml_file_is_told_with_its_place(checkout: Path, file: str, command: list[str]) -> None:
    (checkout / file).write_text("seed: 0\nlr: 0.1\n\tepochs: 3\n")
    code, said, wrong = started("-m", *command, place=checkout)
    assert (code, said) == (2, "")
    assert wrong == f"error: {checkout / file}, line 3 is not valid YAML: {TAB}; correct it there.\n"


# Says where the library comes from, instead of training.
SAY = "import sys; print(*(sys.modules[name].__path__[0] for name in ('lr_lab', 'hydra_plugins.lr_lab')))\n"


@pytest.mark.parametrize("way", [["-m", "src.train"], ["src/train.py"]], ids=["module", "file"])
def test_a_second_clone_uses_its_own_library(checkout: Path, way: list[str]) -> None:
    """The interpreter has the first clone's library installed."""
    training = checkout / "src" / "lr_lab" / "run" / "training.py"
    training.write_text(training.read_text() + "\n\n" + SAY)
    code, said, wrong = started(*way, "data.limit=64", "epochs=1", "output_dir=runs", place=checkout, env=BARE)
    assert code == 0, wrong
    assert said.splitlines()[0].split() == [
        str(checkout / "src" / "lr_lab"),
        str(checkout / "src" / "hydra_plugins" / "lr_lab"),
    ]


def test_a_checkout_that_is_not_installed_trains_a_sweep(checkout: Path) -> None:
    """`-S` leaves out the files by which an editable install adds its folder to the path."""
    packages = BARE | {"PYTHONPATH": sysconfig.get_path("purelib")}
    options = ("data.limit=64", "epochs=1", "output_dir=runs", "trainer.accelerator=cpu")
    code, _, wrong = started("-S", "-m", "src.train", "-m", "seed=0,1", *options, place=checkout, env=packages)
    assert code == 0, wrong
    assert len(list(checkout.glob("runs/first_look/*/result.json"))) == 2
