"""One run: config -> data + module + callbacks -> Trainer.fit -> result. `python -m src.train --help` says how."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

import hydra
from omegaconf import DictConfig

from src.analysis.summary import summarise
from src.config import check_choices, resolve
from src.errors import UserError
from src.run_folder import FINISHED, RunFolder, run_path


def train(config: dict[str, Any], show_progress: bool = False) -> dict[str, Any]:
    """Trains the run that a resolved configuration describes; one that is finished already is only read.

    An interrupted run goes on from its last epoch, with the history it would have had without the interruption.

    Returns:
        The content of result.json; `status` is "completed" or "diverged".

    Raises:
        UserError: the configuration, the data or the folder are not usable; the sentence says what to do.
        RunBusy: another process is training this run.
    """
    # Here and not above, because --help and a typing mistake should not wait for torch.
    from src import assembly
    from src.progress import RunProgress
    from src.recorder import Recorder

    data = assembly.build_data(config)
    net = assembly.build_network(config, data)
    folder = RunFolder(run_path(config))
    with folder.training(config, blank=summarise(config, [])):
        result = folder.result()
        if result and result["status"] in FINISHED:
            return result
        data.setup()
        schedule = assembly.build_schedule(config, data.steps_per_epoch)
        module = assembly.build_module(config, net, data, schedule.rate)
        recorder = Recorder(folder, config, schedule, data)
        checkpoint = recorder.restore()
        if not recorder.has_ended:
            display = [RunProgress(config["epochs"], recorder.rows)] if show_progress else []
            callbacks = [schedule, *assembly.build_probes(config), recorder, *display]
            trainer = assembly.build_trainer(config, callbacks)
            trainer.fit(module, data, ckpt_path=checkpoint, weights_only=True)
        return recorder.finish()


@hydra.main(version_base="1.3", config_path="../conf", config_name="train")
def main(cfg: DictConfig) -> float | None:
    """Returns the run's objective, for Hydra's optimising sweepers."""
    try:
        result = train(resolve(cfg), show_progress=True)
    except UserError as error:
        sys.exit(f"error: {error}")
    return objective(result)


def objective(result: Mapping[str, Any]) -> float | None:
    """The number that one run is for: its final validation accuracy, or loss for regression."""
    return result["val_loss"] if result["val_accuracy"] is None else result["val_accuracy"]


if __name__ == "__main__":
    try:
        check_choices(sys.argv[1:])
    except UserError as error:
        sys.exit(f"error: {error}")
    main()
