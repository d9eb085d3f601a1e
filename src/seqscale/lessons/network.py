"""The teaching program's own network as a layer, so that the instruments can be asked about it."""

from __future__ import annotations

import torch

from seqscale.kata.constants import KataConstants
from seqscale.kata.network import build
from seqscale.layers.elman import Elman


def kata_network(width: int, *, hidden: int, seed_h: int, seed_x: int, scale_h: float, scale_x: float) -> Elman:
    """Return an Elman network with the weights of `kata.network`, which no random state changes.

    Args:
        width: numbers in a token.
        hidden, seed_h, seed_x, scale_h, scale_x: as in `KataConstants`.
    """
    network = build(
        KataConstants(
            input_size=width, hidden_size=hidden, seed_h=seed_h, seed_x=seed_x, scale_h=scale_h, scale_x=scale_x
        )
    )
    layer = Elman(width, hidden=hidden)
    w_x, w_h, b_x, b_h = layer.core.all_weights[0]
    with torch.no_grad():
        w_x.copy_(torch.from_numpy(network.w_x))
        w_h.copy_(torch.from_numpy(network.w_h))
        b_x.copy_(torch.from_numpy(network.bias))
        b_h.zero_()
    return layer
