"""The program's forward pass by one compiled kernel: what the recurrence itself costs, without a framework's calls."""

from __future__ import annotations

import numpy as np

from seqscale.kata.network import Array, Network, initial_state

STRETCH = 1024  # tokens that one call of the kernel takes, so that a long pass needs no more memory than a short one


def available() -> bool:
    """Whether the kernel runs here: numba imports."""
    try:
        import seqscale.kernels.elman  # noqa: F401
    except ImportError:
        return False
    return True


def read(network: Network, inputs: Array) -> Array:
    """Return the state (hidden,) after the tokens (length, input), each step as `network.rnn_step`."""
    from seqscale.kernels.elman import elman  # numba: half a second, only where the kernel is asked for

    h = initial_state(network)[None, None]
    for start in range(0, len(inputs), STRETCH):
        added = inputs[start : start + STRETCH] @ network.w_x.T + network.bias
        h = elman(added[None, None], h, network.w_h[None])[:, :, -1]
    return np.asarray(h[0, 0])
