"""The output of people's own PyTorch loops, in several styles, with text between the lines. Needs tqdm, too."""

from __future__ import annotations

import datetime
import io
import traceback
from collections.abc import Callable

import common
import loop
import torch
from tqdm import tqdm

Style = Callable[[common.Plan, list[loop.Epoch], io.StringIO], None]
CLOCK = datetime.datetime(2024, 3, 7, 14, 2, 11)


def one_line(p: common.Plan, epochs: list[loop.Epoch], out: io.StringIO) -> None:
    print(f"Namespace(lr={p.rates[0]:g}, epochs={p.epochs}, batch_size={p.batch}, device='cpu')", file=out)
    for e in epochs:
        accuracy = f" acc {100 * e.val_accuracy:.1f}%" if p.classes else ""
        print(
            f"Epoch {e.number + 1}/{p.epochs} train loss {e.train_loss:.4f} val loss {e.val_loss:.4f}{accuracy}",
            file=out,
        )
    print("done", file=out)


def logging_module(p: common.Plan, epochs: list[loop.Epoch], out: io.StringIO) -> None:
    """Timestamps, levels, a warning now and then, two lines an epoch, accuracies as fractions, epochs from 0."""
    now = CLOCK
    print(f"{now:%Y-%m-%d %H:%M:%S},104 - INFO - train.py:41 - Using cpu, {p.classes} classes", file=out)
    for e in epochs:
        now += datetime.timedelta(seconds=3)
        stamp = f"{now:%Y-%m-%d %H:%M:%S},{170 + 7 * e.number % 800:03d}"
        if e.number % 7 == 3:
            print(f"{stamp} - WARNING - loader.py:12 - 2 of {len(p.x)} images skipped (0.2% loss)", file=out)
        lr, train = f"{e.lr:.3e}", f"loss={e.train_loss:.5f}, acc={e.train_accuracy:.4f}"
        print(f"{stamp} - INFO - train.py:88 - [Epoch {e.number:03d}] train: {train}, lr={lr}", file=out)
        print(
            f"{stamp} - INFO - train.py:97 - [Epoch {e.number:03d}] valid: loss={e.val_loss:.5f}, "
            f"acc={e.val_accuracy:.4f}",
            file=out,
        )
    print(f"{now:%Y-%m-%d %H:%M:%S},999 - INFO - train.py:120 - Finished", file=out)


def tqdm_bars(p: common.Plan, epochs: list[loop.Epoch], out: io.StringIO) -> None:
    """A bar per epoch with the loss so far, redrawn in place; then a line with what counts."""
    for e in epochs:
        with tqdm(total=p.steps, file=out, desc=f"Epoch {e.number + 1}", mininterval=0, ncols=90) as bar:
            for i, s in enumerate(e.steps):
                if i % max(1, p.steps // 4) == 0 or i == p.steps - 1:
                    bar.set_postfix(loss=f"{s.loss:.3f}", refresh=False)
                    bar.n = i + 1
                    bar.refresh()
        print(f"\nTrain Loss: {e.train_loss:.4f} | Train Acc: {100 * e.train_accuracy:.2f}%", file=out)
        print(f" Val. Loss: {e.val_loss:.4f} |  Val. Acc: {100 * e.val_accuracy:.2f}%", file=out)


def coloured(p: common.Plan, epochs: list[loop.Epoch], out: io.StringIO) -> None:
    """ANSI colours, arrows, the best epoch so far announced, every tenth step printed."""
    best = float("inf")
    for e in epochs:
        print(f"\x1b[1m\x1b[36m=== Epoch: {e.number + 1:3d} ===\x1b[0m", file=out)
        for i, s in enumerate(e.steps):
            if i % 10 == 0:
                print(f"  step {i:4d}/{p.steps}  loss: {s.loss:.4f}  grad_norm: {s.gradient_norm:.2f}", file=out)
        print(
            f"\x1b[32mloss\x1b[0m: {e.train_loss:.4f}  \x1b[33mval_loss\x1b[0m: {e.val_loss:.4f}  "
            f"\x1b[35mval_acc\x1b[0m: {e.val_accuracy:.3f}  lr: {e.lr:.6f}  time: {1 + e.seconds:.1f}s",
            file=out,
        )
        if e.val_loss < best:
            best = e.val_loss
            print(f"\x1b[92m ↓ val_loss improved to {best:.4f}, saving best.pt\x1b[0m", file=out)


def by_step(p: common.Plan, epochs: list[loop.Epoch], out: io.StringIO) -> None:
    """The PyTorch examples' way: training loss of some steps, a summary of the test set after each epoch."""
    for e in epochs:
        for i, s in enumerate(e.steps):
            rows, percent = i * p.batch, 100.0 * i / p.steps
            print(f"Train Epoch: {e.number + 1} [{rows}/{len(p.x)} ({percent:.0f}%)]\tLoss: {s.loss:.6f}", file=out)
        right = round(e.val_accuracy * len(p.y_val))
        print(
            f"\nTest set: Average loss: {e.val_loss:.4f}, Accuracy: {right}/{len(p.y_val)} "
            f"({100 * e.val_accuracy:.0f}%)\n",
            file=out,
        )


def with_traceback(p: common.Plan, epochs: list[loop.Epoch], out: io.StringIO) -> None:
    """Ends in the error that people paste: the script stops when it wants to save."""
    for e in epochs:
        print(
            f"[{e.number + 1}/{p.epochs}] loss_train={e.train_loss:.4e} loss_test={e.val_loss:.4e} "
            f"acc_test={e.val_accuracy:.4f} ({1 + e.seconds:.2f}s)",
            file=out,
        )
    try:
        torch.save({}, "/no/such/folder/last.pt")
    except RuntimeError:
        lines = traceback.format_exc().splitlines()
        kept = [line for line in lines if "site-packages" not in line]
        print("\n".join(line.replace(__file__, "train.py") for line in kept), file=out)


STYLES: dict[str, Style] = {
    "one_line": one_line,
    "logging": logging_module,
    "tqdm": tqdm_bars,
    "coloured": coloured,
    "by_step": by_step,
    "traceback": with_traceback,
}


def make(fault: str, n: int, style: str, p: common.Plan) -> None:
    name = common.name_of("plain", fault, n)
    folder = common.fresh_folder(name)
    epochs = list(loop.train(p))
    out = io.StringIO()
    STYLES[style](p, epochs, out)
    file = "train.log" if n == 1 else "out.txt"
    (folder / file).write_text(out.getvalue(), encoding="utf-8", newline="")
    common.record(
        name,
        file,
        library="plain",
        version=f"torch {torch.__version__.split('+')[0]}",
        format=f"plain_{style}",
        fault=fault,
        curve=loop.curve_of(p, epochs),
        notes="training loss by step; train_loss_last is the last epoch's mean" if style == "by_step" else "",
    )


def main() -> None:
    styles = list(STYLES)
    for i, fault in common.chosen():
        for n in (1, 2, 3):
            # Chosen so that every style is on both sides of the split, and step-wise faults are seen by step.
            style = styles[(i // 2 + 2 * (n - 1)) % len(styles)]
            if fault in ("bad_warmup", "no_shuffle") and n == 1:
                style = "by_step"
            p = common.plan(
                fault,
                700 + 10 * i + n,
                rate={1: 0.03, 2: 1e-3, 3: 0.2}[n],
                optimizer={1: "sgd", 2: "adam", 3: "plain"}[n],
                epochs=10 if style in ("by_step", "tqdm") else 25,
                batch=64 if style == "by_step" else 48,
                data="diabetes" if style in ("one_line", "traceback") and i % 3 == 1 else "digits",
                cosine=n == 3,
                peak=10,
            )
            make(fault, n, style, p)


if __name__ == "__main__":
    main()
