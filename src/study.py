"""One study: trains until its claims are decided, then reports. `python -m src.study --help` says how."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import hydra
from omegaconf import DictConfig, OmegaConf

from lr_lab.checks import check_whole_number
from lr_lab.errors import UserError
from lr_lab.run.config import CONFIG_DIR
from lr_lab.study.study_file import read_study
from lr_lab.sweep.budget import Limit, hours, train_until_decided
from lr_lab.sweep.races import train_until_best


def run(options: dict[str, Any]) -> None:
    """Trains the study of that name, or races the settings of that folder, and reports.

    Raises:
        UserError: an option is not usable, or the study cannot be trained; the sentence says what to do.
    """
    name, output_dir = str(options["study"]), Path(options["output_dir"])
    for key in ("seeds", "more_seeds"):
        check_whole_number(key, options[key], 1, optional=True)
    limit = Limit(hours(options["budget"]), options["seeds"], options["more_seeds"])
    study = read_study(CONFIG_DIR, name)
    if study is None:
        margin = options["matters"] or 0.0
        if isinstance(margin, bool) or not isinstance(margin, int | float) or margin < 0:
            raise UserError(f"matters={margin} is not allowed; give a difference of at least 0, such as 0.002.")
        train_until_best(output_dir / name, limit.hours, limit.seeds, margin)
    elif study.reads:
        print(f"{name} trains nothing: it reads {' and '.join(study.reads)}.")
    else:
        train_until_decided(study, output_dir, limit, [str(override) for override in options["also"]])
    command = [sys.executable, "-m", "src.report", f"study={name}", f"output_dir={output_dir.absolute()}"]
    subprocess.run(command, cwd=CONFIG_DIR.parent, check=False)


@hydra.main(version_base="1.3", config_path="../conf", config_name="study")
def main(cfg: DictConfig) -> None:
    try:
        if OmegaConf.is_missing(cfg, "study"):
            raise UserError("Name the study to train: python -m src.study study=decay_mnist")
        options: dict[str, Any] = OmegaConf.to_container(cfg)  # type: ignore[assignment]
        run(options)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        print("Interrupted; the same command goes on from here.", file=sys.stderr)
        sys.exit(128 + signal.SIGINT)


if __name__ == "__main__":
    main()
