"""Strategies: when the next learning rate of the sequence is taken.

A strategy is a pure function ``(state, epoch, val_loss) -> (state, advance)``, asked after the validation of
each epoch (counted from 0). ``state`` is None at first and then a plain dict of numbers that survives JSON;
it is never changed in place. ``val_loss`` is l_e, the validation loss after epoch e. A loss that is not
finite raises nothing and never enters a state.

Besides being called, a strategy tells

- ``name``: the word a person types;
- ``per_step``: the next rate is taken after every optimizer step, and its answers after an epoch do not count;
- ``reads_loss``: whether the loss decides; if not, the strategy is asked after every epoch, validated or not;
- ``monitor``: the name under which a LightningModule logs the loss that the strategy reads;
- ``baseline``: with ``untrained`` it is first asked with epoch = -1 and the untrained network's loss;
- ``most_advances(epochs, steps_per_epoch)``: how many positions of the sequence a run of that length can pass
  through at most, which is the ``total`` of a sequence that is to end with the run.

Constructors raise ValueError, in one sentence, for a value that is not allowed.
"""

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass, field

from lr_lab.errors import NotAllowed
from lr_lab.schedule.sequences import check_number, check_whole

State = dict[str, float]


class Strategy(ABC):
    """The base of all strategies. By default a strategy is asked by epoch and needs no baseline."""

    name: str
    per_step = False
    baseline = "first_epoch"
    reads_loss = True
    monitor = "val_loss"

    @abstractmethod
    def __call__(self, state: State | None, epoch: int, val_loss: float) -> tuple[State, bool]:
        """The new state, and whether the next rate is taken."""

    def most_advances(self, epochs: int, steps_per_epoch: int) -> int:
        """The most positions n a run can pass through, position 0 included."""
        return epochs


@dataclass(frozen=True)
class ComparingStrategy(Strategy):
    """Base of the two that compare l_e with l_{e-1}.

    Yang & Huang 2019 leave open whether loss_0 is the loss after the first epoch (``first_epoch``) or that of
    the untrained network (``untrained``). The rule is one: the first finite loss seen is the baseline.
    """

    baseline: str = "first_epoch"
    monitor: str = field(default="val_loss", kw_only=True)

    def __post_init__(self) -> None:
        if self.baseline not in ("first_epoch", "untrained"):
            raise NotAllowed(f"strategy.baseline must be first_epoch or untrained, not {self.baseline!r}")

    def most_advances(self, epochs: int, steps_per_epoch: int) -> int:
        return epochs if self.baseline == "untrained" else max(epochs - 1, 1)


@dataclass(frozen=True)
class Epoch(Strategy):
    """Advance after every epoch (Yang & Huang 2019, algorithm 1)."""

    name = "epoch"
    reads_loss = False

    def __call__(self, state: State | None, epoch: int, val_loss: float) -> tuple[State, bool]:
        return {}, True


@dataclass(frozen=True)
class Cutoff(ComparingStrategy):
    """Advance when abs(l_e - l_{e-1}) < c, then c <- shrink * c (Yang & Huang 2019, algorithm 2).

    At first c is ``ratio`` times the baseline loss.
    """

    name = "cutoff"
    ratio: float = 0.01
    shrink: float = 0.2

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("ratio", "shrink"):
            value = getattr(self, name)
            check_number(f"strategy.{name}", value, "a number above 0 and at most 1", lambda x: 0 < x <= 1)

    def __call__(self, state: State | None, epoch: int, val_loss: float) -> tuple[State, bool]:
        if not math.isfinite(val_loss):
            return state or {}, False
        if not state:
            return {"loss": val_loss, "cutoff": self.ratio * val_loss}, False
        advance = abs(val_loss - state["loss"]) < state["cutoff"]
        return {"loss": val_loss, "cutoff": state["cutoff"] * (self.shrink if advance else 1.0)}, advance


@dataclass(frozen=True)
class Oscillate(ComparingStrategy):
    """Advance when l_e > l_{e-1} (Yang & Huang 2019, algorithm 3)."""

    name = "oscillate"

    def __call__(self, state: State | None, epoch: int, val_loss: float) -> tuple[State, bool]:
        if not math.isfinite(val_loss):
            return state or {}, False
        return {"loss": val_loss}, state is not None and val_loss > state.get("loss", math.inf)


@dataclass(frozen=True)
class Plateau(Strategy):
    """Advance when the loss has not improved for more than ``patience`` epochs, as ReduceLROnPlateau decides.

    An improvement is a loss below best * (1 - threshold) (``threshold_mode`` rel) or best - threshold (abs).
    After an advance, ``cooldown`` epochs are not counted. A loss that is not finite does not count as an improvement.
    """

    name = "plateau"
    patience: int = 10
    threshold: float = 1e-4
    threshold_mode: str = "rel"
    cooldown: int = 0
    monitor: str = field(default="val_loss", kw_only=True)

    def __post_init__(self) -> None:
        check_whole("strategy.patience", self.patience, 0, "epochs without improvement that are let pass")
        check_whole("strategy.cooldown", self.cooldown, 0, "epochs after an advance that are not counted")
        check_number("strategy.threshold", self.threshold, "a number of at least 0", lambda x: x >= 0)
        if self.threshold_mode not in ("rel", "abs"):
            raise NotAllowed(f"strategy.threshold_mode must be rel or abs, not {self.threshold_mode!r}")

    def __call__(self, state: State | None, epoch: int, val_loss: float) -> tuple[State, bool]:
        # "best" is missing until there is a finite loss: JSON has no infinity.
        new: State = dict(state or {"bad_epochs": 0, "cooldown_left": 0})
        if math.isfinite(val_loss) and ("best" not in new or self._improves(val_loss, new["best"])):
            new |= {"best": val_loss, "bad_epochs": 0}
        else:
            new["bad_epochs"] += 1
        if new["cooldown_left"] > 0:
            new |= {"cooldown_left": new["cooldown_left"] - 1, "bad_epochs": 0}
        advance = new["bad_epochs"] > self.patience
        if advance:
            new |= {"cooldown_left": self.cooldown, "bad_epochs": 0}
        return new, advance

    def _improves(self, loss: float, best: float) -> bool:
        if self.threshold_mode == "rel":
            return loss < best * (1 - self.threshold)
        return loss < best - self.threshold

    def most_advances(self, epochs: int, steps_per_epoch: int) -> int:
        # Epoch 0 sets the best, so the first advance comes after epoch patience + 1; one after the last epoch
        # has no effect.
        between = self.patience + 1 + self.cooldown
        return 1 + max(epochs - 2 + self.cooldown, 0) // between


@dataclass(frozen=True)
class Every(Strategy):
    """Advance after every ``k``-th epoch."""

    name = "every"
    reads_loss = False
    k: int = 10

    def __post_init__(self) -> None:
        check_whole("strategy.k", self.k, 1, "epochs between two advances")

    def __call__(self, state: State | None, epoch: int, val_loss: float) -> tuple[State, bool]:
        return {}, (epoch + 1) % self.k == 0

    def most_advances(self, epochs: int, steps_per_epoch: int) -> int:
        return math.ceil(epochs / self.k)


@dataclass(frozen=True)
class EveryStep(Strategy):
    """Advance after every optimizer step."""

    name = "every_step"
    reads_loss = False
    per_step = True

    def __call__(self, state: State | None, epoch: int, val_loss: float) -> tuple[State, bool]:
        return {}, True

    def most_advances(self, epochs: int, steps_per_epoch: int) -> int:
        return epochs * steps_per_epoch
