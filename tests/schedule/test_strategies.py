"""Strategies against the design's worked traces, torch's ReduceLROnPlateau, and what all of them promise."""

import json
import math
from collections.abc import Callable, Sequence
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import torch
from hydra import compose, initialize_config_dir
from hydra.utils import instantiate
from hypothesis import given
from hypothesis import strategies as st

from lr_lab.schedule.sequences import Cyclic, Exponential, Inverse, InverseSqrt
from lr_lab.schedule.strategies import Cutoff, Epoch, Every, EveryStep, Oscillate, Plateau, State, Strategy

CONF = Path(__file__).parents[2] / "conf"
NAMES = sorted(path.stem for path in (CONF / "strategy").glob("*.yaml"))

baselines = st.sampled_from(["first_epoch", "untrained"])
factors = st.floats(0.01, 1)
plateaus = st.builds(Plateau, st.integers(0, 4), st.floats(0, 0.3), st.sampled_from(["rel", "abs"]), st.integers(0, 3))
strategies = st.one_of(
    st.just(Epoch()),
    st.just(EveryStep()),
    st.builds(Every, st.integers(1, 7)),
    st.builds(Cutoff, baselines, factors, factors),
    st.builds(Oscillate, baselines),
    plateaus,
)
# Few different values, so that ties, rises and plateaus are frequent; any float, so that nothing breaks.
losses = st.lists(st.one_of(st.sampled_from([0.5, 0.9, 0.95, 1.0, 1.001, 2.0]), st.floats(allow_nan=True)), max_size=40)


def drive(
    strategy: Strategy, trace: Sequence[float], state: State | None = None, first_epoch: int = 0
) -> tuple[list[bool], State | None]:
    """The advances over a trace of validation losses, and the last state."""
    advances = []
    for epoch, loss in enumerate(trace, first_epoch):
        state, advance = strategy(state, epoch, loss)
        advances.append(advance)
    return advances, state


def rates(
    sequence: Callable[[int], float], strategy: Strategy, trace: Sequence[float], untrained_loss: float | None = None
) -> list[float]:
    """The rate of each epoch 0, 1, ..., including the one after the last loss."""
    state = None
    if untrained_loss is not None:
        state, advance = strategy(None, -1, untrained_loss)
        assert not advance
    advances, _ = drive(strategy, trace, state)
    return [sequence(sum(advances[:epoch])) for epoch in range(len(trace) + 1)]


def test_worked_trace_epoch_and_inverse() -> None:
    assert rates(Inverse(0.01), Epoch(), [1.0] * 4) == pytest.approx([0.01, 0.01, 0.005, 0.01 / 3, 0.0025])


def test_worked_trace_epoch_and_cyclic() -> None:
    factors = [1, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2, 0.05, 0.5]
    expected = [0.01 * factor for factor in factors]
    assert rates(Cyclic(0.01), Epoch(), [1.0] * 11)[1:] == pytest.approx(expected)


def test_worked_trace_cutoff_and_exponential() -> None:
    trace = [1.0, 0.5, 0.495, 0.4945, 0.49445]
    expected = [0.01, 0.01, 0.01, 0.009, 0.0081, 0.00729]
    assert rates(Exponential(0.01), Cutoff(), trace) == pytest.approx(expected)


def test_cutoff_shrinks_on_an_advance_and_only_then() -> None:
    # c = 0.01: 0.0075 is under it; then 0.003 is over 0.002, twice; then 0.0015 is under it.
    trace = [1.0, 0.9925, 0.9895, 0.9925, 0.991]
    assert drive(Cutoff(), trace) == (
        [False, True, False, False, True],
        {"loss": 0.991, "cutoff": pytest.approx(0.0004)},
    )


def test_a_change_of_just_the_cutoff_is_no_advance() -> None:
    assert drive(Cutoff(ratio=0.5), [1.0, 0.5])[0] == [False, False]


def test_cutoff_counts_a_rise_of_the_loss_like_a_fall() -> None:
    assert drive(Cutoff(), [1.0, 1.5, 1.505])[0] == [False, False, True]


def test_cutoff_from_the_untrained_network_compares_from_epoch_0() -> None:
    # c = 0.01 * 2.3 = 0.023: 2.28 is within it (c = 0.0046), 2.275 is not, 2.272 is.
    strategy = Cutoff(baseline="untrained")
    assert rates(Exponential(1.0), strategy, [2.28, 2.275, 2.272], untrained_loss=2.3) == pytest.approx(
        [1, 0.9, 0.9, 0.81]
    )


def test_worked_trace_oscillate_and_inverse_sqrt() -> None:
    trace = [1.0, 0.9, 0.95, 0.94, 0.96]
    expected = [0.01, 0.01, 0.01, 0.01, 0.01, 0.0070711]
    assert rates(InverseSqrt(0.01), Oscillate(), trace) == pytest.approx(expected, rel=1e-5)
    assert drive(Oscillate(), trace)[0] == [False, False, True, False, True]


def test_oscillate_from_the_untrained_network_compares_from_epoch_0() -> None:
    strategy = Oscillate(baseline="untrained")
    assert rates(Exponential(1.0), strategy, [2.4, 2.4, 2.3], untrained_loss=2.3) == pytest.approx([1, 0.9, 0.9, 0.9])


def test_an_equal_loss_is_no_oscillation() -> None:
    assert drive(Oscillate(), [1.0, 1.0, 1.0])[0] == [False] * 3


def test_worked_trace_of_plateau() -> None:
    # Best 1.0: bad epochs 1 and 2 are let pass, the third advances, the next is not counted (cooldown).
    strategy = Plateau(patience=2, threshold=0.1, cooldown=1)
    trace = [1.0, 0.95, 1.1, 0.91, 1.0, 1.0, 1.0, 1.0, 0.8]
    assert drive(strategy, trace)[0] == [False, False, False, True, False, False, False, True, False]


def test_every_k_epochs() -> None:
    assert drive(Every(3), [1.0] * 7)[0] == [False, False, True, False, False, True, False]


@given(
    plateaus,
    st.lists(st.sampled_from([1.0, 0.99, 0.95, 0.9, 0.5, 1.2, -1.0, math.nan, math.inf]), max_size=40),
)
def test_plateau_decides_as_torchs_reduce_lr_on_plateau(strategy: Plateau, trace: Sequence[float]) -> None:
    optimizer = torch.optim.SGD([torch.zeros(1)], lr=1.0)
    oracle = torch.optim.lr_scheduler.ReduceLROnPlateau(
        optimizer,
        factor=0.5,
        patience=strategy.patience,
        threshold=strategy.threshold,
        threshold_mode=strategy.threshold_mode,  # type: ignore[arg-type]
        cooldown=strategy.cooldown,
        eps=0.0,
    )
    expected = []
    for loss in trace:
        before = optimizer.param_groups[0]["lr"]
        oracle.step(loss)
        expected.append(optimizer.param_groups[0]["lr"] < before)
    assert drive(strategy, trace)[0] == expected


@given(strategies, losses, st.data())
def test_a_trace_split_at_any_epoch_and_resumed_from_json_gives_the_same_advances(
    strategy: Strategy, trace: Sequence[float], data: st.DataObject
) -> None:
    split = data.draw(st.integers(0, len(trace)))
    whole, last = drive(strategy, trace)
    first, state = drive(strategy, trace[:split])
    # allow_nan=False: NaN and Infinity are not JSON, and no loss may bring them into a state.
    resumed = json.loads(json.dumps(state, allow_nan=False))
    second, resumed_last = drive(strategy, trace[split:], resumed, split)
    assert first + second == whole
    assert resumed_last == last


@given(strategies, losses)
def test_a_strategy_is_pure(strategy: Strategy, trace: Sequence[float]) -> None:
    _, state = drive(strategy, trace)
    before = deepcopy(state)
    for loss in (1.0, 0.3, math.nan, math.inf):
        assert strategy(state, len(trace), loss) == strategy(state, len(trace), loss)
    assert state == before


@given(st.one_of(st.builds(Cutoff, baselines), st.builds(Oscillate, baselines)), losses)
def test_losses_that_are_not_finite_change_nothing(strategy: Strategy, trace: Sequence[float]) -> None:
    advances, state = drive(strategy, trace)
    finite = [loss for loss in trace if math.isfinite(loss)]
    kept = [advance for advance, loss in zip(advances, trace, strict=True) if math.isfinite(loss)]
    assert (kept, state or None) == (drive(strategy, finite)[0], drive(strategy, finite)[1] or None)
    assert sum(kept) == sum(advances)


@given(strategies.filter(lambda strategy: not strategy.per_step), st.integers(1, 40))
def test_most_advances_is_what_the_slowest_run_passes_through(strategy: Strategy, epochs: int) -> None:
    # A loss that creeps up by less than any cutoff makes every strategy advance as often as it can.
    def positions(start: float, slope: float) -> int:
        trace = [start + slope * epoch for epoch in range(-1, epochs)]
        state = strategy(None, -1, trace[0])[0] if strategy.baseline == "untrained" else None
        advances, _ = drive(strategy, trace[1:], state)
        return 1 + sum(advances[:-1])  # the rate after the last epoch is never used

    slope = 0.0 if isinstance(strategy, Cutoff) else 1e-9
    assert positions(1.0, slope) == strategy.most_advances(epochs, steps_per_epoch=7)


def test_the_step_strategy_passes_through_every_optimizer_step() -> None:
    assert EveryStep().per_step
    assert EveryStep().most_advances(epochs=3, steps_per_epoch=40) == 120
    assert not any(strategy.per_step for strategy in (Epoch(), Cutoff(), Oscillate(), Plateau(), Every()))


@pytest.mark.parametrize("name", NAMES)
def test_every_yaml_builds_a_strategy(name: str) -> None:
    with initialize_config_dir(str(CONF), version_base="1.3"):
        cfg = compose(overrides=[f"+strategy={name}"])
    strategy = instantiate(cfg.strategy)
    assert strategy.name == name
    assert strategy.baseline == "first_epoch"
    # The YAML shows the very defaults of the class, so that neither can mislead about the other.
    assert strategy == type(strategy)()


@pytest.mark.parametrize(
    ("kind", "arguments", "sentence"),
    [
        (Cutoff, {"baseline": "first"}, "strategy.baseline must be first_epoch or untrained, not 'first'"),
        (Oscillate, {"baseline": None}, "strategy.baseline must be first_epoch or untrained, not None"),
        (Cutoff, {"ratio": 0}, "strategy.ratio must be a number above 0 and at most 1, not 0"),
        (Cutoff, {"shrink": 1.5}, "strategy.shrink must be a number above 0 and at most 1, not 1.5"),
        (Cutoff, {"ratio": "0.1"}, "strategy.ratio .* not '0.1'"),
        (Plateau, {"patience": -1}, "strategy.patience .* a whole number of at least 0, not -1"),
        (Plateau, {"cooldown": 1.0}, "strategy.cooldown .* not 1.0"),
        (Plateau, {"threshold": math.inf}, "strategy.threshold must be a number of at least 0, not inf"),
        (
            Plateau,
            {"threshold_mode": "relative"},
            "strategy.threshold_mode must be rel or abs, not 'relative'",
        ),
        (Every, {"k": 0}, "strategy.k .* a whole number of at least 1, not 0"),
        (Every, {"k": True}, "strategy.k .* not True"),
    ],
)
def test_a_bad_value_is_an_error_in_a_sentence(
    kind: Callable[..., Any], arguments: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(ValueError, match=sentence) as caught:
        kind(**arguments)
    assert "\n" not in str(caught.value)
