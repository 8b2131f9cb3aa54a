"""Digests of code: of a class or function as Python runs it, whatever its comments, format and module are called.

A digest covers the definition and what it uses of its own module. If the code is a person's own, it also covers what
the definition uses of their other modules. Files are parsed and not imported, so no torch is needed.
"""

from __future__ import annotations

import ast
import functools
import hashlib
import sys
import sysconfig
from collections.abc import Iterator
from contextlib import suppress
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

_OURS = Path(__file__).resolve().parents[1]
_INSTALLED = [Path(sysconfig.get_path(name)).resolve() for name in ("purelib", "platlib", "stdlib", "platstdlib")]
# The numbers hardly depend on which version of these is installed; `versions` in result.json names it.
_FRAMEWORKS = {*sys.stdlib_module_names, "torch", "torchvision", "pytorch_lightning", "lightning", "lightning_fabric"}

Definition = tuple[str, str]  # module and name; an empty name stands for all of the module


@functools.cache
def code_of(target: str) -> dict[str, str]:
    """`module.Class` -> digest, of a class and its bases outside torch and Lightning, or of a function.

    The first call in a process counts: it should come right after the import, before anybody edits the file.

    Args:
        target: a class or function that can be imported, as `_target_` names it.

    Returns:
        Nothing for code that has no file.
    """
    found = _imported(target)
    found = getattr(found, "__self__", found)  # of a classmethod: its class
    source = Source()
    digests: dict[str, str] = {}
    for each in getattr(found, "__mro__", [found]):
        module, name = getattr(each, "__module__", None) or "", getattr(each, "__qualname__", "")
        if module.partition(".")[0] not in _FRAMEWORKS and (digest := source.digest(module, name)):
            digests[f"{module}.{name}"] = digest
    return digests


def _imported(target: str) -> Any:
    module, _, name = target.rpartition(".")
    try:
        home = import_module(module)
    except ModuleNotFoundError:
        home = _imported(module)  # a class, and `name` its classmethod
    return getattr(home, name)


class Source:
    """Source files as they are now. Each is read once."""

    def __init__(self) -> None:
        self._modules: dict[str, _Module | None] = {}
        self._digests: dict[Definition, str | None] = {}

    def digest(self, module: str, name: str) -> str | None:
        """Sixteen hexadecimal digits; None if the module has no file or does not define the name."""
        if (module, name) not in self._digests:
            self._digests[module, name] = self._compute(module, name)
        return self._digests[module, name]

    def _compute(self, module: str, name: str) -> str | None:
        start = self._module(module)
        if start is None or name not in start.definitions:
            return None
        found: dict[Definition, list[str]] = {}
        wanted: list[Definition] = [(module, name)]
        while wanted:
            definition = wanted.pop()
            home = self._module(definition[0])
            if home is not None and definition not in found:
                statements = home.of(definition[1])
                found[definition] = [repr(_plain(each)) for each in statements]
                wanted += [use for each in statements for use in home.uses(each)]
        text = "\n".join(sorted(line for lines in found.values() for line in lines))
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def _module(self, name: str) -> _Module | None:
        if name not in self._modules:
            self._modules[name] = _Module.read(name)
        return self._modules[name]


class _Module:
    """The definitions at the top level of a module, and its imports from a person's own modules."""

    def __init__(self, name: str, file: Path, tree: ast.Module) -> None:
        self._name = name
        self.definitions: dict[str, list[ast.stmt]] = {}
        self._imported: dict[str, Definition] = {}
        package = name if file.stem == "__init__" else name.rpartition(".")[0]
        for statement in tree.body:
            for defined in _defined_by(statement):
                self.definitions.setdefault(defined, []).append(statement)
            for alias, definition in _imported_by(statement, package):
                if _is_own(definition[0]):
                    self._imported[alias] = definition

    @classmethod
    def read(cls, name: str) -> _Module | None:
        file = _file(name)
        if file is None:
            return None
        with suppress(OSError, SyntaxError, ValueError):
            return cls(name, file, ast.parse(file.read_bytes()))
        return None

    def of(self, name: str) -> list[ast.stmt]:
        """The definition of a name; all definitions for an empty name."""
        return self.definitions.get(name, []) if name else [each for part in self.definitions.values() for each in part]

    def uses(self, statement: ast.stmt) -> Iterator[Definition]:
        """Further definitions that belong to one. A base class does not: it has a digest of its own."""
        bases = {id(each) for base in getattr(statement, "bases", []) for each in ast.walk(base)}
        for node in ast.walk(statement):
            if isinstance(node, ast.Name) and id(node) not in bases:
                if node.id in self._imported:
                    yield self._imported[node.id]
                elif node.id in self.definitions:
                    yield self._name, node.id


def _defined_by(statement: ast.stmt) -> list[str]:
    if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return [statement.name]
    targets = statement.targets if isinstance(statement, ast.Assign) else [getattr(statement, "target", None)]
    return [target.id for target in targets if isinstance(target, ast.Name)]


def _imported_by(statement: ast.stmt, package: str) -> Iterator[tuple[str, Definition]]:
    if isinstance(statement, ast.Import):
        yield from ((name.asname or name.name, (name.name, "")) for name in statement.names)
    elif isinstance(statement, ast.ImportFrom):
        parents = package.split(".")[: len(package.split(".")) - statement.level + 1] if statement.level else []
        module = ".".join([*parents, *filter(None, [statement.module])])
        for name in statement.names:
            inner = f"{module}.{name.name}"
            is_module = _is_own(module) and _file(inner) is not None
            yield name.asname or name.name, (inner, "") if is_module else (module, name.name)


def _is_own(module: str) -> bool:
    """Whether a module is a person's: neither installed, nor Python's, nor ours."""
    top = module.partition(".")[0]  # to find a module, Python imports the package that it is in, which may take seconds
    file = None if top in _FRAMEWORKS else _file(top)
    return file is not None and not any(file.is_relative_to(place) for place in (_OURS, *_INSTALLED))


@functools.cache
def _file(module: str) -> Path | None:
    with suppress(ImportError, AttributeError, ValueError):
        spec = find_spec(module)
        if spec and spec.origin and spec.origin.endswith(".py"):
            return Path(spec.origin).resolve()
    return None


def _plain(node: Any) -> Any:
    """A syntax tree as lists, without docstrings, and without the empty fields that versions of Python add."""
    if isinstance(node, list):
        return [_plain(item) for item in node]
    if not isinstance(node, ast.AST):
        return node
    fields = {name: value for name, value in ast.iter_fields(node) if value not in (None, [])}
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) and ast.get_docstring(node) is not None:
        fields["body"] = node.body[1:]
    return [type(node).__name__, *((name, _plain(value)) for name, value in fields.items())]
