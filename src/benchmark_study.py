"""The cost of verdicts and how often they are false, by simulation: `python -m src.benchmark_study drawn=2000`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lr_lab.program import program

if TYPE_CHECKING:
    from omegaconf import DictConfig


@program("benchmark_study")
def main(cfg: DictConfig) -> None:
    from lr_lab.checks import check_whole_number

    check_whole_number("drawn", cfg.drawn, 4)  # the dearest table draws a quarter of them
    check_whole_number("races", cfg.races, 1)
    from lr_lab.benchmark.study import benchmark

    benchmark(cfg.drawn, cfg.races)


if __name__ == "__main__":
    main()
