"""Recurrences whose state is a matrix: our kernel and the layer's chunks in torch, as `peers` has other recurrences.

Both take chunks of as many tokens. All start from zeros.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from benchmarks.jax_peer import DECAY
from benchmarks.peers import Arrays, Calls, by_mode, tensors
from seqscale.layers import fused
from seqscale.layers.deltanet import delta_chunked
from seqscale.layers.linear_attention import linear_attention_chunked


def matrix_arrays(name: str, shape: Sequence[int]) -> Arrays:
    """Return queries, keys of length 1, values, for the delta rule its shares, and the gradient of what is read.

    Args:
        name: "linear-attention", whose decay is DECAY, or "delta".
        shape: sequences (batch times heads), time, features.
    """
    rng = np.random.default_rng(0)
    q, k, v, gy = (rng.standard_normal(shape) for _ in range(4))
    found = {"q": q, "k": k / np.linalg.norm(k, axis=-1, keepdims=True), "v": v}
    if name == "delta":
        found["beta"] = rng.random(shape[:2])
    return {part: array.astype(np.float32) for part, array in (found | {"gy": gy}).items()}


def matrix_calls(name: str, arrays: Arrays) -> Calls:
    """Return the calls: "fused" and "chunked"."""
    gy, *leaves = tensors(arrays, "gy", *(part for part in arrays if part != "gy"))
    s = torch.zeros(len(gy), 1, gy.shape[-1], gy.shape[-1])

    def ours() -> Tensor:
        heads = [leaf.unsqueeze(1) for leaf in leaves]
        read, _ = fused.delta(*heads, s) if name == "delta" else fused.linear_attention(*heads, s, DECAY)
        return read.squeeze(1)

    def chunked() -> Tensor:
        heads = [leaf.unsqueeze(1) for leaf in leaves]
        read, _ = delta_chunked(*heads, s) if name == "delta" else linear_attention_chunked(*heads, s, DECAY)
        return read.squeeze(1)

    return by_mode({"fused": (ours, leaves), "chunked": (chunked, leaves)}, gy)
