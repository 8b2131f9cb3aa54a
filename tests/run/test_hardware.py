"""trainer.precision=auto: what a machine can do decides, unless its study has begun."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lr_lab.run import config as module
from lr_lab.run import hardware
from lr_lab.run.folder import run_path
from lr_lab.run.training import train

Configure = Callable[..., dict[str, Any]]


def precision(config: dict[str, Any]) -> str:
    return str(config["trainer"]["precision"])


@pytest.mark.parametrize(("can", "chosen"), [(True, "bf16-mixed"), (False, "32-true")])
def test_auto_is_resolved_before_the_identity(
    run_config: Configure, monkeypatch: pytest.MonkeyPatch, can: bool, chosen: str
) -> None:
    monkeypatch.setattr(module, "multiplies_bfloat16", lambda accelerator: can)
    config = run_config("trainer.precision=auto")
    assert precision(config) == chosen
    assert run_path(config) == run_path(run_config(f"trainer.precision={chosen}"))
    assert precision(run_config()) == "32-true"


@pytest.mark.parametrize("begun", ["32-true", "bf16-mixed"])
def test_a_study_that_is_begun_keeps_its_precision(
    run_config: Configure, monkeypatch: pytest.MonkeyPatch, begun: str
) -> None:
    train(run_config(f"trainer.precision={begun}", "epochs=1"))
    monkeypatch.setattr(module, "multiplies_bfloat16", lambda accelerator: begun == "32-true")
    assert precision(run_config("trainer.precision=auto", "lr=0.5")) == begun
    assert precision(run_config("trainer.precision=auto", "study=another")) != begun


@pytest.mark.parametrize(
    ("accelerator", "gpus", "flags", "can"),
    [
        ("auto", [], "fpu avx512_bf16 amx_int8", True),
        ("auto", [], "fpu amx_bf16", True),
        ("cpu", [], "fpu avx512f avx512_bf16x", False),
        ("auto", [9.0], "fpu", True),
        ("gpu", [9.0, 7.5], "avx512_bf16", False),
        ("cpu", [7.5], "avx512_bf16", True),
        ("gpu", [], "avx512_bf16", False),
        ("mps", [], "avx512_bf16", False),
    ],
)
def test_the_device_that_is_chosen_is_asked(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, accelerator: str, gpus: list[float], flags: str, can: bool
) -> None:
    cpuinfo = tmp_path / "cpuinfo"
    cpuinfo.write_text(f"processor : 0\nflags : {flags}\n")
    monkeypatch.setattr(hardware, "Path", lambda _: cpuinfo)
    monkeypatch.setattr(hardware, "_gpu_capabilities", lambda: gpus)
    assert hardware.multiplies_bfloat16(accelerator) is can
