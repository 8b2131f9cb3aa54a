"""How high a rate may be: what runs of the network, its range test and its sharpness know, and what would tell."""

from __future__ import annotations

import shlex
from dataclasses import dataclass, replace
from math import floor, inf, isfinite, log10, nan, sqrt
from pathlib import Path

import pandas as pd
from hydra.errors import HydraException

from lr_lab.errors import UserError
from lr_lab.run.config import compose
from lr_lab.run.folder import RunFolder, run_folders
from lr_lab.run.range_reading import RANGE_TESTS, Reading, is_adaptive, kept_reading, suggestion
from lr_lab.run.retyped import network_overrides
from lr_lab.run.summary import SETTING_KEYS
from lr_lab.study.runs import Runs
from lr_lab.study.study_file import Study, config_columns

DEFAULT_OUTPUT = "outputs"  # where programs keep what they make, unless they are told otherwise
# Rates closer than this factor are one for advice: seeds differ by more.
_NEAR = 1.2
_SCHEDULE = ("sequence", "strategy", "epochs")
_SCHEDULES = tuple(f"{group}." for group in (*_SCHEDULE, "warmup", "probes"))
# Labels of the diagnosis that a rate can be to blame for, and how a sentence has them.
_ENDED = {"stuck": "ended stuck", "collapsed": "collapsed"}


@dataclass(frozen=True)
class Known:
    """Evidence on rates above those of some runs.

    Attributes:
        failing: the lowest rate above theirs at which a run of the same network failed; inf if none did.
        failed: the way in which it failed, in words.
        reading: of the network's range test; None without one.
        suggested: the rate that the range test suggests.
        limit: the largest stable rate of gradient descent at the sharpness first measured; nan without a probe.
        command: tests the network's rates.
    """

    failing: float
    failed: str
    reading: Reading | None
    suggested: float
    limit: float
    command: str

    def next_higher(self, best: float, farthest: float) -> str:
        """Advice for rates above the best one, which is the highest tried, with its certainty and evidence.

        Args:
            farthest: the highest rate that advice names.
        """
        if self.reading is not None:
            return self._by_range_test(self.reading, best, farthest)
        if self.limit >= _NEAR * best:
            return self._by_sharpness(best, farthest)
        if isfinite(self.failing):
            return self._by_failures(best, farthest)
        beyond = (
            f" At the sharpness that was measured first, gradient descent on the whole training set is stable up to "
            f"{self.limit:.2g} only (2/sharpness without momentum; Cohen et al. 2021)."
            if self.limit > 0
            else ""
        )
        return f"no evidence says which higher rates are stable.{beyond} Find out first: {self.command}"

    def _by_range_test(self, reading: Reading, best: float, farthest: float) -> str:
        top = reading.largest_stable
        if not reading.rose and top < _NEAR * best:
            return f"its range test ends at {top:.2g}. Go on above it: {self.command} lr_find.lr_max={100 * best:.2g}"
        if not reading.rose:
            rate = self._below_failing(best, min(farthest, top))
            return (
                f"extend the grid, lr={_down(rate)} next. Likely stable: the range test of this network kept its gains "
                f"up to {top:.2g}, the last rate that it tried."
            )
        said = f"in this network's range test the loss blew up, or lost half of what it had gained, above {top:.2g}"
        if top < _NEAR * best:
            return f"go no higher. Likely the end: {said}."
        rate = self._below_failing(best, self.suggested if self.suggested >= _NEAR * best else sqrt(best * top))
        return f"try lr={_down(rate)} next. Likely stable: {said}; whether it is better only training tells."

    def _by_sharpness(self, best: float, farthest: float) -> str:
        rate = self._below_failing(best, min(farthest, self.limit))
        return (
            f"extend the grid, lr={_down(rate)} next. A guess: gradient descent on the whole training set is stable up "
            f"to {self.limit:.2g} at the sharpness that was measured first (2/sharpness without momentum; Cohen et al. "
            "2021). Up to twice that it may be thrown to a flatter place and train on (Lewkowycz et al. 2020). Small "
            f"batches lower both. To know it: {self.command}"
        )

    def _by_failures(self, best: float, farthest: float) -> str:
        if self.failing < _NEAR**2 * best:
            return f"go no higher. Likely the end: {self.failed}."
        rate = self._below_failing(best, farthest)
        return (
            f"try lr={_down(rate)} next, and nothing from {self.failing:g} on: {self.failed}. A guess: no rate between "
            f"the two was tried. To know it: {self.command}"
        )

    def _below_failing(self, best: float, rate: float) -> float:
        """The rate, or half way, on the logarithmic axis, from the best to the lowest that failed."""
        return min(rate, sqrt(best * self.failing))

    def lower(self, than: float) -> tuple[str, str]:
        """A rate to take below the lowest one tried, and how sure the advice is."""
        if self.reading is not None and self.suggested < than:
            return f"take {_down(self.suggested)}", "Likely stable: the range test of this network suggests it."
        if self.limit < than:
            sure = "A guess, from the sharpness that was measured first (Cohen et al. 2021). To know it:"
            return f"lower it to {_down(self.limit)}", f"{sure} {self.command}"
        return "lower it", f"How far is not known, as no lower rate was tried. Find out first: {self.command}"


def _down(rate: float) -> str:
    """Two digits, not above the rate."""
    step = 10.0 ** (floor(log10(rate)) - 1)
    return f"{floor(rate / step * (1 + 1e-9)) * step:.2g}"


def known_above(study: Study, runs: Runs, these: pd.DataFrame, output_dir: Path | None) -> Known:
    """The evidence on rates above the highest of these runs, which differ in rate and seed only.

    Args:
        output_dir: where range tests are kept; None if they are not to be used.
    """
    failing, failed = _failing_above(runs, these)
    command, reading, suggested = _range_test(study, these, output_dir)
    return Known(failing, failed, reading, suggested, _limit(runs, these), command)


def groups_of(finished: pd.DataFrame, leave_out: tuple[str, ...] = ()) -> pd.Series:
    """The number of the group of each run; runs of a group differ in rate, seed and what is left out alone."""
    keys = [*(key for key in SETTING_KEYS if key not in ("lr", "seed")), *config_columns(finished)]
    chosen = [key for key in keys if not key.startswith(leave_out)] if leave_out else keys
    known = [key for key in chosen if key in finished and finished[key].notna().any()]
    return finished.groupby(known, dropna=False).ngroup() if known else pd.Series(0, index=finished.index)


def failures(finished: pd.DataFrame) -> pd.Series:
    """How each run failed, in words, where its rate may be to blame; missing for the others."""
    found = finished.get("diagnosis", pd.Series(index=finished.index, dtype=object)).map(_ENDED)
    return found.mask(finished["status"] == "diverged", "diverged")


def _failing_above(runs: Runs, these: pd.DataFrame) -> tuple[float, str]:
    """The lowest rate above these at which a run of the network failed, whatever its schedule, and how it did."""
    finished = runs.finished
    network = groups_of(finished, (*_SCHEDULE, *_SCHEDULES))
    rises = _rises(runs).reindex(finished["run"], fill_value=False).to_numpy() if "run" in finished else False
    # A rate that first rises is stable up to higher ones.
    like = (network == network[these.index[0]]) & (pd.Series(rises, index=finished.index) == _any_rises(runs, these))
    above = finished[like & (finished["lr"] > these["lr"].max())]
    lost = failures(above).dropna()
    if lost.empty:
        return inf, ""
    rate = above.loc[lost.index, "lr"].min()
    there = above[above["lr"] == rate]
    how = failures(there).value_counts()
    counts = " and ".join(f"{count} {word}" for word, count in how.items())
    return float(rate), f"of {len(there)} run{'s' * (len(there) > 1)} of this network at {rate:g} {counts}"


def _rises(runs: Runs) -> pd.Series:
    """Run -> whether its rate was ever above that of its first epoch."""
    if runs.histories is None:
        return pd.Series(dtype=bool)
    rates = runs.histories.groupby("run")["lr"]
    return rates.max() > 1.0001 * rates.first()


def _any_rises(runs: Runs, these: pd.DataFrame) -> bool:
    return "run" in these and bool(_rises(runs).reindex(these["run"], fill_value=False).any())


def _limit(runs: Runs, these: pd.DataFrame) -> float:
    """The median over the runs at the highest rate of what the probe measured first; nan without a probe."""
    highest = these[these["lr"] == these["lr"].max()]
    if runs.histories is None or "sharpness_to_limit" not in runs.histories:
        return nan
    measured = runs.histories[runs.histories["run"].isin(highest["run"]) & (runs.histories["sharpness_to_limit"] > 0)]
    first = measured.sort_values("epoch").groupby("run").first()
    return float((first["lr"] / first["sharpness_to_limit"]).median()) if len(first) else nan


def with_networks(runs: Runs, run_dir: Path) -> Runs:
    """The runs with a column `network`: what is typed to get a run's network, data and optimizer, if its folder tells.

    A report keeps it, and says the same when the folders are gone.
    """
    typed = {folder.path.name: _network(folder) for folder in run_folders(run_dir)}
    return replace(runs, results=runs.results.assign(network=runs.results["run"].map(typed))) if typed else runs


def _network(folder: RunFolder) -> str | None:
    try:
        return shlex.join(network_overrides(folder.config()))
    except (UserError, HydraException):  # of a configuration that cannot be read, or whose choices are gone
        return None


def _range_test(study: Study, these: pd.DataFrame, output_dir: Path | None) -> tuple[str, Reading | None, float]:
    """The command of the range test of these runs' network; what one that was kept says, and suggests."""
    row = these.iloc[0]
    overrides = shlex.split(row["network"]) if pd.notna(row.get("network")) else _of_row(study, row)
    place = [] if output_dir is None or str(output_dir) == DEFAULT_OUTPUT else [f"output_dir={output_dir}"]
    command = shlex.join(["python", "-m", "src.lr_find", *overrides, *place])
    if output_dir is None or not (output_dir / RANGE_TESTS).exists():
        return command, None, nan
    try:
        config = compose(*overrides) | {"output_dir": str(output_dir)}
    except (UserError, HydraException):
        return command, None, nan
    kept = (kept_reading(config | {"seed": seed}) for seed in sorted({0, *map(int, these["seed"])}))
    reading = next(filter(None, kept), None)
    return command, reading, nan if reading is None else suggestion(reading, is_adaptive(config))


def _of_row(study: Study, row: pd.Series) -> list[str]:
    """The overrides by what a table knows; what all runs share and no study's file has is not in it."""
    words = [f"experiment={study.name}"] if study.training else []
    words += [f"{key}={row[key]}" for key in ("data", "model", "optimizer") if pd.notna(row.get(key))]
    words += [f"batch_size={row['batch_size']:g}"] if pd.notna(row.get("batch_size")) else []
    own = [key for key in row.index if str(key).startswith(("data.", "model.", "optimizer.")) and "/" not in str(key)]
    return words + [f"{key}={row[key]}" for key in own if pd.notna(row[key])]
