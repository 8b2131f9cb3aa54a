"""What a process that trains needs once."""

from __future__ import annotations

import ctypes
import logging
import sys

import torch
from pytorch_lightning.utilities.rank_zero import rank_zero_only

# Parameters of mallopt, from glibc's malloc.h.
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3


def prepare_process() -> None:
    """Prepares a process for training, once, before other threads compute.

    Lightning's messages go to the run's log only, numbers too small for full precision count as 0, freed memory stays.
    """
    # A run trains alone in any task of a Slurm job.
    rank_zero_only.rank = 0  # type: ignore[attr-defined]
    logging.getLogger("pytorch_lightning").handlers.clear()
    logging.getLogger("pytorch_lightning").propagate = True
    logging.captureWarnings(True)
    # When a network fits its data, gradients and Adam's averages of them fall below 1e-38. A CPU computes with such
    # numbers many times slower: after 100 epochs of Adam a step of mnist_cnn took twice as long. The weights after 100
    # more steps were the same.
    torch.set_flush_denormal(True)  # in this thread and in threads that it starts
    # The C library returns activations of some megabytes to the system at every step and takes them back page by page,
    # which is a quarter of mnist_cnn's step. Only glibc has, and needs, these settings (mallopt(3)).
    if sys.platform == "linux" and (mallopt := getattr(ctypes.CDLL(None), "mallopt", None)):
        mallopt(_M_MMAP_THRESHOLD, 32 * 2**20)  # the largest it takes
        mallopt(_M_TRIM_THRESHOLD, 2**30)
