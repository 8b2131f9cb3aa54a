"""One run: config -> data + module + callbacks -> Trainer.fit -> result. `python -m src.train --help` says how."""

from __future__ import annotations

import signal
import sys
from typing import TYPE_CHECKING

from lr_lab.program import program

if TYPE_CHECKING:
    from omegaconf import DictConfig


@program("train", interrupted="Interrupted; the same command goes on from here.")
def main(cfg: DictConfig) -> float | None:
    """Trains one run and prints the outcome. Returns its objective, for Hydra's optimising sweepers."""
    from rich.console import Console

    from lr_lab.run.config import resolve
    from lr_lab.run.training import objective, train
    from lr_lab.sweep.freshness import settle_finished
    from lr_lab.sweep.outcome import report_outcome
    from lr_lab.sweep.runs import Run

    config = resolve(cfg)
    run = Run(config, settings={})
    settle_finished([run], cfg.retrain, print)
    try:
        if not run.is_finished:
            # Here, so that a typing mistake need not wait for torch.
            from lr_lab.run.parts import check_buildable

            for remark in check_buildable([config]):  # before there is a folder, so that a mistake leaves none
                print(remark, file=sys.stderr)
        result = train(config, show_progress=True)
        report_outcome([run], Console())
    except SystemExit as stop:  # Lightning's, with code 1 after Ctrl-C and none, which would be success, after SIGTERM
        sys.exit(128 + (signal.SIGTERM if stop.code is None else signal.SIGINT))
    return objective(result)


if __name__ == "__main__":
    main()
