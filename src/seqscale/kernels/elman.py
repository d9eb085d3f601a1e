"""The plain recurrence, h_t = tanh(a_t + W h_{t-1}), and its gradient.

Shapes: m models, b batch, t time, h hidden units. a_t is all that the input adds: W_x x_t and the biases, one matrix
product over all steps at once, as are the weights' gradients.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

from seqscale.kernels.activations import tanh
from seqscale.kernels.blocks import pack, padded, run
from seqscale.kernels.checks import Array, alike, leading
from seqscale.kernels.compiling import Compiled, compiled
from seqscale.kernels.instructions import copy, pointwise, product

_step = pointwise(lambda a, z: [tanh(a + z)] * 2)
_step_back = pointwise(lambda gy, carried, y: [(gy + carried) * (1.0 - y * y)] * 2)


def elman(a: Array, h: Array, w: Array, threads: int = 1) -> Array:
    """Return the states after each step, (m, b, t, h).

    Args:
        a: (m, b, t, h), what the input adds.
        h: (m, b, h), the state before the first step.
        w: (m, h, h), W.
        threads: how many may be used.

    Raises:
        ValueError: a wrong shape or dtype.
    """
    a = leading("a", a, "models, batch, time, hidden")
    m, b, t, units = a.shape
    h, w = alike("h", h, (m, b, units), a), alike("w", w, (m, units, units), a)
    y = np.empty_like(a)
    packed = pack(w.swapaxes(1, 2))
    arrays, scratch, sizes = (a, h, packed, y), (units, padded(packed)), (packed.shape[1],)
    run(_forward, arrays, scratch, sizes, y, work=2 * b * t * w.size, threads=threads)
    return y


def elman_backward(gy: Array, y: Array, w: Array, threads: int = 1) -> tuple[Array, Array]:
    """Return the gradients of a, (m, b, t, h), and of the first state, (m, b, h).

    The gradient of W is the sum over all steps of that of a_t times h_{t-1}.

    Args:
        gy: (m, b, t, h), the gradient of the states.
        y: (m, b, t, h), the states.
        w: (m, h, h), W.
        threads: how many may be used.

    Raises:
        ValueError: a wrong shape or dtype.
    """
    y = leading("y", y, "models, batch, time, hidden")
    m, b, t, units = y.shape
    gy, w = alike("gy", gy, y.shape, y), alike("w", w, (m, units, units), y)
    ga, gh = np.empty_like(y), np.empty((m, b, units), y.dtype)
    packed = pack(w)
    arrays, scratch, sizes = (gy, y, packed, ga, gh), (units, padded(packed)), (packed.shape[1],)
    run(_backward, arrays, scratch, sizes, y, work=2 * b * t * w.size, threads=threads)
    return ga, gh


@cache
def _forward(rows: int) -> Compiled:
    def kernel(
        a: Any, first_h: Any, w: Any, y: Any, h: Any, s: Any, steps: int, units: int, columns: int, batch: int,
        first: int, start: int, stop: int,
    ) -> None:  # fmt: skip
        wide = s.size // rows
        for m in range(start, stop):
            copy(rows * units, (first_h,), ((m * batch + first) * units,), (h,), (0,))
            for i in range(steps):
                product(rows, s, columns, w, m * wide * units, h, 0, units, 1, units)
                for r in range(rows):
                    at = ((m * batch + first + r) * steps + i) * units
                    _step(units, (a, s), (at, r * wide), (y, h), (at, r * units))

    return compiled(kernel)


@cache
def _backward(rows: int) -> Compiled:
    def kernel(
        gy: Any, y: Any, w: Any, ga: Any, gh: Any, g: Any, carried: Any, steps: int, units: int, columns: int,
        batch: int, first: int, start: int, stop: int,
    ) -> None:  # fmt: skip
        wide = carried.size // rows
        for m in range(start, stop):
            for j in range(rows * wide):
                carried[j] = 0
            for i in range(steps - 1, -1, -1):
                for r in range(rows):
                    at = ((m * batch + first + r) * steps + i) * units
                    _step_back(units, (gy, carried, y), (at, r * wide, at), (ga, g), (at, r * units))
                product(rows, carried, columns, w, m * wide * units, g, 0, units, 1, units)
            for r in range(rows):
                copy(units, (carried,), (r * wide,), (gh,), ((m * batch + first + r) * units,))

    return compiled(kernel)
