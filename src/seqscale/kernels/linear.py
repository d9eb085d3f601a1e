"""What is around a recurrence, over all tokens at once: what the input adds, and the weights' and biases' gradients.

Shapes: m models, n tokens, k terms, p outputs. These are not left to torch, whose float32 product uses half of the
register on some processors that have 64 bytes, and whose results take a page fault each 4 KiB; and whose second thread
waits for more work by turning in a loop, on the core that the second thread of the next kernel wants.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from seqscale.kernels.blocks import pack, pieces, together, worthwhile
from seqscale.kernels.checks import Array, alike, numbers
from seqscale.kernels.compiling import compiled
from seqscale.kernels.instructions import copy, pointwise, product
from seqscale.kernels.lanes import lanes_of

_ROWS = 8  # that share what is read of a packed matrix
_NEAR = 2**18  # bytes of a packed matrix that are used again while the second cache still holds them
_LONGEST = 256  # terms of one part of a sum over tokens
_AT_ONCE = 16  # operations that count as one of a recurrence's where a thread must be worth it: none waits for another

_add = pointwise(lambda x, y: [x + y])
_add_four = pointwise(lambda s, x, y, z, w: [s + ((x + y) + (z + w))])


def linear(x: Array, w: Array, b: Array, threads: int = 1) -> Array:
    """Return x W^T + b, (m, n, p).

    Args:
        x: (m, n, k).
        w: (m, p, k), W.
        b: (m, p).
        threads: how many may be used.

    Raises:
        ValueError: a wrong shape or dtype.
    """
    x, w = numbers("x", x, "models, tokens, terms"), numbers("w", w, "models, outputs, terms")
    m, _, k = x.shape
    p = w.shape[1]
    w = alike("w", w, (m, p, k), x)
    return _times(x, w.swapaxes(1, 2), alike("b", b, (m, p), x), threads)


def linear_backward(g: Array, w: Array, threads: int = 1) -> Array:
    """Return the gradient of x, (m, n, k), where g is that of x W^T.

    Args:
        g: (m, n, p).
        w: (m, p, k), W.
        threads: how many may be used.

    Raises:
        ValueError: a wrong shape or dtype.
    """
    g, w = numbers("g", g, "models, tokens, outputs"), numbers("w", w, "models, outputs, terms")
    m, k = g.shape[0], w.shape[2]
    return _times(g, alike("w", w, (m, g.shape[2], k), g), np.zeros((m, k), g.dtype), threads)


def _times(x: Array, w: Array, b: Array, threads: int) -> Array:
    """Return x w + b for w (m, k, p)."""
    m, n, k = x.shape
    p = w.shape[2]
    y, packed = np.empty((m, n, p), x.dtype), pack(w)
    _, columns, _, lanes = packed.shape
    group = max(2, _NEAR // (k * lanes * x.itemsize + 1))
    flat = [array.reshape(-1) for array in (x, packed, b, y)]

    def do(part: tuple[int, int]) -> None:
        _linear(*flat, np.empty(_ROWS * group * lanes, x.dtype), m, n, k, p, columns, group, *part)

    together(do, pieces(n, _ROWS, worthwhile(threads, 2 * n * w.size // _AT_ONCE)))
    return y


def outer(g: Array, x: Array, threads: int = 1) -> Array:
    """Return the gradient of W where g is that of x W^T, (m, p, k): the sum over all tokens of g times x.

    Args:
        g: (m, n, p).
        x: (m, n, k).
        threads: how many may be used.

    Raises:
        ValueError: a wrong shape or dtype.
    """
    g, x = numbers("g", g, "models, tokens, outputs"), numbers("x", x, "models, tokens, terms")
    m, n, p = g.shape
    x = alike("x", x, (m, n, x.shape[2]), g)
    gw = np.empty((m, p, x.shape[2]), x.dtype)
    _each_output(g, p, x, x, 0, gw, 0, threads)
    return gw


def outer_before(g: Array, last: Array, y: Array, h: Array, threads: int = 1) -> Array:
    """Return the gradient of a recurrent W, (m, p, k): the sum over all steps of g times the state before the step.

    Args:
        g: (m, b, t, p), the gradient of what W gave.
        last: (m, b, t, q), stands for the last q outputs of g; of none where W's product is only added.
        y: (m, b, t, k), the states after each step.
        h: (m, b, k), those before the first.
        threads: how many may be used.

    Raises:
        ValueError: a wrong shape or dtype.
    """
    outputs = "models, batch, time, outputs"
    g, last, y = (
        numbers("g", g, outputs),
        numbers("last", last, outputs),
        numbers("y", y, "models, batch, time, hidden"),
    )
    (m, b, t, p), q, k = g.shape, last.shape[-1], y.shape[-1]
    last, y, h = alike("last", last, (m, b, t, q), g), alike("y", y, (m, b, t, k), g), alike("h", h, (m, b, k), g)
    if q > p:
        raise ValueError(f"last: has {q} outputs; expected at most {p}, the outputs of g.")
    gw = np.empty((m, p, k), g.dtype)
    _each_output(g.reshape(m, b * t, p), p - q, y, h, t, gw, 0, threads)
    if q > 0:
        _each_output(last.reshape(m, b * t, q), q, y, h, t, gw, p - q, threads)
    return gw


def _each_output(g: Array, outputs: int, x: Array, h: Array, steps: int, gw: Array, at: int, threads: int) -> None:
    """Write rows of gw from `at` on: the sums over tokens of the first outputs of g times x.

    Args:
        g: (m, n, p), and how many of its outputs.
        x: (m, n, k).
        h: (m, n / steps, k), what stands before the first x of each sequence.
        steps: of one sequence: each g then meets the x before it. 0: its own x, and h is not read.
        gw: (m, rows, k), and the row of the first output.
        threads: how many may be used.
    """
    (m, n, p), k, lanes = g.shape, x.shape[-1], lanes_of(x.itemsize)
    columns = -(-k // lanes)
    longest = max(_ROWS, min(_LONGEST, _NEAR // (columns * lanes * x.itemsize + 1)))
    flat = [array.reshape(-1) for array in (g, x, h, gw)]

    def do(part: tuple[int, int]) -> None:
        some, packed = (np.zeros(count * columns * lanes, x.dtype) for count in (_ROWS, longest))
        _outer(*flat, some, packed, m, n, steps, p, gw.shape[1], at, k, columns, longest, *part)

    together(do, pieces(outputs, _ROWS, worthwhile(threads, 2 * m * n * outputs * k // _AT_ONCE)))


def total(g: Array, threads: int = 1) -> Array:
    """Return the gradient of b where g is that of x W^T + b, (m, p): the sum over all tokens.

    Args:
        g: (m, n, p).
        threads: how many may be used.

    Raises:
        ValueError: a wrong shape or dtype.
    """
    g = numbers("g", g, "models, tokens, outputs")
    m, n, p = g.shape
    gb = np.zeros((m, p), g.dtype)

    def do(part: tuple[int, int]) -> None:
        _total(g.reshape(-1), gb.reshape(-1), np.empty(p, g.dtype), n, p, *part)

    together(do, pieces(m, 1, worthwhile(threads, g.size // _AT_ONCE)))
    return gb


@compiled
def _linear(
    x: Any, w: Any, b: Any, y: Any, s: Any, models: int, tokens: int, k: int, outputs: int, columns: int, group: int,
    first: int, last: int,
) -> None:  # fmt: skip
    lanes = s.size // (_ROWS * group)
    for m in range(models):
        for column in range(0, columns, group):
            there, done = min(group, columns - column), column * lanes
            count, of_w, of_b = (
                min(there * lanes, outputs - done),
                (m * columns + column) * k * lanes,
                m * outputs + done,
            )
            for i in range(m * tokens + first, m * tokens + last - _ROWS + 1, _ROWS):
                product(_ROWS, s, there, w, of_w, x, i * k, k, 1, k)
                for r in range(_ROWS):
                    _add(count, (s, b), (r * there * lanes, of_b), (y,), ((i + r) * outputs + done,))
            for i in range(m * tokens + last - (last - first) % _ROWS, m * tokens + last):
                product(1, s, there, w, of_w, x, i * k, k, 1, k)
                _add(count, (s, b), (0, of_b), (y,), (i * outputs + done,))


@compiled
def _outer(
    g: Any, x: Any, h: Any, gw: Any, s: Any, packed: Any, models: int, tokens: int, steps: int, outputs: int,
    all_rows: int, row: int, k: int, columns: int, longest: int, first: int, last: int,
) -> None:  # fmt: skip
    wide, back = s.size // _ROWS, min(steps, 1)
    lanes = wide // columns
    for m in range(models):
        for output in range(first, last):
            for i in range(k):
                gw[(m * all_rows + row + output) * k + i] = 0
        for start in range(0, tokens, longest):
            terms, of_tokens = min(longest, tokens - start), m * tokens + start
            for i in range(terms):
                token = of_tokens + i
                for column in range(columns):
                    at, to = column * lanes, (column * terms + i) * lanes
                    if steps > 0 and token % steps == 0:
                        copy(min(lanes, k - at), (h,), (token // steps * k + at,), (packed,), (to,))
                    else:
                        copy(min(lanes, k - at), (x,), ((token - back) * k + at,), (packed,), (to,))
            for output in range(first, last - _ROWS + 1, _ROWS):
                product(_ROWS, s, columns, packed, 0, g, of_tokens * outputs + output, 1, outputs, terms)
                for r in range(_ROWS):
                    at = (m * all_rows + row + output + r) * k
                    _add(k, (gw, s), (at, r * wide), (gw,), (at,))
            for output in range(last - (last - first) % _ROWS, last):
                product(1, s, columns, packed, 0, g, of_tokens * outputs + output, 1, outputs, terms)
                at = (m * all_rows + row + output) * k
                _add(k, (gw, s), (at, 0), (gw,), (at,))


@compiled
def _total(g: Any, gb: Any, s: Any, tokens: int, outputs: int, first: int, last: int) -> None:
    for m in range(first, last):
        for start in range(0, tokens, _LONGEST):
            s[:] = 0
            stop = min(start + _LONGEST, tokens)
            for i in range(start, stop - 3, 4):
                at = (m * tokens + i) * outputs
                rows = (0, at, at + outputs, at + 2 * outputs, at + 3 * outputs)
                _add_four(outputs, (s, g, g, g, g), rows, (s,), (0,))
            for i in range(stop - (stop - start) % 4, stop):
                _add(outputs, (s, g), (0, (m * tokens + i) * outputs), (s,), (0,))
            _add(outputs, (gb, s), (m * outputs, 0), (gb,), (m * outputs,))
