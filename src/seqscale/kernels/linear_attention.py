"""Linear attention with a decay, in chunks of tokens between which one matrix is carried; and its gradient.

    S_t = g S_{t-1} + v_t k_t^T     y_t = S_t q_t

In a chunk that starts from S, with tokens 0, 1, ... and D_ij = g^(i-j) for j <= i, else 0,

    y_i = g^(i+1) S q_i + sum_j D_ij (q_i k_j) v_j      after c tokens: g^c S + sum_j g^(c-1-j) v_j k_j^T

Source: Sun et al. 2023, arXiv:2307.08621, the chunkwise form of section 2.1. Shapes: m models, b sequences (batch times
heads), t time, e features of a key, f of a value, n = ceil(t / chunk) chunks. The gradient goes through the chunks
backwards, from the states before them, (m, b, n, e, f), which alone are kept beside the arguments.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from seqscale.kernels.blocks import run
from seqscale.kernels.checks import Array, alike, chunk_of, columns_of, leading
from seqscale.kernels.compiling import compiled
from seqscale.kernels.instructions import transpose
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
    times,
)


def linear_attention(
    q: Array, k: Array, v: Array, g: Array, s: Array, chunk: int = CHUNK, threads: int = 1
) -> tuple[Array, Array]:
    """Return what is read at each step, (m, b, t, f), and S after the last, (m, b, f, e).

    Args:
        q, k: (m, b, t, e), queries and keys.
        v: (m, b, t, f), values.
        g: (m, b), the decay, from 0 to 1.
        s: (m, b, f, e), S before the first step.
        chunk: tokens of one chunk.
        threads: how many may be used.

    Raises:
        ValueError: a wrong shape or dtype.
    """
    y, last, _ = _run(q, k, v, g, s, chunk, threads, keep=False)
    return y, last


def linear_attention_keeping(
    q: Array, k: Array, v: Array, g: Array, s: Array, chunk: int = CHUNK, threads: int = 1
) -> tuple[Array, Array, Array]:
    """Return what `linear_attention` does, and S^T before each chunk, (m, b, n, e, f), for the gradient."""
    return _run(q, k, v, g, s, chunk, threads, keep=True)


def _run(
    q: Array, k: Array, v: Array, g: Array, s: Array, chunk: int, threads: int, *, keep: bool
) -> tuple[Array, Array, Array]:
    q = leading("q", q, "models, batch, time, features")
    m, b, t, e = q.shape
    f, chunk = columns_of(v), chunk_of(chunk)
    k, v = alike("k", k, q.shape, q), alike("v", v, (m, b, t, f), q)
    s, g = alike("s", s, (m, b, f, e), q), alike("g", g, (m, b), q)
    y, last = np.empty_like(v), np.empty_like(s)
    states = np.empty((m, b, -(-t // chunk) if keep else 0, e, f), q.dtype)
    c, wide_e, wide_f = (filled(n, q.itemsize) for n in (chunk, e, f))
    arrays = (q, k, v, _powers(g, chunk), s, y, last, states)
    scratch = (c * wide_e, c * wide_e, wide_e * c, c * wide_f, c * c, c * wide_f, wide_e * wide_f, wide_f * wide_e)
    sizes, work = (f, chunk, wide_e, wide_f, c, int(keep)), m * b * t * (4 * e * f + chunk * (e + f))
    run(lambda rows: partial(_forward, rows), arrays, scratch, sizes, q, work=work, threads=threads)
    return y, last, states


def linear_attention_backward(
    gy: Array, g_last: Array, q: Array, k: Array, v: Array, g: Array, states: Array, chunk: int = CHUNK,
    threads: int = 1,
) -> tuple[Array, Array, Array, Array]:  # fmt: skip
    """Return the gradients of q and k, (m, b, t, e), of v, (m, b, t, f), and of the first S, (m, b, f, e).

    Args:
        gy: (m, b, t, f), the gradient of what was read.
        g_last: (m, b, f, e), that of the last S.
        q, k, v, g: as for `linear_attention`.
        states: (m, b, n, e, f), from `linear_attention_keeping`.
        chunk: the same as there.
        threads: how many may be used.

    Raises:
        ValueError: a wrong shape or dtype.
    """
    q = leading("q", q, "models, batch, time, features")
    m, b, t, e = q.shape
    f, chunk = columns_of(v), chunk_of(chunk)
    k, v, gy = alike("k", k, q.shape, q), alike("v", v, (m, b, t, f), q), alike("gy", gy, (m, b, t, f), q)
    g, g_last = alike("g", g, (m, b), q), alike("g_last", g_last, (m, b, f, e), q)
    states = alike("states", states, (m, b, -(-t // chunk), e, f), q)
    gq, gk, gv, gs = np.empty_like(q), np.empty_like(k), np.empty_like(v), np.empty_like(g_last)
    c, wide_e, wide_f = (filled(n, q.itemsize) for n in (chunk, e, f))
    arrays = (gy, g_last, q, k, v, _powers(g, chunk), states, gq, gk, gv, gs)
    scratch = (*4 * (c * wide_e,), *3 * (c * wide_f,), wide_e * c, wide_f * c, *2 * (c * c,), *4 * (wide_e * wide_f,))
    sizes, work = (f, chunk, wide_e, wide_f, c), m * b * t * (8 * e * f + chunk * (3 * e + 2 * f))
    run(lambda rows: partial(_backward, rows), arrays, scratch, sizes, q, work=work, threads=threads)
    return gq, gk, gv, gs


def _powers(g: Array, chunk: int) -> Array:
    """Return g^chunk, ..., g, 1 for each sequence, (m, b, chunk + 1)."""
    return np.power(g[..., None], np.arange(chunk, -1, -1), dtype=np.float64).astype(g.dtype)


@compiled
def _decay_pairs(p: Any, p_row: int, powers: Any, one: int, rows: int) -> None:
    """Multiply p_ij by g^(i-j) for j <= i; g^0 lies at `one`."""
    for i in range(rows):
        times(i + 1, (p, powers), (i * p_row, one - i), (p,), (i * p_row,))


@compiled
def _forward(
    rows: int, q: Any, k: Any, v: Any, powers: Any, first_s: Any, y: Any, last: Any, states: Any, qs: Any, ks: Any,
    kt: Any, vs: Any, p: Any, read: Any, z: Any, zt: Any, steps: int, e: int, f: int, chunk: int, wide_e: int,
    wide_f: int, wide_c: int, keep: int, batch: int, first: int, start: int, stop: int,
) -> None:  # fmt: skip
    chunks = (steps + chunk - 1) // chunk
    for m in range(start, stop):
        for r in range(first, first + rows):
            row = m * batch + r
            one = row * (chunk + 1) + chunk
            move(zt, 0, wide_e, first_s, row * e * f, e, f, e)
            transpose(z, wide_f, zt, wide_e, wide_f, wide_e)
            for n in range(chunks):
                token, c = row * steps + n * chunk, min(chunk, steps - n * chunk)
                if keep:
                    move(states, (row * chunks + n) * e * f, f, z, 0, wide_f, e, f)
                move(qs, 0, wide_e, q, token * e, e, c, e)
                move(ks, 0, wide_e, k, token * e, e, c, e)
                move(vs, 0, wide_f, v, token * f, f, c, f)
                transpose(kt, wide_c, ks, wide_e, wide_c, wide_e)
                clear(p, c * wide_c)
                multiply_pairs(p, wide_c, qs, wide_e, kt, wide_c, c, e)
                _decay_pairs(p, wide_c, powers, one, c)
                scale_rows(qs, qs, wide_e, powers, one - 1, -1, c)  # by g^(i+1)
                clear(read, c * wide_f)
                multiply(read, wide_f, qs, wide_e, 1, z, wide_f, c, e)
                multiply_lower(read, wide_f, p, wide_c, vs, wide_f, c)
                move(y, token * f, f, read, 0, wide_f, c, f)
                scale_rows(ks, ks, wide_e, powers, one + 1 - c, 1, c)  # by g^(c-1-i)
                times(e * wide_f, (z, powers[one - c]), (0, 0), (z,), (0,))
                multiply(z, wide_f, ks, 1, wide_e, vs, wide_f, e, c)
            transpose(zt, wide_e, z, wide_f, wide_e, wide_f)
            move(last, row * e * f, e, zt, 0, wide_e, f, e)


@compiled
def _backward(
    rows: int, gy: Any, g_last: Any, q: Any, k: Any, v: Any, powers: Any, states: Any, gq: Any, gk: Any, gv: Any,
    gs: Any, qs: Any, ks: Any, of_q: Any, of_k: Any, vs: Any, gys: Any, of_v: Any, kt: Any, vt: Any, p: Any, d: Any,
    z: Any, zt: Any, gz: Any, gzt: Any, steps: int, e: int, f: int, chunk: int, wide_e: int, wide_f: int, wide_c: int,
    batch: int, first: int, start: int, stop: int,
) -> None:  # fmt: skip
    chunks = (steps + chunk - 1) // chunk
    for m in range(start, stop):
        for r in range(first, first + rows):
            row = m * batch + r
            one = row * (chunk + 1) + chunk
            move(gzt, 0, wide_e, g_last, row * e * f, e, f, e)
            transpose(gz, wide_f, gzt, wide_e, wide_f, wide_e)
            for n in range(chunks - 1, -1, -1):
                token, c = row * steps + n * chunk, min(chunk, steps - n * chunk)
                move(qs, 0, wide_e, q, token * e, e, c, e)
                move(ks, 0, wide_e, k, token * e, e, c, e)
                move(vs, 0, wide_f, v, token * f, f, c, f)
                move(gys, 0, wide_f, gy, token * f, f, c, f)
                move(z, 0, wide_f, states, (row * chunks + n) * e * f, f, e, f)
                transpose(kt, wide_c, ks, wide_e, wide_c, wide_e)
                transpose(vt, wide_c, vs, wide_f, wide_c, wide_f)
                transpose(zt, wide_e, z, wide_f, wide_e, wide_f)
                transpose(gzt, wide_e, gz, wide_f, wide_e, wide_f)
                clear(p, c * wide_c)
                clear(d, c * wide_c)
                multiply_pairs(p, wide_c, qs, wide_e, kt, wide_c, c, e)
                multiply_pairs(d, wide_c, gys, wide_f, vt, wide_c, c, f)
                _decay_pairs(p, wide_c, powers, one, c)
                _decay_pairs(d, wide_c, powers, one, c)
                # inside the chunk
                clear(of_q, c * wide_e)
                clear(of_k, c * wide_e)
                clear(of_v, c * wide_f)
                multiply_lower(of_q, wide_e, d, wide_c, ks, wide_e, c)
                multiply_upper(of_k, wide_e, d, wide_c, qs, wide_e, c)
                multiply_upper(of_v, wide_f, p, wide_c, gys, wide_f, c)
                # from the state before it, and from the gradient of the state after it
                scale_rows(gys, gys, wide_f, powers, one - 1, -1, c)  # by g^(i+1)
                scale_rows(vs, vs, wide_f, powers, one + 1 - c, 1, c)  # by g^(c-1-i)
                scale_rows(ks, ks, wide_e, powers, one + 1 - c, 1, c)  # by g^(c-1-i)
                multiply(of_q, wide_e, gys, wide_f, 1, zt, wide_e, c, f)
                multiply(of_k, wide_e, vs, wide_f, 1, gzt, wide_e, c, f)
                multiply(of_v, wide_f, ks, wide_e, 1, gz, wide_f, c, e)
                move(gq, token * e, e, of_q, 0, wide_e, c, e)
                move(gk, token * e, e, of_k, 0, wide_e, c, e)
                move(gv, token * f, f, of_v, 0, wide_f, c, f)
                times(e * wide_f, (gz, powers[one - c]), (0, 0), (gz,), (0,))
                multiply(gz, wide_f, qs, 1, wide_e, gys, wide_f, e, c)
            transpose(gzt, wide_e, gz, wide_f, wide_e, wide_f)
            move(gs, row * e * f, e, gzt, 0, wide_e, f, e)
