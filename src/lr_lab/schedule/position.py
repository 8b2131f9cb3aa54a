"""The position of a run in its sequence of rates."""

from __future__ import annotations

from typing import Any

from lr_lab.schedule.sequences import Sequence
from lr_lab.schedule.strategies import Strategy


class Position:
    """The index n of the rate in force, moved by a strategy; the rate is r_n of the sequence.

    This is the whole rule of how the rate moves. It knows no optimizer, no network and no Trainer: the Lightning
    callback of a single run, the population and anyone's plain loop drive it alike.

    Attributes:
        index: n of the rate in force.
    """

    def __init__(self, sequence: Sequence, strategy: Strategy) -> None:
        self.sequence = sequence
        self.strategy = strategy
        self.index = 0
        self._counted = self._changes = 0
        self._state: dict[str, Any] | None = None

    @property
    def rate(self) -> float:
        """The rate in force, r_n."""
        return self.sequence(self.index)

    @property
    def changes(self) -> int:
        """How often the rate has changed on the way to n; an advance that leaves it as it is does not count."""
        if self._counted > self.index:
            self._counted = self._changes = 0
        while self._counted < self.index:
            self._counted += 1
            self._changes += self.sequence(self._counted) != self.sequence(self._counted - 1)
        return self._changes

    @property
    def wants_baseline(self) -> bool:
        """Whether the strategy still has to see the untrained network's validation loss."""
        return self._state is None and self.strategy.baseline == "untrained"

    def observe(self, epoch: int, val_loss: float) -> None:
        """Tells the strategy the validation loss after an epoch (-1: of the untrained network) and follows it."""
        self._state, advance = self.strategy(self._state, epoch, val_loss)
        if advance and not self.strategy.per_step:
            self.index += 1

    def rates(self, first_step: int, steps: int) -> list[float]:
        """The rates of consecutive optimizer steps within an epoch; the position stays at the last of them.

        Args:
            first_step: optimizer steps taken before, since the run began.
            steps: how many, at least 1.
        """
        if not self.strategy.per_step:
            return [self.rate] * steps
        self.index = first_step + steps - 1
        return [self.sequence(n) for n in range(first_step, first_step + steps)]

    def state_dict(self) -> dict[str, Any]:
        """The index and the strategy's state, as plain numbers; the rate is recomputed from them."""
        return {"index": self.index, "strategy": self._state}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.index = state_dict["index"]
        self._state = state_dict["strategy"]
