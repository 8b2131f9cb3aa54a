"""fastai: history.csv of its CSVLogger (n = 1: fit, 2: fit_one_cycle), and what `fit` prints (3: a table with bars, or,
without bars, a list an epoch). The argument `old`: fastai 2.7.19.
"""

from __future__ import annotations

import contextlib
import io
import sys
from typing import Any

import common
import fastai
import loop
import torch
from fastai.callback.core import Callback
from fastai.callback.progress import CSVLogger
from fastai.callback.schedule import ParamScheduler
from fastai.data.core import DataLoaders
from fastai.learner import Learner
from fastai.metrics import accuracy
from fastai.optimizer import SGD, Adam

OLD = "old" in sys.argv


class Batches:
    """The batches of a plan, epoch after epoch, as a loader."""

    def __init__(self, p: common.Plan):
        self.p, self.epoch, self.dataset = p, -1, range(len(p.x))

    def __len__(self) -> int:
        return self.p.steps

    def __iter__(self) -> Any:
        self.epoch += 1
        return iter([(torch.from_numpy(x), torch.from_numpy(y)) for x, y in self.p.batches(self.epoch)])


class Held(list[Any]):
    dataset = range(1)


class Keep(Callback):
    """The losses that the training saw, and the rate each epoch began with."""

    def __init__(self) -> None:
        self.train_losses: list[float] = []
        self.val_losses: list[float] = []
        self.rates: list[float] = []
        self.step_losses: list[float] = []

    def before_batch(self) -> None:
        if self.training and self.iter == 0:
            self.rates.append(float(self.opt.hypers[-1]["lr"]))

    def after_loss(self) -> None:
        (self.step_losses if self.training else self.val_losses).append(self.loss_grad.item())

    def after_epoch(self) -> None:
        self.train_losses.append(float(self.recorder.smooth_loss.value))


def make(fault: str, n: int, p: common.Plan) -> None:
    name = common.name_of("fastai" + ("2.7" if OLD else ""), fault, n)
    folder = common.fresh_folder(name)
    torch.set_num_threads(1)
    held = Held([(torch.from_numpy(p.x_val), torch.from_numpy(p.y_val))])
    loss = (
        torch.nn.functional.cross_entropy if p.classes else (lambda out, y: torch.nn.functional.mse_loss(out[:, 0], y))
    )
    learner = Learner(
        DataLoaders(Batches(p), held),
        loop.network(p),
        loss_func=loss,
        opt_func=Adam if p.optimizer == "adam" else SGD,
        metrics=[accuracy] if p.classes else [],
        path=folder,
        lr=p.rates[0],
    )
    keep = Keep()
    callbacks: list[Any] = [keep]
    if n < 3:
        callbacks.append(CSVLogger())
    plain = n < 3 or common.FAULTS.index(fault) // 2 % 2 == 1
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed), learner.no_bar() if plain else contextlib.nullcontext():
        if fault == "healthy" and n == 2:
            learner.fit_one_cycle(p.epochs, 10 * p.rates[0], cbs=callbacks)
        else:
            total = len(p.rates)
            rates = ParamScheduler({"lr": lambda done: p.rates[min(total - 1, int(done * total + 1e-6))]})
            learner.fit(p.epochs, cbs=[rates, *callbacks])
    if n == 3:
        (folder / "output.txt").write_text(printed.getvalue(), encoding="utf-8", newline="")
    common.record(
        name,
        "output.txt" if n == 3 else "history.csv",
        library="fastai",
        version=fastai.__version__,
        format="fastai_csv" if n < 3 else "fastai_lists" if plain else "fastai_table",
        fault=fault,
        curve=common.Curve(keep.train_losses, keep.val_losses, keep.rates, p.classes, keep.step_losses),
        split="scoring" if OLD else None,
        notes="the training loss is fastai's own smoothed one" + ("; older version" if OLD else ""),
    )


def main() -> None:
    for i, fault in common.chosen():
        for n in (1, 2, 3):
            if OLD and (i + n) % 3:
                continue
            p = common.plan(
                fault,
                (1900 if OLD else 1700) + 10 * i + n,
                rate={1: 0.1, 2: 1e-3, 3: 3e-3}[n],
                optimizer="plain" if n == 1 else "adam",
                epochs={1: 25, 2: 15, 3: 12}[n],
                batch={1: 32, 2: 64, 3: 256}[n],
                data="diabetes" if n == 3 and i % 5 == 0 else "digits",
                cosine=n == 2,
                peak=12,
            )
            make(fault, n, p)


if __name__ == "__main__":
    main()
