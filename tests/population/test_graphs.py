"""The calls of Graphed, with stand-ins for CUDA that record calls while capturing and repeat them on replay.

With a GPU, tests/modules/test_population.py holds replayed steps against steps taken one by one.
"""

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from torch import Tensor

from lr_lab.population.graphs import Graphed


class FakeGraph:
    """Made of calls that were recorded, on the tensors they were recorded with."""

    def __init__(self) -> None:
        self.calls: list[Callable[[], None]] = []

    def replay(self) -> None:
        for call in self.calls:
            call()


class FakeStream:
    def wait_stream(self, _: Any) -> None:
        pass


class Accumulator:
    """Adds its arguments up; while a graph is captured, it only records that it would."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, broken: Exception | None = None) -> None:
        self.sum = torch.zeros(())
        self.called = 0
        self._graph: FakeGraph | None = None

        @contextlib.contextmanager
        def capture(graph: FakeGraph, **_: Any) -> Iterator[None]:
            self._graph = graph
            yield
            self._graph = None
            if broken:
                raise broken

        for name, stand_in in {
            "graph_pool_handle": lambda: None,
            "CUDAGraph": FakeGraph,
            "graph": capture,
            "Stream": FakeStream,
            "current_stream": FakeStream,
            "stream": lambda _: contextlib.nullcontext(),
        }.items():
            monkeypatch.setattr(torch.cuda, name, stand_in)

    def __call__(self, *tensors: Tensor) -> None:
        self.called += 1

        def add() -> None:
            for tensor in tensors:
                self.sum += tensor.sum()

        if self._graph is None:
            add()
        else:
            self._graph.calls.append(add)


def test_every_call_counts_once_and_shapes_have_graphs_of_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    function = Accumulator(monkeypatch)
    graphed = Graphed(function, enabled=True)
    total = 0.0
    for number in range(1, 6):
        for size in (2, 3):
            graphed(torch.full((size,), float(number)), torch.ones(1))
            total += size * number + 1
            assert function.sum == total
    assert function.called == 4  # as usual and captured, for either shape; replayed from then on


def test_without_graphs_it_is_the_function(monkeypatch: pytest.MonkeyPatch) -> None:
    function = Accumulator(monkeypatch)
    graphed = Graphed(function, enabled=False)
    for _ in range(4):
        graphed(torch.ones(2))
    assert (function.sum, function.called) == (8, 4)


def test_what_cannot_be_captured_is_called_as_usual(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    broken = RuntimeError("operation not permitted when stream is capturing\nand more")
    function = Accumulator(monkeypatch, broken)
    graphed = Graphed(function, enabled=True)
    for _ in range(4):
        graphed(torch.ones(2))
    assert function.sum == 8
    assert [record.getMessage() for record in caplog.records] == [
        "CUDA graphs do not work here, so training is slower: operation not permitted when stream is capturing"
    ]


def test_memory_that_a_graph_lacks_is_the_callers_to_deal_with(monkeypatch: pytest.MonkeyPatch) -> None:
    graphed = Graphed(Accumulator(monkeypatch, torch.OutOfMemoryError("no room")), enabled=True)
    graphed(torch.ones(2))
    with pytest.raises(torch.OutOfMemoryError):
        graphed(torch.ones(2))
