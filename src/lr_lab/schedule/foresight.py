"""What a schedule will do in a run, from its rates alone: refusals of what cannot be meant, remarks on what is odd.

The positions of the sequence that the strategy can reach in the run are gone through before anything is trained.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import pairwise

from lr_lab.errors import NotAllowed
from lr_lab.schedule.position import Position
from lr_lab.schedule.sequences import Sequence
from lr_lab.schedule.strategies import Strategy

# A rate this far below the highest of the run trains next to nothing.
_GONE = 1e-5
# A run of so few epochs is a trial, in which a rate by epoch has hardly a chance to move.
_TRIAL = 2
# What comes later than this many lengths of the run is missed, not just cut off.
_WELL_AFTER = 1.1
# Longer runs are looked at in so many places, and beyond the end of a run in at most so many.
_MOST = 20_000
_BEYOND = 2_000


@dataclass(frozen=True)
class _Foreseen:
    """The rates of a run at positions 0, stride, 2 stride ..., and those that would come next."""

    sequence: Sequence
    strategy: Strategy
    epochs: int
    positions: int
    stride: int
    rates: list[float]
    beyond: list[float]

    @property
    def peak(self) -> float:
        return max(self.rates)

    def moment(self, index: int) -> str:
        """When the run comes to the rate of this index at the earliest."""
        position = index * self.stride
        if self.strategy.per_step:
            return f"step {position + 1:,}"
        if not self.strategy.reads_loss and self.positions == self.epochs:
            return f"epoch {position + 1}"
        return f"advance {position}"

    @property
    def length(self) -> str:
        """How far the run comes, as a clause."""
        if self.strategy.per_step:
            return f"the run has {self.positions:,} steps"
        if not self.strategy.reads_loss and self.positions == self.epochs:
            return f"the run has {self.epochs} epochs"
        most = f"{self.positions - 1} advance{'s' * (self.positions != 2)}"
        return f"{self.epochs} epochs allow at most {most} by {self.strategy.name}"


def oddities(position: Position, epochs: int, steps_per_epoch: int = 1) -> dict[str, str]:
    """What is odd about a schedule in a run of that length: the kind of oddity -> a sentence, with what to do.

    Args:
        steps_per_epoch: counts only where the strategy goes by steps.

    Raises:
        NotAllowed: a rate is negative or not finite, or all are 0.
    """
    sequence, strategy = position.sequence, position.strategy
    seen = _foresee(sequence, strategy, epochs, steps_per_epoch)
    found = {
        "starts at 0": _starts_at_zero(seen),
        "ends early": _ends_early(seen),
        "cut off": _cut_off(seen),
        "gone": _gone(seen),
        "still": _stands_still(seen),
        "part of a cycle": _part_of_a_cycle(seen),
    }
    return {kind: f"Schedule {sequence.name} by {strategy.name}: {says}" for kind, says in found.items() if says}


def told_once(found: Iterable[Mapping[str, str]]) -> list[str]:
    """The first sentence of each kind, and how many other schedules it is true of as well."""
    by_kind: dict[str, dict[str, None]] = {}
    for one in found:
        for kind, sentence in one.items():
            by_kind.setdefault(kind, {})[sentence] = None
    return [
        first + (f" The like is true of {len(others)} more schedule{'s' * (len(others) > 1)}." if others else "")
        for first, *others in by_kind.values()
    ]


def _foresee(sequence: Sequence, strategy: Strategy, epochs: int, steps_per_epoch: int) -> _Foreseen:
    positions = strategy.most_advances(epochs, steps_per_epoch)
    stride = max(1, positions // _MOST)
    rates = []
    for n in range(0, positions, stride):
        rate = sequence(n)
        if not math.isfinite(rate) or rate < 0:
            raise NotAllowed(
                f"sequence={sequence.name} gives the rate {rate:g} after {n} advances, which this run reaches; a rate "
                "is finite and at least 0, so change the numbers of the sequence."
            )
        rates.append(rate)
    if not any(rates):
        raise NotAllowed(f"sequence={sequence.name} gives the rate 0 throughout this run; give it a higher one.")
    beyond = []
    for n in range(positions, positions + min(3 * len(rates) + 100, _BEYOND) * stride, stride):
        try:
            beyond.append(sequence(n))
        except ValueError:  # the run does not come there
            break
    return _Foreseen(sequence, strategy, epochs, positions, stride, rates, beyond)


def _starts_at_zero(seen: _Foreseen) -> str:
    if seen.rates[0] > 0 or seen.strategy.per_step:
        return ""
    return "the rate of the first epoch is 0, so that it trains nothing; start it a little higher."


def _ends_early(seen: _Foreseen) -> str:
    """Its own end comes before that of the run, and it stands below its peak there."""
    total = getattr(seen.sequence, "total", None)
    last = seen.rates[-1]
    if total is None or total >= seen.positions - 1 or last > 0.999 * seen.peak:
        return ""
    return (
        f"from {seen.moment(total // seen.stride)} on the rate stands at its end, {last:.3g}, and {seen.length}; leave "
        "sequence.total at null, which ends it with the run, or train shorter."
    )


def _cut_off(seen: _Foreseen) -> str:
    total = getattr(seen.sequence, "total", None)
    if total is None or total <= seen.positions:
        return ""
    return (
        f"the run ends at the rate {seen.rates[-1]:.3g}, after {seen.positions - 1} of {total} advances of the "
        "sequence; leave sequence.total at null, which ends it with the run, or train longer."
    )


def _gone(seen: _Foreseen) -> str:
    """For half of the run or more there is next to no rate; only told where the strategy does not wait for losses."""
    if seen.strategy.reads_loss or _ends_early(seen):
        return ""
    first = next((index for index, rate in enumerate(seen.rates) if max(seen.rates[index:]) < _GONE * seen.peak), None)
    if first is None or 2 * first > len(seen.rates):
        return ""
    return (
        f"from {seen.moment(first)} on the rate is below {_GONE:g} of its highest, {seen.peak:g}, and trains next to "
        f"nothing, while {seen.length}; lower it more slowly, or train for fewer epochs."
    )


def _stands_still(seen: _Foreseen) -> str:
    """It never moves, though the sequence would."""
    first = seen.rates[0]
    if seen.epochs <= _TRIAL or any(rate != first for rate in seen.rates):
        return ""
    changed = next((index for index, rate in enumerate(seen.beyond) if rate != first), None)
    if changed is None:
        return ""
    return (
        f"the rate stays at {first:g} throughout, because it first changes with "
        f"{seen.moment(len(seen.rates) + changed)}, and {seen.length}; train longer, or let it change "
        "earlier."
    )


def _part_of_a_cycle(seen: _Foreseen) -> str:
    """The rate rises for the first time, or to its highest, well after the end of the run."""
    if seen.epochs <= _TRIAL or _stands_still(seen) or _cut_off(seen) or not seen.beyond:
        return ""
    rates = [*seen.rates, *seen.beyond]
    if any(b > a for a, b in pairwise(seen.rates)):
        comes = rates.index(max(rates)) if max(seen.beyond) > 1.001 * seen.peak else 0
        what = "comes to its highest"
    else:
        comes = next((index for index in range(len(seen.rates), len(rates)) if rates[index] > rates[index - 1]), 0)
        what = "rises again"
    if comes <= _WELL_AFTER * len(seen.rates) + 1:  # a cycle that ends with the run is whole
        return ""
    return (
        f"the run sees only part of a cycle, because the rate {what} with {seen.moment(comes)}, and {seen.length}; "
        "shorten the cycle, or train longer."
    )
