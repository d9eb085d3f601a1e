"""Peak memory of one call, in bytes: predicted from the operation graph, measured, and what lies between.

    measured peak = predicted peak of tensors + autograd's own nodes + unexplained

On a CPU the peak is the growth of the process's resident set (VmHWM, set back by /proc/self/clear_refs) over a baseline
taken after a warm-up at a short length. That is right only while freed memory goes back to the system at once: malloc
is told to map every block of 64 KiB by itself (measure.md 1.3: with the default the reading was off by up to 8 MB). The
cell needs a process of its own: memory that another cell touched would be taken for free.

Tensors are counted exactly; the host memory of autograd's nodes is not in that count, and a GRU in a loop pays more for
nodes than for numbers. It is calibrated in the same process: bytes per node of a known chain, times the graph's nodes.
"""

from __future__ import annotations

import ctypes
import gc
from collections.abc import Callable
from pathlib import Path
from typing import ClassVar

import torch
from torch import Tensor, nn

from seqscale.layers.build import DTYPES
from seqscale.probes.base import AbstractProbe, AbstractTrial, Reading, Tell, silent
from seqscale.probes.subject import input_of, layer_of
from seqscale.records import Cell
from seqscale.tracing.calls import forward_call, training_call
from seqscale.tracing.trace import preload, trace
from seqscale.tracing.watch import Counts

BLOCK = 16384  # bytes from which malloc maps a block by itself and gives it back at once
CHAIN_STEPS, NODES_PER_STEP = 5000, 3  # the calibration's chain
CALLS = 3  # that are measured
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # <malloc.h>
_CLEAR_REFS = Path("/proc/self/clear_refs")


class MemoryProbe(AbstractProbe):
    """Predicts and measures the peak of a forward pass, or of a forward and backward pass."""

    name: ClassVar[str] = "memory"
    repeats: ClassVar[bool] = False
    alone: ClassVar[bool] = True

    def preload(self) -> None:
        """Import what a trace needs."""
        preload()

    def prepare(self, cell: Cell, tell: Tell = silent) -> AbstractTrial:
        """Build the layer and its input; malloc is set before any of it is allocated."""
        give_back_at_once()
        return MemoryTrial(cell, layer_of(cell).module, input_of(cell))


class MemoryTrial(AbstractTrial):
    """One cell's peak."""

    def __init__(self, cell: Cell, module: nn.Module, x: Tensor) -> None:
        self._cell = cell
        self._module = module
        self._x = x
        self._measured: int | None = None
        self._bytes_per_node = 0.0
        self._note: str | None = None

    @property
    def note(self) -> str | None:
        """Why the peak could not be measured."""
        return self._note

    @property
    def document(self) -> str | None:
        """Nothing: a peak is a number."""
        return None

    def first(self) -> tuple[Reading, ...]:
        """Measure, and calibrate: before the trace, whose own garbage would be room that both find free."""
        training = self._cell.mode == "training"
        run = training_call if training else forward_call

        def call(x: Tensor) -> None:
            run(self._module, x.requires_grad_(training))

        def fresh_peak() -> int:
            for tensor in (self._x, *self._module.parameters()):
                tensor.grad = None  # what an earlier call left is no part of the room that this one starts from
            return meter(lambda: call(self._x))

        call(self._x.clone())  # loads the kernels' code, and the work space that they keep
        meter = _cuda_peak if self._x.is_cuda else _cpu_peak
        try:
            # what lies beside the tensors in the heap only ever adds to a peak, by up to a MB: the smallest is kept
            self._measured = min(fresh_peak() for _ in range(CALLS))
        except OSError as error:
            self._note = f"measured peak is unsupported here: {error}; the prediction stands alone"
        self._bytes_per_node = _bytes_per_node() if training else 0.0
        return ()

    def again(self) -> tuple[Reading, ...]:
        """Predict, and say what lies between the prediction and the measurement."""
        cell = self._cell
        counts = trace(self._module, (cell.batch, cell.length, cell.width), DTYPES[cell.dtype], cell.mode).counts
        counts.require_known_sizes()
        nodes = round(counts.graph_nodes * self._bytes_per_node)
        predicted = _predictions(counts, nodes)
        if self._measured is None:
            return predicted
        on_host = 0 if self._x.is_cuda else nodes
        unexplained = self._measured - counts.predicted_peak_bytes - on_host
        return (
            *predicted,
            Reading(quantity="measured_peak_bytes", value=self._measured),
            Reading(quantity="unexplained_bytes", value=unexplained),
        )


def _predictions(counts: Counts, node_bytes: int) -> tuple[Reading, ...]:
    return (
        Reading(quantity="predicted_peak_bytes", value=counts.predicted_peak_bytes),
        Reading(quantity="saved_bytes", value=counts.saved_bytes),
        Reading(quantity="graph_nodes", value=counts.graph_nodes),
        Reading(quantity="node_bytes", value=node_bytes),
    )


def give_back_at_once() -> None:
    """Have malloc map blocks of BLOCK bytes and more by themselves, and return free memory at the heap's end."""
    libc = ctypes.CDLL(None)
    libc.mallopt(_M_MMAP_THRESHOLD, BLOCK)
    libc.mallopt(_M_TRIM_THRESHOLD, BLOCK)


def _cpu_peak(call: Callable[[], None]) -> int:
    """Return how far `call` raises the resident set's peak; OSError where the kernel does not let it be set back."""
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)
    _CLEAR_REFS.write_text("5")
    before = _status_bytes("VmHWM")
    call()
    return _status_bytes("VmHWM") - before


def _cuda_peak(call: Callable[[], None]) -> int:
    """Return how far `call` raises the peak of what torch has allocated on the GPU."""
    torch.cuda.synchronize()
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    call()
    torch.cuda.synchronize()
    return torch.cuda.max_memory_allocated() - before


def _bytes_per_node() -> float:
    """Return the host memory of one autograd node, from a chain of known length over tensors of one element.

    A step is a tanh, a product and a sum: two nodes that save tensors and one that does not, as in a gate.
    """
    y = torch.ones(1, requires_grad=True)
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)
    before = _status_bytes("VmRSS")
    for _ in range(CHAIN_STEPS):
        y = torch.tanh(y) * y + y
    grown = _status_bytes("VmRSS") - before
    return max(0, grown) / (CHAIN_STEPS * NODES_PER_STEP)


def _status_bytes(name: str) -> int:
    """Return a size from /proc/self/status in bytes."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(name + ":"):
            return int(line.split()[1]) * 1024
    raise OSError(f"/proc/self/status has no {name}")
