"""The selective scan: our kernel, mambapy's parallel scan and transformers' loop, as `peers` has other recurrences.

All start from zeros.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from mambapy.pscan import pscan
from torch import Tensor
from transformers.models.mamba.modeling_mamba import mamba_selective_scan

from benchmarks.peers import Arrays, Calls, by_mode, tensors
from seqscale.layers import fused


def selective_arrays(shape: Sequence[int]) -> Arrays:
    """Return what the selective scan is given, drawn as a trained layer has it: small steps, decaying states.

    Args:
        shape: batch, time, channels, states.
    """
    batch, length, channels, states = shape
    rng = np.random.default_rng(0)
    found = {
        "x": rng.standard_normal((batch, length, channels)),
        "delta": rng.uniform(1e-3, 0.1, (batch, length, channels)),
        "a": -np.tile(np.arange(1.0, states + 1), (channels, 1)),
        "b_t": rng.standard_normal((batch, length, states)),
        "c_t": rng.standard_normal((batch, length, states)),
        "gy": rng.standard_normal((batch, length, channels)),
    }
    return {name: array.astype(np.float32) for name, array in found.items()}


def selective_calls(arrays: Arrays) -> Calls:
    """Return the calls: "fused", "mambapy" and, forward alone, "transformers".

    Its loop has no gradient here: for each token autograd writes one of the states of all tokens, and a call did not
    end within 150 s.
    """
    gy, *leaves = tensors(arrays, "gy", "x", "delta", "a", "b_t", "c_t")
    h = torch.zeros(len(gy), *arrays["a"].shape)
    ways = {
        "fused": (lambda: fused.selective(*leaves, h)[0], leaves),
        "mambapy": (lambda: mambapy(*leaves), leaves),
        "transformers": (lambda: transformers(*leaves), leaves),
    }
    calls = by_mode(ways, gy)
    del calls["both"]["transformers"]
    return calls


def mambapy(x: Tensor, delta: Tensor, a: Tensor, b: Tensor, c: Tensor) -> Tensor:
    """Return the outputs as mambapy's MambaBlock.selective_scan computes them, without its skip D x."""
    states = pscan(torch.exp(delta.unsqueeze(-1) * a), delta.unsqueeze(-1) * b.unsqueeze(2) * x.unsqueeze(-1))
    y: Tensor = (states @ c.unsqueeze(-1)).squeeze(3)
    return y


def transformers(x: Tensor, delta: Tensor, a: Tensor, b: Tensor, c: Tensor) -> Tensor:
    """Return the outputs of transformers' loop over tokens, which has channels before time."""
    y: Tensor = mamba_selective_scan(x.mT, delta.mT, a, b.mT, c.mT)
    return y.mT
