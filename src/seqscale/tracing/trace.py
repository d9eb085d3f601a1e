"""Counts of one call of a module, read off the operators that it dispatches.

    trace(module, shape, ...)  runs the call on fake tensors: shapes, strides and autograd's graph, and no arithmetic
    watch(module, x, mode)     counts a call on whatever tensors it is given; on real ones it executes

A fake tensor says that it is on the cell's own device, so that torch takes the same path as for a real one; a meta
tensor does not (attention on meta saves T^2 where the CPU's kernel does not). Spans and laws over lengths will stand
beside this file and read the same stream of operators.
"""

from __future__ import annotations

import copy
import gc
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch._ops import OpOverload
from torch._subclasses.fake_tensor import (
    DataDependentOutputException,
    DynamicOutputShapeException,
    FakeCopyMode,
    FakeTensor,
    FakeTensorMode,
    UnsupportedOperatorException,
)
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from seqscale.errors import UnsupportedError
from seqscale.tracing.calls import output_of
from seqscale.tracing.graph import count_nodes
from seqscale.tracing.ledger import Ledger
from seqscale.tracing.memo import Memo
from seqscale.tracing.opaque import corrected, knows
from seqscale.tracing.work import base_name, is_view, work_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """What one call of a module does and keeps. In mode forward nothing is kept for a backward pass.

    Attributes:
        work: floating-point operations; a lower bound when `unknown_operators` is not empty.
        operators: kernels that run: operators that are neither views nor questions about a tensor. A write into a view
            may count one more or less than the real one: autograd replays the view in another way on fake tensors.
        saved_bytes: what autograd keeps for the backward pass, each storage once, parameters and inputs apart.
        predicted_peak_bytes: largest sum of the storages that the call itself makes, gradients included.
        graph_nodes: autograd nodes that the forward pass builds.
        unknown_operators: names of operators without a law of work, sorted.
        unknown_sizes: names of operators that allocate what fake tensors do not know, sorted: bytes would be wrong.
    """

    work: int
    operators: int
    saved_bytes: int
    predicted_peak_bytes: int
    graph_nodes: int
    unknown_operators: tuple[str, ...]
    unknown_sizes: tuple[str, ...]

    def require_known_sizes(self) -> None:
        """Raise UnsupportedError when an operator allocates what the trace does not know."""
        if self.unknown_sizes:
            raise UnsupportedError(f"cannot be traced: nothing says what {', '.join(self.unknown_sizes)} allocates.")


def trace(module: nn.Module, shape: tuple[int, int, int], dtype: torch.dtype, mode: str) -> Counts:
    """Count one call of `module` on an input of `shape` (b, t, d), with nothing executed and nothing allocated.

    Raises UnsupportedError for a module that must see its data (`if x.sum() > 0`).

    Args:
        module: any module that maps (b, t, d) to (b, t, d) or ((b, t, d), state); it is left as it is.
        shape: b, t, d.
        dtype: of the input; the parameters keep theirs.
        mode: "forward" (no graph) or "training" (forward and backward of the mean of the outputs).
    """
    collecting = gc.isenabled()
    gc.disable()  # it would search the growing graph again and again, for half of the time of a long trace
    try:
        with faked(module, shape, dtype) as (twin, x):
            return watch(twin, x, mode)
    except (DataDependentOutputException, DynamicOutputShapeException, UnsupportedOperatorException) as error:
        raise UnsupportedError(f"cannot be traced: {error} needs real data, and a trace has none.") from error
    finally:
        if collecting:
            gc.enable()


def preload() -> None:
    """Import what torch imports at the first trace, seconds' worth; runs no kernel and no backward pass."""
    trace(nn.ReLU(), (1, 1, 1), torch.float32, "forward")


@contextmanager
def faked(module: nn.Module, shape: tuple[int, ...], dtype: torch.dtype) -> Iterator[tuple[nn.Module, Tensor]]:
    """Give a copy of `module` and an input of `shape` whose tensors have no data, while the block runs."""
    fake = FakeTensorMode(allow_non_fake_inputs=True)  # a constant that the layer made at import stays usable
    with FakeCopyMode(fake):
        twin = copy.deepcopy(module)
    device = next((p.device for p in module.parameters()), torch.device("cpu"))
    with fake:
        yield twin, torch.empty(shape, dtype=dtype, device=device)


def watch(module: nn.Module, x: Tensor, mode: str) -> Counts:
    """Count one call of `module` on x (b, t, d), executing it if its tensors are real."""
    training = mode == "training"
    x.requires_grad_(training)
    foreign = [x, *module.parameters(), *module.buffers()]
    for tensor in foreign:
        tensor.grad = None
    ledger = Ledger(foreign)
    watcher = _Watcher(ledger)
    saved = _Saved(foreign)
    nodes = 0
    with watcher:
        if training:
            with torch.autograd.graph.saved_tensors_hooks(saved.pack, lambda tensor: tensor):
                y = output_of(module(x))
            nodes = count_nodes(y)
            loss = y.mean()
            del y
            loss.backward()
        else:
            with torch.no_grad():
                output_of(module(x))
    return Counts(
        work=watcher.work,
        operators=watcher.operators,
        saved_bytes=saved.bytes,
        predicted_peak_bytes=ledger.peak_bytes,
        graph_nodes=nodes,
        unknown_operators=tuple(sorted(watcher.unknown)),
        unknown_sizes=tuple(sorted(watcher.unknown_sizes)),
    )


class _Watcher(TorchDispatchMode):
    """Sees every operator on its way to the kernel, and adds up."""

    def __init__(self, ledger: Ledger) -> None:
        super().__init__()
        self._ledger = ledger
        self._memo = Memo()
        self.work = 0
        self.operators = 0
        self.unknown: set[str] = set()
        self.unknown_sizes: set[str] = set()

    def __torch_dispatch__(
        self, func: OpOverload, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        if func is torch.ops.prim.device.default and isinstance(args[0], FakeTensor):
            return args[0].fake_device  # asked by autograd all the time; computes nothing
        result = self._memo.call(func, args, kwargs or {})
        if is_view(func) or func.namespace == "prim":
            return result
        if not knows(func, args):
            self.unknown_sizes.add(base_name(func))
        if isinstance(result, Tensor):
            self._ledger.see(result)
        else:
            if any(isinstance(r, FakeTensor) for r in tree_leaves(result)):
                result = corrected(func, args, result)
            for leaf in tree_leaves(result):
                if isinstance(leaf, Tensor):
                    self._ledger.see(leaf)
        self.operators += 1
        work = work_of(func, args, result)
        if work is None:
            self.unknown.add(base_name(func))
        else:
            self.work += work
        return result


class _Saved:
    """Adds up what autograd packs for the backward pass."""

    def __init__(self, foreign: list[Tensor]) -> None:
        self._ledger = Ledger(foreign)
        self.bytes = 0

    def pack(self, tensor: Tensor) -> Tensor:
        """Count the tensor's storage unless it is counted already."""
        before = self._ledger.bytes
        self._ledger.see(tensor)
        self.bytes += self._ledger.bytes - before
        return tensor
