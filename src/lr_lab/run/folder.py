"""The files of a run: identity and name of its folder, writing files whole, reading them.

A run lives in ``<output_dir>/<study>/<run>/``. Its name is a function of its configuration, so the same
configuration finds its own folder again and different ones never share a folder. Files are written whole or not at all.
"""

from __future__ import annotations

import contextlib
import csv
import hashlib
import io
import json
import logging
import math
import os
import shutil
import traceback
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from filelock import FileLock, Timeout

from lr_lab.errors import RunBusy, Unwritable, UserError

Row = dict[str, Any]

HISTORY_COLUMNS = (
    "epoch",
    "lr",
    "train_loss",
    "train_accuracy",
    "val_loss",
    "val_accuracy",
    "gradient_norm",
    "seconds",
)

# A sweep does not train runs again that ended so.
FINISHED = ("completed", "diverged")
RUNNING, STOPPED = "running", "stopped"

_A_LOOK = 0.5  # seconds to wait for the lock: a process that only looks at a run holds it for much less
# A configuration without one of these was cut short.
_GROUPS = {"data", "model", "optimizer", "sequence", "strategy", "trainer", "names", "analysis"}

# Place and names of a run do not shape its result. Everything else in the configuration does.
_NOT_IDENTITY = {
    None: {"study", "output_dir", "names", "analysis", "init_from", "classes"},
    "data": {"root", "block_size"},
    "trainer": {"accelerator", "devices", "profiler"},
}


# Keys that were added later, with the value that means "off". The identity leaves them out at that value, so that
# earlier runs keep their names.
_OFF: dict[str, Any] = {
    "augment": {},
    "label_smoothing": 0.0,
    "gradient_clip": None,
    "decay_norms_and_biases": True,
    "ema": None,
}


def shaping(config: Mapping[str, Any]) -> dict[str, Any]:
    """The part of a resolved configuration that shapes the result."""
    part = {
        key: value
        for key, value in config.items()
        if key not in _NOT_IDENTITY[None] and not (key in _OFF and value == _OFF[key])
    }
    for group in ("data", "trainer"):
        part[group] = {k: v for k, v in config.get(group, {}).items() if k not in _NOT_IDENTITY[group]}
    return part


def flat_configuration(config: Mapping[str, Any]) -> dict[str, Any]:
    """The values that shape a run, by their paths below the groups (`data.limit`), and those of `later_values`."""
    return dict(flat(shaping(config))) | later_values(config) | {"init_from": config.get("init_from")}


def later_values(config: Mapping[str, Any]) -> dict[str, Any]:
    """The values at the top that came later; a configuration of before has them off."""
    return {key: config.get(key, off) for key, off in _OFF.items() if not isinstance(off, dict)}


def flat(config: Mapping[str, Any], prefix: str = "") -> list[tuple[str, Any]]:
    """The values of nested mappings with their paths; those of the top level are left out."""
    items: list[tuple[str, Any]] = []
    for key, value in config.items():
        if isinstance(value, Mapping):
            items += flat(value, f"{prefix}{key}.")
        elif prefix:
            items.append((f"{prefix}{key}", str(value) if isinstance(value, list) else value))
    return items


def identity(config: Mapping[str, Any]) -> dict[str, Any]:
    """Runs with the same identity have the same result. `init_from` counts by its content, not by its path.

    Raises:
        UserError: the file named by `init_from` cannot be read.
    """
    shapes = shaping(config)
    if config.get("init_from"):
        try:
            shapes["init_from"] = hashlib.sha256(Path(config["init_from"]).read_bytes()).hexdigest()
        except OSError as error:
            raise UserError(
                f"init_from={config['init_from']} cannot be read ({error.strerror}); "
                "name a file of initial weights, or leave it null to draw them from the seed."
            ) from error
    return shapes


def config_hash(config: Mapping[str, Any]) -> str:
    """A hash of the identity, sixteen hexadecimal digits; 1 and 1.0 count as the same number."""
    text = json.dumps(_canonical(identity(config)), sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _canonical(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _canonical(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_canonical(item) for item in value]
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value


def run_path(config: Mapping[str, Any]) -> Path:
    """The folder of a run: words that a person looks for, then eight digits that make it unique."""
    names = config["names"]
    words = [names["data"], names["model"], names["optimizer"], f"lr{config['lr']:g}"]
    words += [names["sequence"], names["strategy"], f"seed{config['seed']}", config_hash(config)[:8]]
    return Path(config["output_dir"]) / config["study"] / "-".join(words)


@contextlib.contextmanager
def written_aside(path: Path) -> Iterator[Path]:
    """Yields a path to write to; when the block ends without an error, the file takes its place in one step.

    Raises:
        UserError: the folder or the file cannot be written (no permission, disk full); what was there stays.
    """
    aside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield aside
        aside.replace(path)
    except OSError as error:
        raise _unwritable(path, error) from error
    finally:
        with contextlib.suppress(OSError):
            aside.unlink()


def _unwritable(path: Path, error: OSError) -> Unwritable:
    return Unwritable(
        f"{path} cannot be written ({error.strerror or error}); free the disk or choose another output_dir."
    )


def write_text(path: Path, text: str) -> None:
    """Writes a text file whole or not at all."""
    with written_aside(path) as aside:
        aside.write_text(text, encoding="utf-8")


def write_csv(path: Path, columns: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> None:
    """Writes rows as CSV, whole or not at all. Floats are written by `repr`, so they read back exactly."""
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, restval="", extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_text(path, text.getvalue())


class RunFolder:
    """The files of one run."""

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)
        self.config_file = self.path / "config.yaml"
        self.history_file = self.path / "history.csv"
        self.result_file = self.path / "result.json"
        self.inputs_file = self.path / "inputs.json"
        self._lock_file = self.path / ".lock"
        self.log_file = self.path / "train.log"
        self.checkpoint_file = self.path / "checkpoints" / "last.ckpt"
        # One epoch older, kept while the run trains: a killed process may have spoiled the newest.
        self.previous_checkpoint_file = self.path / "checkpoints" / "previous.ckpt"

    @contextlib.contextmanager
    def locked(self, patience: float = 0.0) -> Iterator[None]:
        """Holds the run, so that no other process trains it meanwhile.

        The system drops the lock when the process ends, however it ends.

        Args:
            patience: seconds to wait for it.

        Raises:
            RunBusy: another process holds it.
            UserError: the folder cannot be written.
        """
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            lock = FileLock(self._lock_file, timeout=patience).acquire()
        except Timeout as error:
            raise RunBusy(f"{self.path} is being trained by another process; wait for it to end.") from error
        except OSError as error:
            raise _unwritable(self.path, error) from error
        with lock:
            yield

    @contextlib.contextmanager
    def training(self, config: Mapping[str, Any], blank: Mapping[str, Any]) -> Iterator[None]:
        """Holds the lock of the run, keeps its log and records its failure, for the process that trains it.

        Args:
            config: the resolved configuration.
            blank: the result of the run before its first epoch.

        Raises:
            RunBusy: another process is training this run.
            UserError: the folder cannot be written.
        """
        with self.locked(_A_LOOK), self._logging():
            self._remove_leftovers()
            if not self.finished():
                write_text(self.config_file, yaml.safe_dump(dict(config), sort_keys=False))
                self.write_result({**(self.result() or blank), "status": RUNNING, "error": None})
            try:
                yield
            except Exception as error:
                reason = str(error) if isinstance(error, UserError) else traceback.format_exc()
                logging.getLogger(__name__).error("failed: %s", reason, extra={"run": self.path})
                # The exception may belong to another member of a population: a run that has ended stays as it is.
                if not self.finished():
                    with contextlib.suppress(UserError):
                        self.record_failure(blank, reason)
                raise
            except (KeyboardInterrupt, SystemExit):  # Ctrl-C, and what Lightning makes of it and of SIGTERM
                with contextlib.suppress(UserError):
                    self._note_stop()
                raise

    def record_failure(self, blank: Mapping[str, Any], reason: str) -> None:
        """Marks the run as failed, with the reason, and keeps the rest of its result."""
        self.write_result({**(self.result() or blank), "status": "failed", "error": reason})

    def _note_stop(self) -> None:
        result = self._written_result()
        if result and result["status"] == RUNNING:
            self.write_result(result | {"status": STOPPED})

    def note_stop(self) -> None:
        """Writes down that the run was stopped, if the process that trained it has ended without a word."""
        if (self.result() or {}).get("status") == STOPPED:
            with contextlib.suppress(UserError), self.locked():
                self._note_stop()

    @property
    def is_busy(self) -> bool:
        """Whether a process trains it.

        Raises:
            UserError: the lock cannot be tried.
        """
        try:
            if self._lock_file.exists():
                with self.locked():
                    pass
        except RunBusy:
            return True
        return False

    @contextlib.contextmanager
    def _logging(self) -> Iterator[None]:
        try:
            handler = logging.FileHandler(self.log_file, encoding="utf-8")
        except OSError as error:
            raise _unwritable(self.log_file, error) from error
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
        # Records carry `run` when one process trains several runs; records without it go to every log.
        handler.addFilter(lambda record: getattr(record, "run", self.path) == self.path)
        root = logging.getLogger()
        root.addHandler(handler)
        root.setLevel(logging.INFO)
        try:
            yield
        finally:
            root.removeHandler(handler)
            handler.close()

    def _remove_leftovers(self) -> None:
        """Removes files that a killed process was still writing aside."""
        for folder in (self.path, self.checkpoint_file.parent):
            for leftover in folder.glob(".*.[0-9]*"):
                leftover.unlink()

    def clear(self) -> None:
        """Removes what the run has left, so that it is trained anew; its log stays.

        Raises:
            RunBusy: another process is training the run.
            UserError: a file cannot be removed.
        """
        with self.locked():
            try:
                # The result first: without it the run counts as begun, should this be cut short.
                for file in (self.result_file, self.history_file, self.inputs_file):
                    file.unlink(missing_ok=True)
                for folder in (self.checkpoint_file.parent, self.path / "tensorboard"):
                    if folder.exists():
                        shutil.rmtree(folder)
            except OSError as error:
                raise _unwritable(self.path, error) from error

    def config(self) -> dict[str, Any]:
        """The content of config.yaml.

        Raises:
            UserError: it is missing or damaged.
        """
        unusable = UserError(f"{self.config_file} cannot be read; delete {self.path} to train that run anew.")
        try:
            # A study may have a thousand runs, and the parser written in Python takes 10 ms for each.
            config = yaml.load(self.config_file.read_bytes(), Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
        except (OSError, yaml.YAMLError) as error:
            raise unusable from error
        if not (isinstance(config, dict) and config.keys() >= _GROUPS):
            raise unusable
        return config

    def write_history(self, rows: Sequence[Row]) -> None:
        """Writes one row per epoch; columns beyond the common ones (the probes') follow in their own order."""
        extra = [column for column in (rows[0] if rows else ()) if column not in HISTORY_COLUMNS]
        write_csv(self.history_file, [*HISTORY_COLUMNS, *extra], rows)

    def history(self) -> list[Row]:
        """The rows of history.csv, exactly as they were written; [] if there are none yet.

        Raises:
            UserError: it is damaged, or has fewer epochs than the result.
        """
        if not self.history_file.exists():
            return []
        damaged = UserError(f"{self.history_file} is damaged; delete {self.path} to train that run anew.")
        least = (self._written_result() or {}).get("epochs_run", 0)  # read first, as it is written last
        text = self.history_file.read_text(encoding="utf-8")
        try:
            rows = [{key: _number(key, cell) for key, cell in row.items()} for row in csv.DictReader(io.StringIO(text))]
        except (TypeError, ValueError) as error:  # a row is cut short, or a cell is not a number
            raise damaged from error
        if len(rows) < least or not text.endswith("\n"):
            raise damaged
        return rows

    def write_inputs(self, code: Mapping[str, str], data: Mapping[str, Any]) -> None:
        """Writes inputs.json: the digests of run/inputs.py."""
        write_text(self.inputs_file, json.dumps({"code": code, "data": data}, indent=2) + "\n")

    def inputs(self) -> dict[str, Any] | None:
        """The content of inputs.json; None for a run of before there were such files, or if it is spoiled."""
        try:
            inputs = json.loads(self.inputs_file.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None
        return inputs if isinstance(inputs, dict) and inputs.keys() >= {"code", "data"} else None

    def write_result(self, result: Mapping[str, Any]) -> dict[str, Any]:
        """Writes result.json and returns what it reads back as: JSON has no NaN, so such values are null."""
        kept = _without_nonfinite(result)
        write_text(self.result_file, json.dumps(kept, indent=2) + "\n")
        return kept

    def result(self) -> dict[str, Any] | None:
        """The content of result.json; None if the file is missing or spoiled: such a run is not finished.

        A run that says it is running and that no process holds was stopped, whatever stopped it.
        """
        result = self._written_result()
        with contextlib.suppress(UserError):
            if result and result["status"] == RUNNING and not self.is_busy:
                return result | {"status": STOPPED}
        return result

    def _written_result(self) -> dict[str, Any] | None:
        try:
            result = json.loads(self.result_file.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None
        return result if isinstance(result, dict) and "status" in result else None

    def finished(self) -> dict[str, Any] | None:
        """The result of a run that needs no more training; None for any other."""
        result = self.result()
        return result if result and result["status"] in FINISHED else None


def _number(column: str, text: str) -> float | int | None:
    if text == "":
        return None
    return int(text) if column == "epoch" else float(text)


def _without_nonfinite(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _without_nonfinite(item) for key, item in value.items()}
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def run_folders(study: Path) -> list[RunFolder]:
    """The runs of a study in the order of their names."""
    return [RunFolder(file.parent) for file in sorted(study.glob("*/config.yaml"))]


def collect_results(study: Path) -> list[dict[str, Any]]:
    """One dict per run of the study that has left a result, with its folder's name under `run`."""
    folders = ((folder, folder.result()) for folder in run_folders(study))
    return [{"run": folder.path.name, **result} for folder, result in folders if result]


def _with_varied(study: Path) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """The results of a study, and for each run the values in which the configurations of the study differ."""
    results = collect_results(study)
    configs = [_readable_configuration(RunFolder(study / result["run"])) for result in results]
    told = {key for result in results for key in result}
    keys = dict.fromkeys(key for config in configs for key in config)
    varied = [
        key
        for key in keys
        if key.rpartition(".")[2] not in told | {"_target_"} and len({str(config.get(key)) for config in configs}) > 1
    ]
    return results, [{key: config.get(key) for key in varied} for config in configs]


def _readable_configuration(folder: RunFolder) -> dict[str, Any]:
    try:
        return flat_configuration(folder.config())
    except UserError:
        return {}


def write_results(study: Path) -> Path:
    """Writes `results.csv` of a study and returns its path.

    A row per run: the scalar keys of its result.json, and the values of its configuration that differ between the runs.
    """
    results = [result | varied for result, varied in zip(*_with_varied(study), strict=True)]
    columns: dict[str, None] = {}  # a dict keeps the order in which the keys first came
    for result in results:
        columns.update({key: None for key, value in result.items() if not isinstance(value, dict | list)})
    columns.pop("error", None)
    write_csv(study / "results.csv", list(columns), results)
    return study / "results.csv"
