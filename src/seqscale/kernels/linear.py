"""The large products around a recurrence, over all tokens at once: what the input adds, and the weights' gradients.

Shapes: m models, n tokens, k terms, p outputs. These are not left to torch, whose float32 product uses half of the
register on some processors that have 64 bytes, and whose results take a page fault each 4 KiB.
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


def outer(g: Array, x: Array, outputs: int, threads: int = 1) -> Array:
    """Return the gradient of W where g is that of x W^T, (m, outputs, k): the sum over all tokens of g times x.

    Args:
        g: (m, n, p).
        x: (m, n, k).
        outputs: how many of p, the first ones.
        threads: how many may be used.

    Raises:
        ValueError: a wrong shape or dtype.
    """
    g, x = numbers("g", g, "models, tokens, outputs"), numbers("x", x, "models, tokens, terms")
    m, n, p = g.shape
    k = x.shape[2]
    x = alike("x", x, (m, n, k), g)
    if outputs > p:
        raise ValueError(f"outputs: is {outputs}; expected at most {p}, the outputs of g.")
    gw, lanes = np.zeros((m, outputs, k), x.dtype), lanes_of(x.itemsize)
    columns = -(-k // lanes)
    longest = max(_ROWS, min(_LONGEST, _NEAR // (columns * lanes * x.itemsize + 1)))
    flat = [array.reshape(-1) for array in (g, x, gw)]

    def do(part: tuple[int, int]) -> None:
        some, packed = (np.zeros(count * columns * lanes, x.dtype) for count in (_ROWS, longest))
        _outer(*flat, some, packed, m, n, p, outputs, k, columns, longest, *part)

    together(do, pieces(outputs, _ROWS, worthwhile(threads, 2 * n * gw.size // _AT_ONCE)))
    return gw


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
    g: Any, x: Any, gw: Any, s: Any, packed: Any, models: int, tokens: int, all_outputs: int, outputs: int, k: int,
    columns: int, longest: int, first: int, last: int,
) -> None:  # fmt: skip
    wide = s.size // _ROWS
    lanes = wide // columns
    for m in range(models):
        for start in range(0, tokens, longest):
            terms, of_tokens = min(longest, tokens - start), m * tokens + start
            for i in range(terms):
                for column in range(columns):
                    at, to = column * lanes, (column * terms + i) * lanes
                    copy(min(lanes, k - at), (x,), ((of_tokens + i) * k + at,), (packed,), (to,))
            for output in range(first, last - _ROWS + 1, _ROWS):
                product(_ROWS, s, columns, packed, 0, g, of_tokens * all_outputs + output, 1, all_outputs, terms)
                for r in range(_ROWS):
                    at = (m * outputs + output + r) * k
                    _add(k, (gw, s), (at, r * wide), (gw,), (at,))
            for output in range(last - (last - first) % _ROWS, last):
                product(1, s, columns, packed, 0, g, of_tokens * all_outputs + output, 1, all_outputs, terms)
                at = (m * outputs + output) * k
                _add(k, (gw, s), (at, 0), (gw,), (at,))
