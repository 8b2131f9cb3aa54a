"""One study: trains until its claims are decided, then reports. `python -m src.study --help` says how."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lr_lab.checks import check_number, check_whole_number
from lr_lab.errors import UserError, did_you_mean
from lr_lab.program import program

if TYPE_CHECKING:
    from omegaconf import DictConfig


def run(options: dict[str, Any]) -> None:
    """Trains the study of that name, or races the settings of that folder, and reports.

    Raises:
        UserError: an option is not usable, or the study cannot be trained; the sentence says what to do.
    """
    from lr_lab.run.config import CONFIG_DIR
    from lr_lab.study.study_file import read_study
    from lr_lab.sweep.budget import Limit, hours, train_until_decided
    from lr_lab.sweep.races import train_until_best

    name, output_dir = str(options["study"]), Path(options["output_dir"])
    for key in ("seeds", "more_seeds"):
        check_whole_number(key, options[key], 1, optional=True)
    limit = Limit(hours(options["budget"]), options["seeds"], options["more_seeds"])
    study = read_study(CONFIG_DIR, name)
    if study is None and not (output_dir / name).is_dir():
        known = sorted(file.stem for file in (CONFIG_DIR / "studies").glob("*.yaml"))
        raise UserError(
            f"study={name} is neither a file of conf/studies nor a folder of runs in {output_dir}; files are "
            f"{', '.join(known)}{did_you_mean(name, known)}"
        )
    if study is None:
        margin = options["matters"] or 0.0
        check_number("matters", margin, "a difference of at least 0, such as 0.002", lambda x: x >= 0)
        train_until_best(output_dir / name, limit.hours, limit.seeds, margin)
    elif study.reads:
        print(f"{name} trains nothing: it reads {' and '.join(study.reads)}.")
    else:
        train_until_decided(study, output_dir, limit, [str(override) for override in options["also"]])
    command = [sys.executable, "-m", "src.report", f"study={name}", f"output_dir={output_dir.absolute()}"]
    subprocess.run(command, cwd=CONFIG_DIR.parent, check=False)


@program("study", interrupted="Interrupted; the same command goes on from here.")
def main(cfg: DictConfig) -> None:
    from omegaconf import OmegaConf

    if OmegaConf.is_missing(cfg, "study"):
        raise UserError("Name the study to train: python -m src.study study=decay_mnist")
    options: dict[str, Any] = OmegaConf.to_container(cfg)  # type: ignore[assignment]
    run(options)


if __name__ == "__main__":
    main()
