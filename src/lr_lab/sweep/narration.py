"""The text at a terminal while a study is trained: looks, cost, and the reason why it ends."""

from __future__ import annotations

from collections.abc import Mapping

from lr_lab.study.looks import Forecast, Look, Outcome
from lr_lab.study.verdicts import Verdict


def say_look(look: Look, verdicts: Mapping[str, Verdict]) -> str:
    """One look: the claims that it decided, and the settings that it stops."""
    lines = [f"Look at {look.seeds} seeds; by now {look.spent:.0%} of the 5% is spent that verdicts may be false:"]
    lines += [f"  {verdicts[claim].verdict}: {claim}" for claim in look.decided]
    lines += [] if look.decided else ["  no claim is decided"]
    if look.set_aside:
        lines.append(f"  not decided within this plan, so set aside: {', '.join(look.set_aside)}")
    if look.stopped:
        lines.append(f"  trained no further: {', '.join(look.stopped)}")
    return "\n".join(lines)


def say_cost(outcome: Outcome, hours: float | None) -> str:
    """The cost of the next look, and the expected cost of deciding the open claims."""
    runs = sum(map(len, outcome.missing.values()))
    time = "" if hours is None else f", about {_time(hours)} here"
    look = f"The look at {outcome.next_look} seeds" if outcome.next_look else "A first look"
    lines = [f"{look} takes {runs} more runs of {len(outcome.missing)} settings{time}."]
    for claim, forecast in outcome.forecasts.items():
        if not outcome.verdicts[claim].is_set_aside:
            lines.append(f"  {claim}: {_seeds(forecast)}")
    if aside := [claim for claim, verdict in outcome.verdicts.items() if verdict.is_set_aside]:
        lines.append(f"  Not decided by any number of seeds that is planned: {', '.join(aside)}.")
    return "\n".join(lines)


def say_verdicts(verdicts: Mapping[str, Verdict]) -> str:
    """How many claims ended how."""
    kinds = [verdict.verdict for verdict in verdicts.values()]
    counts = [f"{kinds.count(kind)} {kind}" for kind in dict.fromkeys(kinds)]
    return f"Of {len(kinds)} claims: {', '.join(counts)}." if counts else "The study makes no claim."


def _seeds(forecast: Forecast) -> str:
    if forecast.expected is None:
        least = "" if forecast.fewest is None else f", {forecast.fewest} if chance was against it"
        return f"decided by no affordable number of seeds{least}"
    most = "many more" if forecast.most is None else str(forecast.most)
    return f"decided with about {forecast.expected} seeds ({forecast.fewest} to {most})"


def _time(hours: float) -> str:
    if hours >= 1:
        return f"{hours:.1f} hours"
    return f"{max(1, round(60 * hours))} minutes" if hours * 3600 >= 60 else f"{max(1, round(3600 * hours))} seconds"
