"""Explains anyone's training log: `python -m src.explain PATH...`."""

import sys

from lr_lab.program import answered

if __name__ == "__main__":
    with answered():
        from lr_lab.curves.cli import main

        sys.exit(main())
