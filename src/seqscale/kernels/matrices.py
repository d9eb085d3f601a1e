"""Products of matrices of a few dozen rows, each in an array of its own whose rows are whole registers.

A matrix is an array and how far two of its rows lie apart. In a product z += h W the sums are over exact numbers of
rows and terms; columns are filled up to whole registers, and what fills them up is written but never a term. Every sum
takes its terms in one order, whatever the sizes: what an element is depends on nothing but its terms.
"""

from __future__ import annotations

from typing import Any

from seqscale.kernels.compiling import compiled
from seqscale.kernels.instructions import copy, pointwise, tile
from seqscale.kernels.lanes import REGISTER_BYTES, lanes_of

CHUNK = 32  # tokens of one product, where the caller does not say: of 8, 16, 32, 48 and 64 the fastest or near it
ROWS = 8 if REGISTER_BYTES == 64 else 4  # of z under way at once

times = pointwise(lambda a, b: [a * b])
_whole, _lower, _upper = tile(), tile("lower"), tile("upper")
_solve_lower, _solve_upper = tile("solve lower"), tile("solve upper")


def filled(n: int, itemsize: int) -> int:
    """Return the columns of whole registers that hold n of them."""
    lanes = lanes_of(itemsize)
    return -(-n // lanes) * lanes


@compiled
def multiply(z: Any, z_row: int, h: Any, h_row: int, h_term: int, w: Any, w_row: int, rows: int, terms: int) -> None:
    """Add h W to z; h has its rows h_row, and its terms h_term apart, so that h^T is read where it lies."""
    columns, whole = z_row * z.itemsize // REGISTER_BYTES, rows - rows % ROWS
    for i in range(0, whole, ROWS):
        _whole(ROWS, z, i * z_row, z_row, h, i * h_row, h_row, h_term, w, w_row, columns, 0, terms, 0)
    for i in range(whole, rows):
        _whole(1, z, i * z_row, z_row, h, i * h_row, h_row, h_term, w, w_row, columns, 0, terms, 0)


@compiled
def multiply_pairs(z: Any, z_row: int, h: Any, h_row: int, w: Any, w_row: int, rows: int, terms: int) -> None:
    """Add to z the lower triangle of h W, with what registers hold beside it."""
    lanes, whole = REGISTER_BYTES // z.itemsize, rows - rows % ROWS
    for i in range(0, whole, ROWS):
        columns = (i + ROWS + lanes - 1) // lanes
        _whole(ROWS, z, i * z_row, z_row, h, i * h_row, h_row, 1, w, w_row, columns, 0, terms, 0)
    for i in range(whole, rows):
        _whole(1, z, i * z_row, z_row, h, i * h_row, h_row, 1, w, w_row, i // lanes + 1, 0, terms, 0)


@compiled
def multiply_lower(z: Any, z_row: int, h: Any, h_row: int, w: Any, w_row: int, rows: int) -> None:
    """Add tril(h) W to z; what h holds above its diagonal is not read."""
    columns, whole = z_row * z.itemsize // REGISTER_BYTES, rows - rows % ROWS
    for i in range(0, whole, ROWS):
        _lower(ROWS, z, i * z_row, z_row, h, i * h_row, h_row, 1, w, w_row, columns, 0, i, i)
    for i in range(whole, rows):
        _lower(1, z, i * z_row, z_row, h, i * h_row, h_row, 1, w, w_row, columns, 0, i, i)


@compiled
def multiply_upper(z: Any, z_row: int, h: Any, h_row: int, w: Any, w_row: int, rows: int) -> None:
    """Add tril(h)^T W to z."""
    columns, whole = z_row * z.itemsize // REGISTER_BYTES, rows - rows % ROWS
    for i in range(0, whole, ROWS):
        _upper(ROWS, z, i * z_row, z_row, h, i, 1, h_row, w, w_row, columns, i + ROWS, rows, i)
    for i in range(whole, rows):
        _upper(1, z, i * z_row, z_row, h, i, 1, h_row, w, w_row, columns, i + 1, rows, i)


@compiled
def solve_lower(z: Any, z_row: int, h: Any, h_row: int, rows: int) -> None:
    """Replace z by the solution x of x = z + tril(h, -1) x, from the first row to the last."""
    columns, whole = z_row * z.itemsize // REGISTER_BYTES, rows - rows % ROWS
    for i in range(0, whole, ROWS):
        _solve_lower(ROWS, z, i * z_row, z_row, h, i * h_row, h_row, 1, z, z_row, columns, 0, i, i)
    for i in range(whole, rows):
        _solve_lower(1, z, i * z_row, z_row, h, i * h_row, h_row, 1, z, z_row, columns, 0, i, i)


@compiled
def solve_upper(z: Any, z_row: int, h: Any, h_row: int, rows: int) -> None:
    """Replace z by the solution x of x = z + tril(h, -1)^T x, from the last row to the first."""
    columns, whole = z_row * z.itemsize // REGISTER_BYTES, rows - rows % ROWS
    for i in range(rows - 1, whole - 1, -1):
        _solve_upper(1, z, i * z_row, z_row, h, i, 1, h_row, z, z_row, columns, i + 1, rows, i)
    for i in range(whole - ROWS, -1, -ROWS):
        _solve_upper(ROWS, z, i * z_row, z_row, h, i, 1, h_row, z, z_row, columns, i + ROWS, rows, i)


@compiled
def move(z: Any, z_at: int, z_row: int, x: Any, x_at: int, x_row: int, rows: int, columns: int) -> None:
    """Copy so many rows and columns of x to z."""
    for i in range(rows):
        copy(columns, (x,), (x_at + i * x_row,), (z,), (z_at + i * z_row,))


@compiled
def scale_rows(z: Any, x: Any, row: int, by: Any, by_at: int, by_step: int, rows: int) -> None:
    """Write the rows of x, row i times by[by_at + i * by_step]; rows lie `row` apart in both."""
    for i in range(rows):
        times(row, (x, by[by_at + i * by_step]), (i * row, 0), (z,), (i * row,))


@compiled
def clear(z: Any, n: int) -> None:
    """Write n zeros."""
    for i in range(n):
        z[i] = 0
