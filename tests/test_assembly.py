"""The parts of a run; that they do what they should is tested where they are used."""

import subprocess
import sys

import pytest

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
