"""Ultralytics: results.csv of a classifier (n = 1) and a detector (2), built from their yaml, on images of our own.

The argument `old`: 8.0.200, whose header is padded with blanks. Needs opencv; downloads nothing.
"""

from __future__ import annotations

import contextlib
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

import common
import cv2
import numpy as np
import torch
import ultralytics
from ultralytics import YOLO

OLD = "old" in sys.argv
SKIPPED = ("no_shuffle", "bad_warmup")  # its loader always shuffles; nothing is written by step
# A detector takes its time; that of 8.0 needs numpy 1 as soon as it finds a box.
DETECTED = ("healthy",) if OLD else ("healthy", "rate_x100", "rate_div1000")
OF_OLD = ("healthy", "rate_x100")


def classes_folder(root: Path, p: common.Plan) -> str:
    for part, xs, ys in (("train", p.x, p.y), ("val", p.x_val, p.y_val)):
        for i, (x, y) in enumerate(zip(xs[:256], ys[:256], strict=True)):
            folder = root / part / f"{y}"
            folder.mkdir(parents=True, exist_ok=True)
            image = cv2.resize((x.reshape(8, 8) * 255).astype(np.uint8), (32, 32))
            cv2.imwrite(str(folder / f"{i}.png"), image)
    return str(root)


def boxes_folder(root: Path, p: common.Plan, images: int) -> str:
    """Bright squares on noise; label noise moves some of the boxes elsewhere."""
    rng = np.random.default_rng(p.variant)
    for part, count in (("train", 8 if p.fault == "tiny_data" else images), ("val", 24)):
        (root / "images" / part).mkdir(parents=True)
        (root / "labels" / part).mkdir(parents=True)
        for i in range(count):
            image = rng.integers(0, 120, (64, 64, 3), dtype=np.uint8)
            size, (x, y) = int(rng.integers(14, 28)), rng.integers(0, 36, 2)
            image[y : y + size, x : x + size] = rng.integers(160, 255, 3)
            cv2.imwrite(str(root / "images" / part / f"{i}.png"), image)
            if p.fault == "label_noise" and part == "train" and rng.random() < 0.5:
                x, y = rng.integers(0, 36, 2)
            box = [(x + size / 2) / 64, (y + size / 2) / 64, size / 64, size / 64]
            (root / "labels" / part / f"{i}.txt").write_text("0 " + " ".join(f"{v:.4f}" for v in box))
    (root / "data.yaml").write_text(f"path: {root}\ntrain: images/train\nval: images/val\nnames:\n  0: square\n")
    return str(root / "data.yaml")


def make(fault: str, n: int, p: common.Plan) -> None:
    name = common.name_of("ultralytics" + ("8.0" if OLD else ""), fault, n)
    train: list[float] = []
    val: list[float] = []

    def set_rate(trainer: Any) -> None:
        rate = 1e12 if fault == "nan" and trainer.epoch >= p.epochs // 2 else p.rate_of(trainer.epoch)
        for group in trainer.optimizer.param_groups:
            group["lr"] = rate

    def keep(trainer: Any) -> None:
        if len(train) > trainer.epoch or len(train) == p.epochs:  # the final evaluation
            return
        losses = trainer.label_loss_items(trainer.tloss, prefix="train")
        train.append(sum(losses.values()))
        val.append(sum(float(v) for k, v in trainer.metrics.items() if k.startswith("val/")))

    with tempfile.TemporaryDirectory() as scratch:
        root = Path(scratch) / "data"
        data = classes_folder(root, p) if n == 1 else boxes_folder(root, p, 48)
        model = YOLO("yolov8n-cls.yaml" if n == 1 else "yolov8n.yaml")
        model.add_callback("on_train_batch_start", set_rate)
        model.add_callback("on_fit_epoch_end", keep)
        # Newer versions give up on losses that stay NaN; results.csv then ends there.
        with contextlib.suppress(RuntimeError):
            model.train(
                data=data,
                epochs=p.epochs,
                imgsz=32 if n == 1 else 64,
                batch=p.batch,
                optimizer="SGD",
                lr0=p.rates[0],
                warmup_epochs=0.0,
                dropout=p.dropout,
                project=scratch,
                name="fit",
                plots=False,
                device="cpu",
                workers=0,
                seed=p.variant,
                amp=False,
                save=True,
                patience=1000,
                verbose=False,
            )
        folder = common.fresh_folder(name)
        shutil.copy(Path(scratch) / "fit" / "results.csv", folder / "results.csv")
    notes = [] if n == 1 else ["three losses without a sum; the losses here are their sums"]
    if OLD:
        notes.append("older version")
    rates = [1e12 if fault == "nan" and e >= p.epochs // 2 else p.rate_of(e) for e in range(p.epochs)]
    common.record(
        name,
        "results.csv",
        library="ultralytics",
        version=ultralytics.__version__,
        format="ultralytics_csv" if n == 1 else "ultralytics_detect_csv",
        fault=fault,
        curve=common.Curve(train, val, rates[: len(train)], 10 if n == 1 else None),
        split="scoring" if OLD else None,
        notes="; ".join(notes),
    )


def main() -> None:
    load = torch.load
    torch.load = lambda *args, **kwargs: load(*args, **{**kwargs, "weights_only": False})
    for i, fault in common.chosen():
        for n in (1, 2):
            if fault in SKIPPED or (n == 2 and fault not in DETECTED) or (OLD and fault not in OF_OLD):
                continue
            p = common.plan(
                fault,
                (3100 if OLD else 2900) + 10 * i + n,
                rate=0.01,
                epochs=12 if n == 1 else 15,
                batch=32 if n == 1 else 16,
                cosine=n == 2,
            )
            make(fault, n, p)


if __name__ == "__main__":
    main()
