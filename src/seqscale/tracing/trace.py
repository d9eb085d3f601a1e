"""Counts of one call of a module, read off the operators that it dispatches, with nothing executed.

A fake tensor says that it is on the cell's own device, so that torch takes the same path as for a real one; a meta
tensor does not (attention on meta saves T^2 where the CPU's kernel does not).
"""

from __future__ import annotations

import copy
import gc
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeCopyMode, FakeTensorMode

from seqscale.tracing.stop import untraceable
from seqscale.tracing.watch import Watched, watch


def trace(
    module: nn.Module, shape: tuple[int, int, int], dtype: torch.dtype, mode: str, limit_s: float = float("inf")
) -> Watched:
    """Count one call of `module` on an input of `shape` (b, t, d), with nothing executed and nothing allocated.

    Raises:
        UntraceableError: a module that must see its data (`if x.sum() > 0`), or that raises whatever it is given.
        TooLongError: the trace took more than `limit_s` seconds.

    Args:
        module: any module that maps (b, t, d) to (b, t, d) or ((b, t, d), state); it is left as it is.
        shape: b, t, d.
        dtype: of the input; the parameters keep theirs.
        mode: "forward" (no graph) or "training" (forward and backward of the mean of the outputs).
        limit_s: seconds.
    """
    with uncollected(), untraceable(), faked(module, shape, dtype) as (twin, x):
        watched = watch(twin, x, mode, limit_s)
        del twin, x  # so that nothing holds the copy when it is to be collected
    return watched


def preload() -> None:
    """Import what torch imports at the first trace, seconds' worth; runs no kernel and no backward pass."""
    trace(nn.ReLU(), (1, 1, 1), torch.float32, "forward")


@contextmanager
def uncollected() -> Iterator[None]:
    """Keep the garbage collector off while the block runs, and then collect what the block left behind.

    It would search the growing graph again and again, for half of the time of a long trace. What a trace leaves holds
    weak references to the module's storages, in cycles: when the module dies first, Python 3.11 may collect them while
    it walks the list of these references, and crash.
    """
    collecting = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.collect(0)  # the block's own objects are all of the youngest generation
        if collecting:
            gc.enable()


@contextmanager
def faked(module: nn.Module, shape: tuple[int, ...], dtype: torch.dtype) -> Iterator[tuple[nn.Module, Tensor]]:
    """Give a copy of `module` and an input of `shape` whose tensors have no data, while the block runs."""
    fake = FakeTensorMode(allow_non_fake_inputs=True)  # a constant that the layer made at import stays usable
    with FakeCopyMode(fake):
        twin = copy.deepcopy(module)
    device = next((p.device for p in module.parameters()), torch.device("cpu"))
    with fake:
        yield twin, torch.empty(shape, dtype=dtype, device=device)
