"""The values that each setting reached with each seed, metric by metric: the input of every claim."""

from __future__ import annotations

import fnmatch
import math
from collections.abc import Sequence

import pandas as pd

from lr_lab.errors import UserError
from lr_lab.run.folder import (
    FINISHED,
)
from lr_lab.study.metrics import METRICS
from lr_lab.study.study_file import Study


class Values:
    """The value of each metric for each setting and seed; claims are tested on these values.

    Args:
        results: rows with `setting`, `seed`, `status` and the metrics.
        settings: all settings of the study, run or not.
        place: names the source of the numbers in messages.
        censored: whether a missing epoch or loss means that the run never got there; else: that nobody measured it.
    """

    def __init__(self, results: pd.DataFrame, settings: Sequence[str], place: str, censored: bool = True) -> None:
        self.settings = list(settings)
        self.place = place
        self._censored = censored
        finished = results[results["status"].isin(FINISHED)]
        self.metrics = set(results)
        self._rows = {str(name): rows for name, rows in finished.groupby("setting")}

    @classmethod
    def published(cls, study: Study) -> Values:
        """The document's own numbers, as if they were one seed."""
        rows = [{"setting": s.name, "seed": 0, "status": "completed", **s.published} for s in study.settings]
        table = pd.DataFrame(rows, columns=["setting", "seed", "status", *METRICS])
        return cls(table, [setting.name for setting in study.settings], study.table, censored=False)

    def series(self, setting: str, metric: str) -> dict[int, float]:
        """Seed -> value of the finished runs that have one; infinite for a run that never got there.

        Raises:
            UserError: the results have no such column.
        """
        from_history = metric in METRICS and METRICS[metric].from_history
        # A document may lack numbers for a metric, such as a probe's column (with a slash); its table is not wrong.
        if metric not in self.metrics and (from_history or "/" in metric or not self._censored):
            return {}
        if metric not in self.metrics:
            known = ", ".join(name for name in METRICS if name in self.metrics)
            raise UserError(f"{self.place} has no column {metric}; of the metrics it has {known or 'none'}.")
        if setting not in self._rows:
            return {}
        rows = self._rows[setting]
        values = rows[metric].astype(float)
        if self._censored and metric in METRICS and METRICS[metric].absent == "never" and self._measures(metric):
            values = values.fillna(math.inf)
        return {int(seed): value for seed, value in zip(rows["seed"], values, strict=True) if not math.isnan(value)}

    def seeds(self, setting: str) -> set[int]:
        """The seeds of its finished runs."""
        return {int(seed) for seed in self._rows[setting]["seed"]} if setting in self._rows else set()

    def run_count(self, setting: str, status: str | None = None) -> int:
        """Finished runs of a setting; those of one status only, if named."""
        rows = self._rows.get(setting)
        return 0 if rows is None else len(rows) if status is None else int((rows["status"] == status).sum())

    def _measures(self, metric: str) -> bool:
        """Whether any setting has a number: a column that is empty throughout was not measured."""
        return any(rows[metric].notna().any() for rows in self._rows.values())

    def match(self, names: str | Sequence[str]) -> list[str]:
        """The settings that the names or patterns (`*_epoch`) stand for, in the study's order.

        Raises:
            UserError: a pattern stands for none.
        """
        patterns = [names] if isinstance(names, str) else list(names)
        found: set[str] = set()
        for pattern in patterns:
            # A name may have brackets, which would be a class of letters in a pattern: betas=[0.9, 0.99].
            stands_for = {pattern} & {*self.settings} or {*fnmatch.filter(self.settings, pattern)}
            if not stands_for:
                raise UserError(
                    f"{pattern} is not a setting of the study; its settings are {', '.join(self.settings)}."
                )
            found |= stands_for
        return [name for name in self.settings if name in found]
