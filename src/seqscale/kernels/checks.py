"""What kernels ask of their arguments; an error names the argument, what was given and what was expected."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
DTYPES = (np.float32, np.float64)


def leading(name: str, array: Array, words: str) -> Array:
    """Return the argument that says how large all others must be, contiguous; ValueError where it takes no step."""
    array = numbers(name, array, words)
    if array.shape[2] == 0:
        raise ValueError(f"{name}: has shape {array.shape}; expected ({words}) with at least one step of time.")
    return array


def numbers(name: str, array: Array, words: str) -> Array:
    """Return an argument, contiguous.

    Args:
        name: of the argument.
        array: what was given.
        words: its dimensions, as "models, batch, time, hidden".

    Raises:
        ValueError: it is not float32 or float64, or has another number of dimensions.
    """
    if array.dtype not in DTYPES:
        raise ValueError(f"{name}: has dtype {array.dtype}; expected float32 or float64.")
    if array.ndim != len(words.split(", ")):
        raise ValueError(f"{name}: has shape {array.shape}; expected ({words}).")
    return np.ascontiguousarray(array)


def columns_of(array: Array) -> int:
    """Return the last dimension, 0 where there is none: `alike` then says what was expected."""
    return int(array.shape[-1]) if array.ndim else 0


def chunk_of(chunk: int) -> int:
    """Return how many tokens a chunk has; ValueError unless it has some."""
    if chunk < 1:
        raise ValueError(f"chunk: is {chunk}; expected a whole number >= 1.")
    return chunk


def alike(name: str, array: Array, shape: Sequence[int], like: Array) -> Array:
    """Return an argument, contiguous; ValueError unless it has that shape, and the dtype of `like`."""
    if array.shape != tuple(shape):
        raise ValueError(f"{name}: has shape {array.shape}; expected {tuple(shape)}.")
    if array.dtype != like.dtype:
        raise ValueError(f"{name}: has dtype {array.dtype}; expected {like.dtype}.")
    return np.ascontiguousarray(array)


def units_of(name: str, array: Array, gates: int) -> int:
    """Return h of an argument whose last dimension is gates * h; ValueError where it is not."""
    if array.shape[-1] % gates:
        raise ValueError(f"{name}: has shape {array.shape}; expected a last dimension of {gates} times the units.")
    return int(array.shape[-1] // gates)
