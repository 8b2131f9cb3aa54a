"""Training one run: config -> parts -> Trainer.fit -> result."""

from __future__ import annotations

import errno
import logging
import math
import sys
import traceback
from collections.abc import Mapping
from typing import Any

from lr_lab.errors import RunBusy, UserError
from lr_lab.run.folder import RunFolder, run_path
from lr_lab.run.summary import summarise

log = logging.getLogger(__name__)

# Ways in which an attempt at a run ends, beside folder.FINISHED.
FAILED = "failed"
BUSY = "busy"  # another process trains it
UNWRITABLE = "unwritable"  # the disk is full, so the other runs of the sweep cannot be kept either

_DISK_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)


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
    from lr_lab.run.inputs import code, files
    from lr_lab.run.parts import Parts
    from lr_lab.run.process import prepare_process
    from lr_lab.run.progress import RunProgress
    from lr_lab.run.recorder import Recorder
    from lr_lab.schedule.foresight import oddities

    prepare_process()
    parts = Parts.of(config)
    parts.check()  # before there is a folder
    made_by = code(config)  # before the data are read, as somebody may edit it meanwhile
    with folder.training(config, blank=summarise(config, [])):
        parts.read()
        schedule = parts.schedule
        if schedule.position.strategy.per_step:  # the others were judged before (parts.check_buildable)
            for remark in oddities(schedule.position, config["epochs"], parts.data.steps_per_epoch).values():
                log.warning(remark)
                if show_progress:
                    print(remark, file=sys.stderr)
        recorder = Recorder(folder, config, schedule, parts.data, parts.probes)
        checkpoint = recorder.restore()
        if checkpoint is None:
            folder.write_inputs(made_by, files(parts.data))
        if not recorder.has_ended:
            display = [RunProgress(config["epochs"], recorder.rows)] if show_progress else []
            trainer = parts.trainer(recorder, *display)
            trainer.fit(parts.module, parts.data, ckpt_path=checkpoint, weights_only=True)
        return recorder.finish()


def attempt(config: Mapping[str, Any]) -> tuple[str, str | None]:
    """Trains one run in this process and raises nothing: the way it ended, and for a failure the reason."""
    try:
        return train(dict(config))["status"], None
    except RunBusy as error:
        return BUSY, str(error)
    except UserError as error:
        full = isinstance(error.__cause__, OSError) and error.__cause__.errno in _DISK_FULL
        return UNWRITABLE if full else FAILED, str(error)
    except Exception:
        return FAILED, traceback.format_exc()


def objective(result: Mapping[str, Any]) -> float | None:
    """The number that a run is for: its final validation accuracy, or loss for regression.

    A diverged run counts as the worst there is, so that a sweeper which optimises leaves its neighbourhood: accuracy 0,
    or infinite loss.
    """
    accuracy = result["val_accuracy"]
    if result["status"] == "diverged":
        return math.inf if accuracy is None else 0.0
    return result["val_loss"] if accuracy is None else accuracy
