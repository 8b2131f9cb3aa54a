"""One run: config -> data + module + callbacks -> Trainer.fit -> result. `python -m src.train --help` says how."""

from __future__ import annotations

import signal
import sys

import hydra
from omegaconf import DictConfig

from lr_lab.errors import UserError
from lr_lab.run.config import resolve, start
from lr_lab.run.folder import RunFolder, run_path
from lr_lab.run.training import objective, train
from lr_lab.sweep.outcome import report_outcome
from lr_lab.sweep.runs import Run
from lr_lab.terminal import Terminal


@hydra.main(version_base="1.3", config_path="../conf", config_name="train")
def main(cfg: DictConfig) -> float | None:
    """Trains one run and prints what became of it. Returns its objective, for Hydra's optimising sweepers."""
    try:
        config = resolve(cfg)
        # Here, so that --help and a typing mistake need not wait for torch.
        from lr_lab.run.parts import check_buildable

        if not RunFolder(run_path(config)).finished():
            check_buildable([config])  # before there is a folder, so that a mistake leaves none
        result = train(config, show_progress=True)
        report_outcome([Run(config, settings={})], Terminal())
    except UserError as error:
        sys.exit(f"error: {error}")
    except SystemExit as stop:  # Lightning's, with code 1 after Ctrl-C and none, which would be success, after SIGTERM
        sys.exit(128 + (signal.SIGTERM if stop.code is None else signal.SIGINT))
    return objective(result)


if __name__ == "__main__":
    start(main, "Interrupted; the same command goes on from here.")
