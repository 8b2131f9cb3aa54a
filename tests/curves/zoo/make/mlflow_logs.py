"""MLflow: the folder of its file store, one run. The argument `old`: MLflow 2.9.2."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from pathlib import Path

os.environ["MLFLOW_ALLOW_FILE_STORE"] = "true"  # newer versions want a database otherwise

import common
import loop
import mlflow

OLD = "old" in sys.argv


def run(p: common.Plan, n: int) -> list[loop.Epoch]:
    epochs = []
    with mlflow.start_run(run_name="fit"):
        mlflow.log_params({"lr": p.rates[0], "batch_size": p.batch, "epochs": p.epochs})
        for e in loop.train(p):
            if n == 1:
                mlflow.log_metric("train_loss", e.train_loss, step=e.number)
            else:
                for s in e.steps[::3]:
                    mlflow.log_metric("train/loss", s.loss, step=s.number)
            step = e.number if n == 1 else e.steps[-1].number
            mlflow.log_metric("val_loss" if n == 1 else "val/loss", e.val_loss, step=step)
            if p.classes:
                mlflow.log_metric("val_acc" if n == 1 else "val/acc", e.val_accuracy, step=step)
            mlflow.log_metric("lr", e.lr, step=step)
            epochs.append(e)
    return epochs


def make(fault: str, n: int, p: common.Plan) -> None:
    name = common.name_of("mlflow" + ("2.9" if OLD else ""), fault, n)
    folder = common.fresh_folder(name)
    with tempfile.TemporaryDirectory() as scratch:
        os.chdir(scratch)
        mlflow.set_tracking_uri(f"file://{scratch}/mlruns")
        mlflow.set_experiment("digits")
        epochs = run(p, n)
        os.chdir("/")
        shutil.rmtree(Path(scratch) / "mlruns" / ".trash", ignore_errors=True)
        ours = shutil.ignore_patterns("mlflow.source.git.*")  # of this repository, not of the training
        shutil.copytree(Path(scratch) / "mlruns", folder / "mlruns", ignore=ours)
        for path in folder.rglob("*"):
            if path.is_file():
                text = path.read_text().replace(scratch, "/home/user/project").replace(str(Path(__file__)), "train.py")
                path.write_text(text)
    common.record(
        name,
        "mlruns",
        library="mlflow",
        version=mlflow.__version__,
        format="mlflow",
        fault=fault,
        curve=loop.curve_of(p, epochs),
        split="scoring" if OLD else None,
        notes=("" if n == 1 else "training loss of every third step") + ("; older version" if OLD else ""),
    )


def main() -> None:
    for i, fault in common.chosen():
        for n in (1, 2):
            if OLD and (i + n) % 3:
                continue
            p = common.plan(
                fault,
                (2700 if OLD else 2500) + 10 * i + n,
                rate=0.03 if n == 1 else 2e-3,
                optimizer="sgd" if n == 1 else "adam",
                epochs=20 if n == 1 else 12,
                batch=64,
                data="diabetes" if n == 1 and i % 4 == 1 else "digits",
                cosine=n == 2,
                peak=12,
            )
            make(fault, n, p)


if __name__ == "__main__":
    main()
