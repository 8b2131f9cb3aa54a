"""What verdicts cost and how often they are false, by simulation: `python -m src.benchmark_study drawn=2000`."""

from __future__ import annotations

import hydra
from omegaconf import DictConfig

from lr_lab.benchmark.study import benchmark


@hydra.main(version_base="1.3", config_path="../conf", config_name="benchmark_study")
def main(cfg: DictConfig) -> None:
    benchmark(int(cfg.drawn), int(cfg.races))


if __name__ == "__main__":
    main()
