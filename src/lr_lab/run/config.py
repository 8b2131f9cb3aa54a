"""From Hydra's composed configuration to a plain, checked one.

This module imports no torch, so that mistakes answer at once.
"""

from __future__ import annotations

import functools
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import hydra
from hydra import initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf, open_dict
from omegaconf.errors import OmegaConfBaseException

from lr_lab.checks import check_choice, check_number, check_whole_number, is_number, typed
from lr_lab.errors import NotAllowed, UserError, did_you_mean, first_line
from lr_lab.run.command_line import in_one_sentence, tidied
from lr_lab.run.fitting import FACTS, facts, filled
from lr_lab.run.folder import run_folders
from lr_lab.run.hardware import multiplies_bfloat16

CONFIG_DIR = Path(__file__).resolve().parents[3] / "conf"

# The keys of conf/train.yaml; the range test adds lr_find.
_KEYS = (
    *("lr", "epochs", "batch_size", "seed", "study", "output_dir", "init_from", "retrain"),
    *("label_smoothing", "gradient_clip", "decay_norms_and_biases", "ema"),
    *("data", "augment", "model", "optimizer", "sequence", "warmup", "strategy", "probes", "trainer", "analysis"),
)
# Groups that name a class. Warmup and augment may be empty, and there may be several probes.
_PARTS = ("data", "model", "optimizer", "sequence", "strategy", "trainer")
# Keys of a part that belong to the run: key -> the key to give instead.
_SET_ELSEWHERE = {
    "optimizer": {"lr": "lr"},
    "data": {"batch_size": "batch_size", "seed": "seed"},
    "sequence": {"lr": "lr"},
    "trainer": {"max_epochs": "epochs", "callbacks": "probes", "logger": "output_dir"},
}

# Arguments of Lightning's Trainer that a person may set. The others belong to the run (epochs, callbacks, logging) or
# do not work with blocks of batches: clipping, accumulating, limits of batches.
_TRAINER = ("accelerator", "devices", "precision", "deterministic", "benchmark", "profiler")
_ACCELERATORS = ("auto", "cpu", "gpu", "cuda", "mps")
_PRECISIONS = ("32-true", "bf16-mixed", "auto")  # float16 would need its losses scaled, in probes and range tests too
_PROFILERS = (None, "simple", "advanced", "pytorch")

# The report's names of its sequences (Yang & Huang 2019, section 3.1), for those who type them.
_RENAMED = {("sequence", "step"): "staircase", ("strategy", "step"): "every_step"}
_RENAMED_KEYS = {"range_test": "lr_find"}
_ALIASES = {"seq1": "inverse", "seq2": "inverse_sqrt", "seq3": "exponential", "seq4": "cyclic"}


def resolve(cfg: DictConfig) -> dict[str, Any]:
    """The configuration of one run as plain containers, interpolations resolved, top-level values checked.

    Raises:
        UserError: a value is missing, of the wrong type or out of range; the sentence names it and what is allowed.
    """
    raw: dict[str, Any] = OmegaConf.to_container(cfg)  # type: ignore[assignment]
    if isinstance(raw.get("probes"), dict):
        raw["probes"] = {name: probe for name, probe in raw["probes"].items() if not _is_left_over(name, probe)}
    own = _typed_of_model()
    if own and isinstance(raw.get("model"), dict):  # the chosen file describes another network
        raw["model"] = {key: value for key, value in raw["model"].items() if key in own}
    _check_keys(raw)
    config = _without_interpolations(raw)
    check_choice("retrain", config.pop("retrain"), (True, False))  # decides what happens to runs and is not part of one
    if own:
        config["names"]["model"] = _network_name(config["model"])
    _fit_to_data(config, is_own=bool(own))
    for group in _SET_ELSEWHERE:
        for key in config[group]:
            _refuse_set_elsewhere(group, key)
    _check_trainer(config["trainer"])
    config["names"]["sequence"] = _sequence_name(config)
    config["lr"] = _rate(config["lr"])
    if isinstance(config["data"].get("images"), str):  # a slash at its end does not make it another folder
        config["data"]["images"] = os.path.normpath(config["data"]["images"])
    tolerance = config["analysis"].get("convergence_tolerance")
    part = "a part of all images, such as 0.01"
    check_number("analysis.convergence_tolerance", tolerance, part, lambda x: 0 < x < 1)
    if not isinstance(config["init_from"], str | None):
        raise UserError(f"init_from={config['init_from']} is not a file; name one of initial weights, or null.")
    for key, least in (("epochs", 1), ("batch_size", 1), ("seed", 0)):
        check_whole_number(key, config[key], least)
    _check_extras(config)
    for key in ("study", "output_dir"):
        check_name(key, config[key])
    if "/" in config["study"] or config["study"].startswith("."):
        raise UserError(f"study={config['study']} is not one folder's name; leave out slashes and leading dots.")
    if config["trainer"]["precision"] == "auto":
        config["trainer"]["precision"] = _precision(config)
    return config


def _precision(config: dict[str, Any]) -> str:
    """The precision that `auto` stands for: that of the study's runs, and in a new study what this machine does best.

    A study whose runs differ in precision goes on in that of the first by name.
    """
    begun = run_folders(Path(config["output_dir"]) / config["study"])
    if begun:
        return str(begun[0].config()["trainer"]["precision"])
    return "bf16-mixed" if multiplies_bfloat16(config["trainer"]["accelerator"]) else "32-true"


def _refuse_set_elsewhere(group: str, key: str) -> None:
    if instead := _SET_ELSEWHERE.get(group, {}).get(key):
        raise UserError(f"{group}.{key} is not for you to set, it follows from the run; give {instead}= instead.")


def _typed() -> list[str]:
    """The settings of the command line, key=value each, as typed."""
    # Iterating over the list itself would resolve interpolations.
    typed: list[str] = OmegaConf.to_container(HydraConfig.get().overrides.task)  # type: ignore[assignment]
    return [override.lstrip("+") for override in typed]


def _typed_of_model() -> set[str]:
    """The keys of a network whose class the command line names, `_target_` included; none if it names no class."""
    keys = {override.partition("=")[0].split(".")[1] for override in _typed() if override.startswith("model.")}
    return keys if "_target_" in keys else set()


def _network_name(model: Mapping[str, Any]) -> str:
    """A name for folders and tables: the given one, else that of the class or function."""
    name = model.get("model_name") or model.get("name") or model["_target_"].rpartition(".")[2]
    return re.sub(r"[^\w.]+", "_", str(name))


def _without_interpolations(raw: dict[str, Any]) -> dict[str, Any]:
    """A configuration with its interpolations resolved; the data give `${data.classes}` and the like."""
    text = str(raw)
    wanted = [key for key in FACTS if f"${{data.{key}}}" in text and key not in raw["data"]]
    try:
        if wanted:
            known = facts(_resolved({**raw, "model": None})["data"])
            if lacking := [key for key in wanted if known[key] is None]:
                chosen = HydraConfig.get().runtime.choices
                raise UserError(
                    f"model={chosen['model']} needs data with {', '.join(lacking)}, and data={chosen['data']} has "
                    "none; choose another model or other data."
                )
            raw = {**raw, "data": {**raw["data"], **{key: known[key] for key in wanted}}}
        config = _resolved(raw)
    except OmegaConfBaseException as error:
        raise UserError(f"The configuration cannot be resolved: {first_line(error)}") from error
    for key in wanted:
        del config["data"][key]
    return config


def _resolved(raw: dict[str, Any]) -> dict[str, Any]:
    return OmegaConf.to_container(OmegaConf.create(raw), resolve=True, throw_on_missing=True)  # type: ignore[return-value]


def _fit_to_data(config: dict[str, Any], is_own: bool) -> None:
    """Gives a person's own network its arguments from the data, and notes the classes if no argument does."""
    known = functools.cache(lambda: facts(config["data"]))
    if is_own or not str(config["model"]["_target_"]).startswith("lr_lab."):
        config["model"] = filled(config["model"], known)
    if "classes" not in config["model"] and (classes := known()["classes"]) is not None:
        config["classes"] = classes


def _is_left_over(name: str, probe: Any) -> bool:
    """True if an experiment configures this probe but `probes=` on the command line did not select it."""
    typed = _typed()
    chosen = [override.removeprefix("probes=") for override in typed if override.startswith("probes=")]
    return (
        bool(chosen)
        and name not in re.findall(r"\w+", chosen[-1])
        and not any(override.startswith(f"probes.{name}.") for override in typed)
        and isinstance(probe, dict)
        and "_target_" not in probe
        and (CONFIG_DIR / "probes" / f"{name}.yaml").exists()
    )


def _check_keys(config: dict[str, Any]) -> None:
    """Raises UserError for a missing key, for an unknown one, and for a part of a run that names no class."""
    for key in (*_KEYS, "names"):
        if key not in config:
            raise UserError(f"{key} is missing; every run needs it, so leave out ~{key}.")
    for key in config:
        _check_key(key, _KEYS, "names", "lr_find")
    for key in ("names", "analysis"):
        if not isinstance(config[key], dict):
            raise UserError(f"{key}={config[key]} is not what conf/train.yaml has there; leave {key}= out.")
    for key in ("data", "model", "optimizer", "sequence", "strategy"):
        if key not in config["names"]:
            raise UserError(f"names.{key} is missing; every run needs it, so leave out ~names.{key}.")
    parts = {group: config[group] for group in _PARTS}
    parts |= {group: config[group] for group in ("warmup", "augment") if config[group]}
    if isinstance(config["probes"], dict):
        if "_target_" in config["probes"]:
            raise UserError(
                f"probes={config['probes']['_target_']} has no name; begin its file in conf/probes with the line "
                "`# @package probes.<name>`."
            )
        parts |= {f"probes.{name}": probe for name, probe in config["probes"].items()}
    for name, part in parts.items():
        if not (isinstance(part, dict) and "_target_" in part):
            group = name.partition(".")[0]
            known = ", ".join(sorted(file.stem for file in (CONFIG_DIR / group).glob("*.yaml")))
            raise UserError(f"{name}={part} names no class; choose {group}= one of {known}.")


def _check_trainer(trainer: dict[str, Any]) -> None:
    for key in trainer:
        if key not in ("_target_", *_TRAINER):
            raise UserError(f"trainer.{key} is not for you to set; allowed are {', '.join(_TRAINER)}.")
    for key in ("accelerator", "devices", "precision"):
        if key not in trainer:
            raise UserError(f"trainer.{key} is missing; every run needs it, so leave out ~trainer.{key}.")
    choices: dict[str, tuple[Any, ...]] = {
        "accelerator": _ACCELERATORS,
        "precision": _PRECISIONS,
        "profiler": _PROFILERS,
        "deterministic": (None, True, False, "warn"),
        "benchmark": (None, True, False),
    }
    for key, allowed in choices.items():
        check_choice(f"trainer.{key}", trainer.get(key, allowed[0]), allowed)
    if trainer["devices"] not in (1, "1"):
        raise UserError(
            f"trainer.devices={trainer['devices']} is not 1: one run trains on one device; "
            "to use several devices, start a sweep with -m, which puts a run on each."
        )


def _check_extras(config: dict[str, Any]) -> None:
    part = "a number from 0 to below 1, such as 0.1; 0 is off"
    check_number("label_smoothing", config["label_smoothing"], part, lambda x: 0 <= x < 1)
    if config["gradient_clip"] is not None:
        norm = "a number above 0, such as 1; null is off"
        check_number("gradient_clip", config["gradient_clip"], norm, lambda x: x > 0)
    if config["ema"] is not None:
        decay = "a number between 0 and 1, such as 0.999; null is off"
        check_number("ema", config["ema"], decay, lambda x: 0 < x < 1)
    check_choice("decay_norms_and_biases", config["decay_norms_and_biases"], (True, False))


def check_name(key: str, value: Any) -> None:
    """Raises UserError unless the value of a key can name a folder."""
    if not isinstance(value, str) or not value.strip():
        raise UserError(f"{key}={value!r} is not a name; give a folder's name, such as {key}=first_look.")


def _check_key(key: str, keys: Sequence[str], *others: str) -> None:
    """Raises UserError for a key that no configuration has: Hydra lets anybody add one with a plus."""
    if key in _RENAMED_KEYS and _RENAMED_KEYS[key] in keys:
        raise UserError(f"{key} is called {_RENAMED_KEYS[key]} now; type that.")
    if key not in (*keys, *others):
        what = "key of a run" if "lr" in keys else "key of this program"
        raise UserError(f"{key} is not a {what}; allowed are {', '.join(keys)}{did_you_mean(key, keys)}")


def _sequence_name(config: dict[str, Any]) -> str:
    """One name per sequence: aliases resolved, a scheduler of torch and a warmup named."""
    name = config["names"]["sequence"]
    name = _ALIASES.get(name, name)
    if "scheduler" in config["sequence"]:
        name = f"{name}-{str(config['sequence']['scheduler']).rpartition('.')[2]}"
    return f"warmup-{name}" if config["warmup"] else name


def compose(*overrides: str) -> dict[str, Any]:
    """The configuration of the run that `python -m src.train *overrides` would train, for use from Python.

    Raises:
        UserError: as `resolve`.
    """
    GlobalHydra.instance().clear()  # hydra.main has made one already
    try:
        with initialize_config_dir(str(CONFIG_DIR), version_base="1.3"):
            cfg = hydra.compose("train", tidied(overrides, _KEYS), return_hydra_config=True)
    except HydraException as error:
        raise UserError(in_one_sentence(error)) from error
    HydraConfig.instance().set_config(cfg)
    with open_dict(cfg):
        del cfg["hydra"]
    return resolve(cfg)


def _rate(lr: Any) -> float:
    if not (is_number(lr) and lr > 0):
        raise NotAllowed(f"lr={typed(lr)} is not a learning rate; give a finite number above 0, such as lr=0.01.")
    return float(lr)


def keys_of(program: str) -> tuple[str, ...]:
    """The keys that a person may set at the top of conf/<program>.yaml."""
    if program == "train":
        return _KEYS
    own = tuple(str(key) for key in OmegaConf.load(CONFIG_DIR / f"{program}.yaml") if key not in ("defaults", "hydra"))
    return (*_KEYS, *own) if program == "lr_find" else own


def check_choices(arguments: Sequence[str], program: str = "train") -> None:
    """Refuses, in a sentence, a choice on the command line that no file in conf/ answers to.

    Hydra would say the same over several lines and, in a sweep, only when that run starts.

    Args:
        arguments: the command line, such as ``["-m", "strategy=epoch,cutof"]``.
        program: whose command line it is.

    Raises:
        UserError: a group has no such choice, or the program no such key.
    """
    keys = keys_of(program)
    for argument in arguments:
        group, separator, choices = argument.partition("=")
        if separator and not group.startswith(("-", "~", "hydra")):
            key, _, inner = group.lstrip("+").partition("@")[0].partition(".")
            _check_key(key, keys, "experiment")
            _refuse_set_elsewhere(key, inner)
        folder = CONFIG_DIR / group.lstrip("+")
        # Hydra and its plugins have choices of their own in Hydra's groups.
        if (
            not separator
            or not folder.is_dir()
            or group.startswith("hydra/")
            or any(mark in choices for mark in "({$'\"")
        ):
            continue
        known = sorted(file.stem for file in folder.glob("*.yaml"))
        for choice in choices.replace("[", "").replace("]", "").split(","):  # `probes=[]` selects nothing and is valid
            if (group, choice.strip()) in _RENAMED:
                raise UserError(f"{group}={choice} is called {group}={_RENAMED[group, choice.strip()]} now; type that.")
            if choice.strip() not in (*known, ""):
                hint = did_you_mean(choice, known)
                raise UserError(f"{group}={choice} is not a choice; allowed are {', '.join(known)}{hint}")
