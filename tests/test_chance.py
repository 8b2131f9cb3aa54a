"""src/lr_lab/chance.py: streams are pure, independent and the same in every process."""

import subprocess
import sys

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from lr_lab.chance import generator, stream

SEEDS = st.integers(min_value=0, max_value=2**64)


@given(seed=SEEDS, epoch=st.integers(min_value=0, max_value=10**6))
def test_a_stream_is_a_pure_function_that_fits_a_generator(seed: int, epoch: int) -> None:
    value = stream(seed, "order", epoch)
    assert value == stream(seed, "order", epoch)
    assert 0 <= value < 2**63
    assert generator(seed, "order", epoch).initial_seed() == value


@given(seed=SEEDS)
def test_seed_name_and_counters_all_matter(seed: int) -> None:
    streams = [
        stream(seed, "order"),
        stream(seed, "order", 0),
        stream(seed, "order", 0, 0),
        stream(seed, "order", 1),
        stream(seed, "order", 0, 1),
        stream(seed, "order", 1, 0),
        stream(seed, "dropout", 0),
        stream(seed + 1, "order", 0),
    ]
    assert len(set(streams)) == len(streams)


def test_a_stream_is_the_same_in_another_process() -> None:
    """Python's hash of a string is not; a split drawn with it would change from run to run."""
    other = subprocess.run(
        [sys.executable, "-c", "from lr_lab.chance import stream; import sys\n"
         "assert 'torch' not in sys.modules; print(stream(3, 'order', 7))"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert int(other.stdout) == stream(3, "order", 7)


def test_streams_of_neighbouring_seeds_and_epochs_are_uncorrelated() -> None:
    draws = np.stack([torch.rand(2000, generator=generator(s, "order", e)).numpy() for s in range(4) for e in range(4)])
    correlation = np.corrcoef(draws) - np.eye(len(draws))
    assert np.abs(correlation).max() < 5 / np.sqrt(2000)  # five standard errors of a correlation of nothing


def test_a_generator_leaves_the_global_stream_alone() -> None:
    torch.manual_seed(0)
    expected = torch.rand(3)
    torch.manual_seed(0)
    torch.rand(5, generator=generator(1, "order"))
    assert torch.equal(torch.rand(3), expected)


@pytest.mark.parametrize(("seed", "counters"), [(-1, ()), (0, (-1,))])
def test_negative_numbers_are_refused(seed: int, counters: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"-1.*not allowed"):
        stream(seed, "order", *counters)
