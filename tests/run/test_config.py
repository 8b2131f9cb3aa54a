"""From the command line to a checked configuration."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from conftest import REPOSITORY

from lr_lab.errors import UserError
from lr_lab.run.config import CONFIG_DIR, check_choices, compose

Configure = Callable[..., dict[str, Any]]


@pytest.mark.parametrize(
    ("override", "sentence"),
    [
        ("lr=-1", "lr=-1 is not a learning rate; give a finite number above 0"),
        ("lr=0", "lr=0 "),
        ("lr=abc", "lr=abc "),
        ("lr=inf", "lr=inf "),
        ("lr=nan", "lr=nan "),
        ("lr=true", "lr=true "),
        ("lr=[0.1,0.2]", "lr="),
        ("epochs=0", "epochs=0 is not allowed; give a whole number of at least 1"),
        ("epochs=2.5", "epochs=2.5 "),
        ("batch_size=0", "batch_size=0 "),
        (
            "label_smoothing=1",
            "label_smoothing=1 is not allowed; give a number from 0 to below 1, such as 0.1; 0 is off",
        ),
        ("label_smoothing=null", "label_smoothing=null is not allowed"),
        ("gradient_clip=0", "gradient_clip=0 is not allowed; give a number above 0, such as 1; null is off"),
        ("gradient_clip=inf", "gradient_clip=inf is not allowed"),
        ("ema=1", "ema=1 is not allowed; give a number between 0 and 1, such as 0.999; null is off"),
        ("ema=true", "ema=true is not allowed"),
        ("decay_norms_and_biases=0", "decay_norms_and_biases=0 is not allowed; choose one of true, false"),
        ("seed=-1", "seed=-1 is not allowed; give a whole number of at least 0"),
        ("study=a/b", "study=a/b "),
        ("study=[a]", r"study=\['a'\] is not a name"),
        ("trainer.devices=2", "trainer.devices=2 .* start a sweep with -m"),
        ("trainer.accelerator=tpus", "trainer.accelerator=tpus is not allowed; choose one of auto, cpu"),
        ("trainer.precision=16-mixed", "trainer.precision=16-mixed is not allowed; choose one of 32-true, bf16-mixed"),
        ("trainer.precision=64-true", "trainer.precision=64-true is not allowed; choose one of 32-true"),
        (
            "+trainer.limit_train_batches=2",
            "trainer.limit_train_batches is not for you to set; allowed",
        ),
        ("+trainer.gradient_clip_val=1", "trainer.gradient_clip_val is not for you to set"),
        ("~trainer.precision", "trainer.precision is missing; .* leave out ~trainer.precision"),
        ("~optimizer", "optimizer is missing; .* leave out ~optimizer"),
        ("~seed", "seed is missing"),
        ("~names", "names is missing"),
        ("~names.model", r"names\.model is missing"),
        (
            "+warmup.length=1",
            r"warmup=\{'length': 1\} names no class; .* linear, none",
        ),
        ("+probes.x=5", "probes.x=5 names no class; .* sharpness"),
        ("+probes.sharpness.every=2", "probes.sharpness={'every': 2} names no class"),
        (
            "+probes._target_=lr_lab.probes.Mine",
            "probes=lr_lab.probes.Mine has no name; begin its file in conf/probes with",
        ),
        ("+probes.x=null", "probes.x=None names no class"),
        ("~analysis.convergence_tolerance", "analysis.convergence_tolerance=null is not allowed"),
        ("+trainer.profiler=banana", "trainer.profiler=banana is not allowed; choose one of null, simple"),
        ("+trainer.deterministic=banana", "trainer.deterministic=banana is not allowed; choose one of null, true"),
        ("+experiment.x=1", "experiment is not a key of a run"),
        ("data.limit=${nothing}", "cannot be resolved"),
        ("+startegy=cutoff", "startegy is not a key of a run; .* did you mean strategy?"),
        ("+optimizer.lr=0.5", "optimizer.lr is not for you to set.* give lr="),
        ("+data.batch_size=3", "data.batch_size is not for you to set.* give batch_size="),
        ("+data.seed=3", "data.seed is not for you to set.* give seed="),
        ("+sequence.lr=3", "sequence.lr is not for you to set.* give lr="),
        ("+trainer.max_epochs=3", "trainer.max_epochs is not for you to set.* give epochs="),
        ("analysis.convergence_tolerance=-1", "analysis.convergence_tolerance=-1 is not allowed"),
        ("analysis.convergence_tolerance=abc", "analysis.convergence_tolerance=abc is not allowed"),
        ("init_from=[5]", r"init_from=\[5\] is not a file"),
    ],
)
def test_bad_values_are_one_sentence(run_config: Configure, override: str, sentence: str) -> None:
    with pytest.raises(UserError, match=sentence) as refusal:
        run_config(override)
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize("argument", ["startegy=cutoff", "+startegy=cutoff", "optimiser.momentum=0.5"])
def test_an_unknown_key_names_the_known_ones(argument: str) -> None:
    with pytest.raises(
        UserError, match=r"is not a key of a run; allowed are lr, .* did you mean (strategy|optimizer)\?"
    ):
        check_choices([argument])


@pytest.mark.parametrize(
    "argument",
    [
        *("strategy=cutof", "strategy=epoch,cutof", "+data=digit", "model=resnet"),
        *("strategy=null", "probes=[sharpnes]", "probes=[sharpness,gradient_nrm]"),
    ],
)
def test_an_unknown_choice_names_the_known_ones(argument: str) -> None:
    with pytest.raises(UserError, match="is not a choice; allowed are"):
        check_choices(["-m", argument])


@pytest.mark.parametrize(
    "argument",
    [
        *(
            "strategy=epoch,cutoff",
            "lr=0.1",
            "strategy=choice(epoch,cutoff)",
            "-m",
            "~warmup",
            "hydra.launcher.slots=1",
        ),
        *("probes=[]", "probes=[sharpness,gradient_norm]", "probes=[sharpness],[]", "+data.limit=5", "model.width=2"),
    ],
)
def test_choices_that_hydra_understands_pass(argument: str) -> None:
    check_choices([argument])


def groups() -> list[str]:
    """Every choice of every group that a run is made of."""
    files = (file for file in CONFIG_DIR.glob("*/*.yaml") if file.parent.name in GROUPS)
    return sorted(f"{file.parent.name}={file.stem}" for file in files)


GROUPS = ("data", "augment", "model", "optimizer", "sequence", "warmup", "strategy", "trainer", "experiment")


@pytest.mark.parametrize("choice", groups())
def test_every_choice_composes(choice: str, tmp_path: Path) -> None:
    for name in ("cats", "dogs"):
        (tmp_path / "photos" / name).mkdir(parents=True)
    others = {"data=line": ["model=linear"], "data=folder": [f"data.images={tmp_path / 'photos'}"]}
    config = compose(choice, f"output_dir={tmp_path}", *others.get(choice, []))
    group, _, name = choice.partition("=")
    if group in config["names"] and not name.startswith(("seq", "torch")):
        assert config["names"][group] == name


def test_an_experiments_probes_can_be_left_out(run_config: Configure) -> None:
    assert run_config("experiment=fer2013")["probes"].keys() == {"no_eval", "sharpness"}
    assert run_config("experiment=fer2013", "probes=[]")["probes"] == {}
    assert run_config("experiment=high_lr", "probes=[sharpness]")["probes"].keys() == {"sharpness"}
    for mistake in (
        ["experiment=fer2013", "probes=[]", "probes.sharpness.every=2"],
        ["experiment=fer2013", "probes=[sharpness]", "~probes.sharpness._target_"],
        ["probes=[]", "+probes.mine.every=2"],
    ):
        with pytest.raises(UserError, match="names no class"):
            run_config(*mistake)


def test_a_folder_of_images_is_the_same_with_a_slash_at_its_end(
    run_config: Configure, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("cats", "dogs"):
        (tmp_path / "photos" / name).mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    folders = [run_config("data=folder", f"data.images={name}") for name in ("photos", "photos/", "./photos")]
    assert {config["data"]["images"] for config in folders} == {"photos"}


def test_a_reader_of_the_help_who_leaves_sees_no_traceback() -> None:
    program = subprocess.run(
        f"{sys.executable} -m src.train --help | head -1", shell=True, cwd=REPOSITORY, capture_output=True, text=True
    )
    assert program.stdout.startswith("lr-lab")
    assert program.stderr == ""


@pytest.mark.parametrize(
    ("old", "new"), [("sequence=step", "sequence=staircase"), ("strategy=step", "strategy=every_step")]
)
def test_a_renamed_choice_is_told_by_its_new_name(old: str, new: str) -> None:
    with pytest.raises(UserError, match=f"^{old} is called {new} now; type that\\.$"):
        check_choices(["-m", old])
