"""From a study and its values to looks, verdicts and findings; and the record of looks that were taken."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from math import isnan, nan
from pathlib import Path

import numpy as np
import pandas as pd

from lr_lab.errors import UserError
from lr_lab.run.folder import write_text
from lr_lab.study.claims import Finding, question, read_claims
from lr_lab.study.looks import Outcome, Table, replay
from lr_lab.study.spending import Plan
from lr_lab.study.statements import Contrasts, Statement, lead_of
from lr_lab.study.study_file import Study
from lr_lab.study.values import Values

# Differences of published numbers below this are rounding.
_ROUNDING = 1e-9


def judge(
    study: Study, values: Values, published: Values, further: Sequence[int] = ()
) -> tuple[Outcome, list[Finding]]:
    """Where the study stands, and a finding for each of its claims, in their order.

    Args:
        further: looks that were added after the study's own.

    Raises:
        UserError: a claim cannot be tested on these values.
    """
    claims = read_claims(f"Study {study.name}", study.claims)
    questions = {claim.name: question(claim, values, study.matters) for claim in claims}
    table, plan = _table_and_plan(study, values, further)
    outcome = replay(questions, study.kin, table, plan)
    claimed = {setting for each in questions.values() for row in each.rows for setting in row.settings}
    others = [setting for setting in values.settings if setting not in claimed]
    # Settings that no claim names stand in tables only; they get the seeds of the first look.
    outcome = replace(outcome, missing=outcome.missing | table.missing(others, plan.looks[0]))
    findings = [
        Finding(claim, outcome.verdicts[claim.name], _document(questions[claim.name].statement, published))
        for claim in claims
    ]
    return outcome, findings


def _table_and_plan(study: Study, values: Values, further: Sequence[int]) -> tuple[Table, Plan]:
    runs = {setting: values.seeds(setting) for setting in values.settings}
    if not study.looks:
        seeds = sorted(set().union(*runs.values()))
        return Table(values, dict.fromkeys(runs, seeds), seeds), Plan([max(1, len(seeds))], kept_back=0.0)
    plan = Plan(study.looks, further)
    planned = range(study.first_seed, study.first_seed + plan.last)
    return Table(values, runs, planned, _most(study, runs)), plan


def _most(study: Study, runs: Mapping[str, set[int]]) -> dict[str, int]:
    """Setting -> its number of seeds, for settings that get fewer than the looks use."""
    if not study.reads:
        return study.most_seeds
    # A study that reads others trains nothing: where a setting has fewer seeds than others there, it was stopped.
    counts = {setting: len(seeds) for setting, seeds in runs.items()}
    largest = {name: max((n for s, n in counts.items() if s.startswith(f"{name}/")), default=0) for name in study.reads}
    return {setting: n for setting, n in counts.items() if n < largest[setting.partition("/")[0]]}


def _document(statement: Statement, published: Values) -> str:
    rows = list(dict.fromkeys(row for group in statement for row in group))
    contrasts = Contrasts(rows, [])
    means = [next(iter(published.series(*cell).values()), nan) for cell in contrasts.cells]
    lead = lead_of(statement, contrasts.means(np.array(means)))
    if isnan(lead):
        return "silent"
    if abs(lead) <= _ROUNDING:
        return "tie"
    return "holds" if lead > 0 else "fails"


def looks_frame(outcome: Outcome) -> pd.DataFrame:
    """The content of looks.csv: a row per look that was taken."""
    rows = [
        {
            "seeds": look.seeds,
            "spent": round(look.spent, 6),
            "decided": " ".join(look.decided),
            "set_aside": " ".join(look.set_aside),
            "stopped": " ".join(look.stopped),
        }
        for look in outcome.looks
    ]
    return pd.DataFrame(rows, columns=["seeds", "spent", "decided", "set_aside", "stopped"])


def further_looks(study: Study, folder: Path) -> list[int]:
    """The looks beyond the study's own that looks.csv in its report's folder has.

    Raises:
        UserError: the file is damaged, or a look was taken that the study's file no longer counts.
    """
    file = folder / "looks.csv"
    if not file.exists() or not study.looks:
        return []
    try:
        taken = [int(seeds) for seeds in pd.read_csv(file)["seeds"]]
    except (OSError, ValueError, KeyError) as error:
        raise UserError(
            f"{file} is damaged, and it counts the looks that were taken; bring it back, or delete it with its report."
        ) from error
    further = [seeds for seeds in taken if seeds > study.looks[-1]]
    if missing := [seeds for seeds in taken if seeds not in (*study.looks, *further)]:
        raise UserError(
            f"{file} says that {study.name} was looked at with {missing[0]} seeds, and its looks={list(study.looks)} "
            f"do not count that one; add {missing[0]} to looks in conf/studies/{study.name}.yaml."
        )
    return further


def write_looks(outcome: Outcome, folder: Path) -> None:
    """Keeps the looks, so that nobody can look more often than is accounted for."""
    if outcome.looks:
        write_text(folder / "looks.csv", looks_frame(outcome).to_csv(index=False))
