"""Sequences: the learning rates in order, r_0, r_1, r_2, ... (what the next rate is).

A sequence is a callable: ``sequence(n)`` is the rate at position ``n`` (n = 0, 1, 2, ...), finite and never
negative. It depends on ``n`` alone, whatever was asked before. ``lr`` is r_0, except in `OneCycle`, `Triangular`,
`WarmupStableDecay` and `Warmup`, which first rise to it, and where a scheduler of torch starts elsewhere.

A sequence that ends has a field ``total``, the number of advances until the end; from position ``total`` on
it keeps its last rate. Constructors raise NotAllowed, a ValueError, in one sentence, for a value that is not allowed.
"""

import importlib
import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from lr_lab.checks import is_number, is_whole_number
from lr_lab.errors import NotAllowed


def check_number(name: str, value: Any, allowed: str, valid: Callable[[float], bool]) -> None:
    """Raise NotAllowed unless ``value`` is a finite number and ``valid``; ``allowed`` says that in words."""
    if not (is_number(value) and valid(value)):
        raise NotAllowed(f"{name} must be {allowed}, not {value!r}")


def check_whole(name: str, value: object, least: int, meaning: str) -> None:
    """Raise NotAllowed unless ``value``, which counts ``meaning``, is an integer of at least ``least``."""
    if not is_whole_number(value, least):
        raise NotAllowed(f"{name} ({meaning}) must be a whole number of at least {least}, not {value!r}")


def check_fraction(name: str, value: object) -> None:
    """Raise NotAllowed unless ``value`` is a number from 0 to 1."""
    check_number(name, value, "a number from 0 to 1", lambda x: 0 <= x <= 1)


def _check_decay_factor(factor: object) -> None:
    check_number("sequence.factor", factor, "a number above 0 and at most 1", lambda x: 0 < x <= 1)


def _cosine(start: float, end: float, fraction: float) -> float:
    """Half a cosine wave from ``start`` (fraction 0) to ``end`` (fraction 1)."""
    part = (1 + math.cos(math.pi * fraction)) / 2
    return start * part + end * (1 - part)  # not end + (start - end) * part, which rounds at fraction 0


class Sequence(ABC):
    """The base of all sequences; ``name`` is the word a person types."""

    name: str

    @abstractmethod
    def __call__(self, n: int) -> float:
        """The rate r_n at position ``n`` >= 0."""


@dataclass(frozen=True)
class FormulaSequence(Sequence):
    """Base of the sequences whose r_n is a formula in ``n`` and one rate ``lr``."""

    lr: float

    def __post_init__(self) -> None:
        check_number("lr", self.lr, "a number above 0", lambda x: x > 0)


@dataclass(frozen=True)
class EndingSequence(FormulaSequence):
    """Base of the sequences that need to know their length."""

    # None means that nobody gave a length; __post_init__ refuses it, so a built sequence always has an int.
    total: int = None  # type: ignore[assignment]

    def __post_init__(self) -> None:
        super().__post_init__()
        check_whole("sequence.total", self.total, 1, "the number of advances until the end")


@dataclass(frozen=True)
class Constant(FormulaSequence):
    """r_n = r_0."""

    name = "constant"

    def __call__(self, n: int) -> float:
        return self.lr


@dataclass(frozen=True)
class Inverse(FormulaSequence):
    """r_n = r_0 / n for n >= 1, so r_1 = r_0 (Yang & Huang 2019, section 3.1, seq1)."""

    name = "inverse"

    def __call__(self, n: int) -> float:
        return self.lr / max(n, 1)


@dataclass(frozen=True)
class InverseSqrt(FormulaSequence):
    """r_n = r_0 / sqrt(n) for n >= 1, so r_1 = r_0 (Yang & Huang 2019, section 3.1, seq2)."""

    name = "inverse_sqrt"

    def __call__(self, n: int) -> float:
        return self.lr / math.sqrt(max(n, 1))


@dataclass(frozen=True)
class Exponential(FormulaSequence):
    """r_n = factor^n r_0; the report's factor is 0.9 (Yang & Huang 2019, section 3.1, seq3)."""

    name = "exponential"
    factor: float = 0.9

    def __post_init__(self) -> None:
        super().__post_init__()
        _check_decay_factor(self.factor)

    def __call__(self, n: int) -> float:
        return self.lr * self.factor**n


@dataclass(frozen=True)
class Cyclic(FormulaSequence):
    """r_n = (1 - ((n-1) mod 10) / 10) / (floor(n / 10) + 1) r_0 for n >= 1 (Yang & Huang 2019, seq4)."""

    name = "cyclic"

    def __call__(self, n: int) -> float:
        if n == 0:
            return self.lr
        return self.lr * (1 - (n - 1) % 10 / 10) / (n // 10 + 1)


@dataclass(frozen=True)
class Staircase(FormulaSequence):
    """r_n = factor^floor(n / step_size) r_0: the rate drops after every ``step_size`` advances."""

    name = "staircase"
    step_size: int = 10
    factor: float = 0.1

    def __post_init__(self) -> None:
        super().__post_init__()
        check_whole("sequence.step_size", self.step_size, 1, "advances between two drops")
        _check_decay_factor(self.factor)

    def __call__(self, n: int) -> float:
        return self.lr * self.factor ** (n // self.step_size)


@dataclass(frozen=True)
class Linear(EndingSequence):
    """A straight line from r_0 to end_factor * r_0 at ``total``."""

    name = "linear"
    end_factor: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        check_fraction("sequence.end_factor", self.end_factor)

    def __call__(self, n: int) -> float:
        return self.lr * (1 - (1 - self.end_factor) * min(n / self.total, 1.0))


@dataclass(frozen=True)
class Cosine(EndingSequence):
    """Half a cosine wave from r_0 to end_factor * r_0 at ``total`` (Loshchilov & Hutter 2017, equation 5)."""

    name = "cosine"
    end_factor: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        check_fraction("sequence.end_factor", self.end_factor)

    def __call__(self, n: int) -> float:
        return _cosine(self.lr, self.lr * self.end_factor, min(n / self.total, 1.0))


@dataclass(frozen=True)
class Polynomial(EndingSequence):
    """r_n = (1 - n / total)^power r_0; power 0.9 is the "poly" policy of DeepLab (Chen et al. 2018)."""

    name = "polynomial"
    power: float = 0.9

    def __post_init__(self) -> None:
        super().__post_init__()
        check_number("sequence.power", self.power, "a number above 0", lambda x: x > 0)

    def __call__(self, n: int) -> float:
        return self.lr * (1 - min(n / self.total, 1.0)) ** self.power


@dataclass(frozen=True)
class WarmRestarts(FormulaSequence):
    """Cosine cycles, each from r_0 down to end_factor * r_0 (SGDR: Loshchilov & Hutter 2017, section 3).

    The first cycle lasts T_0 advances, each next one T_mult times as long as the one before.
    """

    name = "warm_restarts"
    T_0: int = 10
    T_mult: int = 2
    end_factor: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        check_whole("sequence.T_0", self.T_0, 1, "advances in the first cycle")
        check_whole("sequence.T_mult", self.T_mult, 1, "how many times longer each next cycle is")
        check_fraction("sequence.end_factor", self.end_factor)

    def __call__(self, n: int) -> float:
        position, length = n, self.T_0
        if self.T_mult == 1:
            position %= length
        while position >= length:
            position -= length
            length *= self.T_mult
        return _cosine(self.lr, self.lr * self.end_factor, position / length)


@dataclass(frozen=True)
class Triangular(FormulaSequence):
    """Up a line from low_factor * lr to ``lr`` in half_cycle advances, down as many, and again (Smith 2017, section 3).

    ``lr`` is the peak, the names of the paper's base_lr, max_lr and stepsize are low_factor * lr, lr and half_cycle.
    """

    name = "triangular"
    half_cycle: int = 5
    low_factor: float = 0.1

    def __post_init__(self) -> None:
        super().__post_init__()
        check_whole("sequence.half_cycle", self.half_cycle, 1, "advances from the lowest rate to the highest")
        check_fraction("sequence.low_factor", self.low_factor)

    def __call__(self, n: int) -> float:
        height = 1 - abs(n % (2 * self.half_cycle) / self.half_cycle - 1)
        return self.lr * (self.low_factor + (1 - self.low_factor) * height)


@dataclass(frozen=True)
class OneCycle(EndingSequence):
    """Half a cosine wave up to ``lr``, then half a wave far below the start (Smith & Topin 2018).

    ``lr`` is the peak, reached after the part ``pct_start`` of ``total``; the cycle starts at lr / div_factor
    and ends at lr / (div_factor * final_div_factor). Names and positions are those of torch's
    OneCycleLR(max_lr=lr, total_steps=total), whose last rate is at position total - 1. When the rise is
    shorter than one position, the sequence starts at its peak.
    """

    name = "one_cycle"
    pct_start: float = 0.3
    div_factor: float = 25.0
    final_div_factor: float = 1e4

    def __post_init__(self) -> None:
        super().__post_init__()
        check_number("sequence.pct_start", self.pct_start, "a number between 0 and 1", lambda x: 0 < x < 1)
        for name in ("div_factor", "final_div_factor"):
            check_number(f"sequence.{name}", getattr(self, name), "a number of at least 1", lambda x: x >= 1)

    def __call__(self, n: int) -> float:
        peak = max(self.pct_start * self.total - 1, 0.0)
        last = max(self.total - 1, 1)
        first_rate = self.lr / self.div_factor
        if n < peak:
            return _cosine(first_rate, self.lr, n / peak)
        return _cosine(self.lr, first_rate / self.final_div_factor, min((n - peak) / (last - peak), 1.0))


@dataclass(frozen=True)
class WarmupStableDecay(EndingSequence):
    """A line up to ``lr``, ``lr`` for most of the time, a line down (Hu et al. 2024, MiniCPM, section 4).

    ``warmup`` (rounded down to whole advances) and ``decay`` are fractions of ``total``. The rise starts at
    start_factor * lr; the fall, a line as in Hägele et al. 2024 (arXiv 2405.18392), ends at end_factor * lr.
    """

    name = "wsd"
    warmup: float = 0.1
    decay: float = 0.2
    start_factor: float = 0.1
    end_factor: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("warmup", "decay", "start_factor", "end_factor"):
            check_fraction(f"sequence.{name}", getattr(self, name))
        if self.warmup + self.decay > 1:
            raise NotAllowed(
                f"sequence.warmup and sequence.decay must add up to at most 1, not {self.warmup!r} + {self.decay!r}"
            )

    def __call__(self, n: int) -> float:
        rise, fall = int(self.warmup * self.total), self.decay * self.total
        if n < rise:
            return self.lr * (self.start_factor + (1 - self.start_factor) * n / rise)
        if fall == 0 or n <= self.total - fall:
            return self.lr
        return self.lr * (1 - (1 - self.end_factor) * min((n - self.total + fall) / fall, 1.0))


@dataclass(frozen=True)
class Warmup(Sequence):
    """A line from start_factor * r_0 up to r_0 in ``length`` advances, then ``sequence`` from its r_0 on.

    r_n = sequence(n - length) from n = length on (gradual warmup: Goyal et al. 2017, section 2.2). A sequence
    with a ``total`` ends ``length`` advances later than without the warmup.
    """

    sequence: Sequence
    length: int = 5
    start_factor: float = 0.1

    def __post_init__(self) -> None:
        check_whole("warmup.length", self.length, 1, "advances until the full rate")
        check_fraction("warmup.start_factor", self.start_factor)

    @property
    def name(self) -> str:  # type: ignore[override]
        """The name of the sequence, marked as warmed up."""
        return f"warmup-{self.sequence.name}"

    @property
    def total(self) -> int | None:
        """The number of advances until the end; None if the sequence has none."""
        total: int | None = getattr(self.sequence, "total", None)
        return None if total is None else self.length + total

    def __call__(self, n: int) -> float:
        if n >= self.length:
            return self.sequence(n - self.length)
        return self.sequence(0) * (self.start_factor + (1 - self.start_factor) * n / self.length)


_NO_SEQUENCES = {
    "ReduceLROnPlateau": "decides by itself when to lower the rate; use strategy=plateau",
    "LambdaLR": "needs a function, which a config cannot hold; add a sequence class for it",
    "MultiplicativeLR": "needs a function, which a config cannot hold; add a sequence class for it",
    "ChainedScheduler": "is made of other schedulers; use one of them, after warmup=linear if need be",
    "SequentialLR": "is made of other schedulers; use one of them, after warmup=linear if need be",
}


class TorchScheduler(Sequence):
    """Any torch scheduler that takes plain values, as a sequence: r_n is the rate it sets at its step n.

    ``scheduler`` is the dotted path of the class and ``options`` are its arguments but the optimizer, e.g.
    ``TorchScheduler(0.1, "torch.optim.lr_scheduler.StepLR", step_size=10)``. A scheduler that names its rates
    itself (``max_lr`` of OneCycleLR, ``base_lr`` of CyclicLR) starts from those and not from ``lr``.

    Raises ValueError for a class that is not a scheduler, for options it does not take, for schedulers that take
    functions or other schedulers or decide by themselves, and for one that would also move the momentum.
    """

    def __init__(self, lr: float, scheduler: str, **options: Any) -> None:
        import torch  # here, so that the other sequences and the command line's help need no torch

        check_number("lr", lr, "a number above 0", lambda x: x > 0)
        module, _, class_name = str(scheduler).rpartition(".")
        try:
            kind = getattr(importlib.import_module(module), class_name)
        except (ImportError, AttributeError, ValueError):
            kind = None
        if not (isinstance(kind, type) and issubclass(kind, torch.optim.lr_scheduler.LRScheduler)):
            raise NotAllowed(
                "sequence.scheduler must be the dotted path of a torch scheduler, such as "
                f"torch.optim.lr_scheduler.StepLR, not {scheduler!r}"
            )
        for parent in kind.__mro__:
            if parent.__name__ in _NO_SEQUENCES:
                raise NotAllowed(f"{class_name} cannot be a sequence: it {_NO_SEQUENCES[parent.__name__]}")

        self.name = f"torch-{class_name}"
        self._lr = lr
        self._optimizer = torch.optim.SGD([torch.zeros(())], lr=lr)
        try:
            self._scheduler = kind(self._optimizer, **options)
            self._optimizer.step()  # torch warns when a scheduler steps before its optimizer did
            self._rates = [self._current_rate()]
            self(100)  # some options fail at a later step only, e.g. gamma=-1 of StepLR at its first drop
        except Exception as error:  # torch raises many types for an option that it cannot use
            reason = " ".join(f"{type(error).__name__}: {error}".split())
            raise NotAllowed(f"{class_name} does not work with {options}: {reason}") from error
        if getattr(self._scheduler, "cycle_momentum", False):
            raise NotAllowed(
                f"{class_name} would also move the momentum, which a sequence does not: set cycle_momentum=false"
            )

    def _current_rate(self) -> float:
        rate = float(self._optimizer.param_groups[0]["lr"])
        if -1e-12 * self._lr < rate < 0:  # LinearLR multiplies step by step, so rounding may take an end of 0 below 0
            return 0.0
        if not math.isfinite(rate) or rate < 0:
            raise NotAllowed(f"{self.name} gives the rate {rate!r}; a rate must be finite and at least 0")
        return rate

    def __call__(self, n: int) -> float:
        """The rate at step ``n`` >= 0; past its ``total_steps`` OneCycleLR keeps its last rate.

        Raises ValueError when the scheduler sets a rate that is negative or not finite.
        """
        n = min(n, getattr(self._scheduler, "total_steps", n + 1) - 1)
        # Torch's schedulers only go forwards: their rates are kept, so that any order of asking is answered.
        while len(self._rates) <= n:
            self._scheduler.step()
            self._rates.append(self._current_rate())
        return self._rates[n]
