"""The diagonal linear recurrence, h_t = a_t * h_{t-1} + b_t, for real and for complex numbers, and its gradient.

Shapes: m models, b batch, t time, h hidden units. Coefficients may be shared: a is (m, b or 1, t or 1, h). Complex
numbers are two arrays, of their real and of their imaginary parts.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np

from seqscale.kernels.blocks import run
from seqscale.kernels.checks import Array, alike, leading
from seqscale.kernels.compiling import Compiled, compiled
from seqscale.kernels.instructions import copy, pointwise
from seqscale.kernels.lanes import Lanes

Pair = tuple[Array, Array]  # real and imaginary parts


def diagonal(a: Array, b: Array, h: Array, threads: int = 1) -> Array:
    """Return the states after each step, (m, b, t, h).

    Args:
        a: (m, b or 1, t or 1, h), the coefficients.
        b: (m, b, t, h), what each step adds.
        h: (m, b, h), the state before the first.
        threads: how many may be used.

    Raises:
        ValueError: a wrong shape or dtype.
    """
    (y,) = _forward(_real, ("",), (a,), (b,), (h,), threads)
    return y


def diagonal_complex(
    a_re: Array, a_im: Array, b_re: Array, b_im: Array, h_re: Array, h_im: Array, threads: int = 1
) -> Pair:
    """Return the states after each step, as `diagonal` does, for complex numbers."""
    re, im = _forward(_complex, ("_re", "_im"), (a_re, a_im), (b_re, b_im), (h_re, h_im), threads)
    return re, im


def diagonal_backward(gy: Array, y: Array, a: Array, h: Array, threads: int = 1) -> tuple[Array, Array, Array]:
    """Return the gradients of a, (m, b, t or 1, h), of b, (m, b, t, h), and of the first state, (m, b, h).

    Where sequences share their coefficients, their gradient is the sum over the batch of what is returned.

    Args:
        gy: (m, b, t, h), the gradient of the states.
        y: (m, b, t, h), the states.
        a: (m, b or 1, t or 1, h), the coefficients.
        h: (m, b, h), the state before the first step.
        threads: how many may be used.

    Raises:
        ValueError: a wrong shape or dtype.
    """
    ga, gb, gh = _backward(_real_back, ("",), (gy,), (y,), (a,), (h,), threads)
    return ga, gb, gh


def diagonal_complex_backward(
    gy_re: Array, gy_im: Array, y_re: Array, y_im: Array, a_re: Array, a_im: Array, h_re: Array, h_im: Array,
    threads: int = 1,
) -> tuple[Array, Array, Array, Array, Array, Array]:  # fmt: skip
    """Return real and imaginary parts of the gradients that `diagonal_backward` returns."""
    gradients = _backward(
        _complex_back, ("_re", "_im"), (gy_re, gy_im), (y_re, y_im), (a_re, a_im), (h_re, h_im), threads
    )
    ga_re, ga_im, gb_re, gb_im, gh_re, gh_im = gradients
    return ga_re, ga_im, gb_re, gb_im, gh_re, gh_im


def _forward(
    kernel: Compiled, ends: Sequence[str], a: Sequence[Array], b: Sequence[Array], h: Sequence[Array], threads: int
) -> list[Array]:
    first = leading(f"b{ends[0]}", b[0], "models, batch, time, hidden")
    m, batch, _, units = first.shape
    b = [first, *(alike(f"b{end}", part, first.shape, first) for end, part in zip(ends[1:], b[1:], strict=True))]
    h = [alike(f"h{end}", part, (m, batch, units), first) for end, part in zip(ends, h, strict=True)]
    a, apart = _coefficients(ends, a, first)
    y = [np.empty_like(first) for _ in b]
    _run(kernel, (*a, *b, *h, *y), first, len(b), apart, threads)
    return y


def _backward(
    kernel: Compiled, ends: Sequence[str], gy: Sequence[Array], y: Sequence[Array], a: Sequence[Array],
    h: Sequence[Array], threads: int,
) -> list[Array]:  # fmt: skip
    first = leading(f"y{ends[0]}", y[0], "models, batch, time, hidden")
    m, batch, _, units = first.shape
    y = [first, *(alike(f"y{end}", part, first.shape, first) for end, part in zip(ends[1:], y[1:], strict=True))]
    gy = [alike(f"gy{end}", part, first.shape, first) for end, part in zip(ends, gy, strict=True)]
    h = [alike(f"h{end}", part, (m, batch, units), first) for end, part in zip(ends, h, strict=True)]
    a, apart = _coefficients(ends, a, first)
    ga = [np.zeros((m, batch, a[0].shape[2], units), first.dtype) for _ in a]
    gb, gh = [np.empty_like(first) for _ in y], [np.empty_like(part) for part in h]
    _run(kernel, (*gy, *y, *a, *h, *ga, *gb, *gh), first, len(y), apart, threads)
    return [*ga, *gb, *gh]


def _run(
    kernel: Compiled, arrays: Sequence[Array], like: Array, parts: int, apart: Sequence[int], threads: int
) -> None:
    scratch = (like.shape[3],) * parts
    # of a complex step forwards; others have fewer or more, but memory, not arithmetic, bounds them all
    run(lambda rows: partial(kernel, rows), arrays, scratch, apart, like, work=8 * like.size, threads=threads)


def _coefficients(ends: Sequence[str], a: Sequence[Array], like: Array) -> tuple[list[Array], tuple[int, int, int]]:
    """Return the coefficients, and how far those of two models, two sequences and two steps lie apart."""
    m, batch, t, units = like.shape
    given = a[0].shape[1:3] if a[0].ndim == 4 else (1, 1)
    shape = tuple(1 if n == 1 else full for n, full in zip(given, (batch, t), strict=True))
    a = [alike(f"a{end}", part, (m, *shape, units), like) for end, part in zip(ends, a, strict=True)]
    per_row = shape[1] * units
    return a, (shape[0] * per_row, per_row if shape[0] > 1 else 0, units if shape[1] > 1 else 0)


_step = pointwise(lambda a, b, h: [a * h + b] * 2)


@pointwise
def _step_complex(a_re: Lanes, a_im: Lanes, b_re: Lanes, b_im: Lanes, h_re: Lanes, h_im: Lanes) -> Sequence[Lanes]:
    re, im = a_re * h_re - a_im * h_im + b_re, a_re * h_im + a_im * h_re + b_im
    return re, im, re, im


@pointwise
def _step_back(gy: Lanes, carried: Lanes, a: Lanes, before: Lanes, ga: Lanes) -> Sequence[Lanes]:
    g = gy + carried
    return g, a * g, ga + g * before


@pointwise
def _step_complex_back(
    gy_re: Lanes, gy_im: Lanes, c_re: Lanes, c_im: Lanes, a_re: Lanes, a_im: Lanes, h_re: Lanes, h_im: Lanes,
    ga_re: Lanes, ga_im: Lanes,
) -> Sequence[Lanes]:  # fmt: skip
    """What multiplies by a forwards multiplies by its conjugate backwards."""
    re, im = gy_re + c_re, gy_im + c_im
    back_re, back_im = a_re * re + a_im * im, a_re * im - a_im * re
    return re, im, back_re, back_im, ga_re + re * h_re + im * h_im, ga_im + im * h_re - re * h_im


@compiled
def _real(
    rows: int, a: Any, b: Any, first_h: Any, y: Any, h: Any, steps: int, units: int, by_model: int, by_row: int,
    by_step: int, batch: int, first: int, start: int, stop: int,
) -> None:  # fmt: skip
    for m in range(start, stop):
        for r in range(first, first + rows):
            row = m * batch + r
            copy(units, (first_h,), (row * units,), (h,), (0,))
            for i in range(steps):
                at = (row * steps + i) * units
                _step(units, (a, b, h), (m * by_model + r * by_row + i * by_step, at, 0), (y, h), (at, 0))


@compiled
def _complex(
    rows: int, a_re: Any, a_im: Any, b_re: Any, b_im: Any, first_re: Any, first_im: Any, y_re: Any, y_im: Any,
    h_re: Any, h_im: Any, steps: int, units: int, by_model: int, by_row: int, by_step: int, batch: int, first: int,
    start: int, stop: int,
) -> None:  # fmt: skip
    for m in range(start, stop):
        for r in range(first, first + rows):
            row = m * batch + r
            copy(units, (first_re, first_im), (row * units, row * units), (h_re, h_im), (0, 0))
            for i in range(steps):
                at, of_a = (row * steps + i) * units, m * by_model + r * by_row + i * by_step
                _step_complex(
                    units,
                    (a_re, a_im, b_re, b_im, h_re, h_im),
                    (of_a, of_a, at, at, 0, 0),
                    (y_re, y_im, h_re, h_im),
                    (at, at, 0, 0),
                )


@compiled
def _real_back(
    rows: int, gy: Any, y: Any, a: Any, first_h: Any, ga: Any, gb: Any, gh: Any, carried: Any, steps: int, units: int,
    by_model: int, by_row: int, by_step: int, batch: int, first: int, start: int, stop: int,
) -> None:  # fmt: skip
    for m in range(start, stop):
        for r in range(first, first + rows):
            row = m * batch + r
            for j in range(units):
                carried[j] = 0
            for i in range(steps - 1, -1, -1):
                at, of_a = (row * steps + i) * units, m * by_model + r * by_row + i * by_step
                of_ga = at if by_step else row * units
                before, of_before = y, at - units
                if i == 0:
                    before, of_before = first_h, row * units
                _step_back(
                    units,
                    (gy, carried, a, before, ga),
                    (at, 0, of_a, of_before, of_ga),
                    (gb, carried, ga),
                    (at, 0, of_ga),
                )
            copy(units, (carried,), (0,), (gh,), (row * units,))


@compiled
def _complex_back(
    rows: int, gy_re: Any, gy_im: Any, y_re: Any, y_im: Any, a_re: Any, a_im: Any, first_re: Any, first_im: Any,
    ga_re: Any, ga_im: Any, gb_re: Any, gb_im: Any, gh_re: Any, gh_im: Any, c_re: Any, c_im: Any, steps: int,
    units: int, by_model: int, by_row: int, by_step: int, batch: int, first: int, start: int, stop: int,
) -> None:  # fmt: skip
    for m in range(start, stop):
        for r in range(first, first + rows):
            row = m * batch + r
            for j in range(units):
                c_re[j] = 0
                c_im[j] = 0
            for i in range(steps - 1, -1, -1):
                at, of_a = (row * steps + i) * units, m * by_model + r * by_row + i * by_step
                of_ga = at if by_step else row * units
                before_re, before_im, of_h = y_re, y_im, at - units
                if i == 0:
                    before_re, before_im, of_h = first_re, first_im, row * units
                _step_complex_back(
                    units,
                    (gy_re, gy_im, c_re, c_im, a_re, a_im, before_re, before_im, ga_re, ga_im),
                    (at, at, 0, 0, of_a, of_a, of_h, of_h, of_ga, of_ga),
                    (gb_re, gb_im, c_re, c_im, ga_re, ga_im),
                    (at, at, 0, 0, of_ga, of_ga),
                )
            copy(units, (c_re, c_im), (0, 0), (gh_re, gh_im), (row * units, row * units))
