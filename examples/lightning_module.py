"""The rates of lr-lab in somebody else's Lightning project: one import, and one callback.

`python examples/lightning_module.py` trains a small network of its own on random numbers and prints the rate of each
epoch. `--epochs=6 --checkpoint=FILE` goes on from a checkpoint, at the rate that the training stood at.
"""

import argparse

import torch
from lr_lab.schedule import Cutoff, Exponential, Schedule
from pytorch_lightning import LightningModule, Trainer, seed_everything
from pytorch_lightning.callbacks import Callback
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset


class Regressor(LightningModule):
    """Anyone's module: it knows nothing of lr-lab."""

    def __init__(self) -> None:
        super().__init__()
        self.net = nn.Sequential(nn.Linear(8, 32), nn.Tanh(), nn.Linear(32, 1))

    def training_step(self, batch: list[Tensor], _: int) -> Tensor:
        return self._loss(batch)

    def validation_step(self, batch: list[Tensor], _: int) -> None:
        self.log("val_loss", self._loss(batch))

    def _loss(self, batch: list[Tensor]) -> Tensor:
        inputs, targets = batch
        return nn.functional.mse_loss(self.net(inputs), targets)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=0.01, momentum=0.9)


class PrintRate(Callback):
    """Prints the rate that the optimizer of each epoch has."""

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        print(f"epoch {trainer.current_epoch} rate {trainer.optimizers[0].param_groups[0]['lr']!r}", flush=True)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        print(f"epoch {trainer.current_epoch} val_loss {trainer.callback_metrics['val_loss'].item()!r}", flush=True)


def loader(seed: int) -> DataLoader[tuple[Tensor, ...]]:
    chance = torch.Generator().manual_seed(seed)
    inputs = torch.randn(256, 8, generator=chance)
    return DataLoader(TensorDataset(inputs, inputs.sum(dim=1, keepdim=True).sin()), batch_size=32)


def main() -> None:
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--epochs", type=int, default=12)
    arguments.add_argument("--checkpoint")
    asked = arguments.parse_args()
    seed_everything(0)
    trainer = Trainer(
        max_epochs=asked.epochs,
        callbacks=[Schedule(Exponential(lr=0.01), Cutoff(monitor="val_loss")), PrintRate()],
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
    )
    trainer.fit(Regressor(), loader(seed=1), loader(seed=2), ckpt_path=asked.checkpoint, weights_only=True)
    trainer.save_checkpoint("lightning_module.ckpt")


if __name__ == "__main__":
    main()
