"""A launcher that imports its machinery when a sweep starts, as every Hydra program in this environment loads it."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from typing import Any

from hydra.core.utils import JobReturn
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig


class Shell(Launcher):
    """Hands everything to the class of `lr_lab.sweep` that `machinery` names, as `module.Class`."""

    machinery: str

    def __init__(self, **arguments: Any) -> None:
        self._arguments = arguments

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        module, _, name = self.machinery.rpartition(".")
        self._launcher = getattr(import_module(module), name)(**self._arguments)
        self._launcher.setup(hydra_context=hydra_context, task_function=task_function, config=config)

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        return self._launcher.launch(job_overrides, initial_job_idx)
