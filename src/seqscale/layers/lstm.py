"""Long short-term memory."""

from __future__ import annotations

from typing import final

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from seqscale.layers import fused
from seqscale.layers.base import AbstractLayer, State, hidden_units, real


def lstm_step(
    x: Tensor, h: Tensor, c: Tensor, w_x: Tensor, w_h: Tensor, b_x: Tensor, b_h: Tensor
) -> tuple[Tensor, Tensor]:
    """Return the next output h_t and memory c_t of an LSTM.

        i_t, f_t, o_t = sigmoid(W_x{i,f,o} x_t + b_x{i,f,o} + W_h{i,f,o} h_{t-1} + b_h{i,f,o})
        g_t = tanh(W_xg x_t + b_xg + W_hg h_{t-1} + b_hg)
        c_t = f_t * c_{t-1} + i_t * g_t
        h_t = o_t * tanh(c_t)

    Source: Hochreiter and Schmidhuber 1997 with the forget gate of Gers et al. 2000; written out in Graves 2013,
    arXiv:1308.0850, eqs. (7)-(11). Differs, as torch.nn.LSTM does: no peephole weights (the gates do not see c).
    State: h and c, 2 h elements. Cost: 8 h (d + h) flops per token.

    Args:
        x: (b, d). h, c: (b, h). w_x: (4h, d), rows i, f, g, o. w_h: (4h, h). b_x, b_h: (4h,).
    """
    gates = F.linear(x, w_x, b_x) + F.linear(h, w_h, b_h)
    i, f, g, o = gates.chunk(4, dim=-1)
    c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
    return torch.sigmoid(o) * torch.tanh(c), c


@final
class LSTM(AbstractLayer):
    """Long short-term memory: a memory that is added to, behind gates that see the last output.

        h_t, c_t = lstm_step(x_t, h_{t-1}, c_{t-1}),   y_t = the first d of the h units of h_t

    Source: Graves 2013, arXiv:1308.0850, eqs. (7)-(11). Differs: no peepholes, as in torch.nn.LSTM (`lstm_step` has the
    equations); no read-out matrix, so that widening the state adds the recurrence's own cost and nothing else.
    State: h and c, each (b, h), in the parameters' dtype, 2 h elements. Cost: 8 h (d + h) flops per token (forward).
    Algorithms: `library` is torch.nn.LSTM (on a CPU in float32 torch runs another kernel when no gradient is wanted);
    `reference` loops over `lstm_step`; `fused` is one compiled kernel.

    Args:
        width: d.
        algorithm: "library", "reference" or "fused".
        hidden: h, at least d; d when not given.
        forget_bias: added at the start to the bias of the forget gate f.
    """

    def __init__(
        self, width: int, *, algorithm: str = "library", hidden: int | None = None, forget_bias: float = 0.0
    ) -> None:
        super().__init__(width, algorithm)
        self.hidden = hidden_units(hidden, width)
        self.core = nn.LSTM(width, self.hidden, batch_first=True)
        b_x = self.core.all_weights[0][2]
        with torch.no_grad():
            b_x[self.hidden : 2 * self.hidden] += real("forget_bias", forget_bias)  # the rows of f

    def define(self, x_t: Tensor, state: State) -> tuple[Tensor, State]:
        """Take one token by `lstm_step`."""
        h, c = state
        h, c = lstm_step(x_t, h, c, *self.core.all_weights[0])
        return h[..., : self.width], (h, c)

    def compute(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        """Map x by torch.nn.LSTM or by one kernel."""
        h, c = state
        if self.algorithm == "fused":
            y, c = fused.lstm(x, h, c, *self.core.all_weights[0])
            return y[..., : self.width], (y[:, -1], c)
        y, (last_h, last_c) = self.core(x, (h.unsqueeze(0), c.unsqueeze(0)))
        return y[..., : self.width], (last_h.squeeze(0), last_c.squeeze(0))

    def initial_state(self, batch: int) -> State:
        """Return zeros, h and c, each (b, h)."""
        zeros = next(self.parameters()).new_zeros(batch, self.hidden)
        return zeros, zeros.clone()

    def state_elements(self, length: int) -> int:
        """Return 2 h, whatever the length."""
        return 2 * self.hidden
