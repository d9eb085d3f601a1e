"""The gated recurrent unit."""

from __future__ import annotations

from typing import final

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from seqscale.layers import fused
from seqscale.layers.base import AbstractLayer, State, hidden_units, real


def gru_step(x: Tensor, h: Tensor, w_x: Tensor, w_h: Tensor, b_x: Tensor, b_h: Tensor) -> Tensor:
    """Return the next state of a gated recurrent unit.

        r_t = sigmoid(W_xr x_t + b_xr + W_hr h_{t-1} + b_hr)
        z_t = sigmoid(W_xz x_t + b_xz + W_hz h_{t-1} + b_hz)
        n_t = tanh(W_xn x_t + b_xn + r_t * (W_hn h_{t-1} + b_hn))
        h_t = (1 - z_t) * n_t + z_t * h_{t-1}

    Source: Cho et al. 2014, arXiv:1406.1078, eqs. (5)-(8). Differs, as torch.nn.GRU does: the reset gate r_t multiplies
    the product W_hn h_{t-1} + b_hn, where the paper's eq. (8) multiplies the state before the product.
    State: h, h elements. Cost: 6 h (d + h) flops per token.

    Args:
        x: (b, d). h: (b, h). w_x: (3h, d), rows r, z, n. w_h: (3h, h). b_x, b_h: (3h,).
    """
    x_r, x_z, x_n = F.linear(x, w_x, b_x).chunk(3, dim=-1)
    h_r, h_z, h_n = F.linear(h, w_h, b_h).chunk(3, dim=-1)
    r = torch.sigmoid(x_r + h_r)
    z = torch.sigmoid(x_z + h_z)
    n = torch.tanh(x_n + r * h_n)
    return (1 - z) * n + z * h


@final
class GRU(AbstractLayer):
    """Gated recurrent unit: gates computed from the state say how much of it to keep.

        h_t = gru_step(x_t, h_{t-1}),   y_t = the first d of the h units of h_t

    Source: Cho et al. 2014, arXiv:1406.1078, eqs. (5)-(8). Differs: the reset gate acts after the matrix product, as in
    torch.nn.GRU (`gru_step` has the equations); no read-out matrix, so that widening the state adds the recurrence's
    own cost and nothing else.
    State: h, (b, h), in the parameters' dtype, h elements. Cost: 6 h (d + h) flops per token (forward).
    Algorithms: `library` is torch.nn.GRU; `reference` loops over `gru_step`; `fused` is one compiled kernel.

    Args:
        width: d.
        algorithm: "library", "reference" or "fused".
        hidden: h, at least d; d when not given.
        forget_bias: added at the start to the bias of the update gate z, which multiplies the state.
    """

    def __init__(
        self, width: int, *, algorithm: str = "library", hidden: int | None = None, forget_bias: float = 0.0
    ) -> None:
        super().__init__(width, algorithm)
        self.hidden = hidden_units(hidden, width)
        self.core = nn.GRU(width, self.hidden, batch_first=True)
        b_x = self.core.all_weights[0][2]
        with torch.no_grad():
            b_x[self.hidden : 2 * self.hidden] += real("forget_bias", forget_bias)  # the rows of z

    def define(self, x_t: Tensor, state: State) -> tuple[Tensor, State]:
        """Take one token by `gru_step`."""
        (h,) = state
        h = gru_step(x_t, h, *self.core.all_weights[0])
        return h[..., : self.width], (h,)

    def compute(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        """Map x by torch.nn.GRU or by one kernel."""
        (h,) = state
        if self.algorithm == "fused":
            y = fused.gru(x, h, *self.core.all_weights[0])
            return y[..., : self.width], (y[:, -1],)
        y, last = self.core(x, h.unsqueeze(0))
        return y[..., : self.width], (last.squeeze(0),)

    def initial_state(self, batch: int) -> State:
        """Return zeros, (b, h)."""
        return (next(self.parameters()).new_zeros(batch, self.hidden),)

    def state_elements(self, length: int) -> int:
        """Return h, whatever the length."""
        return self.hidden
