"""How fast this is here, against the plain ways: `python -m src.benchmark`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lr_lab.program import program

if TYPE_CHECKING:
    from omegaconf import DictConfig


@program("benchmark")
def main(cfg: DictConfig) -> None:
    from lr_lab.benchmark.run import benchmark

    benchmark(cfg)


if __name__ == "__main__":
    main()
