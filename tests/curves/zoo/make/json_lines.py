"""JSON lines as research code writes them: DETR's log.txt, mm*'s log.json, a nested one, one by step."""

from __future__ import annotations

import json
import math

import common
import loop
import torch


def detr(p: common.Plan, epochs: list[loop.Epoch]) -> list[dict[str, object]]:
    return [
        {
            "train_lr": e.lr,
            "train_class_error": 100 * (1 - e.train_accuracy),
            "train_loss": e.train_loss,
            "test_class_error": 100 * (1 - e.val_accuracy),
            "test_loss": e.val_loss,
            "epoch": e.number,
            "n_parameters": p.width * (p.x.shape[1] + p.width + (p.classes or 1)),
        }
        for e in epochs
    ]


def mm(p: common.Plan, epochs: list[loop.Epoch]) -> list[dict[str, object]]:
    """Epochs from 1, a training entry every few steps, a validation entry an epoch; the environment first."""
    rows: list[dict[str, object]] = [{"env_info": "sys.platform: linux\nPython: 3.11", "seed": p.variant}]
    for e in epochs:
        for i in range(3, p.steps, 4):
            some = e.steps[i - 3 : i + 1]
            loss = sum(s.loss for s in some) / len(some)
            row = {"mode": "train", "epoch": e.number + 1, "iter": i + 1, "lr": round(some[-1].lr, 8), "memory": 0}
            rows.append({**row, "data_time": 0.0021, "loss": round(loss, 5), "time": 0.0312})
        row = {"mode": "val", "epoch": e.number + 1, "iter": math.ceil(len(p.x_val) / p.batch), "lr": round(e.lr, 8)}
        rows.append({**row, "accuracy_top-1": round(100 * e.val_accuracy, 4), "loss": round(e.val_loss, 5)})
    return rows


def by_epoch(p: common.Plan, epochs: list[loop.Epoch]) -> list[dict[str, object]]:
    """Nested, as structured loggers write it."""
    return [
        {
            "time": f"2025-01-14T09:{e.number // 6:02d}:{e.number % 6 * 10:02d}Z",
            "event": "epoch",
            "epoch": e.number + 1,
            "train": {"loss": e.train_loss, "acc": e.train_accuracy},
            "valid": {"loss": e.val_loss, "acc": e.val_accuracy},
            "lr": e.lr,
        }
        for e in epochs
    ]


def by_step(p: common.Plan, epochs: list[loop.Epoch]) -> list[dict[str, object]]:
    rows: list[dict[str, object]] = []
    for e in epochs:
        for s in e.steps:
            rows.append(
                {"step": s.number, "loss": round(s.loss, 5), "lr": s.lr, "grad_norm": round(s.gradient_norm, 3)}
            )
        rows.append(
            {"step": e.steps[-1].number, "epoch": e.number, "eval_loss": e.val_loss, "eval_acc": e.val_accuracy}
        )
    return rows


STYLES = {
    "detr": (detr, "log.txt"),
    "mm": (mm, "20240307_140211.log.json"),
    "nested": (by_epoch, "metrics.jsonl"),
    "steps": (by_step, "train.jsonl"),
}


def make(fault: str, n: int, style: str, p: common.Plan) -> None:
    name = common.name_of("jsonl", fault, n)
    folder = common.fresh_folder(name)
    epochs = list(loop.train(p))
    writer, file = STYLES[style]
    lines = [json.dumps(row) + "\n" for row in writer(p, epochs)]
    (folder / file).write_text("".join(lines), encoding="utf-8")
    common.record(
        name,
        file,
        library="jsonl",
        version=f"torch {torch.__version__.split('+')[0]}",
        format=f"jsonl_{style}",
        fault=fault,
        curve=loop.curve_of(p, epochs),
        notes="training loss by step; train_loss_last is the last epoch's mean" if style in ("mm", "steps") else "",
    )


def main() -> None:
    styles = list(STYLES)
    for i, fault in common.chosen():
        for n in (1, 2):
            style = styles[(i // 2 + 2 * (n - 1)) % len(styles)]
            if fault in ("bad_warmup", "no_shuffle") and n == 2:
                style = "steps"
            p = common.plan(
                fault,
                900 + 10 * i + n,
                rate=0.1 if n == 1 else 2e-3,
                optimizer="plain" if n == 1 else "adam",
                epochs=10 if style == "steps" else 22,
                batch=64,
                cosine=i % 2 == 0,
                peak=15,
            )
            make(fault, n, style, p)


if __name__ == "__main__":
    main()
