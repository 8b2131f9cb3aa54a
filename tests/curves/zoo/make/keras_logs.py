"""Keras: CSVLogger (n = 1), the History as JSON (2), what `fit` prints (3: bars, 4: a line an epoch).

Run with KERAS_BACKEND=torch for Keras 3, or in an environment of TensorFlow 2.15 with the argument `old`.
"""

from __future__ import annotations

import contextlib
import io
import json
import sys
from typing import Any

import common
import numpy as np

OLD = "old" in sys.argv
if OLD:
    from tensorflow import keras
else:
    import keras


class Batches(keras.utils.Sequence if OLD else keras.utils.PyDataset):  # type: ignore[misc]
    """The batches of a plan, epoch after epoch."""

    def __init__(self, plan: common.Plan):
        super().__init__()
        self.plan, self.epoch = plan, 0

    def __len__(self) -> int:
        return self.plan.steps

    def __getitem__(self, i: int) -> tuple[np.ndarray, np.ndarray]:
        return self.plan.batches(self.epoch)[i]

    def on_epoch_end(self) -> None:
        self.epoch += 1


class StepRates(keras.callbacks.Callback):
    """The rate of every step."""

    def __init__(self, plan: common.Plan):
        super().__init__()
        self.rates = iter(plan.rates)

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
        rate = next(self.rates)
        if OLD:
            keras.backend.set_value(self.model.optimizer.lr, rate)
        else:
            self.model.optimizer.learning_rate.assign(rate)


def fit(plan: common.Plan, callbacks: list[Any], verbose: int) -> Any:
    keras.utils.set_random_seed(plan.variant)
    layers = [keras.layers.Input((plan.x.shape[1],))]
    for _ in range(2):
        layers += [keras.layers.Dense(plan.width, activation="relu"), keras.layers.Dropout(plan.dropout)]
    model = keras.Sequential([*layers, keras.layers.Dense(plan.classes or 1)])
    rate = plan.rates[0]
    optimizer = keras.optimizers.SGD(rate, momentum=0.9) if plan.optimizer == "sgd" else keras.optimizers.Adam(rate)
    if plan.classes:
        loss, metrics = keras.losses.SparseCategoricalCrossentropy(from_logits=True), ["accuracy"]
    else:
        loss, metrics = "mse", ["mae"]
    model.compile(optimizer, loss, metrics=metrics)
    rates = (
        StepRates(plan)
        if plan.fault == "bad_warmup"
        else keras.callbacks.LearningRateScheduler(lambda epoch, lr: plan.rate_of(epoch))
    )
    return model.fit(
        Batches(plan),
        validation_data=(plan.x_val, plan.y_val),
        validation_batch_size=256,
        epochs=plan.epochs,
        shuffle=False,
        verbose=verbose,
        callbacks=[rates, *callbacks],
    )


def make(fault: str, n: int, plan: common.Plan) -> None:
    library = "keras" + ("2.15" if OLD else "")
    name = common.name_of(library, fault, n)
    folder = common.fresh_folder(name)
    if n == 1:
        file, kind = "training.log" if fault < "m" else "history.csv", "keras_csv"
        history = fit(plan, [keras.callbacks.CSVLogger(str(folder / file))], 0)
    elif n == 2:
        file, kind = "history.json", "keras_json"
        history = fit(plan, [], 0)
        values = {k: [float(v) for v in vs] for k, vs in history.history.items()}
        (folder / file).write_text(json.dumps(values, indent=2 if fault < "m" else None))
    else:
        file, kind = "output.txt", "keras_stdout"
        out = io.StringIO()
        with contextlib.redirect_stdout(out):
            history = fit(plan, [], 1 if n == 3 else 2)
        (folder / file).write_text(out.getvalue(), encoding="utf-8")
    h = history.history
    common.record(
        name,
        file,
        library="keras",
        version=keras.__version__ if not OLD else "2.15.0",
        format=kind,
        fault=fault,
        curve=common.Curve(h["loss"], h["val_loss"], [plan.rate_of(e) for e in range(plan.epochs)], plan.classes),
        split="scoring" if OLD else None,
        notes="older version; backend tensorflow" if OLD else "backend torch",
    )


def main() -> None:
    for i, fault in common.chosen():
        for n in (1, 2, 3) if i % 2 else (1, 2, 4):
            if OLD and (i + n) % 3:
                continue
            optimizer = "adam" if (i + n) % 3 == 0 else "sgd"
            plan = common.plan(
                fault,
                (200 if OLD else 100) + 10 * i + n,
                rate=2e-3 if optimizer == "adam" else 0.03,
                optimizer=optimizer,
                epochs={1: 30, 2: 18, 3: 10, 4: 25}[n],
                batch=128 if n == 3 else 64,
                data="diabetes" if n == 2 and i % 4 == 0 else "digits",
                cosine=n != 2,
            )
            make(fault, n, plan)


if __name__ == "__main__":
    main()
