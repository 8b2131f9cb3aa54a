"""How fast this is here, against the plain ways: `python -m src.benchmark`."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from lr_lab.program import program

if TYPE_CHECKING:
    from omegaconf import DictConfig


@program("benchmark")
def main(cfg: DictConfig) -> None:
    from lr_lab.checks import check_list, check_whole_number
    from lr_lab.run.config import check_name

    check_list("models", cfg.models, check_name)
    check_list("batch_sizes", cfg.batch_sizes, partial(check_whole_number, least=1))
    for key, optional in (("steps", False), ("rounds", False), ("threads", True)):
        check_whole_number(key, cfg[key], 1, optional)
    from lr_lab.benchmark.run import benchmark

    benchmark(cfg)


if __name__ == "__main__":
    main()
