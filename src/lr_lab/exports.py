"""Public names of a package, found by the files that define them."""

from __future__ import annotations

import re
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any


def public_names(package: str, folder: Path) -> Callable[[str], Any]:
    """A module-level `__getattr__` (PEP 562) for a package: `lr_lab.models.MnistCNN` imports the file that defines it.

    A name is public if a file of the package defines it as a class or function at its top level and it does not begin
    with an underscore. A file is imported when one of its names is asked for, so that sequences need no torch.

    Args:
        package: its `__name__`.
        folder: where its files are.
    """
    homes: dict[str, str] = {}

    def find(name: str) -> Any:
        if not homes:
            for file in sorted(folder.glob("[!_]*.py")):
                names = re.findall(r"^(?:class|def) ([A-Za-z]\w*)", file.read_text(encoding="utf-8"), re.MULTILINE)
                homes.update(dict.fromkeys(names, file.stem))
        if name not in homes:
            raise AttributeError(f"module {package} has no attribute {name}; its parts are {', '.join(sorted(homes))}")
        return getattr(import_module(f"{package}.{homes[name]}"), name)

    return find
