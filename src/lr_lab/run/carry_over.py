"""Runs of earlier versions under today's names: what a run is called follows from its configuration.

Until November 2026 a configuration named the file of each part (`src.models.mnist_cnn.MnistCNN`), and two choices had
other names (docs/changes.md). A run keeps its numbers; its configuration, its hash and its folder get today's names.
Runs that have them already stay as they are.
"""

from __future__ import annotations

import re
import tarfile
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from lr_lab.errors import RunBusy, UserError
from lr_lab.run.archive import pack
from lr_lab.run.folder import RunFolder, config_hash, run_folders, run_path, write_results, write_text

_PART = re.compile(r"^src\.(data|models|probes|schedule)\.(\w+)\.(\w+)$")
_RENAMED = {("sequences", "Step"): "Staircase", ("strategies", "Step"): "EveryStep"}
_SEQUENCES = {"step": "staircase", "warmup-step": "warmup-staircase"}
_STRATEGIES = {"step": "every_step"}


def carried_config(config: Mapping[str, Any]) -> dict[str, Any]:
    """The configuration with today's names; one that has them comes back as it is."""
    carried = {key: _with_public_targets(value) for key, value in config.items()}
    names = config["names"]
    return carried | {
        "names": {
            **names,
            "sequence": _SEQUENCES.get(names["sequence"], names["sequence"]),
            "strategy": _STRATEGIES.get(names["strategy"], names["strategy"]),
        }
    }


def _with_public_targets(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _with_public_targets(item) for key, item in value.items()}
    if isinstance(value, str) and (match := _PART.match(value)):
        package, module, name = match.groups()
        return f"lr_lab.{package}.{_RENAMED.get((module, name), name)}"
    return value


def carry_over_run(folder: RunFolder) -> bool:
    """Gives a run today's names. Returns whether anything changed.

    Raises:
        RunBusy: another process is training the run.
        UserError: a file cannot be read or written, or the folder of today's name is taken.
    """
    config = folder.config()
    carried = carried_config(config)
    target = folder.path.with_name(run_path(carried).name)
    if carried == config and target == folder.path:
        return False
    if target != folder.path and target.exists():
        raise UserError(f"{folder.path} and {target} are the same run; delete the one that you do not need.")
    with folder.locked():
        if result := folder.result():
            names = {key: carried["names"][key] for key in ("sequence", "strategy")}
            folder.write_result(result | names | {"config_hash": config_hash(carried)})
        write_text(folder.config_file, yaml.safe_dump(carried, sort_keys=False))
    folder.path.rename(target)
    return True


def carry_over_study(study: Path) -> tuple[int, list[str]]:
    """Gives the runs in a study's folder today's names; `results.csv` of the study follows.

    Returns:
        How many runs changed, and a sentence for each run that stays as it is and should not.

    Raises:
        UserError: `results.csv` cannot be written.
    """
    changed = 0
    problems: list[str] = []
    for folder in run_folders(study):
        try:
            changed += carry_over_run(folder)
        except (RunBusy, UserError) as error:
            problems.append(str(error))
    if changed:
        write_results(study)
    return changed, problems


def carry_over_archive(archive: Path) -> tuple[int, list[str]]:
    """The same for the runs in an archive that `make keep` wrote; the archive is written anew if a run changed.

    Returns, raises: as `carry_over_study`.
    """
    with tempfile.TemporaryDirectory() as place:
        try:
            with tarfile.open(archive) as kept:
                kept.extractall(place, filter="data")
        except (OSError, tarfile.TarError) as error:
            raise UserError(f"{archive} cannot be unpacked ({error}); make it again with make keep.") from error
        changed = 0
        problems: list[str] = []
        for study in sorted(path for path in Path(place).iterdir() if path.is_dir()):
            found, said = carry_over_study(study)
            changed, problems = changed + found, problems + said
        if changed:
            pack(Path(place), archive)
    return changed, problems
