"""What anyone's training log shows: `python -m src.explain PATH...`."""

import sys

from lr_lab.curves.cli import main

if __name__ == "__main__":
    sys.exit(main())
