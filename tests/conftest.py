"""Shared by all tests: one thread, configurations composed as the command line would, real data where it lies."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import settings

from lr_lab.run.config import compose

# A busy machine is no failure.
settings.register_profile("lr_lab", deadline=None)
settings.load_profile("lr_lab")

REPOSITORY = Path(__file__).resolve().parents[1]
# Programs that tests start by `python -c` use the library of this checkout, whatever is installed.
os.environ["PYTHONPATH"] = str(REPOSITORY / "src")


@pytest.fixture(autouse=True, scope="session")
def _one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def _denormal_numbers() -> Iterator[None]:
    """What a run in this process switches off, and hypothesis wants."""
    yield
    torch.set_flush_denormal(False)


@pytest.fixture
def run_config(tmp_path: Path) -> Callable[..., dict[str, Any]]:
    """A function of overrides: the resolved configuration of a short run on digits that writes under tmp_path."""

    def configuration(*overrides: str) -> dict[str, Any]:
        short = (
            "epochs=3",
            "data.limit=256",
            "trainer.accelerator=cpu",
            f"output_dir={tmp_path / 'outputs'}",
        )
        return compose(*short, *overrides)

    return configuration


@pytest.fixture(scope="session")
def real_data() -> Path:
    """A folder with MNIST and CIFAR-10 in torchvision's layout (LR_LAB_DATA, or data/); skips the test without one."""
    folder = Path(os.environ.get("LR_LAB_DATA", REPOSITORY / "data"))
    if (folder / "MNIST" / "raw").is_dir() and (folder / "cifar-10-batches-py").is_dir():
        return folder
    pytest.skip(f"MNIST and CIFAR-10 are not in {folder}; name their folder in LR_LAB_DATA")
