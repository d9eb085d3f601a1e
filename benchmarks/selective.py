"""How fast the selective scan's kernel is: against mambapy's parallel scan and transformers' loop, on a CPU.

    python -m benchmarks.recurrences --only selective

The kernel is called with numpy's arrays, its
peers with torch's tensors. Before a pass is timed, its calls are compared: outputs, and the gradients of all arguments.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from mambapy.pscan import pscan
from torch import Tensor
from transformers.models.mamba.modeling_mamba import mamba_selective_scan

from benchmarks.rounds import Call
from seqscale.kernels.selective import selective, selective_backward, selective_keeping

SHAPE = (2, 2048, 256, 16)  # batch, tokens, channels, states of a channel
CLOSE = 1e-4  # of the greatest; the peers add up in float32 in an order of their own


def mambapy(x: Tensor, delta: Tensor, a: Tensor, b: Tensor, c: Tensor) -> Tensor:
    """Return the outputs as mambapy's MambaBlock.selective_scan computes them, without its skip D x."""
    states = pscan(torch.exp(delta.unsqueeze(-1) * a), delta.unsqueeze(-1) * b.unsqueeze(2) * x.unsqueeze(-1))
    y: Tensor = (states @ c.unsqueeze(-1)).squeeze(3)
    return y


def transformers(x: Tensor, delta: Tensor, a: Tensor, b: Tensor, c: Tensor) -> Tensor:
    """Return the outputs of transformers' loop over tokens, which has channels before time."""
    y: Tensor = mamba_selective_scan(x.mT, delta.mT, a, b.mT, c.mT)
    return y.mT


def calls() -> Mapping[str, Mapping[str, Call]]:
    """Return by "forward" and "both" the calls to be timed, which agree; the latter gives all gradients too."""
    batch, length, width, states = SHAPE
    rng = np.random.default_rng(0)
    of_x, of_b = (batch, length, width), (batch, length, states)
    x, delta, b, c, gy = (rng.standard_normal(s).astype(np.float32) for s in (of_x, of_x, of_b, of_b, of_x))
    delta = 0.1 * np.abs(delta)
    a = -np.tile(np.arange(1, states + 1, dtype=np.float32), (width, 1))  # where Mamba starts
    leaves = [torch.tensor(part).requires_grad_() for part in (x, delta, a, b, c)]
    one = [part[None] for part in (x, delta, a, b, c)]
    h = np.zeros((1, batch, width, states), np.float32)

    def ours() -> list[np.ndarray]:
        return [selective(*one, h, torch.get_num_threads())[0][0]]

    def ours_both() -> list[np.ndarray]:
        threads = torch.get_num_threads()
        y, _, kept = selective_keeping(*one, h, threads)
        return [y[0], *(part[0] for part in selective_backward(gy[None], h, kept, *one, threads)[:-1])]

    def forward(peer: Call) -> Call:
        return torch.no_grad()(lambda: [peer(*leaves)])

    def both(peer: Call) -> Call:
        def call() -> list[Tensor]:
            y = peer(*leaves)
            return [y.detach(), *torch.autograd.grad(y, leaves, torch.tensor(gy))]

        return call

    # not the gradient of transformers' loop: for each token it writes the gradient of all of them, minutes a call
    found = {
        "forward": {"fused": ours, "mambapy": forward(mambapy), "transformers": forward(transformers)},
        "both": {"fused": ours_both, "mambapy": both(mambapy)},
    }
    for of_pass in found.values():
        compare(of_pass)
    return found


def compare(of_pass: Mapping[str, Call]) -> None:
    """Raise ValueError unless all calls return the same numbers."""
    wanted = of_pass["fused"]()
    for name, call in of_pass.items():
        for place, (found, own) in enumerate(zip(call(), wanted, strict=True)):
            off = float(np.abs(np.asarray(found) - own).max() / np.abs(own).max())
            if not off <= CLOSE:
                raise ValueError(f"{name}: result {place} differs by {off:.1e} of the greatest.")
