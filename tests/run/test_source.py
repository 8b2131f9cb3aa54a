import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from lr_lab.run.source import Source, code_of

WRITTEN = '''"""A module."""
from lr_lab.schedule.sequences import FormulaSequence

BASE = 2


def power(n: int) -> float:
    return BASE**n


class Halving(FormulaSequence):
    """r_n = r_0 / 2^n."""

    name = "halving"

    def __call__(self, n: int) -> float:
        return self.lr / power(n)  # exactly


class Other:
    size = 1
'''

Digest = Callable[[str], str | None]


@pytest.fixture
def digest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Digest:
    """A function of a module's text: the digest of its class Halving."""
    monkeypatch.syspath_prepend(tmp_path)
    names = iter(f"{tmp_path.name}_{number}" for number in range(100))

    def of(text: str) -> str | None:
        name = next(names)
        (tmp_path / f"{name}.py").write_text(text)
        return Source().digest(name, "Halving")

    return of


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ('    """r_n = r_0 / 2^n."""\n', '    """Halves."""\n'),
        ('    """r_n = r_0 / 2^n."""\n', ""),
        ("  # exactly", ""),
        ("self.lr / power(n)", "(\n            self.lr\n            / power(n)\n        )"),
        ('"halving"', "'halving'"),
        ("size = 1", "size = 2"),
        ('"""A module."""', ""),
    ],
)
def test_words_format_and_other_classes_do_not_count(digest: Digest, before: str, after: str) -> None:
    assert before in WRITTEN
    assert digest(WRITTEN.replace(before, after)) == digest(WRITTEN)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("self.lr / power(n)", "self.lr / power(n + 1)"),
        ("BASE**n", "BASE * n"),
        ("BASE = 2", "BASE = 3"),
        ('"halving"', '"thirds"'),
        ("class Halving(FormulaSequence)", "class Halving(Other)"),
    ],
)
def test_what_python_runs_counts(digest: Digest, before: str, after: str) -> None:
    assert before in WRITTEN
    assert digest(WRITTEN.replace(before, after)) != digest(WRITTEN)


@pytest.mark.parametrize(
    "imported", ["from {0} import power", "from {0} import power as helper", "import {0}", "import {0} as helper"]
)
def test_a_persons_own_modules_count_as_far_as_they_are_used(digest: Digest, tmp_path: Path, imported: str) -> None:
    helper = tmp_path / f"{tmp_path.name}_helper.py"
    line = imported.format(helper.stem)
    used = line.split()[-1]
    text = f"{line}\n\n\nclass Halving:\n    rule = {used}\n"
    helper.write_text("def power(n):\n    return 2**n\n")
    before = digest(text)
    helper.write_text("def power(n):  # squares\n    return 2**n\n")
    assert digest(text) == before
    helper.write_text("def power(n):\n    return 3**n\n")
    assert digest(text) != before


def test_a_module_that_cannot_be_read_has_no_digest(digest: Digest) -> None:
    assert digest("class Halving:\n    name = \n") is None
    assert digest("class Thirds:\n    pass\n") is None
    assert Source().digest("no_such_module", "Halving") is None
    assert Source().digest("math", "sqrt") is None


def test_a_class_brings_its_bases_and_neither_torch_nor_python() -> None:
    found = code_of("lr_lab.models.MnistCNN")
    assert set(found) == {"lr_lab.models.mnist_cnn.MnistCNN"}
    assert set(code_of("lr_lab.schedule.Inverse")) == {
        "lr_lab.schedule.sequences.Inverse",
        "lr_lab.schedule.sequences.FormulaSequence",
        "lr_lab.schedule.sequences.Sequence",
    }
    assert code_of("torch.optim.SGD") == {}


def test_functions_and_classmethods_are_code_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    name = f"{tmp_path.name}_made"
    (tmp_path / f"{name}.py").write_text(
        "def make():\n    return 1\n\n\nclass Net:\n    @classmethod\n    def small(cls):\n        return cls()\n"
    )
    assert set(code_of(f"{name}.make")) == {f"{name}.make"}
    assert set(code_of(f"{name}.Net.small")) == {f"{name}.Net"}
    assert name in sys.modules
