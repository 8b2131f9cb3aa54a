"""How fast a population trains on this device: `python -m src.benchmark_population`."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from lr_lab.program import program

if TYPE_CHECKING:
    from omegaconf import DictConfig


@program("benchmark_population")
def main(cfg: DictConfig) -> None:
    from lr_lab.checks import check_choice, check_list, check_number, check_whole_number
    from lr_lab.run.config import check_name

    check_list("models", cfg.models, check_name)
    for key in ("batch_sizes", "members", "growth", "processes"):
        check_list(key, cfg[key], partial(check_whole_number, least=1))
    check_whole_number("steps", cfg.steps, 1)
    for key in ("seconds", "minutes"):
        check_number(key, cfg[key], "a number above 0", lambda x: x > 0)
    check_choice("compiled", cfg.compiled, (True, False))
    from lr_lab.benchmark.population import benchmark

    benchmark(cfg)


if __name__ == "__main__":
    main()
