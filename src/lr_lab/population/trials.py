"""Trials on a GPU: they measure how many members fit into its memory and which convolution is fastest."""

from __future__ import annotations

import gc
import logging
import math
import time
from collections.abc import Callable, Sequence
from contextlib import suppress

import torch

from lr_lab.data.in_memory import InMemoryDataModule
from lr_lab.population.members import Member, Options, populate
from lr_lab.population.network import CONVOLUTIONS, MatmulConv2d, Population
from lr_lab.run.parts import Parts
from lr_lab.run.recorder import device_name

log = logging.getLogger(__name__)

_TRIAL = (4, 8)  # members of two trials, whose difference is the memory of four
_USABLE = 0.85  # share of a GPU's free memory


def sizes_that_fit(members: Sequence[Member], data: InMemoryDataModule, options: Options) -> list[int]:
    """The sizes of populations to train in turn. They are nearly equal, and each fits into the device's memory."""
    most = options.max_members or len(members)
    if data.device.type == "cuda" and options.max_members is None and len(members) > _TRIAL[1]:
        convolution = options.convolution or "grouped"
        most = largest_that_fits(lambda size: populate(members[:size], data, convolution, options), data.device)
        log.info("up to %d members fit into the memory of %s", most, device_name(data.device))
    turns = math.ceil(len(members) / most)
    return [len(members) * (i + 1) // turns - len(members) * i // turns for i in range(turns)]


def largest_that_fits(build: Callable[[int], Population], device: torch.device) -> int:
    """How many members fit into a GPU's memory, extrapolated from two small populations.

    Args:
        build: builds a population of that many members on `device`.
    """
    taken = []
    for size in _TRIAL:
        free_memory()
        torch.cuda.reset_peak_memory_stats(device)
        population = build(size)
        _steps(population, 2)  # one step as usual, one captured as a CUDA graph, which keeps memory of its own
        population.evaluate()
        taken.append(torch.cuda.max_memory_reserved(device))
        del population
    free_memory()
    each = max(1, (taken[1] - taken[0]) // (_TRIAL[1] - _TRIAL[0]))
    rest = taken[0] - _TRIAL[0] * each
    free, _ = torch.cuda.mem_get_info(device)
    return max(_TRIAL[1], int((_USABLE * free - rest) / each))


def _steps(population: Population, calls: int) -> None:
    """Takes steps at rate 0 over two batches of the first epoch, to measure their time and memory."""
    batches = population.batches(0)[:2]
    for _ in range(calls):
        population.train_epoch(batches, torch.zeros(len(batches), len(population)))


def free_memory() -> None:
    gc.collect()
    torch.cuda.empty_cache()


def fastest_convolution(members: Sequence[Member], data: InMemoryDataModule, options: Options) -> str:
    """The convolution that the options ask for; without one, the fastest on this device."""
    net = Parts.of(members[0].config, data).net
    if options.convolution or data.device.type != "cuda" or not any(map(MatmulConv2d.expresses, net.modules())):
        return options.convolution or "grouped"
    seconds = {}
    for convolution in CONVOLUTIONS:
        free_memory()
        with suppress(torch.OutOfMemoryError):
            population = populate(members, data, convolution, options)
            _steps(population, 3)  # one as usual, one captured, one replayed
            started = time.perf_counter()
            _steps(population, 5)
            seconds[convolution] = time.perf_counter() - started
            del population
    free_memory()
    if not seconds:
        raise torch.OutOfMemoryError(f"a population of {len(members)} members does not fit into memory")
    log.info("seconds for ten steps: %s", ", ".join(f"{name} {value:.4f}" for name, value in seconds.items()))
    return min(seconds, key=lambda name: seconds[name])
