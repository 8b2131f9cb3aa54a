"""Sequences against the design's worked traces, torch's own schedulers, and what every sequence promises."""

import math
import random
import subprocess
import sys
import warnings
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch
from hydra import compose, initialize_config_dir
from hydra.utils import instantiate
from hypothesis import example, given
from hypothesis import strategies as st
from omegaconf import DictConfig
from torch.optim import lr_scheduler

from lr_lab.schedule.sequences import (
    Constant,
    Cosine,
    Cyclic,
    EndingSequence,
    Exponential,
    FormulaSequence,
    Inverse,
    InverseSqrt,
    Linear,
    OneCycle,
    Polynomial,
    Sequence,
    Staircase,
    TorchScheduler,
    Triangular,
    WarmRestarts,
    Warmup,
    WarmupStableDecay,
)

ROOT = Path(__file__).parents[2]
CONF = ROOT / "conf"
NAMES = sorted(path.stem for path in (CONF / "sequence").glob("*.yaml"))
ALIASES = {"seq1": "inverse", "seq2": "inverse_sqrt", "seq3": "exponential", "seq4": "cyclic"}

lrs = st.floats(1e-6, 10)
totals = st.integers(1, 300)
positions = st.integers(0, 1000)
fractions = st.floats(0, 1)

decaying = st.one_of(
    st.builds(Constant, lrs),
    st.builds(Inverse, lrs),
    st.builds(InverseSqrt, lrs),
    st.builds(Exponential, lrs, st.floats(0.01, 1)),
    st.builds(Staircase, lrs, st.integers(1, 50), st.floats(0.01, 1)),
    st.builds(Linear, lrs, totals, fractions),
    st.builds(Cosine, lrs, totals, fractions),
    st.builds(Polynomial, lrs, totals, st.floats(0.1, 4)),
)
restarting = st.one_of(
    st.builds(Cyclic, lrs),
    st.builds(WarmRestarts, lrs, st.integers(1, 20), st.integers(1, 3), fractions),
    st.builds(Triangular, lrs, st.integers(1, 20), fractions),
)
rising = st.one_of(
    st.builds(OneCycle, lrs, totals, st.floats(0.01, 0.99)),
    st.builds(WarmupStableDecay, lrs, totals, st.floats(0, 0.5), st.floats(0, 0.5), fractions, fractions),
)
sequences = st.one_of(decaying, restarting, rising)


def config(*overrides: str) -> DictConfig:
    with initialize_config_dir(str(CONF), version_base="1.3"):
        return compose(overrides=list(overrides))


def build(name: str, lr: float = 0.1, total: int = 20) -> Sequence:
    cfg = config(f"+sequence={name}").sequence
    return instantiate(cfg, lr=lr, **({"total": total} if "total" in cfg else {}))


def rates_of_torch(kind: Callable[..., Any], lr: float, steps: int, **options: Any) -> list[float]:
    """The rates a torch scheduler sets, stepped once per epoch in the usual loop."""
    optimizer = torch.optim.SGD([torch.zeros(1)], lr=lr)
    scheduler = kind(optimizer, **options)
    rates = []
    for _ in range(steps):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return rates


def rates(sequence: Sequence, steps: int) -> list[float]:
    return [sequence(n) for n in range(steps)]


def test_worked_trace_of_inverse() -> None:
    assert rates(Inverse(0.01), 5) == pytest.approx([0.01, 0.01, 0.005, 0.01 / 3, 0.0025])


def test_worked_trace_of_inverse_sqrt() -> None:
    assert rates(InverseSqrt(0.01), 5) == pytest.approx([0.01, 0.01, 0.0070710678, 0.0057735027, 0.005])


def test_worked_trace_of_exponential() -> None:
    assert rates(Exponential(0.01), 4) == pytest.approx([0.01, 0.009, 0.0081, 0.00729])


def test_worked_trace_of_cyclic() -> None:
    factors = [1, 1, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2, 0.05, 0.5, 0.45]
    assert rates(Cyclic(0.01), 13) == pytest.approx([0.01 * factor for factor in factors])


def test_worked_trace_of_warmup_stable_decay() -> None:
    sequence = WarmupStableDecay(1.0, total=10, warmup=0.2, decay=0.4, start_factor=0.5, end_factor=0.2)
    expected = [0.5, 0.75, 1, 1, 1, 1, 1, 0.8, 0.6, 0.4, 0.2, 0.2]
    assert rates(sequence, 12) == pytest.approx(expected)


def test_worked_trace_of_warm_restarts() -> None:
    half = 0.5 + math.cos(math.pi / 4) / 2
    expected = [1, 0.5, 1, half, 0.5, 1 - half, 1]
    assert rates(WarmRestarts(1.0, T_0=2, T_mult=2), 7) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("sequence", "kind", "steps", "options"),
    [
        (Constant(0.3), lr_scheduler.ConstantLR, 20, {"factor": 1.0}),
        (Staircase(0.3, step_size=7, factor=0.2), lr_scheduler.StepLR, 50, {"step_size": 7, "gamma": 0.2}),
        (Exponential(0.3), lr_scheduler.ExponentialLR, 50, {"gamma": 0.9}),
        (Cosine(0.3, total=40), lr_scheduler.CosineAnnealingLR, 41, {"T_max": 40}),
        (
            Cosine(0.3, total=40, end_factor=0.1),
            lr_scheduler.CosineAnnealingLR,
            41,
            {"T_max": 40, "eta_min": 0.03},
        ),
        (
            Linear(0.3, total=40, end_factor=0.25),
            lr_scheduler.LinearLR,
            60,
            {"start_factor": 1.0, "end_factor": 0.25, "total_iters": 40},
        ),
        (
            Polynomial(0.3, total=40, power=2.5),
            lr_scheduler.PolynomialLR,
            60,
            {"total_iters": 40, "power": 2.5},
        ),
        (
            WarmRestarts(0.3, T_0=5, T_mult=1),
            lr_scheduler.CosineAnnealingWarmRestarts,
            60,
            {"T_0": 5, "T_mult": 1},
        ),
        (
            WarmRestarts(0.3, T_0=5, T_mult=3, end_factor=0.1),
            lr_scheduler.CosineAnnealingWarmRestarts,
            90,
            {"T_0": 5, "T_mult": 3, "eta_min": 0.03},
        ),
        (
            Triangular(0.3, half_cycle=4, low_factor=0.1),
            lr_scheduler.CyclicLR,
            40,
            {"base_lr": 0.03, "max_lr": 0.3, "step_size_up": 4, "cycle_momentum": False},
        ),
        (
            OneCycle(0.3, total=40),
            lr_scheduler.OneCycleLR,
            40,
            {"max_lr": 0.3, "total_steps": 40},
        ),
        (
            OneCycle(0.3, total=37, pct_start=0.45, div_factor=10.0, final_div_factor=50.0),
            lr_scheduler.OneCycleLR,
            37,
            {
                "max_lr": 0.3,
                "total_steps": 37,
                "pct_start": 0.45,
                "div_factor": 10.0,
                "final_div_factor": 50.0,
            },
        ),
    ],
    ids=lambda value: value.__name__ if isinstance(value, type) else None,
)
def test_the_rates_are_those_of_torchs_own_scheduler(
    sequence: Sequence, kind: Callable[..., Any], steps: int, options: dict[str, Any]
) -> None:
    assert rates(sequence, steps) == pytest.approx(rates_of_torch(kind, 0.3, steps, **options), rel=1e-9, abs=1e-15)


def test_a_warmup_is_torchs_linear_lr_and_then_the_sequence() -> None:
    def warmup_then_cosine(optimizer: torch.optim.Optimizer) -> lr_scheduler.SequentialLR:
        first = lr_scheduler.LinearLR(optimizer, start_factor=0.2, total_iters=6)
        then = lr_scheduler.CosineAnnealingLR(optimizer, T_max=30)
        return lr_scheduler.SequentialLR(optimizer, [first, then], milestones=[6])

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # SequentialLR calls its own parts in a way that torch warns about
        expected = rates_of_torch(warmup_then_cosine, 0.3, 37)
    warmed = Warmup(Cosine(0.3, total=30), length=6, start_factor=0.2)
    assert rates(warmed, 37) == pytest.approx(expected, rel=1e-9, abs=1e-15)


@given(sequences, st.integers(1, 50), fractions)
def test_a_warmup_rises_to_r_0_and_goes_on_as_the_sequence(
    sequence: Sequence, length: int, start_factor: float
) -> None:
    warmed = Warmup(sequence, length, start_factor)
    rise = rates(warmed, length + 1)
    assert rise == sorted(rise)
    assert rise[0] == pytest.approx(start_factor * sequence(0))
    # The last step up is as long as each one before: no jump where the sequence takes over.
    assert rise[-1] - rise[-2] == pytest.approx((1 - start_factor) * sequence(0) / length, abs=1e-12)
    assert [warmed(length + n) for n in range(100)] == rates(sequence, 100)


@given(st.one_of(sequences, st.builds(Warmup, sequences, st.integers(1, 50), fractions)), positions)
def test_a_rate_is_finite_and_never_negative(sequence: Sequence, n: int) -> None:
    assert math.isfinite(sequence(n))
    assert sequence(n) >= 0


@given(decaying)
@example(Cosine(9.999999999999998, 1, 0.127310715270935))
def test_a_decaying_sequence_starts_at_lr_and_never_rises(sequence: FormulaSequence) -> None:
    seen = rates(sequence, 400)
    assert seen[0] == sequence.lr
    assert all(later <= earlier * (1 + 1e-12) for earlier, later in pairwise(seen))


@given(rising)
@example(WarmupStableDecay(1.0, total=3, warmup=0.0, decay=0.0))
def test_a_rising_sequence_has_lr_as_its_peak(sequence: EndingSequence) -> None:
    seen = rates(sequence, sequence.total + 1)
    top = seen.index(max(seen))
    assert max(seen) <= sequence.lr * (1 + 1e-12)
    assert seen[: top + 1] == sorted(seen[: top + 1])
    assert all(later <= earlier * (1 + 1e-12) for earlier, later in pairwise(seen[top:]))


@pytest.mark.parametrize("total", [1, 2, 3, 7, 100])
@pytest.mark.parametrize(
    ("kind", "end"),
    [(Linear, 0.0), (Cosine, 0.0), (Polynomial, 0.0), (WarmupStableDecay, 0.0), (OneCycle, 0.5 / 25 / 1e4)],
)
def test_a_sequence_keeps_its_last_rate_past_its_total(kind: Callable[..., Any], end: float, total: int) -> None:
    sequence = kind(0.5, total)
    assert sequence(0) > end  # a run of one epoch still learns
    assert [sequence(total), sequence(total + 1), sequence(10**6)] == pytest.approx([end] * 3, abs=1e-15)


def test_a_cycle_too_short_to_rise_starts_at_its_peak() -> None:
    # Its rise would end at 0.3 * 3 - 1, before position 0; it falls from 1 to 1 / (25 * 1e4).
    assert rates(OneCycle(1.0, total=3), 4) == pytest.approx([1, 0.5, 0, 0], abs=1e-5)


def test_values_at_the_ends_of_their_ranges_are_allowed() -> None:
    assert rates(Exponential(1.0, factor=1), 3) == [1, 1, 1]
    assert rates(OneCycle(1.0, total=4, div_factor=1, final_div_factor=1), 4) == pytest.approx([1] * 4)
    whole = WarmupStableDecay(1.0, total=4, warmup=0.5, decay=0.5)
    assert rates(whole, 5) == pytest.approx([0.1, 0.55, 1, 0.5, 0])


@pytest.mark.parametrize("name", NAMES)
def test_every_yaml_builds_a_sequence(name: str) -> None:
    sequence = build(name, lr=0.25)
    assert isinstance(sequence(0), float)
    assert sequence.name == {"torch": "torch-StepLR"}.get(name, ALIASES.get(name, name))
    top = max(rates(sequence, 21))
    assert top == pytest.approx(0.25, rel=0.05)  # a rate the person asked for, not one of the class's own
    # The YAML shows the very defaults of the class, so that neither can mislead about the other.
    needed = {field: getattr(sequence, field) for field in ("lr", "total") if hasattr(sequence, field)}
    assert name == "torch" or sequence == type(sequence)(**needed)


@pytest.mark.parametrize(("alias", "name"), ALIASES.items())
def test_an_alias_is_the_very_same_configuration(alias: str, name: str) -> None:
    assert config(f"+sequence={alias}") == config(f"+sequence={name}")


def test_the_factor_of_exponential_can_be_overridden() -> None:
    cfg = config("+sequence=exponential", "sequence.factor=0.5").sequence
    assert rates(instantiate(cfg, lr=1.0), 3) == [1.0, 0.5, 0.25]


def test_the_warmup_yaml_goes_before_a_sequence() -> None:
    warmed = instantiate(config("+warmup=linear").warmup)(Inverse(1.0))
    assert rates(warmed, 8) == pytest.approx([0.1, 0.28, 0.46, 0.64, 0.82, 1, 1, 0.5])
    assert warmed.name == "warmup-inverse"
    assert config("+warmup=none").warmup == {}


TORCH = "torch.optim.lr_scheduler."
SCHEDULERS = [
    ("StepLR", {"step_size": 3}),
    ("MultiStepLR", {"milestones": [2, 5], "gamma": 0.3}),
    ("ConstantLR", {"factor": 0.25, "total_iters": 4}),
    ("LinearLR", {"total_iters": 4}),
    ("ExponentialLR", {"gamma": 0.8}),
    ("PolynomialLR", {"total_iters": 9, "power": 2.0}),
    ("CosineAnnealingLR", {"T_max": 6}),
    ("CosineAnnealingWarmRestarts", {"T_0": 4, "T_mult": 2}),
    ("CyclicLR", {"base_lr": 0.01, "max_lr": 0.1, "step_size_up": 4, "cycle_momentum": False}),
    ("OneCycleLR", {"max_lr": 0.3, "total_steps": 25, "cycle_momentum": False}),
]


@pytest.mark.parametrize(("name", "options"), SCHEDULERS)
def test_a_torch_scheduler_gives_its_own_rates_in_any_order_of_asking(name: str, options: dict[str, Any]) -> None:
    expected = rates_of_torch(getattr(lr_scheduler, name), 0.3, 25, **options)
    order = list(range(25)) * 2
    random.Random(0).shuffle(order)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        sequence = instantiate(
            {"_target_": "lr_lab.schedule.sequences.TorchScheduler", "scheduler": TORCH + name, **options},
            lr=0.3,
        )
        asked = [sequence(n) for n in order]
    assert asked == [expected[n] for n in order]
    assert sequence.name == f"torch-{name}"


def test_torchs_linear_rate_may_end_at_0() -> None:
    expected = rates_of_torch(lr_scheduler.LinearLR, 0.3, 12, total_iters=7, end_factor=0.0)
    assert expected[-1] < 0, "rounding, without which there is nothing to test"
    sequence = TorchScheduler(0.3, TORCH + "LinearLR", total_iters=7, end_factor=0.0)
    assert [sequence(n) for n in range(12)] == [*expected[:7], *[0.0] * 5]


def test_torchs_one_cycle_keeps_its_last_rate() -> None:
    sequence = TorchScheduler(0.3, TORCH + "OneCycleLR", max_lr=0.3, total_steps=25, cycle_momentum=False)
    assert sequence(1000) == sequence(24) == pytest.approx(0.3 / 25 / 1e4)


@pytest.mark.parametrize(
    ("name", "options", "sentence"),
    [
        ("ReduceLROnPlateau", {"patience": 3}, "use strategy=plateau"),
        ("LambdaLR", {"lr_lambda": "x"}, "needs a function"),
        ("MultiplicativeLR", {"lr_lambda": "x"}, "needs a function"),
        ("ChainedScheduler", {}, "made of other schedulers"),
        ("SequentialLR", {}, "made of other schedulers"),
        ("OneCycleLR", {"max_lr": 0.1, "total_steps": 5}, "move the momentum.*cycle_momentum=false"),
        ("StepLR", {"step": 3}, "StepLR does not work with .*'step'"),
        ("StepLR", {"step_size": 0}, "StepLR does not work with"),
        ("ExponentialLR", {"gamma": -0.5}, "rate -0.05; a rate must be finite and at least 0"),
        ("StepLRR", {}, "dotted path .*not 'torch.optim.lr_scheduler.StepLRR'"),
    ],
)
def test_a_torch_scheduler_that_cannot_be_a_sequence_is_refused_in_a_sentence(
    name: str, options: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(ValueError, match=sentence) as caught:
        TorchScheduler(0.1, TORCH + name, **options)
    assert "\n" not in str(caught.value)


class OwnPlateau(lr_scheduler.ReduceLROnPlateau):
    """Somebody's own kind of a scheduler that cannot be a sequence."""


def test_a_kind_of_a_scheduler_that_cannot_be_a_sequence_is_none_either() -> None:
    with pytest.raises(ValueError, match="OwnPlateau cannot be a sequence: it decides by itself"):
        TorchScheduler(0.1, f"{__name__}.OwnPlateau")


@pytest.mark.parametrize("path", ["StepLR", "no.such.module.StepLR", "torch.optim.SGD", "torch.inf", "", None])
def test_what_is_no_torch_scheduler_is_refused_in_a_sentence(path: Any) -> None:
    with pytest.raises(ValueError, match="must be the dotted path of a torch scheduler"):
        TorchScheduler(0.1, path)


def test_a_rate_that_stops_being_finite_is_an_error() -> None:
    with pytest.raises(ValueError, match="rate inf"):
        TorchScheduler(1.0, TORCH + "ExponentialLR", gamma=1e200)
    sequence = TorchScheduler(1.0, TORCH + "ExponentialLR", gamma=1e3)
    assert sequence(100) == pytest.approx(1e300)
    with pytest.raises(ValueError, match="rate inf"):
        sequence(110)


@pytest.mark.parametrize("lr", [0, -1, math.nan, math.inf, "abc", None, True])
@pytest.mark.parametrize("kind", [Inverse, lambda lr: Cosine(lr, 5), lambda lr: TorchScheduler(lr, TORCH + "StepLR")])
def test_a_bad_rate_is_an_error_in_a_sentence(kind: Callable[..., Any], lr: Any) -> None:
    with pytest.raises(ValueError, match=f"^lr must be a number above 0, not {lr!r}$"):
        kind(lr)


@pytest.mark.parametrize(
    ("kind", "arguments", "sentence"),
    [
        (Exponential, {"factor": 0}, "sequence.factor must be a number above 0 and at most 1, not 0"),
        (Exponential, {"factor": 1.1}, "sequence.factor must be .*, not 1.1"),
        (Staircase, {"step_size": 2.5}, "sequence.step_size .* a whole number of at least 1, not 2.5"),
        (Staircase, {"factor": "x"}, "sequence.factor must be .*, not 'x'"),
        (Cosine, {}, "sequence.total .*number of advances.* must be a whole number of at least 1, not None"),
        (Linear, {"total": 0}, "sequence.total .* not 0"),
        (
            Linear,
            {"total": 5, "end_factor": -0.1},
            "sequence.end_factor must be a number from 0 to 1, not -0.1",
        ),
        (Cosine, {"total": 5, "end_factor": 2}, "sequence.end_factor .* not 2"),
        (Polynomial, {"total": 5, "power": 0}, "sequence.power must be a number above 0, not 0"),
        (WarmRestarts, {"T_0": 0}, "sequence.T_0 .* not 0"),
        (WarmRestarts, {"T_mult": 1.5}, "sequence.T_mult .* not 1.5"),
        (Triangular, {"half_cycle": 0}, "sequence.half_cycle .* not 0"),
        (Triangular, {"low_factor": 2}, "sequence.low_factor .* not 2"),
        (WarmRestarts, {"end_factor": math.nan}, "sequence.end_factor .* not nan"),
        (
            OneCycle,
            {"total": 5, "pct_start": 1},
            "sequence.pct_start must be a number between 0 and 1, not 1",
        ),
        (OneCycle, {"total": 5, "div_factor": 0.5}, "sequence.div_factor must be .* at least 1, not 0.5"),
        (WarmupStableDecay, {"total": 5, "warmup": 0.7, "decay": 0.4}, "at most 1, not 0.7 \\+ 0.4"),
        (WarmupStableDecay, {"total": 5, "decay": -0.1}, "sequence.decay .* not -0.1"),
    ],
)
def test_a_bad_value_is_an_error_in_a_sentence(
    kind: Callable[..., Any], arguments: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(ValueError, match=sentence) as caught:
        kind(0.1, **arguments)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"length": 0}, "warmup.length .* a whole number of at least 1, not 0"),
        ({"start_factor": 1.5}, "warmup.start_factor must be a number from 0 to 1, not 1.5"),
    ],
)
def test_a_bad_warmup_is_an_error_in_a_sentence(arguments: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        Warmup(Inverse(0.1), **arguments)


def test_sequences_and_strategies_need_no_torch_lightning_or_hydra() -> None:
    code = (
        "import sys; import lr_lab.schedule.sequences, lr_lab.schedule.strategies; "
        "print([m for m in ('torch', 'pytorch_lightning', 'hydra', 'omegaconf') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
