"""A command line of options and paths, for programs that compose no configuration."""

from __future__ import annotations

import argparse
import re
from typing import NoReturn

from lr_lab.errors import UserError, did_you_mean


class Parser(argparse.ArgumentParser):
    """argparse, whose mistakes are one sentence with the closest option or choice, without the usage before it."""

    def error(self, message: str) -> NoReturn:
        hint = "."
        if odd := re.search(r"invalid choice: '(.*)' \(choose from (.*)\)", message):
            hint = did_you_mean(odd[1], re.findall(r"[^', ]+", odd[2]))
        elif odd := re.search(r"unrecognized arguments: (-[^ =]+)", message):
            hint = did_you_mean(odd[1], list(self._option_string_actions))
        raise UserError(f"{message}{hint if hint != '.' else f'; {self.prog} --help tells what there is.'}")
