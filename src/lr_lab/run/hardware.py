"""The arithmetic of this machine, read without torch so that a mistake on the command line answers at once."""

from __future__ import annotations

import functools
import os
import subprocess
from pathlib import Path

_CPU_FLAGS = {"avx512_bf16", "amx_bf16"}  # as Linux names them in /proc/cpuinfo
_FIRST_GPU = 8.0  # compute capability of NVIDIA's Ampere, the first of its GPUs that multiply bfloat16


def multiplies_bfloat16(accelerator: str) -> bool:
    """Whether hardware multiplies bfloat16 on the device that `trainer.accelerator` chooses here.

    NVIDIA's driver answers for a GPU, Linux for a CPU. False where neither can be asked, and for Apple's GPUs.
    """
    capabilities = [] if accelerator == "cpu" else _gpu_capabilities()
    if capabilities or accelerator not in ("auto", "cpu"):
        return bool(capabilities) and min(capabilities) >= _FIRST_GPU
    file = Path("/proc/cpuinfo")
    return file.exists() and not _CPU_FLAGS.isdisjoint(file.read_text().split())


@functools.cache
def _gpu_capabilities() -> list[float]:
    """The compute capability of each of NVIDIA's GPUs; [] where a process sees none."""
    if os.environ.get("CUDA_VISIBLE_DEVICES") == "":
        return []
    command = ["nvidia-smi", "--query-gpu=compute_cap", "--format=csv,noheader"]
    try:
        return [float(line) for line in subprocess.run(command, capture_output=True, text=True).stdout.split()]
    except (OSError, ValueError):
        return []
