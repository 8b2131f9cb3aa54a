"""How often the verdicts of a study are false, and how often its true claims are found, by simulation.

The unit of every mean and lead is the standard deviation, over seeds, of the difference between two settings.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import sqrt

import numpy as np

from lr_lab.study.inference import Evidence, Series, best, compare, judge, picked, winner

# From the results of a study, setting -> seed -> value, to its claims.
Claims = Callable[[Mapping[str, Series]], Mapping[str, Evidence]]

SEQUENCES = ("inverse", "inverse_sqrt", "exponential", "cyclic")
STRATEGIES = ("epoch", "cutoff", "oscillate")
SETTINGS = ("sgd", "adam", *(f"{sequence} by {strategy}" for strategy in STRATEGIES for sequence in SEQUENCES))
LEADER = "exponential by epoch"


@dataclass(frozen=True)
class Rates:
    """Shares of simulated studies: with any false verdict, and, by true claim, with that claim reproduced."""

    seeds: int
    any_false: float
    power: dict[str, float]


def decay_claims(results: Mapping[str, Series]) -> dict[str, Evidence]:
    """Claims of the kinds that Yang & Huang (2019, section 4.2) make of their 14 settings."""
    others = [series for setting, series in results.items() if setting != LEADER]
    claims = {
        f"{LEADER} is best of all": best(results[LEADER], others),
        f"{LEADER} beats sgd": compare(results[LEADER], results["sgd"]),
        "adam beats sgd": compare(results["adam"], results["sgd"]),
    }
    for strategy in STRATEGIES:
        group = {sequence: results[f"{sequence} by {strategy}"] for sequence in SEQUENCES}
        rivals = [series for sequence, series in group.items() if sequence != "exponential"]
        claims[f"exponential is best by {strategy}"] = best(group["exponential"], rivals)
        claims[f"the best by {strategy}, as picked, beats sgd"] = picked(list(group.values()), results["sgd"])
        name, evidence = winner(group)
        claims[f"{name}, as picked, is best by {strategy}"] = evidence
    return claims


def simulate(
    means: Mapping[str, float],
    seeds: int,
    studies: int = 200,
    random_state: int = 0,
    claims: Claims = decay_claims,
) -> Rates:
    """Judge simulated studies, with normal, independent values, whose settings truly have these `means`.

    What `claims` says of the means themselves is the truth. A verdict that contradicts it is false, and so is any
    verdict where the truth is a tie.
    """
    rng = np.random.default_rng(random_state)
    truth = {claim: e.effect for claim, e in claims({s: {0: mean} for s, mean in means.items()}).items()}
    found = {claim: 0 for claim, effect in truth.items() if effect > 0}
    any_false = 0
    for _ in range(studies):
        values = np.array([*means.values()])[:, None] + rng.normal(scale=sqrt(0.5), size=(len(means), seeds))
        results = {s: dict(enumerate(row)) for s, row in zip(means, values.tolist(), strict=True)}
        verdicts = {claim: verdict.verdict for claim, verdict in judge(claims(results)).items()}
        for claim in found:
            found[claim] += verdicts.get(claim) == "reproduced"
        # "B, as picked, is best" has no entry in the truth where A is best: it is false.
        any_false += any(
            (verdict == "reproduced" and truth.get(claim, 0) <= 0)
            or (verdict == "not reproduced" and truth.get(claim, 0) >= 0)
            for claim, verdict in verdicts.items()
        )
    return Rates(seeds, any_false / studies, {claim: count / studies for claim, count in found.items()})


def power_table(
    lead: float, seeds: Sequence[int] = (3, 5, 10, 20), studies: int = 200, random_state: int = 0
) -> list[Rates]:
    """`simulate` for each number of seeds, with one setting `lead` ahead of 13 that are equal; 0 is a null study."""
    means = dict.fromkeys(SETTINGS, 0.0) | {LEADER: lead}
    return [simulate(means, count, studies, random_state) for count in seeds]
