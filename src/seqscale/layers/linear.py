"""The linear recurrence with a full matrix, started orthogonal or as a cyclic shift."""

from __future__ import annotations

from typing import Any, final

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from seqscale.layers.base import AbstractLayer, State, hidden_units, real
from seqscale.layers.start import haar_orthogonal, normal_columns


def linear_step(b: Tensor, h: Tensor, w: Tensor) -> Tensor:
    """Return the next state of a linear recurrence.

        h_t = W h_{t-1} + b_t

    Source: White, Lee and Sompolinsky 2004, arXiv:cond-mat/0402452, there with one input. State: h, h elements. Cost:
    2 h^2 flops per token.

    Args:
        b: (b, h), what the token adds. h: (b, h). w: (h, h).
    """
    return F.linear(h, w) + b


def linear_scan(b: Tensor, h: Tensor, w: Tensor) -> Tensor:
    """Return the states after each of t tokens, in ceil(log2 t) rounds of operations on the whole sequence.

    After the round of span s each position holds the sum over the last 2s tokens; it adds W^s times the position s
    before it. The gradient is the same scan backwards in time, so only the states are kept for it.

    Source: Hillis and Steele 1986, Communications of the ACM 29(12), the sum of all prefixes. State: h, h elements.
    Cost: 2 h^2 (t L - 2^L + 1) flops for t tokens, L = ceil(log2 t), and 2 h^3 for each of L - 1 powers.

    Args:
        b: (b, t, h), what each token adds, t >= 1. h: (b, h), the state before the first. w: (h, h).
    """
    states: Tensor = _Scan.apply(b, h, w)
    return states


class _Scan(torch.autograd.Function):
    """The scan with the derivative of the recurrence, where autograd's own would keep every round."""

    generate_vmap_rule = True

    @staticmethod
    def forward(b: Tensor, h: Tensor, w: Tensor) -> Tensor:
        first = b[:, :1] + F.linear(h, w).unsqueeze(1)
        return _doubled(torch.cat((first, b[:, 1:]), dim=1), w, backwards=False)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, Tensor, Tensor], output: Tensor) -> None:
        _, h, w = inputs
        ctx.save_for_backward(output, h, w)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        states, h, w = ctx.saved_tensors
        moved = _doubled(gradients[0], w, backwards=True)  # dL/db_t = dL/dh_t
        before = torch.cat((h.unsqueeze(1), states[:, :-1]), dim=1)
        return moved, moved[:, 0] @ w, moved.flatten(0, 1).mT @ before.flatten(0, 1)


def _doubled(y: Tensor, w: Tensor, backwards: bool) -> Tensor:
    """Return for y (b, t, h) the sum over all tokens before each, moved by W a step, or after it, by W transposed."""
    power = w.double()
    for level in range((y.shape[1] - 1).bit_length()):
        if level:
            power = power @ power  # in float64, as each squaring doubles the relative error
        span, by = 2**level, power.to(y.dtype)
        if backwards:
            y = torch.cat((y[:, :-span] + y[:, span:] @ by, y[:, -span:]), dim=1)
        else:
            y = torch.cat((y[:, :span], y[:, span:] + F.linear(y[:, :-span], by)), dim=1)
    return y


@final
class LinearRecurrence(AbstractLayer):
    """Linear recurrence with a full matrix: nothing is squashed, so what a state remembers has a closed form.

        h_t = W h_{t-1} + U x_t,   y_t = the first d of the h units of h_t

    Source: White, Lee and Sompolinsky 2004, arXiv:cond-mat/0402452; cyclic: Rodan and Tino 2011, IEEE Transactions on
    Neural Networks 22(1). Both matrices are parameters; the catalogue's names say what they start from: `orthogonal`,
    `cyclic`.
    State: h, (b, h), in the parameters' dtype, h elements. Cost: 2 h (d + h) flops per token (forward) by the loop,
    2 h (d + h ceil(log2 t)) at most by the scan, and its powers of W.
    Algorithms: `reference` loops over `linear_step`; `scan` is `linear_scan`, of logarithmic depth.

    Args:
        width: d.
        algorithm: "reference" or "scan".
        w: W to start from, (h, h), h >= d.
        u: U to start from, (h, d).

    Attributes:
        hidden: h.
        w, u: the parameters.
    """

    def __init__(self, width: int, algorithm: str, w: Tensor, u: Tensor) -> None:
        super().__init__(width, algorithm)
        self.hidden = w.shape[0]
        self.w = nn.Parameter(w)
        self.u = nn.Parameter(u)

    def define(self, x_t: Tensor, state: State) -> tuple[Tensor, State]:
        """Take one token by `linear_step`."""
        (h,) = state
        h = linear_step(F.linear(x_t, self.u), h, self.w)
        return h[..., : self.width], (h,)

    def compute(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        """Map x by `linear_scan`."""
        (h,) = state
        states = linear_scan(F.linear(x, self.u), h, self.w)
        return states[..., : self.width], (states[:, -1],)

    def initial_state(self, batch: int) -> State:
        """Return zeros, (b, h)."""
        return (self.w.new_zeros(batch, self.hidden),)

    def state_elements(self, length: int) -> int:
        """Return h, whatever the length."""
        return self.hidden


def orthogonal(
    width: int, *, algorithm: str = "reference", hidden: int | None = None, radius: float = 0.95
) -> LinearRecurrence:
    """Return a linear recurrence that starts as W = rho Q, with Q orthogonal at random, and U normal over sqrt(h).

    All eigenvalues of W have magnitude rho, so a token fades by rho a step and by nothing else.

    Args:
        width: d.
        algorithm: "reference" or "scan".
        hidden: h, at least d; d when not given.
        radius: rho, above 0; from 1 on the state does not fade.
    """
    units = hidden_units(hidden, width)
    w = real("radius", radius, above=0) * haar_orthogonal(units)
    return LinearRecurrence(width, algorithm, w, normal_columns(units, width))


def cyclic(
    width: int, *, algorithm: str = "reference", hidden: int | None = None, radius: float = 0.95
) -> LinearRecurrence:
    """Return a linear recurrence that starts as a ring of N = h units, each handing rho times its value to the next.

        W e_i = rho e_{(i + 1) mod N},   U e_j = e_{floor(j N / d)}

    Feature 0 enters at unit 0. Fed with it alone, white, the units hold its last N values apart, and the value k steps
    ago can be read with R^2_k = rho^(2 m N) (1 - rho^(2 N)), m = floor(k / N): derived, the share of that value in the
    variance of its unit.

    Source: Rodan and Tino 2011, IEEE Transactions on Neural Networks 22(1), the simple cycle reservoir.

    Args:
        width: d.
        algorithm: "reference" or "scan".
        hidden: h, at least d; d when not given.
        radius: rho, above 0; from 1 on the state does not fade.
    """
    units = hidden_units(hidden, width)
    w = real("radius", radius, above=0) * torch.eye(units).roll(1, 0)
    entries = torch.arange(width) * units // width
    return LinearRecurrence(width, algorithm, w, torch.eye(units)[:, entries].contiguous())
