"""The selective state space layer: a diagonal recurrence whose decays and inputs depend on the token."""

from __future__ import annotations

import math
from typing import Any, final

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from seqscale.layers import fused
from seqscale.layers.base import AbstractLayer, State, accumulator, whole

Terms = tuple[Tensor, Tensor, Tensor, Tensor, Tensor]  # x, delta, A, B and C

STATES = 16  # of a channel, unless given
PER_RANK = 16  # channels to one number of the projection that the steps' sizes go through
SMALLEST, LARGEST = 0.001, 0.1  # the sizes of a step that channels start from lie between these


def selective_step(x: Tensor, delta: Tensor, a: Tensor, b: Tensor, c: Tensor, h: Tensor) -> tuple[Tensor, Tensor]:
    """Return what one token reads, and the next state.

        h_t[d, n] = exp(delta_t[d] A[d, n]) h_{t-1}[d, n] + delta_t[d] B_t[n] x_t[d],   y_t[d] = sum_n C_t[n] h_t[d, n]

    Source: Gu and Dao 2023, arXiv:2312.00752, section 3.2, algorithm 2. State: h, d n elements. Cost: 7 d n + d flops
    per token.

    Args:
        x, delta: (b, d), delta positive. a: (d, n), negative. b, c: (b, n). h: (b, d, n).
    """
    decay, added = selective_terms(x, delta, a, b)
    h = decay * h + added
    return (h @ c.unsqueeze(-1)).squeeze(-1), h


def selective_terms(x: Tensor, delta: Tensor, a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    """Return by what each token multiplies the state, and what it adds to it, each (..., d, n).

    Args:
        x, delta: (..., d). a: (d, n). b: (..., n).
    """
    return torch.exp(delta.unsqueeze(-1) * a), (delta * x).unsqueeze(-1) * b.unsqueeze(-2)


def varying_scan(decay: Tensor, added: Tensor, h: Tensor) -> Tensor:
    """Return the states h_t = decay_t h_{t-1} + added_t after each of t tokens, in ceil(log2 t) rounds over all tokens.

    After the round of span s each position holds the sum over the last 2s tokens, and the product of their decays.
    The gradient is the same scan backwards in time, so only states and decays are kept for it.

    Source: Hillis & Steele 1986, Communications of the ACM 29(12), the sum of all prefixes; with the product of decays,
    Blelloch 1990, CMU-CS-90-190, section 1.4. State: n elements. Cost: 3 n (t L - 2^L + 1) flops at most for t tokens,
    L = ceil(log2 t).

    Args:
        decay, added: (b, t, ...), t >= 1. h: (b, ...), the state before the first.
    """
    states: Tensor = _Scan.apply(decay, added, h)
    return states


class _Scan(torch.autograd.Function):
    """The scan with the derivative of the recurrence, where autograd's own would keep every round."""

    generate_vmap_rule = True

    @staticmethod
    def forward(decay: Tensor, added: Tensor, h: Tensor) -> Tensor:
        first = added[:, :1] + decay[:, :1] * h.unsqueeze(1)
        return _doubled(torch.cat((first, added[:, 1:]), dim=1), decay, backwards=False)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, Tensor, Tensor], output: Tensor) -> None:
        decay, _, h = inputs
        ctx.save_for_backward(output, decay, h)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        states, decay, h = ctx.saved_tensors
        # a token's gradient reaches the token before it through its own decay; the first one's reaches h
        moved = _doubled(gradients[0], torch.cat((decay[:, 1:], decay[:, :1]), dim=1), backwards=True)
        before = torch.cat((h.unsqueeze(1), states[:, :-1]), dim=1)
        return moved * before, moved, decay[:, 0] * moved[:, 0]


def _doubled(y: Tensor, decay: Tensor, backwards: bool) -> Tensor:
    """Return for y (b, t, ...) the sum over all tokens before each, or after it, each by the decays that lie between.

    Args:
        y: what each token has.
        decay: what it multiplies the sum up to the token before it by; backwards, that of those after it.
        backwards: the order of time.
    """
    span, t = 1, y.shape[1]
    while span < t:
        near, far = (slice(-span), slice(span, None)) if backwards else (slice(span, None), slice(-span))
        rest = slice(-span, None) if backwards else slice(span)
        parts = (y[:, near] + decay[:, near] * y[:, far], y[:, rest])
        products = (decay[:, near] * decay[:, far], decay[:, rest])
        y = torch.cat(parts if backwards else parts[::-1], dim=1)
        decay = torch.cat(products if backwards else products[::-1], dim=1)
        span *= 2
    return y


def selective_scan(x: Tensor, delta: Tensor, a: Tensor, b: Tensor, c: Tensor, h: Tensor) -> tuple[Tensor, Tensor]:
    """Return what t tokens read, (b, t, d), and the last state, by `varying_scan`.

    Args:
        x, delta: (b, t, d), delta positive. a: (d, n), negative. b, c: (b, t, n). h: (b, d, n), before the first.
    """
    states = varying_scan(*selective_terms(x, delta, a, b), h)
    return (states @ c.unsqueeze(-1)).squeeze(-1), states[:, -1]


@final
class Selective(AbstractLayer):
    """Selective state space: each token chooses how long its step is, what it writes and what is read.

        h_t = exp(delta_t A) h_{t-1} + delta_t B_t x_t,   y_t[d] = sum_n C_t[n] h_t[d, n],   A = -exp(log A)
        delta_t = softplus(W_up W_r x_t + bias),   B_t = W_b x_t,   C_t = W_c x_t

    Source: Gu and Dao 2023, arXiv:2312.00752, section 3, the layer S6. Differs: the recurrence alone, without the
    block's convolution, gate and expansion of the stream, and without a term D x_t. A starts at -1, ..., -n in every
    channel, delta's bias where softplus gives log-uniform sizes from 0.001 to 0.1, as there.
    State: h, (b, d, n), in the parameters' dtype, d n elements; `scan` and `fused` compute in float32 at least and
    round h where a call ends, the loop rounds it at every step.
    Cost: 7 d n + 4 d r + 4 d n flops per token (forward) by the loop, r = ceil(d / 16); the scan has 3 d n
    ceil(log2 t) in place of 2 d n.
    Algorithms: `reference` loops over `selective_step`; `scan` is `varying_scan`, of logarithmic depth, which keeps
    2 d n numbers of each token and is slower than the loop on a few cores; `fused` is one compiled kernel, which keeps
    d n before every 32nd token.

    Args:
        width: d.
        algorithm: "reference", "scan" or "fused".
        state: n, numbers of a channel's state.
    """

    def __init__(self, width: int, *, algorithm: str = "reference", state: int = STATES) -> None:
        super().__init__(width, algorithm)
        self.states = whole("state", state, at_least=1)
        self.rank = -(-width // PER_RANK)
        self.in_projection = nn.Linear(width, self.rank + 2 * self.states, bias=False)  # W_r, W_b, W_c
        self.step_projection = nn.Linear(self.rank, width)  # W_up
        start = torch.empty(width).uniform_(math.log(SMALLEST), math.log(LARGEST)).exp()
        with torch.no_grad():
            self.step_projection.bias.copy_(start + torch.log(-torch.expm1(-start)))  # softplus of it is `start`
        self.log_a = nn.Parameter(torch.arange(1.0, self.states + 1).log().repeat(width, 1))

    def define(self, x_t: Tensor, state: State) -> tuple[Tensor, State]:
        """Take one token by `selective_step`."""
        (h,) = state
        y_t, h = selective_step(*self._terms(x_t), h.to(accumulator(h.dtype)))
        return y_t.to(x_t.dtype), (h.to(x_t.dtype),)

    def compute(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        """Map x by `varying_scan` or by one kernel."""
        (h,) = state
        compute = fused.selective if self.algorithm == "fused" else selective_scan
        y, last = compute(*self._terms(x), h.to(accumulator(h.dtype)))
        return y.to(x.dtype), (last.to(x.dtype),)

    def initial_state(self, batch: int) -> State:
        """Return zeros, (b, d, n)."""
        return (self.log_a.new_zeros(batch, self.width, self.states),)

    def state_elements(self, length: int) -> int:
        """Return d n, whatever the length."""
        return self.width * self.states

    def _terms(self, x: Tensor) -> Terms:
        """Return x, delta, A, B and C of x (..., d), in float32 at least: decays near 1 have few digits in bfloat16."""
        low, b, c = self.in_projection(x).split((self.rank, self.states, self.states), dim=-1)
        wide = accumulator(x.dtype)
        delta = F.softplus(self.step_projection(low).to(wide))
        return x.to(wide), delta, -torch.exp(self.log_a.to(wide)), b.to(wide), c.to(wide)
