"""The parts of a run; that they do what they should is tested where they are used."""

import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest
from torch import nn

from src import assembly
from src.errors import UserError

MEMORY_TAKEN = """
import ctypes, resource, sys
import torch
from src import assembly


class MallInfo(ctypes.Structure):  # mallinfo(3)
    _fields_ = [(field, ctypes.c_int) for field in "arena a b c mapped d e f g h".split()]


def mapped():
    return mallinfo().mapped


def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt


mallinfo = ctypes.CDLL(None).mallinfo
mallinfo.restype = MallInfo
torch.set_num_threads(1)
if sys.argv[1] == "prepared":
    assembly.prepare_process()
before = mapped()
activations = torch.ones(20 * 2**18)
outside_the_heap = mapped() - before

net = torch.nn.Sequential(torch.nn.Conv2d(1, 20, 3), torch.nn.MaxPool2d(2), torch.nn.ReLU())
images = torch.zeros(64, 1, 28, 28)
for step in range(150):
    if step == 100:  # the heap is as large as it gets
        before = faults()
    net.zero_grad()
    net(images).sum().backward()
print(outside_the_heap, faults() - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="mallopt is glibc's")
def test_memory_of_activations_is_kept_from_step_to_step() -> None:
    def taken(how: str) -> tuple[int, int]:
        command = [sys.executable, "-c", MEMORY_TAKEN, how]
        outside, pages = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
        return int(outside), int(pages)

    outside, pages = taken("prepared")
    assert outside == 0
    assert pages < 250
    # How many pages a process takes that is not prepared hangs on where its small objects lie: none, by chance.
    assert taken("plain")[0] >= 20 * 2**20


class Plain(nn.Module):
    """A network that says nothing of itself."""


@pytest.mark.parametrize(
    ("model", "words"),
    [
        ({"_target_": "test_assembly.Plain"}, "has no attribute input_shape"),
        (
            {"_target_": "src.models.mnist_cnn.MnistCNN", "size": 8},
            "10 classes: say so in its YAML, with classes: 10",
        ),
    ],
)
def test_a_network_that_lacks_what_others_need_is_refused(
    run_config: Callable[..., dict[str, Any]], model: dict[str, Any], words: str
) -> None:
    config = run_config("model=mnist_cnn") | {"model": model}
    with pytest.raises(UserError, match=words):
        assembly.build_network(config, assembly.build_data(config))


def test_a_precision_that_the_device_lacks_is_refused(run_config: Callable[..., dict[str, Any]]) -> None:
    config = run_config("trainer.precision=16-mixed", "trainer.accelerator=cpu")
    with pytest.raises(UserError, match="precision=16-mixed needs a GPU; give bf16-mixed or 32-true"):
        assembly.build_trainer(config, [])
