"""How fast a population trains on this device: `python -m src.benchmark_population`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lr_lab.program import program

if TYPE_CHECKING:
    from omegaconf import DictConfig


@program("benchmark_population")
def main(cfg: DictConfig) -> None:
    from lr_lab.benchmark.population import benchmark

    benchmark(cfg)


if __name__ == "__main__":
    main()
