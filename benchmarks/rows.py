"""What is measured: the calls of one recurrence and one mode, and this machine's ceilings, in the same rounds."""

from __future__ import annotations

from collections.abc import Mapping

import torch

from benchmarks import limits, peers
from benchmarks.jax_child import Jax
from benchmarks.matrices import matrix_arrays, matrix_calls
from benchmarks.peers import Arrays
from benchmarks.rounds import Call, Timer, interleaved, timer
from benchmarks.selective import selective_arrays, selective_calls
from benchmarks.targets import DIAGONAL, MATRICES, SELECTIVE, Row, Shape

APART = 1e-3  # no peer may be further off: a mistake shows as far more, rounding over thousands of steps as less

# reads and writes of an array of b's size over those of one copy: b, y; with the gradient y and gy read, gb written
_COPIES = {"forward": 1.0, "both": 2.5}


def nonlinear(cell: str, shape: Shape, mode: str, wanted: int, jax: Jax | None) -> Row:
    """Measure a cell against torch.nn, jax.lax.scan and, forward, a numpy loop.

    Ceilings: "products", as many floating-point operations in products of large matrices (with the gradient three times
    as many as forward); for batch 1 also "read", the recurrent weights read once a step (with the gradient twice).
    """
    arrays = peers.nonlinear_arrays(cell, shape)
    batch, _, _, length = shape
    passes = {"forward": 1, "both": 3}[mode]
    tops = {"products": limits.products(passes * 2 * batch * length * (arrays["w_x"].size + arrays["w_h"].size))}
    if batch == 1:
        tops["read"] = limits.reading(arrays["w_h"].nbytes, {"forward": 1, "both": 2}[mode] * length)
    return _row(cell, shape, mode, peers.nonlinear(cell, arrays)[mode], {"lax.scan": cell}, arrays, tops, wanted, jax)


def linear(name: str, mode: str, wanted: int, jax: Jax | None) -> Row:
    """Measure a linear recurrence: "diagonal", "selective", "linear-attention" or "delta"."""
    if name == "diagonal":
        return _diagonal(mode, wanted, jax)
    if name == "selective":
        shape, arrays = SELECTIVE, selective_arrays(SELECTIVE)
        calls = selective_calls(arrays)
    else:
        shape, arrays = MATRICES, matrix_arrays(name, MATRICES)
        calls = matrix_calls(name, arrays)
    return _row(name, shape, mode, calls[mode], {"lax.scan": name}, arrays, {}, wanted, jax)


def _diagonal(mode: str, wanted: int, jax: Jax | None) -> Row:
    """Measure the diagonal recurrence against scans, and a copy of as many bytes as it must move."""
    arrays = peers.diagonal_arrays(DIAGONAL)
    tops = {"copy": limits.copying(torch.from_numpy(arrays["b"]), _COPIES[mode])}
    names = {"lax.scan": "diagonal", "associative_scan": "associative"}
    return _row("diagonal", DIAGONAL, mode, peers.diagonal(arrays)[mode], names, arrays, tops, wanted, jax)


def _row(
    name: str, shape: Shape, mode: str, calls: Mapping[str, Call], in_jax: Mapping[str, str], arrays: Arrays,
    tops: Mapping[str, Timer], wanted: int, jax: Jax | None,
) -> Row:  # fmt: skip
    """Measure calls and jax's functions, by the name of their peer, once all agree."""
    own = peers.outputs(calls["fused"])
    apart = {peer: peers.apart(peers.outputs(call), own) for peer, call in calls.items()}
    timers = {peer: timer(call) for peer, call in calls.items()}
    if jax is not None:
        jax.load(arrays)
        for peer, function in in_jax.items():
            apart[peer] = peers.apart(jax.outputs(function, mode), own)
            timers[peer] = jax.timer(function, mode)
    if not all(off <= APART for off in apart.values()):  # NaN is not
        raise AssertionError(f"{name} {shape}, {mode}: not the same as the fused kernel: {apart}")
    found = interleaved({**timers, **tops}, wanted)
    over = {other: found.ratio(other, "fused") for other in (*timers, *tops) if other != "fused"}
    return Row(
        name=name,
        shape=shape,
        mode=mode,
        rounds=found.count,
        seconds=found.median("fused"),
        ratios={peer: ratio for peer, ratio in over.items() if peer in timers},
        shares={top: share for top, share in over.items() if top in tops},
        apart=max(apart.values()),
    )
