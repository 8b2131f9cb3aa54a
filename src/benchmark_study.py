"""The cost of verdicts and how often they are false, by simulation: `python -m src.benchmark_study drawn=2000`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lr_lab.program import program

if TYPE_CHECKING:
    from omegaconf import DictConfig


@program("benchmark_study")
def main(cfg: DictConfig) -> None:
    from lr_lab.benchmark.study import benchmark

    benchmark(int(cfg.drawn), int(cfg.races))


if __name__ == "__main__":
    main()
