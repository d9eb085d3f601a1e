"""The linear recurrent unit: a diagonal linear recurrence with complex eigenvalues, which turn as they fade."""

from __future__ import annotations

import math
from typing import Any, final

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from seqscale.layers import fused
from seqscale.layers.base import AbstractLayer, State, accumulator, hidden_units, real

Pair = tuple[Tensor, Tensor]  # real and imaginary part: bfloat16 has no complex numbers


def eigenvalue(rate: Tensor, angle: Tensor, dtype: torch.dtype, power: int = 1) -> Pair:
    """Return lambda^p with lambda = exp(-rate + i angle), from its logarithm, rounded to `dtype` once.

    Args:
        rate: (h,), positive. angle: (h,), in radians.
    """
    size = torch.exp(-power * rate)
    return (size * torch.cos(power * angle)).to(dtype), (size * torch.sin(power * angle)).to(dtype)


def times(a: Pair, b: Pair) -> Pair:
    """Return the product of two complex numbers."""
    return a[0] * b[0] - a[1] * b[1], a[0] * b[1] + a[1] * b[0]


def lru_step(b: Pair, h: Pair, rate: Tensor, angle: Tensor) -> Pair:
    """Return the next state of a linear recurrent unit.

        h_t = lambda * h_{t-1} + b_t,   lambda = exp(-rate + i angle)

    Source: Orvieto et al. 2023, arXiv:2303.06349, section 3. State: h, 2 h numbers. Cost: 8 h flops per token.

    Args:
        b: two of (b, h), what the token adds. h: two of (b, h). rate: (h,), positive. angle: (h,).
    """
    moved = times(eigenvalue(rate, angle, b[0].dtype), h)
    return moved[0] + b[0], moved[1] + b[1]


def lru_scan(b: Pair, h: Pair, rate: Tensor, angle: Tensor) -> Pair:
    """Return the states after each of t tokens, in ceil(log2 t) rounds, as `diagonal_scan` does for real decays.

    State: h, 2 h numbers. Cost: 8 h (t L - 2^L + 1) flops for t tokens, L = ceil(log2 t).

    Args:
        b: two of (b, t, h), what each token adds, t >= 1. h: two of (b, h), the state before the first.
        rate: (h,), positive. angle: (h,).
    """
    states: Pair = _Scan.apply(*b, *h, rate, angle)
    return states


class _Scan(torch.autograd.Function):
    """The scan with the derivative of the recurrence, where autograd's own would keep every round."""

    generate_vmap_rule = True

    @staticmethod
    def forward(b_re: Tensor, b_im: Tensor, h_re: Tensor, h_im: Tensor, rate: Tensor, angle: Tensor) -> Pair:
        moved = times(eigenvalue(rate, angle, b_re.dtype), (h_re, h_im))
        re, im = (
            torch.cat((b[:, :1] + m.unsqueeze(1), b[:, 1:]), dim=1) for b, m in zip((b_re, b_im), moved, strict=True)
        )
        return _doubled((re, im), rate, angle, backwards=False)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, ...], output: Pair) -> None:
        ctx.save_for_backward(*output, *inputs[2:])

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, ...]:
        re, im, h_re, h_im, rate, angle = ctx.saved_tensors
        # dL/db_t = dL/dh_t: with L real, what multiplied by lambda forwards multiplies by its conjugate backwards
        g_re, g_im = _doubled((gradients[0], gradients[1]), rate, -angle, backwards=True)
        into_h = times(eigenvalue(rate, -angle, g_re.dtype), (g_re[:, 0], g_im[:, 0]))
        before = (
            torch.cat((h_re.unsqueeze(1), re[:, :-1]), dim=1),
            torch.cat((h_im.unsqueeze(1), im[:, :-1]), dim=1),
        )
        # d(lambda h)/drate = -lambda h and d(lambda h)/dangle = i lambda h
        m_re, m_im = times(eigenvalue(rate, angle, g_re.dtype), before)
        into_rate = -(g_re * m_re + g_im * m_im).sum((0, 1)).to(rate.dtype)
        into_angle = (g_im * m_re - g_re * m_im).sum((0, 1)).to(angle.dtype)
        return g_re, g_im, *into_h, into_rate, into_angle


def _doubled(y: Pair, rate: Tensor, angle: Tensor, backwards: bool) -> Pair:
    """Return for y (b, t, h) the sum over all tokens before each, or after it, moved by lambda per step between."""
    re, im = y
    span = 1
    while span < re.shape[1]:
        by = eigenvalue(rate, angle, re.dtype, span)
        if backwards:
            moved = times(by, (re[:, span:], im[:, span:]))
            re, im = (torch.cat((a[:, :-span] + m, a[:, -span:]), dim=1) for a, m in zip((re, im), moved, strict=True))
        else:
            moved = times(by, (re[:, :-span], im[:, :-span]))
            re, im = (torch.cat((a[:, :span], a[:, span:] + m), dim=1) for a, m in zip((re, im), moved, strict=True))
        span *= 2
    return re, im


@final
class LRU(AbstractLayer):
    """Linear recurrent unit: each unit turns and fades at its own fixed rate, so all steps can be taken at once.

        h_t = lambda * h_{t-1} + gamma * (B x_t),   y_t = Re(C h_t)
        lambda = exp(-exp(nu) + i exp(theta)),   gamma = sqrt(1 - |lambda|^2);   h, B, C complex

    Source: Orvieto et al. 2023, arXiv:2303.06349, sections 3.3 and 3.4. Differs: gamma follows lambda at all times,
    where the paper's is a parameter that starts there; no term D x_t. lambda starts uniform in area on a ring, at a
    uniform angle; B and C normal, so that y starts with the variance of x where x has no correlation in time.
    State: real and imaginary part of h, each (b, h), in the parameters' dtype, 2 h numbers; lambda and its powers are
    rounded to that dtype once. Cost: 8 h d + 10 h flops per token (forward) by the loop, 8 h (d + ceil(log2 t)) + 2 h
    at most by the scan.
    Algorithms: `reference` loops over `lru_step`; `scan` is `lru_scan`, of logarithmic depth; `fused` is one
    compiled kernel.

    Args:
        width: d.
        algorithm: "reference", "scan" or "fused".
        hidden: h, at least d; d when not given.
        radius_min, radius_max: of the ring that |lambda| starts on, 0 < radius_min < radius_max < 1.
    """

    def __init__(
        self,
        width: int,
        *,
        algorithm: str = "reference",
        hidden: int | None = None,
        radius_min: float = 0.9,
        radius_max: float = 0.999,
    ) -> None:
        super().__init__(width, algorithm)
        self.hidden = hidden_units(hidden, width)
        largest = real("radius_max", radius_max, above=0, below=1)
        smallest = real("radius_min", radius_min, above=0, below=largest)
        squared = torch.empty(self.hidden).uniform_(smallest**2, largest**2)
        self.nu = nn.Parameter(torch.log(-0.5 * torch.log(squared)))
        self.theta = nn.Parameter(torch.log(2 * math.pi * (1 - torch.rand(self.hidden))))  # 1 - [0, 1) is never 0
        self.in_projection = nn.Parameter(torch.randn(2 * self.hidden, width) / math.sqrt(2 * width))  # Re B, Im B
        self.out_projection = nn.Parameter(torch.randn(width, 2 * self.hidden) / math.sqrt(self.hidden))  # Re C, -Im C

    def define(self, x_t: Tensor, state: State) -> tuple[Tensor, State]:
        """Take one token by `lru_step`."""
        re, im = state
        rate, angle = self._polar()
        re, im = lru_step(self._added(x_t, rate), (re, im), rate, angle)
        return self._read(re, im), (re, im)

    def compute(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        """Map x by `lru_scan` or by one kernel."""
        re, im = state
        rate, angle = self._polar()
        added = self._added(x, rate)
        if self.algorithm == "fused":
            re, im = fused.diagonal_complex(eigenvalue(rate, angle, rate.dtype), added, (re, im))
        else:
            re, im = lru_scan(added, (re, im), rate, angle)
        return self._read(re, im), (re[:, -1], im[:, -1])

    def initial_state(self, batch: int) -> State:
        """Return zeros, real and imaginary part, each (b, h)."""
        zeros = self.nu.new_zeros(batch, self.hidden)
        return zeros, zeros.clone()

    def state_elements(self, length: int) -> int:
        """Return 2 h, whatever the length."""
        return 2 * self.hidden

    def _polar(self) -> Pair:
        """Return rate and angle of lambda, in float32 at least: an error of the angle grows with every step."""
        wide = accumulator(self.nu.dtype)
        return torch.exp(self.nu.to(wide)), torch.exp(self.theta.to(wide))

    def _added(self, x: Tensor, rate: Tensor) -> Pair:
        """Return what each token of x (..., d) adds to the state, gamma * (B x)."""
        re, im = F.linear(x, self.in_projection).chunk(2, dim=-1)
        gamma = torch.sqrt(-torch.expm1(-2 * rate)).to(x.dtype)  # 1 - |lambda|^2 without losing its digits near 1
        return gamma * re, gamma * im

    def _read(self, re: Tensor, im: Tensor) -> Tensor:
        """Return Re(C h)."""
        return F.linear(torch.cat((re, im), dim=-1), self.out_projection)
