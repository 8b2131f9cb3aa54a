"""Lightning: metrics.csv of its CSVLogger (n = 1: by epoch, 2: also by step) and what its bar prints (3).

The argument `old`: pytorch-lightning 1.9.5.
"""

from __future__ import annotations

import contextlib
import importlib
import io
import sys
import tempfile
import warnings
from pathlib import Path
from typing import Any

import common
import loop
import torch
from torch.utils.data import DataLoader, IterableDataset, TensorDataset

OLD = "old" in sys.argv
pl: Any = importlib.import_module("pytorch_lightning" if OLD else "lightning.pytorch")


class Batches(IterableDataset[Any]):
    """The batches of a plan, epoch after epoch."""

    def __init__(self, p: common.Plan):
        self.p, self.epoch = p, -1

    def __len__(self) -> int:
        return self.p.steps

    def __iter__(self) -> Any:
        self.epoch += 1
        return iter([(torch.from_numpy(x), torch.from_numpy(y)) for x, y in self.p.batches(self.epoch)])


class Module(pl.LightningModule):
    """Logs as most people do; `self.seen` is what it saw itself."""

    def __init__(self, p: common.Plan, n: int):
        super().__init__()
        self.p, self.n, self.net = p, n, loop.network(p)
        self.sums = {"train": [0.0, 0], "val": [0.0, 0]}
        self.seen: dict[str, list[float]] = {"train": [], "val": []}
        self.step_losses: list[float] = []

    def _loss(self, batch: Any, kind: str) -> tuple[torch.Tensor, float]:
        x, y = batch
        out = self.net(x)
        loss = loop.loss_of(self.p, out, y)
        self.sums[kind][0] += loss.item() * len(y)
        self.sums[kind][1] += len(y)
        return loss, loop.accuracy_of(self.p, out, y)

    def training_step(self, batch: Any, _: int) -> torch.Tensor:
        loss, accuracy = self._loss(batch, "train")
        size = len(batch[1])
        self.step_losses.append(loss.item())
        self.log("train_loss", loss, on_step=self.n != 1, on_epoch=True, prog_bar=self.n == 3, batch_size=size)
        if self.n == 2:
            self.log("lr", self.p.rates[self.global_step], on_step=True, on_epoch=False)
        elif self.p.classes:
            self.log("train_acc", accuracy, on_step=False, on_epoch=True, batch_size=size)
        return loss

    def validation_step(self, batch: Any, _: int) -> None:
        loss, accuracy = self._loss(batch, "val")
        size = len(batch[1])
        self.log("val_loss", loss, prog_bar=True, batch_size=size)
        if self.p.classes:
            self.log("val_acc", accuracy, prog_bar=True, batch_size=size)

    def _keep(self, kind: str) -> None:
        total, rows = self.sums[kind]
        if rows:
            self.seen[kind].append(total / rows)
        self.sums[kind] = [0.0, 0]

    def on_train_epoch_end(self) -> None:
        self._keep("train")

    def on_validation_epoch_end(self) -> None:
        self._keep("val")

    def configure_optimizers(self) -> Any:
        optimizer = loop.optimizer_of(self.p, self.net)
        rates = (*self.p.rates, self.p.rates[-1])
        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: rates[step] / rates[0])
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}


def make(fault: str, n: int, p: common.Plan) -> None:
    name = common.name_of("lightning" + ("1.9" if OLD else ""), fault, n)
    folder = common.fresh_folder(name)
    torch.set_num_threads(1)
    pl.seed_everything(p.variant)
    module = Module(p, n)
    val = TensorDataset(torch.from_numpy(p.x_val), torch.from_numpy(p.y_val))
    printed = io.StringIO()
    with tempfile.TemporaryDirectory() as scratch, contextlib.redirect_stdout(printed):
        bar = (
            [pl.callbacks.TQDMProgressBar(refresh_rate=20 if fault in ("label_noise", "tiny_data") else 12)]
            if n == 3
            else []
        )
        trainer = pl.Trainer(
            max_epochs=p.epochs,
            accelerator="cpu",
            logger=pl.loggers.CSVLogger(scratch) if n != 3 else False,
            enable_checkpointing=False,
            enable_progress_bar=n == 3,
            enable_model_summary=False,
            log_every_n_steps=1 if fault in ("bad_warmup", "no_shuffle") else 5,
            num_sanity_val_steps=0,
            callbacks=bar,
        )
        trainer.fit(module, DataLoader(Batches(p), batch_size=None), DataLoader(val, batch_size=256))
        if n == 3:
            (folder / "output.log").write_text(printed.getvalue(), encoding="utf-8", newline="")
        else:
            written = Path(scratch) / "lightning_logs" / "version_0" / "metrics.csv"
            (folder / "metrics.csv").write_bytes(written.read_bytes())
    common.record(
        name,
        "output.log" if n == 3 else "metrics.csv",
        library="lightning",
        version=pl.__version__,
        format="lightning_bar" if n == 3 else "lightning_csv",
        fault=fault,
        curve=common.Curve(
            module.seen["train"],
            module.seen["val"],
            [p.rate_of(e) for e in range(p.epochs)],
            p.classes,
            module.step_losses,
        ),
        split="scoring" if OLD else None,
        notes="older version" if OLD else "",
    )


def main() -> None:
    warnings.filterwarnings("ignore")
    for i, fault in common.chosen():
        for n in (1, 2, 3):
            if OLD and (i + n) % 3:
                continue
            p = common.plan(
                fault,
                (1500 if OLD else 1300) + 10 * i + n,
                rate={1: 0.02, 2: 1e-3, 3: 0.05}[n],
                optimizer={1: "sgd", 2: "adam", 3: "plain"}[n],
                epochs={1: 25, 2: 15, 3: 10}[n],
                batch=64,
                data={0: "diabetes", 1: "cancer"}.get(i % 4, "digits") if n == 1 else "digits",
                cosine=n == 1,
                peak=12,
            )
            make(fault, n, p)


if __name__ == "__main__":
    main()
