"""TensorBoard: event files of torch's SummaryWriter (n = 1: by epoch, 2: by step), and what a local TensorBoard
gives for download of such a folder (3: CSV, a file a tag; 4: JSON).
"""

from __future__ import annotations

import json
import re
import socket
import subprocess
import sys
import tempfile
import time
import urllib.parse
import urllib.request
from pathlib import Path

import common
import loop
import tensorboard
import torch
from torch.utils.tensorboard import SummaryWriter


def write_epochs(folder: Path, p: common.Plan, n: int) -> list[loop.Epoch]:
    """Tags as people choose them, one point an epoch."""
    names = [("Loss/train", "Loss/val", "Accuracy/val", "lr"), ("train_loss", "val_loss", "val_acc", "learning_rate")]
    train, val, accuracy, lr = names[n % 2]
    epochs = []
    with SummaryWriter(str(folder)) as writer:
        for e in loop.train(p):
            writer.add_scalar(train, e.train_loss, e.number)
            writer.add_scalar(val, e.val_loss, e.number)
            if p.classes:
                writer.add_scalar(accuracy, e.val_accuracy, e.number)
            writer.add_scalar(lr, e.lr, e.number)
            epochs.append(e)
    return epochs


def write_steps(folder: Path, p: common.Plan, n: int) -> list[loop.Epoch]:
    """The training loss of every step, the rest once an epoch at the global step."""
    epochs = []
    with SummaryWriter(str(folder)) as writer:
        for e in loop.train(p):
            for s in e.steps:
                writer.add_scalar("train/loss", s.loss, s.number)
                writer.add_scalar("train/lr", s.lr, s.number)
            last = e.steps[-1].number
            writer.add_scalar("epoch", e.number, last)
            writer.add_scalar("val/loss", e.val_loss, last)
            writer.add_scalar("val/accuracy", 100 * e.val_accuracy, last)
            epochs.append(e)
    return epochs


def export(run: Path, folder: Path, format: str) -> None:  # noqa: A002 - the server's own word
    """Every tag of a run, as the download buttons of a TensorBoard on this machine give it."""
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        port = s.getsockname()[1]
    binary = Path(sys.executable).with_name("tensorboard")
    args = [str(binary), "--logdir", str(run), "--host", "127.0.0.1", "--port", str(port), "--load_fast", "false"]
    server = subprocess.Popen(args, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    base = f"http://127.0.0.1:{port}/data/plugin/scalars"
    try:
        for _ in range(120):
            time.sleep(0.5)
            try:
                tags = json.loads(urllib.request.urlopen(f"{base}/tags").read())
            except OSError:
                continue
            if tags:
                break
        for name, found in tags.items():
            for tag in found:
                query = urllib.parse.urlencode({"tag": tag, "run": name, "format": format})
                text = urllib.request.urlopen(f"{base}/scalars?{query}").read()
                safe = re.sub(r"[^A-Za-z0-9_.-]", "_", tag)
                (folder / f"run-{name}-tag-{safe}.{format}").write_bytes(text)
    finally:
        server.terminate()
        server.wait()


def make(fault: str, n: int, p: common.Plan) -> None:
    name = common.name_of("tensorboard", fault, n)
    folder = common.fresh_folder(name)
    if n < 3:
        epochs = (write_steps if by_steps(fault, n) else write_epochs)(folder, p, n)
        for events in folder.glob("events*"):
            events.rename(folder / re.sub(r"(events\.out\.tfevents\.\d+)\..*", r"\1.host.1234.0", events.name))
        file, kind = next(folder.glob("events*")).name, "tensorboard_events"
    else:
        kind = "csv" if n == 3 else "json"
        with tempfile.TemporaryDirectory() as scratch:
            epochs = (write_steps if by_steps(fault, n) else write_epochs)(
                Path(scratch) / "fit", p, n // 3 + len(fault)
            )
            export(Path(scratch), folder, kind)
        file, kind = ".", f"tensorboard_{kind}"
    common.record(
        name,
        file,
        library="tensorboard",
        version=f"{tensorboard.__version__} torch {torch.__version__.split('+')[0]}",
        format=kind,
        fault=fault,
        curve=loop.curve_of(p, epochs),
        notes="training loss by step; train_loss_last is the last epoch's mean" if by_steps(fault, n) else "",
    )


def by_steps(fault: str, n: int) -> bool:
    return n == 2 or (n > 2 and fault in ("bad_warmup", "no_shuffle"))


def main() -> None:
    for i, fault in common.chosen():
        for n in (1, 2, 3 + i // 2 % 2):
            p = common.plan(
                fault,
                500 + 10 * i + n,
                rate=0.02 if n != 2 else 1e-3,
                optimizer="sgd" if n != 2 else "adam",
                epochs=12 if n > 1 else 30,
                batch=64,
                data="cancer" if n == 1 and i % 3 == 0 else "digits",
                cosine=n == 2,
                peak=12,
            )
            make(fault, n, p)


if __name__ == "__main__":
    main()
