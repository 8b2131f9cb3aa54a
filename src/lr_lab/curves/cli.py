"""The command `lr-explain`: explains a training log and gives advice what to try next."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence
from io import TextIOWrapper
from pathlib import Path

from lr_lab.curves.advice import FRAMEWORKS
from lr_lab.curves.assemble import Wishes
from lr_lab.curves.diagnosis import LABELS
from lr_lab.curves.explanation import Explanation, explain
from lr_lab.curves.find import read
from lr_lab.curves.roles import ROLES
from lr_lab.curves.text import ASCII_BLOCKS, BLOCKS, as_text, side_by_side
from lr_lab.errors import UserError, did_you_mean
from lr_lab.parser import Parser

IN_FULL = 3  # at most so many runs are shown in full; of more, only the last, and a line for each


def parser() -> Parser:
    made = Parser(
        prog="lr-explain",
        description="Says what a training log shows, how sure that is, and what to try next.",
        epilog="Reads TensorBoard, CSV, JSON, MLflow and printed logs of Keras, Lightning, Hugging Face, fastai, timm, "
        "Ultralytics and plain PyTorch by their content.",
    )
    made.add_argument("paths", nargs="+", metavar="PATH", help="file, folder, or - for text on standard input")
    made.add_argument(
        "--column", action="append", default=[], metavar="ROLE=NAME", help=f"read this column as {', '.join(ROLES)}"
    )
    made.add_argument("--unit", choices=("epoch", "step"), help="what the axis counts")
    made.add_argument("--percent", action=argparse.BooleanOptionalAction, help="whether accuracies are in percent")
    made.add_argument("--classes", type=int, help="number of classes: fixes the loss of guessing")
    made.add_argument(
        "--framework", choices=[name.lower().replace(" ", "-") for name in FRAMEWORKS], help="whose code to show"
    )
    made.add_argument("--json", action="store_true", help="print JSON instead of text")
    made.add_argument("--page", type=Path, metavar="FILE.html", help="write one offline page")
    made.add_argument("--png", type=Path, metavar="FILE.png", help="write the figure")
    made.add_argument(
        "--fail-on", default="", metavar="LABEL,...", help=f"exit with 1 if a run is {', '.join(LABELS[1:])}"
    )
    made.add_argument(
        "--follow", action="store_true", help="watch a log that still grows, and say when something turns"
    )
    made.add_argument("--every", type=float, default=10.0, metavar="SECONDS", help="how often --follow looks (10)")
    return made


def wishes(options: argparse.Namespace) -> Wishes:
    """The facts about the log that the flags give.

    Raises:
        UserError: a --column without "=", or fewer than two classes.
    """
    pairs = [pair.split("=", 1) for pair in options.column]
    if odd := next((pair[0] for pair in pairs if len(pair) < 2), None):
        raise UserError(f"--column {odd} has no '='; write --column train_loss=NAME.")
    if options.classes is not None and options.classes < 2:
        raise UserError(
            f"--classes {options.classes} is too few; give the number of classes, 2 or more, or leave it out."
        )
    if not options.every > 0:
        raise UserError(f"--every {options.every:g} does not wait; give seconds above 0.")
    return Wishes(dict(pairs), options.unit, options.percent, options.classes)


def failing(text: str) -> set[str]:
    """The labels of --fail-on."""
    labels = {label.strip() for label in text.split(",") if label.strip()}
    if odd := sorted(labels - set(LABELS)):
        raise UserError(
            f"--fail-on {odd[0]} is not a label; choose from {', '.join(LABELS)}{did_you_mean(odd[0], LABELS)}"
        )
    return labels


def run(options: argparse.Namespace) -> int:
    """Reads, prints, writes; 1 if a run has a label of --fail-on, else 0."""
    labels = failing(options.fail_on)
    if options.follow:
        from lr_lab.curves.follow import follow

        return follow(options.paths, wishes(options), options.every, labels)
    explained = [explain(curve) for curve in read(options.paths, wishes(options))]
    write(explained, options.page, options.png)  # first: who reads the output may stop early (`| head`)
    if options.json:
        print(json.dumps([one.as_json() for one in explained], indent=1, allow_nan=False))
    else:
        print(report(explained, options.framework))
    return int(any(one.diagnosis.label in labels for one in explained))


def report(explained: Sequence[Explanation], framework: str | None) -> str:
    chosen = next((name for name in FRAMEWORKS if name.lower().replace(" ", "-") == framework), None)
    encoding = (sys.stdout.encoding or "ascii").lower()
    blocks = BLOCKS if encoding.startswith("utf") else ASCII_BLOCKS
    full = explained if len(explained) <= IN_FULL else explained[-1:]
    texts = [side_by_side(explained)] if len(explained) > 1 else []
    return "\n\n".join([*texts, *(as_text(one, chosen, blocks) for one in full)])


def write(explained: Sequence[Explanation], page: Path | None, png: Path | None) -> None:
    if page or png:
        from lr_lab.curves.page import write_page, write_png

        if page:
            write_page(explained, page)
        if png:
            write_png(explained, png)


def _abandon_output() -> None:
    """Python flushes standard output once more when it ends, and would complain again."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def main(arguments: Sequence[str] | None = None) -> int:
    """0, 1 for a label of --fail-on, 2 for a mistake, which is one sentence on standard error."""
    if isinstance(sys.stdout, TextIOWrapper):  # names may hold characters that a terminal cannot show
        sys.stdout.reconfigure(errors="replace")
    try:
        code = run(parser().parse_args(arguments))
        sys.stdout.flush()
        return code
    except UserError as error:
        print(f"lr-explain: {error}", file=sys.stderr)
        return 2
    except BrokenPipeError:  # `| head`
        _abandon_output()
        return 0
    except OSError as error:
        print(f"lr-explain: {error.filename or 'the output'}: {error.strerror or error}.", file=sys.stderr)
        _abandon_output()
        return 2
    except KeyboardInterrupt:
        return 130
