"""How fast this is here, against the plain ways: `python -m src.benchmark`."""

from __future__ import annotations

import hydra
from omegaconf import DictConfig

from lr_lab.benchmark.run import benchmark


@hydra.main(version_base="1.3", config_path="../conf", config_name="benchmark")
def main(cfg: DictConfig) -> None:
    benchmark(cfg)


if __name__ == "__main__":
    main()
