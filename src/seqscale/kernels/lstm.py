"""Long short-term memory, and its gradient.

    i_t, f_t, o_t = sigmoid(a_{i,f,o}t + W_{i,f,o} h_{t-1})     g_t = tanh(a_gt + W_g h_{t-1})
    c_t = f_t * c_{t-1} + i_t * g_t                             h_t = o_t * tanh(c_t)

Shapes: m models, b batch, t time, h hidden units; gates lie beside each other in the order i, f, g, o. a_t is all that
the input adds: W_x x_t and the biases, one matrix product over all steps at once, as are the weights' gradients.
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


def lstm(a: Array, h: Array, c: Array, w: Array, threads: int = 1) -> tuple[Array, Array]:
    """Return the outputs h_t of each step, (m, b, t, h), and c after the last, (m, b, h).

    Args:
        a: (m, b, t, 4h), what the input adds.
        h, c: (m, b, h), the state before the first step.
        w: (m, 4h, h), W.
        threads: how many may be used.

    Raises:
        ValueError: a wrong shape or dtype.
    """
    y, last, _ = _run(a, h, c, w, threads, keep=False)
    return y, last


def lstm_keeping(a: Array, h: Array, c: Array, w: Array, threads: int = 1) -> tuple[Array, Array, Array]:
    """Return what `lstm` does, and what `lstm_backward` needs beside it: (m, b, t, 5h), i, f, g, o and c."""
    return _run(a, h, c, w, threads, keep=True)


def _run(a: Array, h: Array, c: Array, w: Array, threads: int, *, keep: bool) -> tuple[Array, Array, Array]:
    a = leading("a", a, "models, batch, time, 4 * hidden")
    m, b, t, _ = a.shape
    units = units_of("a", a, 4)
    h, c = alike("h", h, (m, b, units), a), alike("c", c, (m, b, units), a)
    w = alike("w", w, (m, 4 * units, units), a)
    y, last = np.empty((m, b, t, units), a.dtype), np.empty_like(c)
    kept = np.empty((m, b, t if keep else 0, 5 * units), a.dtype)
    packed = pack(w.swapaxes(1, 2))
    arrays, scratch = (a, h, c, packed, y, last, kept), (units, units, padded(packed), 5 * units)
    sizes = (packed.shape[1], 5 * units if keep else 0)
    run(_forward, arrays, scratch, sizes, y, work=2 * b * t * w.size, threads=threads)
    return y, last, kept


def lstm_backward(
    gy: Array, g_last: Array, kept: Array, c: Array, w: Array, threads: int = 1
) -> tuple[Array, Array, Array]:
    """Return the gradients of a, (m, b, t, 4h), and of the first h and c, (m, b, h).

    The gradient of W is the sum over all steps of that of a_t times h_{t-1}.

    Args:
        gy: (m, b, t, h), the gradient of the outputs.
        g_last: (m, b, h), that of c after the last step.
        kept: (m, b, t, 5h), from `lstm_keeping`.
        c: (m, b, h), before the first step.
        w: (m, 4h, h), W.
        threads: how many may be used.

    Raises:
        ValueError: a wrong shape or dtype.
    """
    gy = leading("gy", gy, "models, batch, time, hidden")
    m, b, t, units = gy.shape
    kept, w = alike("kept", kept, (m, b, t, 5 * units), gy), alike("w", w, (m, 4 * units, units), gy)
    g_last, c = alike("g_last", g_last, (m, b, units), gy), alike("c", c, (m, b, units), gy)
    ga, gh, gc = np.empty((m, b, t, 4 * units), gy.dtype), np.empty_like(c), np.empty_like(c)
    packed = pack(w)
    arrays, scratch = (gy, g_last, kept, c, packed, ga, gh, gc), (4 * units, padded(packed), units)
    run(_backward, arrays, scratch, (packed.shape[1],), gy, work=2 * b * t * w.size, threads=threads)
    return ga, gh, gc


@pointwise
def _step(
    a_i: Lanes, a_f: Lanes, a_g: Lanes, a_o: Lanes, w_i: Lanes, w_f: Lanes, w_g: Lanes, w_o: Lanes, c: Lanes
) -> Sequence[Lanes]:
    i, f, g, o = sigmoid(a_i + w_i), sigmoid(a_f + w_f), tanh(a_g + w_g), sigmoid(a_o + w_o)
    c = f * c + i * g
    h = o * tanh(c)
    return h, h, c, i, f, g, o, c


@pointwise
def _step_back(
    gy: Lanes, carried: Lanes, past: Lanes, i: Lanes, f: Lanes, g: Lanes, o: Lanes, c: Lanes, before: Lanes
) -> Sequence[Lanes]:
    """The gradient of c_t comes from h_t, and past the gates of t + 1 through f_{t+1}."""
    g_h, t = gy + carried, tanh(c)
    g_c = g_h * o * (1.0 - t * t) + past
    g_i, g_f = g_c * g * i * (1.0 - i), g_c * before * f * (1.0 - f)
    g_g, g_o = g_c * i * (1.0 - g * g), g_h * t * o * (1.0 - o)
    return g_i, g_f, g_g, g_o, g_i, g_f, g_g, g_o, g_c * f


@cache
def _forward(rows: int) -> Compiled:
    def kernel(
        a: Any, first_h: Any, first_c: Any, w: Any, y: Any, last: Any, kept: Any, h: Any, c: Any, s: Any, spare: Any,
        steps: int, units: int, columns: int, apart: int, batch: int, first: int, start: int, stop: int,
    ) -> None:  # fmt: skip
        wide, two, three, four = s.size // rows, 2 * units, 3 * units, 4 * units
        if apart == 0:  # nothing is to be kept: every step writes over the last
            kept = spare
        for m in range(start, stop):
            begin = (m * batch + first) * units
            copy(rows * units, (first_h, first_c), (begin, begin), (h, c), (0, 0))
            for i in range(steps):
                product(rows, s, columns, w, m * wide * units, h, 0, units, 1, units)
                for r in range(rows):
                    token = (m * batch + first + r) * steps + i
                    of_a, of_s, of_h, of_k = token * four, r * wide, r * units, token * apart
                    _step(
                        units,
                        (a, a, a, a, s, s, s, s, c),
                        (
                            *(of_a, of_a + units, of_a + two, of_a + three),
                            *(of_s, of_s + units, of_s + two, of_s + three, of_h),
                        ),
                        (y, h, c, kept, kept, kept, kept, kept),
                        (token * units, of_h, of_h, of_k, of_k + units, of_k + two, of_k + three, of_k + four),
                    )
            copy(rows * units, (c,), (0,), (last,), (begin,))

    return compiled(kernel)


@cache
def _backward(rows: int) -> Compiled:
    def kernel(
        gy: Any, g_last: Any, kept: Any, first_c: Any, w: Any, ga: Any, gh: Any, gc: Any, g: Any, carried: Any,
        past: Any, steps: int, units: int, columns: int, batch: int, first: int, start: int, stop: int,
    ) -> None:  # fmt: skip
        wide, two, three, four = carried.size // rows, 2 * units, 3 * units, 4 * units
        for m in range(start, stop):
            begin = (m * batch + first) * units
            for j in range(rows * wide):
                carried[j] = 0
            copy(rows * units, (g_last,), (begin,), (past,), (0,))
            for i in range(steps - 1, -1, -1):
                for r in range(rows):
                    row = m * batch + first + r
                    token = row * steps + i
                    of_ga, of_k, of_g, of_h = token * four, 5 * token * units, r * four, r * units
                    before, of_before = kept, of_k - units
                    if i == 0:
                        before, of_before = first_c, row * units
                    _step_back(
                        units,
                        (gy, carried, past, kept, kept, kept, kept, kept, before),
                        (
                            *(token * units, r * wide, of_h),
                            *(of_k, of_k + units, of_k + two, of_k + three, of_k + four, of_before),
                        ),
                        (ga, ga, ga, ga, g, g, g, g, past),
                        (
                            *(of_ga, of_ga + units, of_ga + two, of_ga + three),
                            *(of_g, of_g + units, of_g + two, of_g + three, of_h),
                        ),
                    )
                product(rows, carried, columns, w, m * wide * four, g, 0, four, 1, four)
            for r in range(rows):
                copy(units, (carried,), (r * wide,), (gh,), (begin + r * units,))
            copy(rows * units, (past,), (0,), (gc,), (begin,))

    return compiled(kernel)
