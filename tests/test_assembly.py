"""The parts of a run; that they do what they should is tested where they are used."""

import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest
from torch import nn

from src import assembly
from src.errors import UserError

PAGES_TAKEN = """
import resource, sys
import torch
from src import assembly

if sys.argv[1] == "prepared":
    assembly.prepare_process()
net = torch.nn.Sequential(torch.nn.Conv2d(1, 20, 3), torch.nn.MaxPool2d(2), torch.nn.ReLU())
images = torch.zeros(64, 1, 28, 28)
torch.set_num_threads(1)


def step():
    net.zero_grad()
    net(images).sum().backward()


for _ in range(100):  # until the heap is as large as it gets
    step()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(50):
    step()
print((resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before) / 50)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="mallopt is glibc's")
def test_a_step_takes_no_new_memory_from_the_system() -> None:
    def pages(how: str) -> float:
        command = [sys.executable, "-c", PAGES_TAKEN, how]
        return float(subprocess.run(command, capture_output=True, text=True, check=True).stdout)

    assert pages("prepared") < 5 < pages("plain")


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
