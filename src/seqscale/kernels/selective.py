"""The selective scan: a diagonal linear recurrence whose steps depend on the input, and its gradient.

    h_t[d, n] = exp(delta_t[d] A[d, n]) h_{t-1}[d, n] + delta_t[d] B_t[n] x_t[d]        y_t[d] = sum_n C_t[n] h_t[d, n]

Source: Gu and Dao 2023, arXiv:2312.00752, section 3.2, algorithm 2.

Shapes: m models, b batch, t time, d channels, n states of a channel. A register holds neighbouring channels, so that
the sum over states needs no sum across its lanes. Channels do not meet, so that few sequences are shared among threads
by channels.

For the gradient the states before every 32nd step are kept, b t d n / 32 numbers: half as many as x where n = 16.
Between them states are computed again, for one register of channels at a time.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from seqscale.kernels.blocks import run
from seqscale.kernels.checks import Array, alike, columns_of, leading
from seqscale.kernels.compiling import compiled
from seqscale.kernels.instructions import copy
from seqscale.kernels.lanes import REGISTER_BYTES, lanes_of
from seqscale.kernels.stretch import STRETCH, advance, gather, retreat

_FLOPS = 30  # of one state and step; a guess of what exp costs is in it


def selective(x: Array, delta: Array, a: Array, b: Array, c: Array, h: Array, threads: int = 1) -> tuple[Array, Array]:
    """Return the outputs, (m, b, t, d), and the state after the last step, (m, b, d, n).

    Args:
        x: (m, b, t, d). delta: (m, b, t, d). a: (m, d, n). b, c: (m, b, t, n).
        h: (m, b, d, n), the state before the first step.
        threads: how many may be used.

    Raises:
        ValueError: a wrong shape or dtype.
    """
    y, last, _ = _run(x, delta, a, b, c, h, threads, keep=False)
    return y, last


def selective_keeping(
    x: Array, delta: Array, a: Array, b: Array, c: Array, h: Array, threads: int = 1
) -> tuple[Array, Array, Array]:
    """Return what `selective` does, and what `selective_backward` needs beside it: (m, b, ceil(t / 32), n, d)."""
    return _run(x, delta, a, b, c, h, threads, keep=True)


def _run(
    x: Array, delta: Array, a: Array, b: Array, c: Array, h: Array, threads: int, *, keep: bool
) -> tuple[Array, Array, Array]:
    x, delta, a, b, c = _checked(x, delta, a, b, c)
    m, batch, t, d = x.shape
    n = a.shape[-2]
    carried = _channels_last(alike("h", h, (m, batch, d, n), x))
    kept = np.empty((m, batch, kept_states(t) if keep else 0, n, d), x.dtype)
    y, groups = np.empty_like(x), _groups(x, threads)
    arrays, sizes = (x, delta, a, b, c, carried, kept, y), (n, groups, int(keep))
    _over_groups(_forward, arrays, sizes, x, groups, n, threads)
    return y, np.ascontiguousarray(carried.swapaxes(2, 3)), kept


def selective_backward(
    gy: Array, g_last: Array, kept: Array, x: Array, delta: Array, a: Array, b: Array, c: Array, threads: int = 1
) -> tuple[Array, Array, Array, Array, Array, Array]:
    """Return the gradients of x, delta, a, b, c and h, in their shapes.

    Args:
        gy: (m, b, t, d), the gradient of the outputs.
        g_last: (m, b, d, n), that of the state after the last step.
        kept: (m, b, ceil(t / 32), n, d), from `selective_keeping`.
        x: (m, b, t, d). delta: (m, b, t, d). a: (m, d, n). b, c: (m, b, t, n).
        threads: how many may be used.

    Raises:
        ValueError: a wrong shape or dtype.
    """
    x, delta, a, b, c = _checked(x, delta, a, b, c)
    m, batch, t, d = x.shape
    n = a.shape[-2]
    gy, carried = alike("gy", gy, x.shape, x), _channels_last(alike("g_last", g_last, (m, batch, d, n), x))
    kept = alike("kept", kept, (m, batch, kept_states(t), n, d), x)
    groups = _groups(x, threads)
    gx, g_delta, ga = np.empty_like(x), np.empty_like(x), np.zeros((m, batch, n, d), x.dtype)
    gb, gc = (np.empty((m, batch, groups, t, n), x.dtype) for _ in range(2))
    arrays = (gy, kept, x, delta, a, b, c, carried, gx, g_delta, ga, gb, gc)
    _over_groups(_backward, arrays, (n, groups), x, groups, 3 * n, threads)
    gh = np.ascontiguousarray(carried.swapaxes(2, 3))
    return gx, g_delta, np.ascontiguousarray(ga.sum(1).swapaxes(1, 2)), gb.sum(2), gc.sum(2), gh


def kept_states(t: int) -> int:
    """Return of how many steps the states before them are kept."""
    return -(-t // STRETCH)


def _checked(x: Array, delta: Array, a: Array, b: Array, c: Array) -> tuple[Array, Array, Array, Array, Array]:
    """Return the arguments contiguous, a with channels last."""
    x = leading("x", x, "models, batch, time, channels")
    m, batch, t, d = x.shape
    n = columns_of(a)
    a = _channels_last(alike("a", a, (m, d, n), x))
    b, c = (alike(name, array, (m, batch, t, n), x) for name, array in (("b", b), ("c", c)))
    return x, alike("delta", delta, x.shape, x), a, b, c


def _channels_last(array: Array) -> Array:
    """Return (..., d, n) as (..., n, d), in memory of its own: what is carried is written over."""
    return array.swapaxes(-1, -2).copy()


def _groups(x: Array, threads: int) -> int:
    """Return in how many groups of channels each sequence is cut: one, unless threads would have nothing to do."""
    m, batch, _, d = x.shape
    registers = -(-d // lanes_of(x.itemsize))
    return max(1, min(registers, -(-threads // max(1, m * batch))))


def _over_groups(kernel: Any, arrays: Any, sizes: Any, x: Array, groups: int, states: int, threads: int) -> None:
    """Run a kernel over all groups of channels as if each were a sequence."""
    m, batch, t, d = x.shape
    like = np.broadcast_to(x.dtype.type(0), (m, batch * groups, t, d))
    run(lambda rows: partial(kernel, rows), arrays, (), sizes, like, work=_FLOPS * x.size * states, threads=threads)


@compiled
def _forward(
    rows: int, x: Any, delta: Any, a: Any, b: Any, c: Any, h: Any, kept: Any, y: Any, steps: int, width: int,
    states: int, groups: int, keep: int, batch: int, first: int, start: int, stop: int,
) -> None:  # fmt: skip
    lanes, size, stretches = REGISTER_BYTES // x.itemsize, states * width, (steps + STRETCH - 1) // STRETCH
    registers = (width + lanes - 1) // lanes
    own = (np.empty(states * lanes, x.dtype), np.empty(states * lanes, x.dtype))
    for m in range(start, stop):
        for r in range(first, first + rows):
            row, group = (m * batch + r) // groups, r % groups
            begin, end = registers * group // groups * lanes, min(width, registers * (group + 1) // groups * lanes)
            for s in range(stretches):
                at = row * steps + s * STRETCH
                for j in range(begin, end, lanes):
                    if keep:
                        for n in range(states):
                            of_n = n * width + j
                            place = ((row * stretches + s) * size + of_n,)
                            copy(min(lanes, width - j), (h,), (row * size + of_n,), (kept,), place)
                    advance(
                        min(STRETCH, steps - s * STRETCH),
                        states,
                        width,
                        width - j,
                        (x, delta, a, b, c, h, y),
                        (at * width + j, at * width + j, m * size + j, at * states, at * states, row * size + j,
                         at * width + j),
                        own,
                    )  # fmt: skip


@compiled
def _backward(
    rows: int, gy: Any, kept: Any, x: Any, delta: Any, a: Any, b: Any, c: Any, carried: Any, gx: Any, g_delta: Any,
    ga: Any, gb: Any, gc: Any, steps: int, width: int, states: int, groups: int, batch: int, first: int,
    start: int, stop: int,
) -> None:  # fmt: skip
    lanes, size, stretches = REGISTER_BYTES // x.itemsize, states * width, (steps + STRETCH - 1) // STRETCH
    registers, one, most = (width + lanes - 1) // lanes, states * lanes, min(steps, STRETCH)
    own_gb, own_gc = np.empty(most * one, x.dtype), np.empty(most * one, x.dtype)
    own = (
        np.empty(one, x.dtype), np.empty(one, x.dtype), np.empty(one, x.dtype), np.empty(most * one, x.dtype),
        np.empty((most + 1) * one, x.dtype), own_gb, own_gc,
    )  # fmt: skip
    for m in range(start, stop):
        for r in range(first, first + rows):
            row, group = (m * batch + r) // groups, r % groups
            begin, end = registers * group // groups * lanes, min(width, registers * (group + 1) // groups * lanes)
            for s in range(stretches - 1, -1, -1):
                at, here = row * steps + s * STRETCH, min(STRETCH, steps - s * STRETCH)
                own_gb[:] = 0
                own_gc[:] = 0
                for j in range(begin, end, lanes):
                    of_x, of_h = at * width + j, row * size + j
                    retreat(
                        here,
                        states,
                        width,
                        width - j,
                        (gy, x, delta, a, b, c, kept, carried, ga, gx, g_delta),
                        (of_x, of_x, of_x, m * size + j, at * states, at * states,
                         (row * stretches + s) * size + j, of_h, of_h, of_x, of_x),
                        own,
                    )  # fmt: skip
                of_sum = ((m * batch + r) * steps + s * STRETCH) * states
                gather(here * states, own_gb, gb, of_sum)
                gather(here * states, own_gc, gc, of_sum)
