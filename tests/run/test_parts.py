"""The parts of a run; that they do what they should is tested where they are used."""

import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest
import pytorch_lightning as pl
import torch
from pytorch_lightning.accelerators import CUDAAccelerator, MPSAccelerator
from pytorch_lightning.utilities.rank_zero import rank_zero_only

from lr_lab.errors import UserError
from lr_lab.run import parts
from lr_lab.run.building import build
from lr_lab.run.config import compose
from lr_lab.run.process import prepare_process
from lr_lab.schedule.sequences import Cosine, Warmup

PROCESS = """
import ctypes, resource, sys
import torch


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
    from lr_lab.run.process import prepare_process
    prepare_process()
before = mapped()
activations = torch.ones(20 * 2**18)
outside_the_heap = mapped() - before

net = torch.nn.Sequential(torch.nn.Conv2d(1, 20, 3), torch.nn.MaxPool2d(2), torch.nn.ReLU())
images = torch.zeros(64, 1, 28, 28)
for step in range(60 if sys.argv[1] == "prepared" else 0):
    if step == 40:  # the heap is as large as it gets
        before = faults()
    net.zero_grad()
    net(images).sum().backward()
taken = faults() - before
torch.set_num_threads(2)
print(outside_the_heap, taken, (torch.full((10**6,), 2e-38) / 100).count_nonzero().item())
"""


@pytest.mark.skipif(sys.platform != "linux", reason="mallopt is glibc's")
def test_a_process_that_trains_keeps_memory_from_step_to_step_and_counts_denormal_numbers_as_0() -> None:
    def process(how: str) -> list[int]:
        command = [sys.executable, "-c", PROCESS, how]
        return [int(n) for n in subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()]

    outside, pages, denormal = process("prepared")
    assert outside == 0
    # The convolution's activations alone are 845 pages of 4 KiB, and 20 steps were counted. A process may still have
    # some hundreds to take for what is small, more on one machine than on another.
    assert pages < 2 * 845
    assert denormal == 0  # in both threads
    # How many pages a process takes that is not prepared hangs on where its small objects lie: none, by chance.
    outside, _, denormal = process("plain")
    assert outside >= 20 * 2**20
    assert denormal == 10**6


def test_a_job_of_slurm_with_several_tasks_trains_as_anywhere(
    run_config: Callable[..., dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {"SLURM_NTASKS": "8", "SLURM_JOB_NAME": "sweep", "SLURM_JOB_ID": "1"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(rank_zero_only, "rank", 3)  # as Lightning reads of SLURM_PROCID when it is imported
    assert parts.build_trainer(run_config("trainer.accelerator=cpu"), []).world_size == 1
    prepare_process()
    assert vars(rank_zero_only)["rank"] == 0, "others write no TensorBoard"


def test_a_device_that_this_machine_lacks_is_refused(
    run_config: Callable[..., dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(CUDAAccelerator, "is_available", lambda: False)
    monkeypatch.setattr(MPSAccelerator, "is_available", lambda: False)
    with pytest.raises(UserError, match=r"^trainer\.accelerator=gpu is not available here \(.*\); give auto or cpu\.$"):
        parts.build_trainer(run_config("trainer.accelerator=gpu"), [])


def test_what_cannot_be_imported_is_told_why() -> None:
    with pytest.raises(UserError, match=r"^Error loading 'lr_lab\.models\.mnist_cnn\.MnistCNNN': ModuleNotFound"):
        build({"_target_": "lr_lab.models.mnist_cnn.MnistCNNN"})
    with pytest.raises(UserError, match=r"lr_lab\.models\.nonesuch.*No module named"):
        build({"_target_": "lr_lab.models.nonesuch.Net"})


def test_an_optimizer_that_needs_a_closure_is_refused(run_config: Callable[..., dict[str, Any]]) -> None:
    config = run_config("optimizer._target_=torch.optim.LBFGS", "~optimizer.momentum", "~optimizer.weight_decay")
    data = parts.build_data(config)
    with pytest.raises(UserError, match=r"optimizer=sgd .*gradient of a batch once.*'closure'.*; choose another\.$"):
        parts.build_module(config, parts.build_network(config, data), data, 0.1)


def test_an_optimizer_that_cannot_have_both_is_refused(run_config: Callable[..., dict[str, Any]]) -> None:
    config = run_config("optimizer=adam", "+optimizer.fused=true", "+optimizer.foreach=true")
    data = parts.build_data(config)
    with pytest.raises(UserError, match="optimizer=adam cannot be used here"):
        parts.build_module(config, parts.build_network(config, data), data, 0.1)


def test_seeds_draw_weights_of_their_own(run_config: Callable[..., dict[str, Any]]) -> None:
    first, again, other = (
        parts.build_network(config, parts.build_data(config))
        for config in (run_config("seed=0"), run_config("seed=0", "lr=0.5"), run_config("seed=1"))
    )
    for one, same, another in zip(first.parameters(), again.parameters(), other.parameters(), strict=True):
        assert torch.equal(one, same)
        assert not torch.equal(one, another)


def test_a_sequence_ends_with_its_run_unless_it_is_told_where(run_config: Callable[..., dict[str, Any]]) -> None:
    warm = run_config("sequence=cosine", "warmup=linear", "warmup.length=2", "epochs=6")
    sequence = parts.build_schedule(warm, steps_per_epoch=10).position.sequence
    assert isinstance(sequence, Warmup)
    assert sequence.sequence == Cosine(0.01, total=4)
    told = run_config("sequence=cosine", "sequence.total=7", "epochs=6")
    assert parts.build_schedule(told, steps_per_epoch=10).position.sequence == Cosine(0.01, total=7)


@pytest.mark.parametrize(
    ("limit", "batch_size", "norm", "other"),
    [(33, 32, True, 31), (33, 16, True, 15), (33, 1, True, 3), (33, 32, False, None), (34, 32, True, None)],
)
def test_a_last_batch_of_one_is_refused_where_batch_norm_cannot_take_it(
    limit: int, batch_size: int, norm: bool, other: int | None
) -> None:
    network = ("model=plain_cnn", "model.depth=4", "model.in_channels=1", f"model.batch_norm={str(norm).lower()}")
    images = ("data=random_images", f"data.samples={limit}", "data.size=8", "model.size=8")
    config = compose(*images, *network, f"batch_size={batch_size}")
    run = parts.Parts.of(config)
    before = {name: value.clone() for name, value in run.net.state_dict().items()}
    if other is None:
        run.read()
    else:
        sentence = (
            rf"^batch_size={batch_size} leaves a batch of one of the 33 samples, .*; give .* batch_size={other}\.$"
        )
        with pytest.raises(UserError, match=sentence):
            run.read()
    for name, value in run.net.state_dict().items():  # running means, too
        assert torch.equal(value, before[name])


def test_parts_are_built_once_and_fit_together(run_config: Callable[..., dict[str, Any]]) -> None:
    run = parts.Parts.of(run_config("probes=[gradient_norm]", "optimizer=adam"))
    run.check()
    assert not hasattr(run.data, "train"), "the check reads nothing"
    assert run.read() is run
    assert run.module.net is run.net
    extra = pl.Callback()
    assert run.trainer(extra).callbacks[:3] == [run.schedule, *run.probes, extra]  # type: ignore[attr-defined]
    other = parts.Parts.of(run.config, run.data)
    assert other.data is run.data
    for one, same in zip(run.net.parameters(), other.net.parameters(), strict=True):
        assert one is not same
        assert torch.equal(one, same)


def test_a_check_refuses_what_training_would(run_config: Callable[..., dict[str, Any]]) -> None:
    for override, sentence in (
        ("model.size=8", "does not take two samples"),
        ("optimizer.momentum=-1", "optimizer=sgd cannot be used here"),
        ("epochs=1", "warmup.length=2 is too long"),
    ):
        with pytest.raises(UserError, match=sentence):
            parts.Parts.of(run_config("warmup=linear", "warmup.length=2", override)).check()


def test_augmentation_is_built_into_the_data() -> None:
    plain, crop, cutout = (parts.build_data(compose(f"augment={name}")) for name in ("none", "crop", "cutout"))
    assert plain.augmentation is None
    assert vars(crop.augmentation) == {"padding": 4, "flip": False}
    assert cutout.augmentation is not None
    assert cutout.augmentation.choices == 5
    with pytest.raises(UserError, match="augment= changes pictures, and Line has none"):
        parts.build_data(compose("data=line", "model=linear", "augment=crop"))
    with pytest.raises(UserError, match=r"augment\.padding=-1 is not allowed"):
        parts.build_data(compose("augment=crop", "augment.padding=-1"))
