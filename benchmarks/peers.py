"""The fused kernels and what else computes the same in this process: torch.nn, a numpy loop, mambapy, the layer's scan.

Each problem is its arrays, by name, and calls by mode and peer: "forward" gives the outputs, "both" the outputs and the
gradients of all arrays but `gy`, the gradient of the outputs, in the order of the arrays. Outputs are (b, t, h).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import torch
from mambapy.pscan import pscan
from torch import Tensor, nn

from benchmarks.rounds import Call
from seqscale.layers import fused
from seqscale.layers.diagonal import diagonal_scan

Arrays = dict[str, np.ndarray]
Calls = Mapping[str, Mapping[str, Call]]  # mode -> peer -> call

CELLS: Mapping[str, tuple[type[nn.RNNBase], int]] = {"elman": (nn.RNN, 1), "gru": (nn.GRU, 3), "lstm": (nn.LSTM, 4)}


def nonlinear_arrays(cell: str, shape: Sequence[int]) -> Arrays:
    """Return inputs (b, t, i), weights and biases as torch.nn draws them, and the gradient of the outputs.

    Args:
        cell: of CELLS.
        shape: batch, inputs, hidden units, time.
    """
    batch, inputs, units, length = shape
    rng, rows, bound = np.random.default_rng(0), CELLS[cell][1] * units, units**-0.5
    sizes = {"w_x": (rows, inputs), "w_h": (rows, units), "b_x": (rows,), "b_h": (rows,)}
    drawn = {name: rng.uniform(-bound, bound, size) for name, size in sizes.items()}
    found = {"x": rng.standard_normal((batch, length, inputs)), **drawn}
    found["gy"] = rng.standard_normal((batch, length, units))
    return {name: array.astype(np.float32) for name, array in found.items()}


def nonlinear(cell: str, arrays: Arrays) -> Calls:
    """Return the calls of a cell: "fused", "torch.nn" and, forward alone, "numpy"."""
    gy, *leaves = tensors(arrays, "gy", "x", "w_x", "w_h", "b_x", "b_h")
    x, *weights = leaves
    module = CELLS[cell][0](x.shape[-1], gy.shape[-1], batch_first=True)
    with torch.no_grad():
        for parameter, weight in zip(module.parameters(), weights, strict=True):
            parameter.copy_(weight)
    state = [torch.zeros(len(x), gy.shape[-1]) for _ in range(2 if cell == "lstm" else 1)]

    def ours() -> Tensor:
        found = getattr(fused, cell)(x, *state, *weights)
        return found[0] if isinstance(found, tuple) else found

    ways = {"fused": (ours, leaves), "torch.nn": (lambda: module(x)[0], (x, *module.parameters()))}
    calls = by_mode(ways, gy)
    calls["forward"]["numpy"] = lambda: (_LOOPS[cell](arrays),)
    return calls


def diagonal_arrays(shape: Sequence[int]) -> Arrays:
    """Return coefficients (h,), what each token adds (b, t, h), and the gradient of the outputs.

    Args:
        shape: batch, time, hidden units.
    """
    rng = np.random.default_rng(0)
    found = {"a": rng.random(shape[-1]), "b": rng.standard_normal(shape), "gy": rng.standard_normal(shape)}
    return {name: array.astype(np.float32) for name, array in found.items()}


def diagonal(arrays: Arrays) -> Calls:
    """Return the calls of h = a * h + b from zeros: "fused", "layer scan" and "pscan".

    mambapy's pscan takes a and b of (batch, time, channels, states), a for every token. Units are its states here:
    as channels, of one state each, they took it some 10 % longer.
    """
    gy, a, b = tensors(arrays, "gy", "a", "b")
    h = torch.zeros_like(b[:, 0])
    ways = {
        "fused": (lambda: fused.diagonal(a, b, h), (a, b)),
        "layer scan": (lambda: diagonal_scan(b, h, -torch.log(a)), (a, b)),
        "pscan": (lambda: pscan(a.expand(b.shape).unsqueeze(2), b.unsqueeze(2)).squeeze(2), (a, b)),
    }
    return by_mode(ways, gy)


def apart(found: Sequence[np.ndarray], wanted: Sequence[np.ndarray]) -> float:
    """Return the greatest difference of two peers' arrays, each as a share of the greatest number wanted in it."""
    # numpy's maximum keeps NaN, which Python's drops
    return float(np.max([np.abs(f - w).max() / np.abs(w).max() for f, w in zip(found, wanted, strict=True)]))


def outputs(call: Call) -> list[np.ndarray]:
    """Return what a call gives, as arrays."""
    return [np.asarray(value) if isinstance(value, np.ndarray) else value.detach().numpy() for value in call()]


def tensors(arrays: Arrays, gradient: str, *leaves: str) -> list[Tensor]:
    """Return the gradient of the outputs, and the leaves, whose gradients can be asked for."""
    return [torch.from_numpy(arrays[gradient]), *(torch.tensor(arrays[n], requires_grad=True) for n in leaves)]


def by_mode(
    ways: Mapping[str, tuple[Callable[[], Tensor], Sequence[Tensor]]], gy: Tensor
) -> dict[str, dict[str, Call]]:
    """Return calls by mode and name from functions and their leaves."""

    def forward(run: Callable[[], Tensor]) -> Call:
        return torch.no_grad()(lambda: (run(),))

    def both(run: Callable[[], Tensor], leaves: Sequence[Tensor]) -> Call:
        def call() -> tuple[Tensor, ...]:
            y = run()
            return (y, *torch.autograd.grad(y, leaves, gy))

        return call

    return {
        "forward": {name: forward(run) for name, (run, _) in ways.items()},
        "both": {name: both(run, leaves) for name, (run, leaves) in ways.items()},
    }


# -- numpy, one step of a batch after another --------------------------------------------------------------------------


def _sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


def _elman(x: np.ndarray, w_x: np.ndarray, w_h: np.ndarray, b_x: np.ndarray, b_h: np.ndarray) -> np.ndarray:
    a, w = x @ w_x.T + (b_x + b_h), w_h.T
    y = np.empty((*x.shape[:2], w.shape[0]), x.dtype)
    h = np.zeros_like(y[:, 0])
    for t in range(x.shape[1]):
        h = y[:, t] = np.tanh(a[:, t] + h @ w)
    return y


def _gru(x: np.ndarray, w_x: np.ndarray, w_h: np.ndarray, b_x: np.ndarray, b_h: np.ndarray) -> np.ndarray:
    a, w, units = x @ w_x.T + b_x, w_h.T, w_h.shape[1]
    y = np.empty((*x.shape[:2], units), x.dtype)
    h = np.zeros_like(y[:, 0])
    for t in range(x.shape[1]):
        p, a_t = h @ w + b_h, a[:, t]
        gates = _sigmoid(a_t[:, : 2 * units] + p[:, : 2 * units])
        r, z = gates[:, :units], gates[:, units:]
        n = np.tanh(a_t[:, 2 * units :] + r * p[:, 2 * units :])
        h = y[:, t] = n + z * (h - n)
    return y


def _lstm(x: np.ndarray, w_x: np.ndarray, w_h: np.ndarray, b_x: np.ndarray, b_h: np.ndarray) -> np.ndarray:
    a, w, units = x @ w_x.T + (b_x + b_h), w_h.T, w_h.shape[1]
    y = np.empty((*x.shape[:2], units), x.dtype)
    h = c = np.zeros_like(y[:, 0])
    for t in range(x.shape[1]):
        p = a[:, t] + h @ w
        i, f, g, o = (p[:, k * units : (k + 1) * units] for k in range(4))
        c = _sigmoid(f) * c + _sigmoid(i) * np.tanh(g)
        h = y[:, t] = _sigmoid(o) * np.tanh(c)
    return y


_LOOPS: Mapping[str, Callable[[Arrays], np.ndarray]] = {
    name: lambda arrays, loop=loop: loop(**{leaf: array for leaf, array in arrays.items() if leaf != "gy"})
    for name, loop in {"elman": _elman, "gru": _gru, "lstm": _lstm}.items()
}
