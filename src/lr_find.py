"""Learning-rate range test: which rate to train with. `python -m src.lr_find --help` says how."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lr_lab.program import program

if TYPE_CHECKING:
    from omegaconf import DictConfig


@program("lr_find", interrupted="Interrupted; a range test keeps nothing, so the same command starts anew.")
def main(cfg: DictConfig) -> None:
    from hydra.core.hydra_config import HydraConfig

    from lr_lab.report.figures import save
    from lr_lab.report.lr_find import draw
    from lr_lab.run.config import resolve
    from lr_lab.run.lr_find import range_test, training_command

    test = range_test(resolve(cfg))
    save(draw(test.reading, test.rates, test.curves, test.suggested), test.folder / "range_test")
    print("\n".join([*test.sentences, f"Figure and losses: {test.folder}"]))
    print(f"Train with it: {training_command(test.suggested, HydraConfig.get().overrides.task)}")


if __name__ == "__main__":
    main()
