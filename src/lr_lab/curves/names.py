"""From the name of a column, a tag or the words before a number to its part in a training log."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

TRAIN = {"train", "training", "trn", "tr", "trainer"}
VAL = {
    "val",
    "va",
    "vl",
    "valid",
    "validation",
    "eval",
    "evaluation",
    "dev",
    "holdout",
    "validating",
    "vali",
    "evaluating",
}
TEST = {"test", "testing", "tst", "tests"}
LOSS = {"loss", "losses", "logloss", "mlogloss", "nll", "bce", "crossentropy", "cost", "objective", "xent", "elbo"}
SECOND_LOSS = {"mse", "mae", "rmse", "perplexity", "ppl", "ce", "err", "error"}
ACCURACY = {"acc", "accuracy", "accuracies", "top1", "acc1", "prec1", "top1acc", "acctop1"}
SCORE = {"f1", "auc", "auroc", "map", "ap", "map50", "dice", "iou", "miou", "kappa", "map5095", "r2", "bleu", "score"}
RATE = {"lr", "lrs", "lr0", "learningrate", "pg0"}
# These words do not say which loss or which accuracy it is.
PLAIN = {
    *("total", "avg", "average", "mean", "epoch", "overall", "all", "final", "set", "metrics", "metric", "logs", "the"),
    *("categorical", "sparse", "binary", "multiclass", "score", "on", "of", "in", "is", "data", "dataset", "phase"),
    *("global", "scalars", "scalar", "info", "results", "result", "sum", "finished", "done", "per"),
}
PLAIN_OF_SCORES = {"coco", "bbox"}
# A series of this kind is a second choice: single steps, smoothed, or about the best so far.
SECOND = {"step": 0.5, "batch": 0.5, "iter": 0.5, "running": 0.3, "smoothed": 0.6, "smooth": 0.6, "ema": 0.7}
BEST_SO_FAR = {"best", "lowest", "min", "max", "highest", "std", "previous", "prev", "target", "patience", "threshold"}
TIME = {"time", "seconds", "sec", "secs", "eta", "runtime", "timestamp", "elapsed", "duration", "ms", "createdat"}


@dataclass(frozen=True)
class Named:
    """
    Attributes:
        kind: "epoch", "step", "loss", "accuracy", "lr" or "" for anything else.
        split: "train", "val", "test", or "" if the name does not say.
        rank: 0 for the plainest name of its kind; a larger one is a worse choice.
        parts: words that say which loss it is, such as box or cls.
    """

    kind: str
    split: str
    rank: float
    parts: tuple[str, ...] = ()


@lru_cache(maxsize=4096)
def words(name: str) -> tuple[str, ...]:
    """Lower-case words of a name: val_loss, valLoss, "Val Loss" and val/loss are the same two."""
    name = re.sub(r"(?<=[a-z])(?=[A-Z][a-z])", " ", name)
    # Accuracies differ by a digit: acc@1, top-1 and top_1 are acc1 and top1; mAP50-95 is map5095.
    name = re.sub(r"(?i)\b(m?ap)_?@?(\d+)[-:_](\d+)", r"\1\2\3", name)
    name = re.sub(
        r"(?i)\b(acc|accuracy|prec|top|map|ap|recall|r|f)[@\s_-]*(\d+)(?![\d.])", r"\1\2", name.replace("_", " ")
    )
    name = re.sub(r"(?i)learning[\s_-]*rate", "learningrate", name)
    name = re.sub(r"(?i)cross[\s_-]*entropy", "crossentropy", name)
    name = re.sub(r"(?i)created at", "createdat", name)
    return tuple(re.findall(r"[a-z]+\d*|\d+", name.lower()))


@lru_cache(maxsize=4096)
def named(name: str) -> Named:
    """The quantity that a column of this name holds."""
    tokens = words(name)
    bag = set(tokens)
    if not bag or bag & TIME:
        return Named("", split_of(bag), 9.0)
    split = split_of(bag)
    rest = bag - TRAIN - VAL - TEST
    if rest <= {"epoch", "epochs", "ep", "current", "trainer"} and rest & {"epoch", "epochs", "ep"}:
        return Named("epoch", split, 0.0)
    if rest and rest <= {
        "step",
        "steps",
        "global",
        "iter",
        "iters",
        "iteration",
        "iterations",
        "batches",
        "num",
        "updates",
    }:
        return Named("step", split, 0.0 if "global" in rest or rest == {"step"} else 0.5)
    if rest & RATE:
        return Named("lr", split, 0.1 * len(rest - RATE))
    kind, second = _kind(rest)
    if not kind:
        return Named("", split, 9.0)
    parts = rest - PLAIN - set(SECOND) - LOSS - SECOND_LOSS - ACCURACY - SCORE - {str(n) for n in range(1000)}
    parts -= PLAIN_OF_SCORES if kind == "accuracy" else set()
    rank = second + sum(SECOND.get(word, 0.0) for word in rest) + (5.0 if rest & BEST_SO_FAR else 0.0)
    return Named(kind, split, rank + len(parts - BEST_SO_FAR), tuple(word for word in tokens if word in parts))


def _kind(rest: set[str]) -> tuple[str, float]:
    if rest & {"top5", "acc5", "prec5"} and not rest & {"loss"}:
        return "accuracy", 4.0
    for kind, chosen, rank in (
        ("loss", LOSS, 0.0),
        ("accuracy", ACCURACY, 0.0),
        ("accuracy", SCORE, 2.0),
        ("loss", SECOND_LOSS, 2.5),
    ):
        if rest & chosen:
            return kind, rank
    return "", 0.0


def split_of(bag: set[str]) -> str:
    """ "train", "val", "test" or ""; a name with two of them ("train and val") names none."""
    found = [split for split, chosen in (("train", TRAIN), ("val", VAL), ("test", TEST)) if bag & chosen]
    return found[0] if len(found) == 1 else ""
