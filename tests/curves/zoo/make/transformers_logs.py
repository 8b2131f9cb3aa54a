"""Hugging Face's Trainer: trainer_state.json (n = 1: by epoch, 2: every few steps) and the dicts that it prints (3).

The argument `old`: transformers 4.40.2.
"""

from __future__ import annotations

import contextlib
import io
import sys
import tempfile
import warnings
from typing import Any

import common
import loop
import numpy as np
import torch
import transformers
from torch.utils.data import DataLoader, IterableDataset, TensorDataset
from transformers import Trainer, TrainingArguments

OLD = "old" in sys.argv


class Batches(IterableDataset[Any]):
    """The batches of a plan, epoch after epoch."""

    def __init__(self, p: common.Plan):
        self.p, self.epoch = p, -1

    def __len__(self) -> int:
        return self.p.steps

    def __iter__(self) -> Any:
        self.epoch += 1
        pairs = self.p.batches(self.epoch)
        return iter([{"x": torch.from_numpy(x), "labels": torch.from_numpy(y)} for x, y in pairs])


class Net(torch.nn.Module):
    """As Trainer wants it: the loss with the outputs. `seen` holds what it saw itself, in order."""

    def __init__(self, p: common.Plan):
        super().__init__()
        self.p, self.net = p, loop.network(p)
        self.train_losses: list[float] = []

    def forward(self, x: torch.Tensor, labels: torch.Tensor) -> dict[str, torch.Tensor]:
        out = self.net(x)
        loss = loop.loss_of(self.p, out, labels)
        if self.training:
            self.train_losses.append(loss.item())
        return {"loss": loss, "logits": out}


class PlanTrainer(Trainer):
    def get_train_dataloader(self) -> DataLoader[Any]:
        return DataLoader(self.train_dataset, batch_size=None)


class Keep(transformers.TrainerCallback):
    def __init__(self) -> None:
        self.val_losses: list[float] = []

    def on_evaluate(self, args: Any, state: Any, control: Any, metrics: Any, **kwargs: Any) -> None:
        self.val_losses.append(metrics["eval_loss"])


def collate(rows: list[Any]) -> dict[str, torch.Tensor]:
    return {"x": torch.stack([row[0] for row in rows]), "labels": torch.stack([row[1] for row in rows])}


def accuracy(prediction: Any) -> dict[str, float]:
    return {"accuracy": float((np.argmax(prediction.predictions, 1) == prediction.label_ids).mean())}


def fit(p: common.Plan, n: int, scratch: str) -> tuple[PlanTrainer, Net, Keep]:
    torch.set_num_threads(1)
    net, keep = Net(p), Keep()
    optimizer = loop.optimizer_of(p, net)
    rates = (*p.rates, p.rates[-1])
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: rates[step] / rates[0])
    arguments = TrainingArguments(
        scratch,
        num_train_epochs=p.epochs,
        per_device_train_batch_size=p.batch,
        per_device_eval_batch_size=1024,
        logging_strategy="steps" if n == 2 else "epoch",
        logging_steps=2 if p.fault in ("bad_warmup", "no_shuffle") else 8,
        save_strategy="no",
        report_to=[],
        disable_tqdm=True,
        use_cpu=True,
        max_grad_norm=0.0,
        seed=p.variant,
        **{"evaluation_strategy" if OLD else "eval_strategy": "epoch"},
    )
    held = TensorDataset(torch.from_numpy(p.x_val), torch.from_numpy(p.y_val))
    trainer = PlanTrainer(
        model=net,
        args=arguments,
        train_dataset=Batches(p),
        eval_dataset=held,
        data_collator=lambda rows: {
            "x": torch.stack([r[0] for r in rows]),
            "labels": torch.stack([r[1] for r in rows]),
        },
        compute_metrics=accuracy if p.classes else None,
        optimizers=(optimizer, schedule),
        callbacks=[keep],
    )
    trainer.train()
    return trainer, net, keep


def make(fault: str, n: int, p: common.Plan) -> None:
    name = common.name_of("transformers" + ("4.40" if OLD else ""), fault, n)
    folder = common.fresh_folder(name)
    printed = io.StringIO()
    file = "output.log" if n == 3 else "trainer_state.json"
    with tempfile.TemporaryDirectory() as scratch:
        with contextlib.redirect_stdout(printed):
            trainer, net, keep = fit(p, n, scratch)
        if n == 3:
            (folder / file).write_text(printed.getvalue(), encoding="utf-8")
        else:
            trainer.state.save_to_json(str(folder / file))
    steps = net.train_losses
    means = [float(np.mean(steps[e * p.steps : (e + 1) * p.steps])) for e in range(p.epochs)]
    notes = ["the training loss is a mean over steps"]
    if n == 2:
        notes = ["training loss every few steps; train_loss_last is the last epoch's mean over steps"]
    if fault == "nan":
        notes.append("Trainer leaves losses that are not finite out of its means (logging_nan_inf_filter)")
    if OLD:
        notes.append("older version")
    common.record(
        name,
        file,
        library="transformers",
        version=transformers.__version__,
        format="hf_stdout" if n == 3 else "hf_trainer_state",
        fault=fault,
        curve=common.Curve(means, keep.val_losses, [p.rate_of(e) for e in range(p.epochs)], p.classes, steps),
        split="scoring" if OLD else None,
        notes="; ".join(notes),
    )


def main() -> None:
    warnings.filterwarnings("ignore")
    for i, fault in common.chosen():
        for n in (1, 2, 3):
            if OLD and (i + n) % 3:
                continue
            p = common.plan(
                fault,
                (2300 if OLD else 2100) + 10 * i + n,
                rate={1: 2e-3, 2: 0.03, 3: 0.1}[n],
                optimizer={1: "adam", 2: "sgd", 3: "plain"}[n],
                epochs={1: 16, 2: 10, 3: 20}[n],
                batch=48,
                data="diabetes" if n == 3 and i % 4 == 1 else "cancer" if n == 1 and i % 4 == 2 else "digits",
                cosine=n != 3,
                peak=12,
            )
            make(fault, n, p)


if __name__ == "__main__":
    main()
