"""One run: config -> data + module + callbacks -> Trainer.fit -> result. `python -m src.train --help` says how."""

from __future__ import annotations

import signal
import sys
from collections.abc import Mapping
from typing import Any

import hydra
from omegaconf import DictConfig
from rich.console import Console

from src.analysis.summary import summarise
from src.config import resolve, start
from src.errors import UserError
from src.run_folder import RunFolder, run_path
from src.sweep import Run, close, refuse


def train(config: dict[str, Any], show_progress: bool = False) -> dict[str, Any]:
    """Trains the run that a resolved configuration describes; one that is finished already is only read.

    An interrupted run goes on from its last epoch, with the history it would have had without the interruption.

    Returns:
        The content of result.json; `status` is "completed" or "diverged".

    Raises:
        UserError: the configuration, the data or the folder are not usable; the sentence says what to do.
        RunBusy: another process is training this run.
    """
    folder = RunFolder(run_path(config))
    if result := folder.finished():
        return result
    # Here and not above: --help, a typing mistake and a finished run should not wait for torch.
    from src import assembly
    from src.progress import RunProgress
    from src.recorder import Recorder

    assembly.prepare_process()
    data = assembly.build_data(config)
    net = assembly.build_network(config, data)
    with folder.training(config, blank=summarise(config, [])):
        data.setup()
        schedule = assembly.build_schedule(config, data.steps_per_epoch)
        module = assembly.build_module(config, net, data, schedule.rate)
        recorder = Recorder(folder, config, schedule, data)
        checkpoint = recorder.restore()
        if not recorder.has_ended:
            display = [RunProgress(config["epochs"], recorder.rows)] if show_progress else []
            callbacks = [schedule, *assembly.build_probes(config, net), recorder, *display]
            trainer = assembly.build_trainer(config, callbacks)
            trainer.fit(module, data, ckpt_path=checkpoint, weights_only=True)
        return recorder.finish()


@hydra.main(version_base="1.3", config_path="../conf", config_name="train")
def main(cfg: DictConfig) -> float | None:
    """Trains one run and prints what became of it. Returns its objective, for Hydra's optimising sweepers."""
    try:
        config = resolve(cfg)
        if not RunFolder(run_path(config)).finished():
            refuse([config])  # before there is a folder, so that a mistake leaves none
        result = train(config, show_progress=True)
        close([Run(config, settings={})], Console())
    except UserError as error:
        sys.exit(f"error: {error}")
    except SystemExit as stop:  # Lightning's, with code 1 after Ctrl-C and none, which would be success, after SIGTERM
        sys.exit(128 + (signal.SIGTERM if stop.code is None else signal.SIGINT))
    return objective(result)


def objective(result: Mapping[str, Any]) -> float | None:
    """The number that one run is for: its final validation accuracy, or loss for regression."""
    return result["val_loss"] if result["val_accuracy"] is None else result["val_accuracy"]


if __name__ == "__main__":
    start(main, "Interrupted; the same command goes on from here.")
