"""Independent streams of random numbers, all derived from one seed.

Each purpose ("weights", "order", "dropout", "split", ...) has a stream of its own, so what one draws never
moves another, and a stream with a counter (the epoch) can be entered anywhere: a resumed run draws what an
uninterrupted one draws.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import torch


def stream(seed: int, name: str, *counters: int) -> int:
    """The seed, in [0, 2**63), of the stream `name` at `counters`: a pure function of its arguments.

    Raises:
        ValueError: seed or a counter is negative.
    """
    if min(seed, *counters, 0) < 0:
        raise ValueError(f"seed={seed} with counters {counters} is not allowed; give whole numbers from 0 on.")
    # A digest, because Python salts hash() of a string anew in every process.
    purpose = int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "little")
    state = np.random.SeedSequence(seed, spawn_key=(purpose, *counters)).generate_state(1, np.uint64)
    return int(state[0] >> np.uint64(1))


def generator(seed: int, name: str, *counters: int) -> torch.Generator:
    """A fresh CPU generator at the start of the stream.

    Raises:
        ValueError: seed or a counter is negative.
    """
    import torch  # imported here, so that `stream` needs no torch

    return torch.Generator().manual_seed(stream(seed, name, *counters))
