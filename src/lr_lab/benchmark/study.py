"""The cost of verdicts and how often they are false, by simulation through the engine that judges studies.

The claims are those of a study's file. Three questions, each with drawn results:
- How often does a study carry a false verdict? All settings are as each claim's limit has them, so that any verdict is
  false, for several shapes of chance.
- What does the sequential design cost beside a fixed one of the same most seeds, and what does it find? Means and
  spreads are those of the committed results.
- What does a race for the best of 27 settings cost?
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import isfinite
from statistics import fmean, stdev

import numpy as np
from rich.console import Console
from rich.table import Table as RichTable
from scipy import stats

from lr_lab.run.config import CONFIG_DIR
from lr_lab.study.claims import question, read_claims
from lr_lab.study.looks import Table, replay
from lr_lab.study.measured import with_metrics
from lr_lab.study.race import race
from lr_lab.study.runs import read_report
from lr_lab.study.spending import Plan
from lr_lab.study.statements import Cell, Contrasts, lead_of
from lr_lab.study.study_file import Study, read_study
from lr_lab.study.values import Values
from lr_lab.study.verdicts import Question

# (rng, spreads of the cells, which of them are two-humped, seeds) -> (cells, seeds), all of mean 0.
Chance = Callable[[np.random.Generator, np.ndarray, np.ndarray, int], np.ndarray]


def _normal(rng: np.random.Generator, spreads: np.ndarray, humped: np.ndarray, seeds: int) -> np.ndarray:
    return spreads[:, None] * rng.normal(size=(len(spreads), seeds))


def _t3(rng: np.random.Generator, spreads: np.ndarray, humped: np.ndarray, seeds: int) -> np.ndarray:
    return spreads[:, None] * rng.standard_t(3, size=(len(spreads), seeds)) / 3**0.5


def _exponential(side: int) -> Chance:
    def draw(rng: np.random.Generator, spreads: np.ndarray, humped: np.ndarray, seeds: int) -> np.ndarray:
        return side * spreads[:, None] * (rng.exponential(size=(len(spreads), seeds)) - 1)

    return draw


def _two_humps(share: float, width: float) -> Chance:
    """A share of the runs lies a distance of one above the others; each hump, and what has none, is `width` wide."""

    def draw(rng: np.random.Generator, spreads: np.ndarray, humped: np.ndarray, seeds: int) -> np.ndarray:
        noise = width * rng.normal(size=(len(spreads), seeds))
        jumps = (rng.random((len(spreads), seeds)) < share) - share
        return noise + humped[:, None] * jumps

    return draw


def _whole(rng: np.random.Generator, spreads: np.ndarray, humped: np.ndarray, seeds: int) -> np.ndarray:
    return np.round(rng.normal(size=(len(spreads), seeds)))


# Name -> shape of chance, and whether spreads are those of the results (or else equal).
CELLS: dict[str, tuple[Chance, bool]] = {
    "normal": (_normal, False),
    "heavy tails (t3)": (_t3, False),
    "exponential, long tail up": (_exponential(1), False),
    "exponential, long tail down": (_exponential(-1), False),
    "two humps, 1 of 9 runs high": (_two_humps(1 / 9, 0.14), False),
    "two humps, 1 of 3 runs high": (_two_humps(1 / 3, 0.14), False),
    "two sharp humps, 1 of 3 runs high": (_two_humps(1 / 3, 0.02), False),
    "whole numbers, with ties": (_whole, False),
    "normal, spreads as they are": (_normal, True),
    "heavy tails, spreads as they are": (_t3, True),
    "exponential up, spreads as they are": (_exponential(1), True),
    "exponential down, spreads as they are": (_exponential(-1), True),
}


@dataclass(frozen=True)
class Drawn:
    """Results that were drawn: a `Source` of values, for `Table`."""

    values: Mapping[Cell, np.ndarray]

    def series(self, setting: str, metric: str) -> dict[int, float]:
        return dict(enumerate(self.values[setting, metric].tolist()))


@dataclass(frozen=True)
class Model:
    """A study to draw results of: its claims, and the mean and spread of every cell."""

    questions: Mapping[str, Question]
    kin: Sequence[Sequence[str]]
    means: Mapping[Cell, float]
    spreads: Mapping[Cell, float]

    @property
    def settings(self) -> list[str]:
        return list(dict.fromkeys(setting for setting, _ in self.means))

    def truth(self) -> dict[str, float]:
        """The lead of every claim by the means."""
        rows = list(dict.fromkeys(row for question in self.questions.values() for row in question.rows))
        contrasts = Contrasts(rows, [])
        known = contrasts.means(np.array([self.means[cell] for cell in contrasts.cells]))
        return {name: lead_of(question.statement, known) for name, question in self.questions.items()}

    def at_the_limits(self) -> Model:
        """The study in which every claim is at its limit: all cells have mean 0, and claims have no constants."""
        questions = {
            name: replace(
                question,
                statement=tuple(tuple(replace(row, constant=0.0) for row in group) for group in question.statement),
                margin=None,
            )
            for name, question in self.questions.items()
        }
        return replace(self, questions=questions, means=dict.fromkeys(self.means, 0.0))


@dataclass(frozen=True)
class Result:
    """Results of drawn studies: those with a false verdict, right verdicts per study, and runs as a part of all."""

    studies: int
    false: int
    decided: float
    runs: float

    @property
    def false_interval(self) -> tuple[float, float]:
        """The 95% interval of the share with a false verdict (Clopper & Pearson 1934)."""
        bounds = stats.binomtest(self.false, self.studies).proportion_ci()
        return float(bounds.low), float(bounds.high)


def simulate(
    model: Model,
    chance: Chance,
    plan: Plan,
    studies: int,
    humped: Sequence[str] = (),
    as_they_are: bool = True,
    may_set_aside: bool = True,
    random_state: int = 0,
) -> Result:
    """Judges drawn studies by the plan; a setting costs the seeds up to the look that stopped it."""
    rng = np.random.default_rng(random_state)
    cells, truth, settings = list(model.means), model.truth(), model.settings
    means = np.array([model.means[cell] for cell in cells])
    spreads = np.array([model.spreads[cell] if as_they_are else 1.0 for cell in cells])
    is_humped = np.array([setting in humped for setting, _ in cells], dtype=float)
    false, decided, runs = 0, 0, 0
    for _ in range(studies):
        values = means[:, None] + chance(rng, spreads, is_humped, plan.last)
        table = Table(
            Drawn(dict(zip(cells, values, strict=True))), dict.fromkeys(settings, range(plan.last)), range(plan.last)
        )
        outcome = replay(model.questions, model.kin, table, plan, may_set_aside, with_forecasts=False)
        stopped = {setting: look.seeds for look in reversed(outcome.looks) for setting in look.stopped}
        runs += sum(stopped.get(setting, plan.last) for setting in settings)
        right = {name: _is_right(model.questions[name], truth[name], v.verdict) for name, v in outcome.verdicts.items()}
        false += any(each is False for each in right.values())
        decided += sum(each is True for each in right.values())
    return Result(studies, false, decided / studies, runs / studies / (plan.last * len(settings)))


def _is_right(question: Question, lead: float, verdict: str) -> bool | None:
    """None for no verdict. Where the lead is zero, both directions are wrong."""
    if verdict == "undecided":
        return None
    if verdict == "no difference that matters":
        return question.margin is not None and abs(lead) < question.margin
    return lead > 1e-12 if verdict == "reproduced" else lead < -1e-12


def race_cost(
    means: Sequence[float], spreads: Sequence[float], plan: Plan, margin: float, races: int, random_state: int = 0
) -> tuple[float, int]:
    """Runs of a race as a part of all settings with all seeds, and how many races lost the best setting.

    A race has 27 settings, drawn from these means and spreads.
    """
    rng = np.random.default_rng(random_state)
    settings = [f"setting {number}" for number in range(27)]
    cost, lost = 0.0, 0
    for _ in range(races):
        chosen = rng.integers(len(means), size=len(settings))
        # No two of them are truly equal, as no two of a sweep are.
        true = np.array(means)[chosen] + rng.normal(size=len(settings)) * np.median(spreads)
        values = true[:, None] + rng.normal(size=(len(settings), plan.last)) * np.array(spreads)[chosen, None]
        table = Table(
            Drawn({(name, "x"): row for name, row in zip(settings, values, strict=True)}),
            dict.fromkeys(settings, range(plan.last)),
            range(plan.last),
        )
        standing = race(settings, "x", table, plan, margin=margin)
        seeds = dict.fromkeys(settings, plan.last) | {name: lap.seeds for lap in standing.laps for name in lap.dropped}
        if len(standing.left) == 1:
            seeds[standing.left[0]] = standing.laps[-1].seeds
        cost += sum(seeds.values()) / (plan.last * len(settings))
        lost += max(true[settings.index(name)] for name in standing.left) < true.max() - margin
    return cost / races, lost


def model_of(study: Study, values: Values) -> Model:
    """The study's claims with means and spreads as its results have them; what never varied gets the least spread."""
    claims = read_claims(f"Study {study.name}", study.claims)
    questions = {claim.name: question(claim, values, study.matters) for claim in claims}
    metrics = {metric for each in questions.values() for row in each.rows for (_, metric), _ in row.terms}
    means: dict[Cell, float] = {}
    spreads: dict[Cell, float] = {}
    for metric in sorted(metrics):
        known = {
            (setting, metric): [value for value in values.series(setting, metric).values() if isfinite(value)]
            for setting in values.settings
        }
        means |= {cell: fmean(each) if each else 0.0 for cell, each in known.items()}
        found = {cell: stdev(each) if len(each) > 1 else 0.0 for cell, each in known.items()}
        least = min((spread for spread in found.values() if spread), default=1.0)
        spreads |= {cell: max(spread, least) for cell, spread in found.items()}
    return Model(questions, study.kin, means, spreads)


def print_levels(model: Model, plan: Plan, humped: Sequence[str], studies: int, console: Console) -> None:
    """How often a study in which every verdict would be false has one."""
    table = RichTable(
        "chance", f"false, of {studies} studies", "95% interval", title=f"Looks at {list(plan.looks)} seeds"
    )
    for name, (chance, as_they_are) in CELLS.items():
        found = simulate(model.at_the_limits(), chance, plan, studies, humped, as_they_are)
        low, high = found.false_interval
        table.add_row(name, f"{found.false / studies:.1%}", f"{low:.1%} to {high:.1%}")
    console.print(table)


def print_costs(name: str, model: Model, plan: Plan, studies: int, console: Console) -> None:
    """The sequential design beside a fixed one of as many seeds, which looks once."""
    fixed = replace(plan, looks=[plan.last], kept_back=0.0)
    designs = {
        "one look at the end": (fixed, False),
        "all looks": (plan, False),
        "all looks, hopeless claims set aside": (plan, True),
    }
    table = RichTable("design", "right verdicts", f"of claims: {len(model.questions)}; runs", "false", title=name)
    for design, (each, may_set_aside) in designs.items():
        found = simulate(model, _normal, each, studies, may_set_aside=may_set_aside)
        table.add_row(design, f"{found.decided:.1f}", f"{found.runs:.0%}", f"{found.false / studies:.1%}")
    console.print(table)


def benchmark(studies: int, races: int) -> None:
    """Prints all tables, from the committed results of the decay studies."""
    console = Console(width=110)
    for name in ("decay_cifar10", "decay_mnist"):
        study = read_study(CONFIG_DIR, name)
        assert study is not None
        runs = with_metrics(read_report(CONFIG_DIR.parent / "outputs" / "reports" / name), study)
        values = Values(runs.results, [setting.name for setting in study.settings], name)
        model, plan = model_of(study, values), Plan(study.looks)
        print_costs(name, model, plan, studies // 4, console)
        if name == "decay_cifar10":
            print_levels(model, plan, values.match("*_cutoff"), studies, console)
            accuracies = [cell for cell in model.means if cell[1] == "val_accuracy"]
            means, spreads = ([of[cell] for cell in accuracies] for of in (model.means, model.spreads))
            for margin in (0.0, study.matters["val_accuracy"]):
                cost, lost = race_cost(means, spreads, Plan(range(3, 21), power=1, kept_back=0), margin, races)
                console.print(
                    f"A race of 27 settings with up to 20 seeds, which ends at differences below {margin:g}, takes "
                    f"{cost:.0%} of all runs; {lost} of {races} races lost the best."
                )
