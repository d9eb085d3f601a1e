"""The delta rule, in chunks of tokens between which one matrix is carried; and its gradient.

    S_t = S_{t-1} + u_t k_t^T     u_t = -beta_t r_t     r_t = S_{t-1} k_t - v_t     y_t = S_t q_t

r is how far what a key held is off what it shall hold. In a chunk that starts from S,

    r_i = S k_i - v_i + sum_{j<i} (k_i k_j) u_j         solved for r row by row, by substitution
    y_i = S q_i + sum_{j<=i} (q_i k_j) u_j              S after it: S + sum_j u_j k_j^T

Source: Yang et al. 2024, arXiv:2406.06484, section 3 (there for all chunks at once, which takes one more solve).
Shapes: m models, b sequences (batch times heads), t time, e features of a key, f of a value, n = ceil(t / chunk)
chunks. The gradient goes through the chunks backwards; beside the arguments but v it is given r, (m, b, t, f), and the
states before the chunks, (m, b, n, e, f).
"""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from seqscale.kernels.blocks import run
from seqscale.kernels.checks import Array, alike, chunk_of, columns_of, leading
from seqscale.kernels.compiling import compiled
from seqscale.kernels.instructions import pointwise, transpose
from seqscale.kernels.matrices import (
    CHUNK,
    clear,
    filled,
    move,
    multiply,
    multiply_lower,
    multiply_pairs,
    multiply_upper,
    scale_rows,
    solve_lower,
    solve_upper,
    times,
)

_minus = pointwise(lambda a: [a * -1.0])


def delta(
    q: Array, k: Array, v: Array, beta: Array, s: Array, chunk: int = CHUNK, threads: int = 1
) -> tuple[Array, Array]:
    """Return what is read at each step, (m, b, t, f), and S after the last, (m, b, f, e).

    Args:
        q, k: (m, b, t, e), queries and keys.
        v: (m, b, t, f), values.
        beta: (m, b, t), shares.
        s: (m, b, f, e), S before the first step.
        chunk: tokens of one chunk.
        threads: how many may be used.

    Raises:
        ValueError: a wrong shape or dtype.
    """
    y, last, _, _ = _run(q, k, v, beta, s, chunk, threads, keep=False)
    return y, last


def delta_keeping(
    q: Array, k: Array, v: Array, beta: Array, s: Array, chunk: int = CHUNK, threads: int = 1
) -> tuple[Array, Array, Array, Array]:
    """Return what `delta` does, and for the gradient r, (m, b, t, f), and S^T before each chunk, (m, b, n, e, f)."""
    return _run(q, k, v, beta, s, chunk, threads, keep=True)


def _run(
    q: Array, k: Array, v: Array, beta: Array, s: Array, chunk: int, threads: int, *, keep: bool
) -> tuple[Array, Array, Array, Array]:
    q = leading("q", q, "models, batch, time, features")
    m, b, t, e = q.shape
    f, chunk = columns_of(v), chunk_of(chunk)
    k, v = alike("k", k, q.shape, q), alike("v", v, (m, b, t, f), q)
    beta, s = alike("beta", beta, (m, b, t), q), alike("s", s, (m, b, f, e), q)
    y, last = np.empty_like(v), np.empty_like(s)
    off = np.empty((m, b, t if keep else 0, f), q.dtype)
    states = np.empty((m, b, -(-t // chunk) if keep else 0, e, f), q.dtype)
    c, wide_e, wide_f = (filled(n, q.itemsize) for n in (chunk, e, f))
    arrays = (q, k, v, beta, s, y, last, off, states)
    scratch = (*2 * (c * wide_e,), wide_e * c, *2 * (c * wide_f,), *2 * (c * c,), c, *2 * (wide_e * wide_f,))
    sizes, work = (f, chunk, wide_e, wide_f, c, int(keep)), m * b * t * (6 * e * f + 2 * chunk * (e + f))
    run(lambda rows: partial(_forward, rows), arrays, scratch, sizes, q, work=work, threads=threads)
    return y, last, off, states


def delta_backward(
    gy: Array, g_last: Array, q: Array, k: Array, beta: Array, off: Array, states: Array, chunk: int = CHUNK,
    threads: int = 1,
) -> tuple[Array, Array, Array, Array, Array]:  # fmt: skip
    """Return the gradients of q and k, (m, b, t, e), of v, (m, b, t, f), of beta, (m, b, t), and of S, (m, b, f, e).

    A chunk's tokens are subtracted from what S had at its start. With keys of one number (e = 1) all of them erase the
    same one, and what is left is a small difference of large numbers: in float32 the gradient of S was then off by up
    to 5e-5 of its largest element in chunks of 33 (25 draws of 40 tokens); from e = 2 on by up to 2e-6.

    Args:
        gy: (m, b, t, f), the gradient of what was read.
        g_last: (m, b, f, e), that of the last S.
        q, k, beta: as for `delta`.
        off: (m, b, t, f), r from `delta_keeping`.
        states: (m, b, n, e, f), from there too.
        chunk: the same as there.
        threads: how many may be used.

    Raises:
        ValueError: a wrong shape or dtype.
    """
    q = leading("q", q, "models, batch, time, features")
    m, b, t, e = q.shape
    f, chunk = columns_of(off), chunk_of(chunk)
    k, beta = alike("k", k, q.shape, q), alike("beta", beta, (m, b, t), q)
    gy, off = alike("gy", gy, (m, b, t, f), q), alike("off", off, (m, b, t, f), q)
    g_last = alike("g_last", g_last, (m, b, f, e), q)
    states = alike("states", states, (m, b, -(-t // chunk), e, f), q)
    gq, gk, gv = np.empty_like(q), np.empty_like(k), np.empty_like(off)
    g_beta, gs = np.empty_like(beta), np.empty_like(g_last)
    c, wide_e, wide_f, one = (filled(n, q.itemsize) for n in (chunk, e, f, 1))
    ones = np.ones(f * one, q.dtype)
    arrays = (gy, g_last, q, k, beta, off, states, ones, gq, gk, gv, g_beta, gs)
    scratch = (
        *(*4 * (c * wide_e,), wide_e * c, *4 * (c * wide_f,), wide_f * c),
        *(*4 * (c * c,), c * one, c, *4 * (wide_e * wide_f,)),
    )
    sizes, work = (f, chunk, wide_e, wide_f, c, one), m * b * t * (12 * e * f + 5 * chunk * (e + f))
    run(lambda rows: partial(_backward, rows), arrays, scratch, sizes, q, work=work, threads=threads)
    return gq, gk, gv, g_beta, gs


@compiled
def _forward(
    rows: int, q: Any, k: Any, v: Any, beta: Any, first_s: Any, y: Any, last: Any, off: Any, states: Any, qs: Any,
    ks: Any, kt: Any, u: Any, read: Any, p: Any, d: Any, share: Any, z: Any, zt: Any, steps: int, e: int, f: int,
    chunk: int, wide_e: int, wide_f: int, wide_c: int, keep: int, batch: int, first: int, start: int, stop: int,
) -> None:  # fmt: skip
    chunks = (steps + chunk - 1) // chunk
    for m in range(start, stop):
        for r in range(first, first + rows):
            row = m * batch + r
            move(zt, 0, wide_e, first_s, row * e * f, e, f, e)
            transpose(z, wide_f, zt, wide_e, wide_f, wide_e)
            for n in range(chunks):
                token, c = row * steps + n * chunk, min(chunk, steps - n * chunk)
                move(qs, 0, wide_e, q, token * e, e, c, e)
                move(ks, 0, wide_e, k, token * e, e, c, e)
                transpose(kt, wide_c, ks, wide_e, wide_c, wide_e)
                _minus(c, (beta,), (token,), (share,), (0,))
                # r
                clear(d, c * wide_c)
                multiply_pairs(d, wide_c, ks, wide_e, kt, wide_c, c, e)
                for i in range(c):
                    times(i, (d, share), (i * wide_c, 0), (d,), (i * wide_c,))
                    _minus(f, (v,), ((token + i) * f,), (u,), (i * wide_f,))
                multiply(u, wide_f, ks, wide_e, 1, z, wide_f, c, e)
                solve_lower(u, wide_f, d, wide_c, c)
                if keep:
                    move(off, token * f, f, u, 0, wide_f, c, f)
                    move(states, (row * chunks + n) * e * f, f, z, 0, wide_f, e, f)
                scale_rows(u, u, wide_f, share, 0, 1, c)
                # y
                clear(p, c * wide_c)
                multiply_pairs(p, wide_c, qs, wide_e, kt, wide_c, c, e)
                clear(read, c * wide_f)
                multiply(read, wide_f, qs, wide_e, 1, z, wide_f, c, e)
                multiply_lower(read, wide_f, p, wide_c, u, wide_f, c)
                move(y, token * f, f, read, 0, wide_f, c, f)
                multiply(z, wide_f, ks, 1, wide_e, u, wide_f, e, c)
            transpose(zt, wide_e, z, wide_f, wide_e, wide_f)
            move(last, row * e * f, e, zt, 0, wide_e, f, e)


@compiled
def _backward(
    rows: int, gy: Any, g_last: Any, q: Any, k: Any, beta: Any, off: Any, states: Any, ones: Any, gq: Any, gk: Any,
    gv: Any, g_beta: Any, gs: Any, qs: Any, ks: Any, of_q: Any, of_k: Any, kt: Any, gys: Any, rs: Any, u: Any, gu: Any,
    ut: Any, p: Any, d: Any, of_p: Any, of_d: Any, sums: Any, share: Any, z: Any, zt: Any, gz: Any, gzt: Any,
    steps: int, e: int, f: int, chunk: int, wide_e: int, wide_f: int, wide_c: int, wide_one: int, batch: int,
    first: int, start: int, stop: int,
) -> None:  # fmt: skip
    chunks = (steps + chunk - 1) // chunk
    for m in range(start, stop):
        for r in range(first, first + rows):
            row = m * batch + r
            move(gzt, 0, wide_e, g_last, row * e * f, e, f, e)
            transpose(gz, wide_f, gzt, wide_e, wide_f, wide_e)
            for n in range(chunks - 1, -1, -1):
                token, c = row * steps + n * chunk, min(chunk, steps - n * chunk)
                move(qs, 0, wide_e, q, token * e, e, c, e)
                move(ks, 0, wide_e, k, token * e, e, c, e)
                move(gys, 0, wide_f, gy, token * f, f, c, f)
                move(rs, 0, wide_f, off, token * f, f, c, f)
                move(z, 0, wide_f, states, (row * chunks + n) * e * f, f, e, f)
                _minus(c, (beta,), (token,), (share,), (0,))
                scale_rows(u, rs, wide_f, share, 0, 1, c)
                transpose(kt, wide_c, ks, wide_e, wide_c, wide_e)
                transpose(ut, wide_c, u, wide_f, wide_c, wide_f)
                transpose(zt, wide_e, z, wide_f, wide_e, wide_f)
                transpose(gzt, wide_e, gz, wide_f, wide_e, wide_f)
                # of u: what reads it, the state after it, and the rows after it, through r
                clear(p, c * wide_c)
                clear(d, c * wide_c)
                multiply_pairs(p, wide_c, qs, wide_e, kt, wide_c, c, e)
                multiply_pairs(d, wide_c, ks, wide_e, kt, wide_c, c, e)
                scale_rows(d, d, wide_c, share, 0, 1, c)
                clear(gu, c * wide_f)
                multiply_upper(gu, wide_f, p, wide_c, gys, wide_f, c)
                multiply(gu, wide_f, ks, wide_e, 1, gz, wide_f, c, e)
                solve_upper(gu, wide_f, d, wide_c, c)
                # of beta, -u r; then of r, and -v
                times(c * wide_f, (rs, gu), (0, 0), (rs,), (0,))
                clear(sums, c * wide_one)
                multiply(sums, wide_one, rs, wide_f, 1, ones, wide_one, c, f)
                scale_rows(gu, gu, wide_f, share, 0, 1, c)
                for i in range(c):
                    g_beta[token + i] = -sums[i * wide_one]
                    _minus(f, (gu,), (i * wide_f,), (gv,), ((token + i) * f,))
                # of q_i k_j and of k_i k_j
                clear(of_p, c * wide_c)
                clear(of_d, c * wide_c)
                multiply_pairs(of_p, wide_c, gys, wide_f, ut, wide_c, c, f)
                multiply_pairs(of_d, wide_c, gu, wide_f, ut, wide_c, c, f)
                for i in range(c):
                    of_d[i * wide_c + i] = 0
                clear(of_q, c * wide_e)
                multiply_lower(of_q, wide_e, of_p, wide_c, ks, wide_e, c)
                multiply(of_q, wide_e, gys, wide_f, 1, zt, wide_e, c, f)
                clear(of_k, c * wide_e)
                multiply_upper(of_k, wide_e, of_p, wide_c, qs, wide_e, c)
                multiply_lower(of_k, wide_e, of_d, wide_c, ks, wide_e, c)
                multiply_upper(of_k, wide_e, of_d, wide_c, ks, wide_e, c)
                multiply(of_k, wide_e, gu, wide_f, 1, zt, wide_e, c, f)
                multiply(of_k, wide_e, u, wide_f, 1, gzt, wide_e, c, f)
                move(gq, token * e, e, of_q, 0, wide_e, c, e)
                move(gk, token * e, e, of_k, 0, wide_e, c, e)
                multiply(gz, wide_f, ks, 1, wide_e, gu, wide_f, e, c)
                multiply(gz, wide_f, qs, 1, wide_e, gys, wide_f, e, c)
            transpose(gzt, wide_e, gz, wide_f, wide_e, wide_f)
            move(gs, row * e * f, e, gzt, 0, wide_e, f, e)
