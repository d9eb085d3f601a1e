"""A batch in blocks of rows that one kernel takes through time together, and the blocks among threads.

A row is one sequence of one model; a model is one set of weights. A block's rows share what it reads of the weights.
Threads never wait for each other: each has its own rows from the first step to the last.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from seqscale.kernels.checks import Array
from seqscale.kernels.compiling import Compiled, compiled
from seqscale.kernels.lanes import lanes_of

ROWS = (8, 4, 1)  # in one block
_WORTH_A_THREAD = 2_000_000  # floating-point operations: a thread costs some 50 us to start


def pack(w: Array) -> Array:
    """Return matrices W (m, k, n) as `instructions.product` reads them, (m, columns, k, lanes), filled with zeros."""
    models, k, n = w.shape
    lanes = lanes_of(w.itemsize)
    packed = np.zeros((models, -(-n // lanes), k, lanes), w.dtype)
    _pack(packed, w)
    return packed


def padded(packed: Array) -> int:
    """Return how many numbers a row of a product with packed matrices has, those that fill it up among them."""
    return int(packed.shape[1] * packed.shape[3])


@compiled
def _pack(packed: Any, w: Any) -> None:
    models, columns, k, lanes = packed.shape
    for m in range(models):
        for column in range(columns):
            there = min(lanes, w.shape[2] - column * lanes)
            for i in range(k):
                for lane in range(there):
                    packed[m, column, i, lane] = w[m, i, column * lanes + lane]


def run(
    kernel: Callable[[int], Compiled],
    arrays: Sequence[Array],
    scratch: Sequence[int],
    sizes: Sequence[int],
    like: Array,
    *,
    work: int,
    threads: int,
) -> None:
    """Run a kernel over all rows: kernel(rows)(*arrays, *scratch, t, h, *sizes, b, first row, first model, stop).

    Compiled code sees arrays of one dimension and whole numbers alone: numpy's slices take seconds to compile.

    Args:
        kernel: from the number of rows of a block to the compiled function.
        arrays: contiguous; it reads and writes them.
        scratch: lengths of one row of arrays for its own use; they start as zeros.
        sizes: other whole numbers for it.
        like: (m, b, t, h), for its shape: models, batch, time, hidden units.
        work: floating-point operations of it all.
        threads: how many may be used, if there is enough to do for them.
    """
    models, batch, steps, units = like.shape
    flat = [array.reshape(-1) for array in arrays]

    def do(part: Sequence[tuple[int, int, int, int]]) -> None:
        for rows, *where in part:
            own = [np.zeros(rows * length, flat[0].dtype) for length in scratch]
            kernel(rows)(*flat, *own, steps, units, *sizes, batch, *where)

    together(do, list(shares(models, batch, worthwhile(threads, work))))


def worthwhile(threads: int, work: int) -> int:
    """Return how many of so many threads so many floating-point operations are worth."""
    return max(1, min(threads, work // _WORTH_A_THREAD))


def pieces(count: int, rows: int, threads: int) -> list[tuple[int, int]]:
    """Return the first of each thread's share of a count and the one after its last, in whole blocks of rows."""
    blocks = -(-count // rows)
    parts = max(1, min(threads, blocks))
    bounds = [min(count, blocks * i // parts * rows) for i in range(parts + 1)]
    return list(pairwise(bounds))


def together(do: Callable[[Any], None], parts: Sequence[Any]) -> None:
    """Do the first part here and each other in a thread of its own; return when all are done, or raise their error."""
    others = [_Thread(do, part) for part in parts[1:]]
    for other in others:
        other.start()
    try:
        do(parts[0])
    finally:
        for other in others:
            other.join()
    for other in others:
        if other.error is not None:
            raise other.error


def shares(models: int, batch: int, threads: int) -> Iterator[list[tuple[int, int, int, int]]]:
    """Yield what each thread does: blocks of (rows, first row, first model, model after the last), none twice."""
    by_model = models >= threads
    pieces = max(1, threads if by_model else min(threads, batch))
    for i in range(pieces):
        start, stop = (models * i // pieces, models * (i + 1) // pieces) if by_model else (0, models)
        first, last = (0, batch) if by_model else (batch * i // pieces, batch * (i + 1) // pieces)
        blocks = []
        while first < last:
            rows = next(rows for rows in ROWS if rows <= last - first)
            blocks.append((rows, first, start, stop))
            first += rows
        yield blocks


class _Thread(threading.Thread):
    """A thread whose error is not lost."""

    def __init__(self, do: Callable[[Any], None], part: Any) -> None:
        super().__init__()
        self._do, self._part = do, part
        self.error: BaseException | None = None

    def run(self) -> None:
        """Do the part."""
        try:
            self._do(self._part)
        except BaseException as error:
            self.error = error
