"""The gated recurrent unit, and its gradient.

    r_t = sigmoid(a_rt + W_r h_{t-1})            z_t = sigmoid(a_zt + W_z h_{t-1})
    n_t = tanh(a_nt + r_t * p_t)                 p_t = W_n h_{t-1} + b_n
    h_t = (1 - z_t) * n_t + z_t * h_{t-1}

Shapes: m models, b batch, t time, h hidden units; gates lie beside each other in the order r, z, n. a_t is all that the
input adds: W_x x_t and the biases but b_n, one matrix product over all steps at once, as are the weights' gradients.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np

from seqscale.kernels.activations import sigmoid, tanh
from seqscale.kernels.blocks import pack, padded, run
from seqscale.kernels.checks import Array, alike, leading, units_of
from seqscale.kernels.compiling import Compiled, compiled
from seqscale.kernels.instructions import copy, pointwise, product
from seqscale.kernels.lanes import Lanes


def gru(a: Array, h: Array, w: Array, b_n: Array, threads: int = 1) -> Array:
    """Return the states after each step, (m, b, t, h).

    Args:
        a: (m, b, t, 3h), what the input adds.
        h: (m, b, h), the state before the first step.
        w: (m, 3h, h), W.
        b_n: (m, h).
        threads: how many may be used.

    Raises:
        ValueError: a wrong shape or dtype.
    """
    return _run(a, h, w, b_n, threads, keep=False)[0]


def gru_keeping(a: Array, h: Array, w: Array, b_n: Array, threads: int = 1) -> tuple[Array, Array]:
    """Return what `gru` does, and what `gru_backward` needs beside it: (m, b, t, 4h), r, z, n and p."""
    return _run(a, h, w, b_n, threads, keep=True)


def _run(a: Array, h: Array, w: Array, b_n: Array, threads: int, *, keep: bool) -> tuple[Array, Array]:
    a = leading("a", a, "models, batch, time, 3 * hidden")
    m, b, t, _ = a.shape
    units = units_of("a", a, 3)
    h, w = alike("h", h, (m, b, units), a), alike("w", w, (m, 3 * units, units), a)
    b_n = alike("b_n", b_n, (m, units), a)
    y, kept = np.empty((m, b, t, units), a.dtype), np.empty((m, b, t if keep else 0, 4 * units), a.dtype)
    packed = pack(w.swapaxes(1, 2))
    arrays, scratch = (a, h, packed, b_n, y, kept), (units, padded(packed), 4 * units)
    sizes = (packed.shape[1], 4 * units if keep else 0)
    run(_forward, arrays, scratch, sizes, y, work=2 * b * t * w.size, threads=threads)
    return y, kept


def gru_backward(gy: Array, y: Array, kept: Array, h: Array, w: Array, threads: int = 1) -> tuple[Array, Array, Array]:
    """Return the gradients of a, (m, b, t, 3h), of p, (m, b, t, h), and of the first state, (m, b, h).

    The gradients of W_r, W_z and W_n are the sums over all steps of those of a_r, a_z and p times h_{t-1}; that of b_n
    is the sum of that of p.

    Args:
        gy: (m, b, t, h), the gradient of the states.
        y: (m, b, t, h), the states.
        kept: (m, b, t, 4h), from `gru_keeping`.
        h: (m, b, h), the state before the first step.
        w: (m, 3h, h), W.
        threads: how many may be used.

    Raises:
        ValueError: a wrong shape or dtype.
    """
    y = leading("y", y, "models, batch, time, hidden")
    m, b, t, units = y.shape
    gy, kept = alike("gy", gy, y.shape, y), alike("kept", kept, (m, b, t, 4 * units), y)
    h, w = alike("h", h, (m, b, units), y), alike("w", w, (m, 3 * units, units), y)
    ga, gp, gh = np.empty((m, b, t, 3 * units), y.dtype), np.empty_like(y), np.empty_like(h)
    packed = pack(w)
    arrays, scratch = (gy, y, kept, h, packed, ga, gp, gh), (3 * units, padded(packed), units)
    run(_backward, arrays, scratch, (packed.shape[1],), y, work=2 * b * t * w.size, threads=threads)
    return ga, gp, gh


@pointwise
def _step(
    a_r: Lanes, a_z: Lanes, a_n: Lanes, w_r: Lanes, w_z: Lanes, w_n: Lanes, b_n: Lanes, h: Lanes
) -> Sequence[Lanes]:
    r, z, p = sigmoid(a_r + w_r), sigmoid(a_z + w_z), w_n + b_n
    n = tanh(a_n + r * p)
    after = (1.0 - z) * n + z * h
    return after, after, r, z, n, p


@pointwise
def _step_back(
    gy: Lanes, carried: Lanes, past: Lanes, r: Lanes, z: Lanes, n: Lanes, p: Lanes, h: Lanes
) -> Sequence[Lanes]:
    """The gradient of h_t comes from its output, from the gates of t + 1, and past them through z_{t+1}."""
    g = gy + carried + past
    g_n = g * (1.0 - z) * (1.0 - n * n)
    g_z = g * (h - n) * z * (1.0 - z)
    g_r, g_p = g_n * p * r * (1.0 - r), g_n * r
    return g_r, g_z, g_n, g_p, g_r, g_z, g_p, g * z


_sum = pointwise(lambda x, y: [x + y])


@cache
def _forward(rows: int) -> Compiled:
    def kernel(
        a: Any, first_h: Any, w: Any, b_n: Any, y: Any, kept: Any, h: Any, s: Any, spare: Any, steps: int, units: int,
        columns: int, apart: int, batch: int, first: int, start: int, stop: int,
    ) -> None:  # fmt: skip
        wide, two, three = s.size // rows, 2 * units, 3 * units
        if apart == 0:  # nothing is to be kept: every step writes over the last
            kept = spare
        for m in range(start, stop):
            copy(rows * units, (first_h,), ((m * batch + first) * units,), (h,), (0,))
            for i in range(steps):
                product(rows, s, columns, w, m * wide * units, h, 0, units, 1, units)
                for r in range(rows):
                    token = (m * batch + first + r) * steps + i
                    of_a, of_s, of_h, of_kept = token * three, r * wide, r * units, token * apart
                    _step(
                        units,
                        (a, a, a, s, s, s, b_n, h),
                        (of_a, of_a + units, of_a + two, of_s, of_s + units, of_s + two, m * units, of_h),
                        (y, h, kept, kept, kept, kept),
                        (token * units, of_h, of_kept, of_kept + units, of_kept + two, of_kept + three),
                    )

    return compiled(kernel)


@cache
def _backward(rows: int) -> Compiled:
    def kernel(
        gy: Any, y: Any, kept: Any, first_h: Any, w: Any, ga: Any, gp: Any, gh: Any, g: Any, carried: Any, past: Any,
        steps: int, units: int, columns: int, batch: int, first: int, start: int, stop: int,
    ) -> None:  # fmt: skip
        wide, two, three = carried.size // rows, 2 * units, 3 * units
        for m in range(start, stop):
            for j in range(rows * wide):
                carried[j] = 0
            for j in range(rows * units):
                past[j] = 0
            for i in range(steps - 1, -1, -1):
                for r in range(rows):
                    row = m * batch + first + r
                    token = row * steps + i
                    of_y, of_ga, of_kept = token * units, token * three, 4 * token * units
                    of_h, of_g = r * units, r * three
                    before, of_before = y, of_y - units
                    if i == 0:
                        before, of_before = first_h, row * units
                    _step_back(
                        units,
                        (gy, carried, past, kept, kept, kept, kept, before),
                        (of_y, r * wide, of_h, of_kept, of_kept + units, of_kept + two, of_kept + three, of_before),
                        (ga, ga, ga, gp, g, g, g, past),
                        (of_ga, of_ga + units, of_ga + two, of_y, of_g, of_g + units, of_g + two, of_h),
                    )
                product(rows, carried, columns, w, m * wide * three, g, 0, three, 1, three)
            for r in range(rows):
                of_gh = ((m * batch + first + r) * units,)
                _sum(units, (carried, past), (r * wide, r * units), (gh,), of_gh)

    return compiled(kernel)
