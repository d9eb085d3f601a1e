"""The plain recurrence, tanh of a sum."""

from __future__ import annotations

from typing import final

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from seqscale.layers import fused
from seqscale.layers.base import AbstractLayer, State, hidden_units, real
from seqscale.layers.start import haar_orthogonal, normal_columns


def elman_step(x: Tensor, h: Tensor, w_x: Tensor, w_h: Tensor, b_x: Tensor, b_h: Tensor) -> Tensor:
    """Return the next state of an Elman network.

        h_t = tanh(W_x x_t + b_x + W_h h_{t-1} + b_h)

    Source: Elman 1990, Cognitive Science 14(2), figure 2 (in words); the equation with two biases is torch.nn.RNN's.
    State: h, h elements. Cost: 2 h (d + h) flops per token.

    Args:
        x: (b, d). h: (b, h). w_x: (h, d). w_h: (h, h). b_x, b_h: (h,).
    """
    return torch.tanh(F.linear(x, w_x, b_x) + F.linear(h, w_h, b_h))


@final
class Elman(AbstractLayer):
    """Elman network: each state is a tanh of the input and the state before it, so every step waits for the last.

        h_t = tanh(W_x x_t + b_x + W_h h_{t-1} + b_h),   y_t = the first d of the h units of h_t

    Source: Elman 1990, Cognitive Science 14(2), figure 2. Differs: no read-out matrix, so that widening the state adds
    the recurrence's own cost and nothing else.
    State: h, (b, h), in the parameters' dtype, h elements. Cost: 2 h (d + h) flops per token (forward).
    Algorithms: `library` is torch.nn.RNN; `reference` loops over `elman_step`; `fused` is one compiled kernel.

    Args:
        width: d.
        algorithm: "library", "reference" or "fused".
        hidden: h, at least d; d when not given.
    """

    def __init__(self, width: int, *, algorithm: str = "library", hidden: int | None = None) -> None:
        super().__init__(width, algorithm)
        self.hidden = hidden_units(hidden, width)
        self.core = nn.RNN(width, self.hidden, nonlinearity="tanh", batch_first=True)

    def define(self, x_t: Tensor, state: State) -> tuple[Tensor, State]:
        """Take one token by `elman_step`."""
        (h,) = state
        h = elman_step(x_t, h, *self.core.all_weights[0])
        return h[..., : self.width], (h,)

    def compute(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        """Map x by torch.nn.RNN or by one kernel."""
        (h,) = state
        if self.algorithm == "fused":
            y = fused.elman(x, h, *self.core.all_weights[0])
            return y[..., : self.width], (y[:, -1],)
        y, last = self.core(x, h.unsqueeze(0))
        return y[..., : self.width], (last.squeeze(0),)

    def initial_state(self, batch: int) -> State:
        """Return zeros, (b, h)."""
        return (next(self.parameters()).new_zeros(batch, self.hidden),)

    def state_elements(self, length: int) -> int:
        """Return h, whatever the length."""
        return self.hidden


def elman_orthogonal(width: int, *, algorithm: str = "library", hidden: int | None = None, gain: float = 0.95) -> Elman:
    """Return an Elman network that starts as W_h = gain * Q, with Q orthogonal at random, and no biases.

    W_x is normal over sqrt(h). Small states pass tanh unchanged and fade by the gain alone, as in the linear recurrence
    that starts the same; large ones saturate.

    Source: Henaff, Szlam and LeCun 2016, arXiv:1602.06662, orthogonal starts.

    Args:
        width: d.
        algorithm: "library", "reference" or "fused".
        hidden: h, at least d; d when not given.
        gain: above 0.
    """
    layer = Elman(width, algorithm=algorithm, hidden=hidden)
    w_x, w_h, *biases = layer.core.all_weights[0]
    with torch.no_grad():
        w_x.copy_(normal_columns(layer.hidden, width))
        w_h.copy_(real("gain", gain, above=0) * haar_orthogonal(layer.hidden))
        for bias in biases:
            bias.zero_()
    return layer
