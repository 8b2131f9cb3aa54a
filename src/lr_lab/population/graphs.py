"""A function of tensors as CUDA graphs: the device launches all its kernels at once, not the CPU one by one."""

from __future__ import annotations

import logging
from collections.abc import Callable

import torch
from torch import Tensor

from lr_lab.errors import first_line

log = logging.getLogger(__name__)


class Graphed:
    """Calls a function, on a GPU as one CUDA graph per combination of argument shapes.

    The first call with new shapes runs as usual, on a stream of its own: capturing needs this warm-up. The second call
    is captured, and later calls are replayed (PyTorch's documentation, "CUDA semantics", CUDA graphs). If capturing
    fails, all calls run as usual.

    Args:
        function: returns nothing. It changes tensors in place on the device, does not wait for the device, and the
            tensors keep their addresses.
        enabled: False: all calls run as usual.
    """

    def __init__(self, function: Callable[..., None], enabled: bool) -> None:
        self._function = function
        self._enabled = enabled
        self._warm: set[tuple[torch.Size, ...]] = set()
        self._graphs: dict[tuple[torch.Size, ...], tuple[torch.cuda.CUDAGraph, tuple[Tensor, ...]]] = {}
        # All graphs share one memory pool: nobody reads what a graph left in its memory.
        self._pool = torch.cuda.graph_pool_handle() if enabled else None

    def __call__(self, *arguments: Tensor) -> None:
        shapes = tuple(argument.shape for argument in arguments)
        if self._enabled and shapes in self._warm and shapes not in self._graphs:
            self._capture(shapes, arguments)
        if not self._enabled:
            self._function(*arguments)
        elif shapes in self._graphs:
            graph, inputs = self._graphs[shapes]
            for place, argument in zip(inputs, arguments, strict=True):
                place.copy_(argument, non_blocking=True)
            graph.replay()
        else:
            self._warm.add(shapes)
            stream = torch.cuda.Stream()
            stream.wait_stream(torch.cuda.current_stream())
            with torch.cuda.stream(stream):
                self._function(*arguments)
            torch.cuda.current_stream().wait_stream(stream)

    def _capture(self, shapes: tuple[torch.Size, ...], arguments: tuple[Tensor, ...]) -> None:
        graph = torch.cuda.CUDAGraph()
        inputs = tuple(argument.clone() for argument in arguments)
        try:
            # "thread_local" lets the thread that writes files use the device during the capture.
            with torch.cuda.graph(graph, pool=self._pool, capture_error_mode="thread_local"):
                self._function(*inputs)
        except torch.OutOfMemoryError:
            raise
        except RuntimeError as error:
            log.warning("CUDA graphs do not work here, so training is slower: %s", first_line(error))
            self._enabled = False
            self._graphs.clear()
        else:
            self._graphs[shapes] = graph, inputs
