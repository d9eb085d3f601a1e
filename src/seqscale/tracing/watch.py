"""Counts one call of a module while it runs, on whatever tensors it is given; on real ones it executes."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch._ops import OpOverload
from torch._subclasses.fake_tensor import FakeTensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from seqscale.errors import UnsupportedError
from seqscale.tracing.calls import output_of
from seqscale.tracing.depth import depth_of
from seqscale.tracing.flow import Flow, Kernel
from seqscale.tracing.graph import count_nodes
from seqscale.tracing.ledger import Ledger
from seqscale.tracing.memo import Memo
from seqscale.tracing.opaque import corrected, knows
from seqscale.tracing.operands import operands_of, runs
from seqscale.tracing.work import base_name, is_view, work_of


@dataclass(frozen=True, slots=True, kw_only=True)
class OperatorCounts:
    """What all calls of one operator did together; `steps` are those it adds to the longest chain of steps."""

    name: str
    kernels: int
    work: int
    traffic_bytes: int
    steps: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """What one call of a module does and keeps. In mode forward nothing is kept for a backward pass.

    Attributes:
        work: floating-point operations.
        traffic_bytes: what kernels read and write: each argument and each result once.
        kernels: operators that run: neither views nor questions about a tensor nor bare allocations. A write into a
            view may count one more or less than the real one: autograd replays the view in another way on fake tensors.
        kernel_span: the longest chain of kernels that wait for each other.
        ideal_span: the same with each kernel at its ideal depth [steps].
        saved_bytes: what autograd keeps for the backward pass, each storage once, parameters and inputs apart.
        predicted_peak_bytes: largest sum of the storages that the call itself makes, gradients included.
        graph_nodes: autograd nodes that the forward pass builds.
        operators: the same by operator, by name.
        unknown_operators: names of operators without a law, sorted: work, traffic and spans are then lower bounds.
        unknown_sizes: names of operators that allocate what fake tensors do not know, sorted: bytes would be wrong.
    """

    work: int
    traffic_bytes: int
    kernels: int
    kernel_span: int
    ideal_span: int
    saved_bytes: int
    predicted_peak_bytes: int
    graph_nodes: int
    operators: tuple[OperatorCounts, ...]
    unknown_operators: tuple[str, ...]
    unknown_sizes: tuple[str, ...]

    def require_known_sizes(self) -> None:
        """Raise UnsupportedError when an operator allocates what the trace does not know."""
        if self.unknown_sizes:
            raise UnsupportedError(f"cannot be traced: nothing says what {', '.join(self.unknown_sizes)} allocates.")


class TooLongError(UnsupportedError):
    """The watched call took longer than it was given."""


@dataclass(frozen=True, slots=True)
class Watched:
    """The counts of one call, and its kernels in the order in which they ran."""

    counts: Counts
    kernels: tuple[Kernel, ...]


def watch(module: nn.Module, x: Tensor, mode: str, limit_s: float = float("inf")) -> Watched:
    """Count one call of `module` on x (b, t, d), executing it if its tensors are real.

    Raises:
        TooLongError: the call took more than `limit_s` seconds.
    """
    training = mode == "training"
    x.requires_grad_(training)
    foreign = [x, *module.parameters(), *module.buffers()]
    for tensor in foreign:
        tensor.grad = None
    ledger = Ledger(foreign)
    watcher = _Watcher(ledger, time.monotonic() + limit_s)
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
    flow, operators = watcher.flow, watcher.operators()
    counts = Counts(
        work=sum(o.work for o in operators),
        traffic_bytes=sum(o.traffic_bytes for o in operators),
        kernels=len(flow.kernels),
        kernel_span=flow.kernel_span,
        ideal_span=flow.ideal_span,
        saved_bytes=saved.bytes,
        predicted_peak_bytes=ledger.peak_bytes,
        graph_nodes=nodes,
        operators=operators,
        unknown_operators=tuple(sorted(watcher.unknown)),
        unknown_sizes=tuple(sorted(watcher.unknown_sizes)),
    )
    return Watched(counts, tuple(flow.kernels))


class _Watcher(TorchDispatchMode):
    """Sees every operator on its way to the kernel, and adds up."""

    def __init__(self, ledger: Ledger, until: float) -> None:
        super().__init__()
        self._ledger = ledger
        self._until = until
        self._memo = Memo()
        self._traffic: Counter[str] = Counter()
        self.flow = Flow()
        self.unknown: set[str] = set()
        self.unknown_sizes: set[str] = set()

    def __torch_dispatch__(
        self, func: OpOverload, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        if func is torch.ops.prim.device.default and isinstance(args[0], FakeTensor):
            return args[0].fake_device  # asked by autograd all the time; computes nothing
        kwargs = kwargs or {}
        result = self._memo.call(func, args, kwargs)
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
        if runs(func):
            self._count(func, args, kwargs, result)
        return result

    def _count(self, func: OpOverload, args: tuple[Any, ...], kwargs: dict[str, Any], result: Any) -> None:
        if time.monotonic() > self._until:
            raise TooLongError("cannot be traced at this size in the time given; trace it shorter.")
        name = base_name(func)
        work = work_of(func, args, result)
        if work is None:
            self.unknown.add(name)
        depth = 1 if work is None else depth_of(func, args, result)
        operands = operands_of(func, args, kwargs, result)
        self._traffic[name] += operands.traffic_bytes
        self.flow.ran(name, work or 0, depth, operands.reads, operands.writes)

    def operators(self) -> tuple[OperatorCounts, ...]:
        """Return what was seen, by operator."""
        kernels: Counter[str] = Counter()
        work: Counter[str] = Counter()
        steps: Counter[str] = Counter()
        for kernel in self.flow.kernels:
            kernels[kernel.name] += 1
            work[kernel.name] += kernel.work
        for number in self.flow.longest_chain():
            steps[self.flow.kernels[number].name] += self.flow.kernels[number].depth
        return tuple(
            OperatorCounts(
                name=name, kernels=kernels[name], work=work[name], traffic_bytes=self._traffic[name], steps=steps[name]
            )
            for name in sorted(kernels)
        )


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
