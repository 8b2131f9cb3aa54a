"""The measurements at sizes that a CPU can bear: that they are made, and what is made of them."""

import io
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from omegaconf import DictConfig, OmegaConf
from rich.console import Console

from lr_lab.benchmark import population as benchmark_population
from lr_lab.benchmark.population import Findings, OutOfTime, Way, build_population, draw, measure, rows, shared, table
from lr_lab.benchmark.run import Case
from lr_lab.run.config import CONFIG_DIR

CASE = Case("mnist_cnn", 8, 2)
SMALL = {"models": ["mnist_cnn"], "batch_sizes": [8], "members": [2, 3], "growth": [1, 2, 3], "processes": []}
QUICK = {"steps": 2, "seconds": 0.0, "compiled": False}


def measured(**changes: Any) -> Findings:
    findings = Findings({}, {}, {}, {}, {})
    cfg = OmegaConf.merge(OmegaConf.load(CONFIG_DIR / "benchmark_population.yaml"), SMALL, QUICK, changes)
    assert isinstance(cfg, DictConfig)
    measure(cfg, findings, Console(file=io.StringIO()))
    return findings


@pytest.mark.slow
def test_everything_is_measured_and_shown(tmp_path: Path) -> None:
    findings = measured()

    def pace(way: Way) -> float:
        return findings.populations[CASE, way, 2] or 0.0

    assert findings.lightning[CASE] > 0
    assert {size for _, _, size in findings.populations} == {1, 2, 3}
    for convolution in ("grouped", "channels_last", "matmul"):
        for precision in ("fp32", "tf32", "bf16"):
            assert pace(Way(convolution, precision)) > 0
        assert pace(Way(convolution, graphs=False)) > 0
        assert pace(Way(convolution, one_seed=True)) > 0
        assert findings.leaking[CASE, convolution] is False
    found = rows(findings)
    assert len(found) == 1 + len(findings.populations)
    assert all(row["ms_per_step"] * row["samples_per_second"] == pytest.approx(8000 * row["members"]) for row in found)
    draw(findings, 2, "a CPU", tmp_path / "growth.png")
    assert (tmp_path / "growth.png").stat().st_size > 5000
    out = io.StringIO()
    Console(file=out, width=200).print(table(findings, [2, 3], "a CPU"))
    assert "mnist_cnn, batch 8" in out.getvalue()
    assert out.getvalue().count(" x, ") == 2


def test_time_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    findings = Findings({}, {}, {}, {}, {})
    monkeypatch.setattr(benchmark_population, "one_run", lambda case: 5.0)
    cfg = OmegaConf.merge(OmegaConf.load(CONFIG_DIR / "benchmark_population.yaml"), SMALL, QUICK, {"minutes": 0})
    assert isinstance(cfg, DictConfig)
    with pytest.raises(OutOfTime):
        measure(cfg, findings, Console(file=io.StringIO()))
    assert (findings.lightning, findings.populations) == ({CASE: 5.0}, {})
    out = io.StringIO()
    Console(file=out, width=200).print(table(findings, [2, 3], "a CPU"))
    assert "?" in out.getvalue()


def test_the_fastest_way_is_that_with_the_most_samples() -> None:
    slow, fast, other, large = Way(), Way("matmul"), Way("matmul", "bf16"), Way("channels_last")
    populations = {(CASE, slow, 2): 1.0, (CASE, fast, 2): 3.0, (CASE, other, 2): 9.0, (CASE, large, 2): None}
    findings = Findings({}, {(CASE, 4): 2.5}, {**populations, (CASE, large, 3): 7.0, (CASE, fast, 1): 2.0}, {}, {})
    assert findings.fastest(CASE, 2) == fast
    assert findings.fastest(CASE, 2, ("fp32", "bf16")) == other
    assert findings.fastest(CASE, 3) == large
    assert findings.fastest(CASE, 5) == Way()
    assert str(replace(other, one_seed=True)) == "matmul, bf16, graphs, one seed"
    findings.populations[CASE, replace(fast, one_seed=True), 2] = 10.0  # is no way to train several seeds
    assert findings.fastest(CASE, 2) == fast
    assert findings.best_single(CASE) == 2.5


def test_a_leak_would_be_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    build: Callable[..., Any] = build_population

    def leaking(*arguments: Any, **named: Any) -> Any:
        population = build(*arguments, **named)
        take_steps = population._take_steps

        def spread(*tensors: Any) -> None:
            take_steps(*tensors)
            for weights in population.weights.values():
                weights.data += 0 * weights.data.sum()

        population._train_block = spread
        return population

    monkeypatch.setattr(benchmark_population, "build_population", leaking)
    assert benchmark_population.leaks(CASE, Way()) is True


@pytest.mark.slow
def test_single_runs_share_the_device() -> None:
    (pace,) = shared([CASE], Way(), processes=2, seconds=0.1)
    assert pace > 0
