"""timm: the summary.csv of its own writer, told what a plain loop saw. The argument `old`: version 0.6.13."""

from __future__ import annotations

import sys

import common
import loop
import timm
import torch
from timm.utils import update_summary

OLD = "old" in sys.argv


def make(fault: str, n: int, p: common.Plan) -> None:
    name = common.name_of("timm" + ("0.6" if OLD else ""), fault, n)
    folder = common.fresh_folder(name)
    epochs = []
    for e in loop.train(p):
        val = {"loss": e.val_loss, "top1": 100 * e.val_accuracy, "top5": 100 * e.val_top5}
        more = {} if OLD else {"lr": e.lr}
        file = str(folder / "summary.csv")
        update_summary(e.number, {"loss": e.train_loss}, val, file, write_header=e.number == 0, **more)
        epochs.append(e)
    common.record(
        name,
        "summary.csv",
        library="timm",
        version=timm.__version__,
        format="timm_csv",
        fault=fault,
        curve=loop.curve_of(p, epochs),
        split="scoring" if OLD else None,
        notes="older version" if OLD else "",
    )


def main() -> None:
    torch.use_deterministic_algorithms(True)
    for i, fault in common.chosen():
        for n in (1, 2):
            if OLD and (i + n) % 3:
                continue
            p = common.plan(
                fault,
                (400 if OLD else 300) + 10 * i + n,
                rate=0.05 if n == 1 else 1e-3,
                optimizer="sgd" if n == 1 else "adam",
                epochs=40 if n == 1 else 24,
                batch=32,
                width=32,
                cosine=n == 1,
            )
            make(fault, n, p)


if __name__ == "__main__":
    main()
