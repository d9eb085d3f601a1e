"""The real diagonal linear recurrence, whose scan over time costs little more than its loop."""

from __future__ import annotations

from typing import Any, final

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from seqscale.layers import fused
from seqscale.layers.base import AbstractLayer, State, hidden_units

SLOWEST, FASTEST = 0.999, 0.9  # the decays a that units start from lie between these


def diagonal_input(x: Tensor, w: Tensor, rate: Tensor) -> Tensor:
    """Return what each token adds to the state, b_t = sqrt(1 - a^2) * (W x_t) with a = exp(-rate).

    The factor keeps the variance of the state at that of W x_t, for inputs without correlation in time.

    Args:
        x: (..., d). w: (h, d). rate: (h,), positive.
    """
    # expm1, as 1 - a^2 has lost its digits where a is close to 1
    return torch.sqrt(-torch.expm1(-2 * rate)) * F.linear(x, w)


def diagonal_step(b: Tensor, h: Tensor, rate: Tensor) -> Tensor:
    """Return the next state of a diagonal linear recurrence.

        h_t = a * h_{t-1} + b_t,   a = exp(-rate)

    Source: Orvieto et al. 2023, arXiv:2303.06349 (there with complex a). State: h, h elements. Cost: 2 h flops per
    token.

    Args:
        b: (b, h), what the token adds. h: (b, h). rate: (h,), positive.
    """
    return torch.exp(-rate) * h + b


def diagonal_scan(b: Tensor, h: Tensor, rate: Tensor) -> Tensor:
    """Return the states after each of t tokens, in ceil(log2 t) rounds of operations on the whole sequence.

    After the round of span s each position holds the sum over the last 2s tokens; it adds a^s times the position s
    before it. Nothing is divided, so a decay that underflows is harmless. The gradient is the same scan backwards in
    time, so only the states are kept for it, not one sequence per round.

    Source: Hillis & Steele 1986, Communications of the ACM 29(12), the sum of all prefixes. State: h, h elements. Cost:
    2 h (t L - 2^L + 1) flops for t tokens, L = ceil(log2 t).

    Args:
        b: (b, t, h), what each token adds, t >= 1. h: (b, h), the state before the first. rate: (h,), positive.
    """
    states: Tensor = _Scan.apply(b, h, rate)
    return states


class _Scan(torch.autograd.Function):
    """The scan with the derivative of the recurrence, where autograd's own would keep every round."""

    generate_vmap_rule = True

    @staticmethod
    def forward(b: Tensor, h: Tensor, rate: Tensor) -> Tensor:
        first = b[:, :1] + (torch.exp(-rate) * h).unsqueeze(1)
        return _doubled(torch.cat((first, b[:, 1:]), dim=1), rate, backwards=False)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, Tensor, Tensor], output: Tensor) -> None:
        _, h, rate = inputs
        ctx.save_for_backward(output, h, rate)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        states, h, rate = ctx.saved_tensors
        moved = _doubled(gradients[0], rate, backwards=True)  # dL/db_t = dL/dh_t
        a = torch.exp(-rate)
        # da/drate = -a; each token multiplied the state before it by a
        met = (moved[:, 1:] * states[:, :-1]).sum((0, 1)) + (moved[:, 0] * h).sum(0)
        return moved, a * moved[:, 0], -a * met


def _doubled(y: Tensor, rate: Tensor, backwards: bool) -> Tensor:
    """Return for y (b, t, h) the sum over all tokens before each, or after it, each decayed by its distance."""
    span = 1
    while span < y.shape[1]:
        # the power from its logarithm: squaring a again and again would double its rounding error each time
        decay = torch.exp(-span * rate)
        if backwards:
            y = torch.cat((y[:, :-span] + decay * y[:, span:], y[:, -span:]), dim=1)
        else:
            y = torch.cat((y[:, :span], y[:, span:] + decay * y[:, :-span]), dim=1)
        span *= 2
    return y


@final
class Diagonal(AbstractLayer):
    """Diagonal linear recurrence: each unit decays at its own fixed rate, so all steps can be taken at once.

        h_t = a * h_{t-1} + sqrt(1 - a^2) * (W x_t),   a = exp(-exp(nu)),   y_t = the first d of the h units of h_t

    Source: the Linear Recurrent Unit of Orvieto et al. 2023, arXiv:2303.06349. Differs: a is real, not complex, and is
    its own normalisation at all times, where the paper's is a parameter that starts there; no read-out matrix, as in
    the other recurrences here.
    State: h, (b, h), in the parameters' dtype, h elements; bfloat16 rounds decays above 0.998 to 1. Cost: 2 h (d + 1)
    flops per token (forward) by the loop, 2 h (d + ceil(log2 t)) at most by the scan.
    Algorithms: `reference` loops over `diagonal_step`; `scan` is `diagonal_scan`, of logarithmic depth;
    `fused` is one compiled kernel.

    Args:
        width: d.
        algorithm: "reference", "scan" or "fused".
        hidden: h, at least d; d when not given.
    """

    def __init__(self, width: int, *, algorithm: str = "reference", hidden: int | None = None) -> None:
        super().__init__(width, algorithm)
        self.hidden = hidden_units(hidden, width)
        self.in_projection = nn.Linear(width, self.hidden, bias=False)
        a_squared = torch.empty(self.hidden).uniform_(FASTEST**2, SLOWEST**2)  # as on a ring, uniform in area
        self.nu = nn.Parameter(torch.log(-0.5 * torch.log(a_squared)))

    def define(self, x_t: Tensor, state: State) -> tuple[Tensor, State]:
        """Take one token by `diagonal_step`."""
        (h,) = state
        rate = torch.exp(self.nu)
        h = diagonal_step(diagonal_input(x_t, self.in_projection.weight, rate), h, rate)
        return h[..., : self.width], (h,)

    def compute(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        """Map x by `diagonal_scan` or by one kernel."""
        (h,) = state
        rate = torch.exp(self.nu)
        b = diagonal_input(x, self.in_projection.weight, rate)
        states = fused.diagonal(torch.exp(-rate), b, h) if self.algorithm == "fused" else diagonal_scan(b, h, rate)
        return states[..., : self.width], (states[:, -1],)

    def initial_state(self, batch: int) -> State:
        """Return zeros, (b, h)."""
        return (next(self.parameters()).new_zeros(batch, self.hidden),)

    def state_elements(self, length: int) -> int:
        """Return h, whatever the length."""
        return self.hidden
