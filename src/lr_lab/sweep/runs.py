"""The runs of a sweep, as their folders show them. All launchers share this module; it does not load torch."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from lr_lab.errors import UserError
from lr_lab.run.folder import FINISHED, RunFolder, run_path
from lr_lab.run.summary import summarise
from lr_lab.run.training import FAILED


class Run:
    """One run of a sweep.

    Args:
        config: its resolved configuration.
        settings: the varied settings, as a person typed them: ``{"lr": "0.1", "model.dropout": "0.5"}``.

    Attributes:
        jobs: numbers of the jobs that ask for it, in the order of the command line.
        folder: of its files.
        error: why it failed in this sweep; known here even if the disk is full.
    """

    def __init__(self, config: Mapping[str, Any], settings: Mapping[str, str]) -> None:
        self.config = config
        self.settings = settings
        self.jobs: list[int] = []
        self.folder = RunFolder(run_path(config))
        self.error: str | None = None

    @property
    def name(self) -> str:
        """The settings that distinguish it within its sweep, in a few words."""
        return " ".join(f"{key}={value}" for key, value in self.settings.items()) or self.folder.path.name

    @property
    def setting(self) -> str:
        """Its name without the seed."""
        return " ".join(f"{key}={value}" for key, value in self.settings.items() if key != "seed") or "all runs"

    def result(self) -> dict[str, Any]:
        """The content of its result.json, or a summary of its configuration. A failure in this sweep overrides both."""
        result = self.folder.result() or {**summarise(self.config, []), "status": "missing"}
        return result | {"status": FAILED, "error": self.error} if self.error else result

    @property
    def is_finished(self) -> bool:
        return self.result()["status"] in FINISHED

    @property
    def is_busy(self) -> bool:
        """True while another process trains it."""
        return self.folder.is_busy

    def fail(self, reason: str) -> None:
        """Notes why it failed. Its folder notes it too, if it can be written and no other process trains it."""
        self.error = reason
        noted = (self.folder.result() or {}).get("error")
        # The process that failed may have noted the same error already, with a longer or shorter traceback.
        if not noted or last_line(noted) != last_line(reason):
            with contextlib.suppress(UserError), self.folder.training(self.config, summarise(self.config, [])):
                raise UserError(reason)


def plan(configs: Sequence[Mapping[str, Any]], overrides: Sequence[Sequence[str]]) -> list[Run]:
    """The distinct runs of a sweep, in order: two jobs of the same configuration are one run.

    Args:
        configs: the resolved configuration of every job.
        overrides: what was typed for every job, such as ``["lr=0.1", "study=demo"]``.
    """
    typed = [dict(override.lstrip("+").split("=", 1) for override in job if "=" in override) for job in overrides]
    varied = [key for key in typed[0] if len({job.get(key) for job in typed}) > 1] if typed else []
    runs: dict[Path, Run] = {}
    for number, (config, job) in enumerate(zip(configs, typed, strict=True)):
        run = runs.setdefault(run_path(config), Run(config, {key: job[key] for key in varied if key in job}))
        run.jobs.append(number)
    return list(runs.values())


def last_line(reason: str) -> str:
    """The line of a traceback that says what went wrong."""
    return reason.strip().splitlines()[-1]
