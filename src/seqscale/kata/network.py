"""The program's recurrent network, tokens and similarity, in float64 and as the program defines them."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from seqscale.kata.constants import KataConstants

Array = NDArray[np.float64]

RANK_FLOOR = 1e-6  # a singular value below this share of the largest is rounding inside the sine


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Network:
    """w_h (hidden, hidden), w_x (hidden, input), bias (hidden): h' = tanh(w_h h + w_x x + bias)."""

    w_h: Array
    w_x: Array
    bias: Array


def init_matrix(rows: int, cols: int, scale: float, seed: int) -> Array:
    """Return the (rows, cols) matrix whose k-th entry, row by row, is scale * sin(1.618 * (k + 100 * seed))."""
    index = np.arange(rows * cols, dtype=np.float64).reshape(rows, cols)
    return np.asarray(np.sin((index + 100.0 * seed) * 1.618) * scale)


def build(constants: KataConstants) -> Network:
    """Return the network of these constants; its bias is zero."""
    hidden = constants.hidden_size
    return Network(
        w_h=init_matrix(hidden, hidden, constants.scale_h, constants.seed_h),
        w_x=init_matrix(hidden, constants.input_size, constants.scale_x, constants.seed_x),
        bias=np.zeros(hidden),
    )


def rnn_step(network: Network, h: Array, x: Array) -> Array:
    """Return the next state (hidden,) from state `h` (hidden,) and input `x` (input,)."""
    return np.asarray(np.tanh(network.bias + network.w_h @ h + network.w_x @ x))


def initial_state(network: Network) -> Array:
    """Return the state before the first token: zeros (hidden,)."""
    return np.zeros_like(network.bias)


def wave(length: int, input_size: int) -> Array:
    """Return the timing section's input (length, input): 0.5 * sin(0.7 k), k counting all numbers from the start."""
    index = np.arange(length * input_size, dtype=np.float64).reshape(length, input_size)
    return np.asarray(np.sin(index * 0.7) * 0.5)


def tokens(count: int, input_size: int) -> Array:
    """Return the information sections' tokens (count, input), each of length 1.

    Token t has 1 at place t and 0.5 at place t + 1, both modulo the input size: so token t equals token t + input size.
    """
    vectors = np.zeros((count, input_size))
    rows = np.arange(count)
    vectors[rows, rows % input_size] = 1.0
    vectors[rows, (rows + 1) % input_size] = 0.5
    return np.asarray(vectors / np.sqrt((vectors * vectors).sum(axis=1, keepdims=True)))


def cosine(a: Array, b: Array) -> float:
    """Return the program's similarity: a product over the components that both have, over both whole norms.

    A state of 16 against a token of 8 uses the state's first 8 components and the norm of all 16. Equal vectors give
    equal bits (no blocked sum), so that ties between repeated tokens stay ties. A norm up to 1e-10 gives 0.
    """
    shared = min(len(a), len(b))
    norm_a, norm_b = math.sqrt(math.fsum(a * a)), math.sqrt(math.fsum(b * b))
    if norm_a <= 1e-10 or norm_b <= 1e-10:
        return 0.0
    return math.fsum(a[:shared] * b[:shared]) / (norm_a * norm_b)


@dataclass(frozen=True, slots=True, kw_only=True)
class Spectrum:
    """What the recurrent matrix can carry on: its numerical rank, its size, its largest |eigenvalue|."""

    rank: int
    size: int
    radius: float


def spectrum(network: Network) -> Spectrum:
    """Return rank (singular values above 1e-6 of the largest) and spectral radius of w_h."""
    singular = np.linalg.svd(network.w_h, compute_uv=False)
    rank = int((singular > RANK_FLOOR * singular[0]).sum())
    radius = float(np.abs(np.linalg.eigvals(network.w_h)).max())
    return Spectrum(rank=rank, size=len(network.w_h), radius=radius)
