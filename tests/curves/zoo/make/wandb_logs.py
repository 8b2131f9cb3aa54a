"""Weights & Biases: what an offline run prints (n = 1), and exports written by hand, as no server is at hand: the CSV
of charts with the columns of the web page (2: a file a chart), a history as the table of its API has it (3).
"""

from __future__ import annotations

import contextlib
import csv
import io
import os
import re
import tempfile
from pathlib import Path

import common
import loop
import wandb

RUN = "misty-sun-7"


def printed(p: common.Plan) -> tuple[str, list[loop.Epoch]]:
    out, epochs = io.StringIO(), []
    with tempfile.TemporaryDirectory() as scratch, contextlib.redirect_stdout(out), contextlib.redirect_stderr(out):
        os.environ.update(WANDB_MODE="offline", WANDB_DIR=scratch, WANDB_SILENT="false")
        config = {"lr": p.rates[0], "batch_size": p.batch, "epochs": p.epochs}
        run = wandb.init(project="digits", name=RUN, config=config, settings=wandb.Settings(console="off"))
        for e in loop.train(p):
            values = {"epoch": e.number, "train/loss": e.train_loss, "val/loss": e.val_loss, "lr": e.lr}
            if p.classes:
                values["val/accuracy"] = e.val_accuracy
            run.log(values)
            print(f"epoch {e.number:2d}: train_loss={e.train_loss:.4f}, val_loss={e.val_loss:.4f}, lr={e.lr:.2g}")
            epochs.append(e)
        run.finish()
        # W&B keeps the folder of a process's first run.
        text = re.sub(rf"{tempfile.gettempdir()}/\w+", "/home/user/project", out.getvalue())
    return text, epochs


def chart(path: Path, name: str, points: list[tuple[int, float]]) -> None:
    """A chart's CSV: the step, and for each run the value with its least and greatest in the bucket."""
    with path.open("w", newline="") as f:
        writer = csv.writer(f, quoting=csv.QUOTE_ALL, lineterminator="\n")
        writer.writerow(["Step", f"{RUN} - {name}", f"{RUN} - {name}__MIN", f"{RUN} - {name}__MAX"])
        writer.writerows([step, value, value, value] for step, value in points)


def charts(folder: Path, epochs: list[loop.Epoch], by_step: bool) -> None:
    def points(value: str) -> list[tuple[int, float]]:
        return [(e.steps[-1].number if by_step else e.number, getattr(e, value)) for e in epochs]

    train = [(s.number, s.loss) for e in epochs for s in e.steps] if by_step else points("train_loss")
    chart(folder / "wandb_export_2024-03-07T14_02_11.104+01_00.csv", "train/loss", train)
    chart(folder / "wandb_export_2024-03-07T14_02_35.871+01_00.csv", "val/loss", points("val_loss"))
    chart(folder / "wandb_export_2024-03-07T14_02_58.010+01_00.csv", "lr", points("lr"))


def history(folder: Path, epochs: list[loop.Epoch], by_step: bool) -> None:
    """A row per call of log, sparse where training and validation are logged apart; the table's own columns last."""
    columns = ["", "epoch", "train_loss", "val_loss", "val_acc", "lr", "_step", "_runtime", "_timestamp"]
    rows: list[dict[str, object]] = []
    for e in epochs:
        if by_step:
            rows += [{"epoch": e.number, "train_loss": s.loss, "lr": s.lr} for s in e.steps]
            rows.append({"epoch": e.number, "val_loss": e.val_loss, "val_acc": e.val_accuracy})
        else:
            values = {"train_loss": e.train_loss, "val_loss": e.val_loss, "val_acc": e.val_accuracy, "lr": e.lr}
            rows.append({"epoch": e.number, **values})
    for i, row in enumerate(rows):
        row.update({"": i, "_step": i, "_runtime": round(1.7 + 0.31 * i, 3), "_timestamp": 1709816531.104 + 0.31 * i})
    with (folder / "history.csv").open("w", newline="") as f:
        writer = csv.DictWriter(f, columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def make(fault: str, n: int, p: common.Plan) -> None:
    name = common.name_of("wandb", fault, n)
    folder = common.fresh_folder(name)
    by_step = n > 1 and fault in ("bad_warmup", "no_shuffle", "rate_x100", "healthy")
    if n == 1:
        text, epochs = printed(p)
        (folder / "output.log").write_text(text, encoding="utf-8")
        file, kind, notes = "output.log", "wandb_console", ""
    else:
        epochs = list(loop.train(p))
        (charts if n == 2 else history)(folder, epochs, by_step)
        file, kind = (".", "wandb_chart_csv") if n == 2 else ("history.csv", "wandb_history_csv")
        notes = "written by hand"
    common.record(
        name,
        file,
        library="wandb",
        version=wandb.__version__,
        format=kind,
        fault=fault,
        curve=loop.curve_of(p, epochs),
        notes=notes + ("; training loss by step; train_loss_last is the last epoch's mean" if by_step else ""),
    )


def main() -> None:
    for i, fault in common.chosen():
        for n in (1, 2, 3):
            p = common.plan(
                fault,
                3300 + 10 * i + n,
                rate={1: 0.02, 2: 1e-3, 3: 0.2}[n],
                optimizer={1: "sgd", 2: "adam", 3: "plain"}[n],
                epochs={1: 20, 2: 12, 3: 14}[n],
                batch=64,
                data="diabetes" if n == 1 and i % 5 == 2 else "cancer" if n == 2 and i % 5 == 3 else "digits",
                cosine=n == 1,
                peak=12,
            )
            make(fault, n, p)


if __name__ == "__main__":
    main()
