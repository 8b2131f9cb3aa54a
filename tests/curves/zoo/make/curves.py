"""Gathers what the makers saw, an array an epoch, into curves.json (six significant digits; null: not finite)."""

from __future__ import annotations

import csv
import json
import math

import common


def numbers(rows: list[dict[str, str]], column: str) -> list[float | None]:
    values = [float(row[column]) for row in rows if row[column]]
    return [float(f"{v:.6g}") if math.isfinite(v) else None for v in values]


def main() -> None:
    lines = []
    for name in sorted(common.read_truth()):
        with (common.CURVES / f"{name}.csv").open(newline="") as f:
            rows = list(csv.DictReader(f))
        names = {"train_loss": "train", "val_loss": "val", "lr": "lr"}
        curve = {name: numbers(rows, column) for name, column in names.items()}
        lines.append(f"{json.dumps(name)}: {json.dumps(curve, separators=(',', ':'))}")
    (common.ZOO / "curves.json").write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")


if __name__ == "__main__":
    main()
