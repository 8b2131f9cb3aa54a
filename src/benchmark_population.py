"""How fast a population trains on this device: `python -m src.benchmark_population`."""

from __future__ import annotations

import hydra
from omegaconf import DictConfig

from lr_lab.benchmark.population import benchmark


@hydra.main(version_base="1.3", config_path="../conf", config_name="benchmark_population")
def main(cfg: DictConfig) -> None:
    benchmark(cfg)


if __name__ == "__main__":
    main()
