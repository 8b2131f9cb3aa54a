"""Tables of losses with headers in people's own words: CSV, semicolons with decimal commas, tabs, Markdown, aligned."""

from __future__ import annotations

import common
import loop
import pandas as pd
import torch


def frame(p: common.Plan, epochs: list[loop.Epoch], names: tuple[str, ...]) -> pd.DataFrame:
    columns = {
        names[0]: [e.number + 1 for e in epochs],
        names[1]: [e.train_loss for e in epochs],
        names[2]: [e.val_loss for e in epochs],
        names[3]: [100 * e.val_accuracy for e in epochs],
        names[4]: [e.lr for e in epochs],
    }
    table = pd.DataFrame(columns)
    return table if p.classes else table.drop(columns=names[3])


def text_of(style: str, p: common.Plan, epochs: list[loop.Epoch]) -> tuple[str, str]:
    """The name of the file and its text."""
    if style == "csv":
        names = ("Epoch", "Training Loss", "Validation Loss", "Validation Accuracy (%)", "Learning Rate")
        return "losses.csv", frame(p, epochs, names).to_csv(index=False)
    if style == "index":  # pandas' index without a name, errors for losses
        names = ("ep", "trn_err", "dev_err", "dev_acc", "eta")
        return "history.csv", frame(p, epochs, names).drop(columns="eta").to_csv()
    if style == "comma":
        names = ("epoch", "loss_tr", "loss_va", "acc_va", "lr")
        return "verlauf.csv", frame(p, epochs, names).to_csv(index=False, sep=";", decimal=",")
    if style == "tabs":
        names = ("# epoch", "train/ce", "test/ce", "test/top1", "lr")
        return "log.tsv", frame(p, epochs, names).to_csv(index=False, sep="\t", float_format="%.5g")
    names = ("epoch", "train_loss", "valid_loss", "valid_acc", "lr")
    table = frame(p, epochs, names).round(4)
    rows = [list(table.columns), ["---"] * table.shape[1], *table.astype(object).values.tolist()]
    return "results.md", "# Results\n\n" + "".join("| " + " | ".join(map(str, row)) + " |\n" for row in rows)


def make(fault: str, n: int, style: str, p: common.Plan) -> None:
    name = common.name_of("table", fault, n)
    folder = common.fresh_folder(name)
    epochs = list(loop.train(p))
    file, text = text_of(style, p, epochs)
    (folder / file).write_text(text, encoding="utf-8")
    common.record(
        name,
        file,
        library="table",
        version=f"pandas {pd.__version__}",
        format=f"table_{style}",
        fault=fault,
        curve=loop.curve_of(p, epochs),
        notes=f"torch {torch.__version__.split('+')[0]}",
    )


def main() -> None:
    styles = ("csv", "index", "comma", "tabs", "markdown")
    for i, fault in common.chosen():
        for n in (1, 2):
            style = styles[(i // 2 + 2 * (n - 1)) % len(styles)]
            p = common.plan(
                fault,
                1100 + 10 * i + n,
                rate=0.02 if n == 1 else 3e-3,
                optimizer="sgd" if n == 1 else "adam",
                epochs=30 if n == 1 else 15,
                batch=32,
                data="diabetes" if i % 4 == n else "digits",
                cosine=n == 1,
                peak=15,
            )
            make(fault, n, style, p)


if __name__ == "__main__":
    main()
