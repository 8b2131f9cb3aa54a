"""The formats of training logs: every module of this package that has a `Reader` is one, found by its file."""

from __future__ import annotations

import importlib
import pkgutil
from functools import cache

from lr_lab.curves.readers.base import Reader


@cache
def readers() -> tuple[Reader, ...]:
    """One reader of each format."""
    modules = [importlib.import_module(f"{__name__}.{found.name}") for found in pkgutil.iter_modules(__path__)]
    classes = {
        value
        for module in modules
        for value in vars(module).values()
        if isinstance(value, type) and issubclass(value, Reader) and value is not Reader
    }
    return tuple(cls() for cls in sorted(classes, key=lambda cls: cls.__module__))
