"""A terminal that may go away while something trains."""

import os
import sys
from pathlib import Path

from rich.console import Console


class Terminal(Console):
    """A console whose reader may leave (`| head`): from then on it prints nothing, and the training goes on."""

    def on_broken_pipe(self) -> None:
        self.quiet = True
        with Path(os.devnull).open("w") as nothing:  # Python flushes the rest there when it ends
            os.dup2(nothing.fileno(), sys.stdout.fileno())
