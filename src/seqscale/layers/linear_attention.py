"""Linear attention: what attention becomes without its softmax, a sum that fits into one matrix."""

from __future__ import annotations

import math
from typing import final

import torch
from torch import Tensor, nn

from seqscale.layers import fused
from seqscale.layers.base import AbstractLayer, State, accumulator, real
from seqscale.layers.diagonal import diagonal_scan
from seqscale.layers.heads import merge_heads, split_heads, whole_heads

CHUNK = 32


def in_chunks(x: Tensor) -> Tensor:
    """Cut tokens into chunks, the last one filled up with zeros: (b, heads, t, e) -> (b, heads, n, CHUNK, e)."""
    b, heads, t, e = x.shape
    # joined even where nothing is missing: the products then find the same layout whatever the length
    return torch.cat((x, x.new_zeros(b, heads, -t % CHUNK, e)), dim=2).unflatten(2, (-1, CHUNK))


def linear_attention_step(q: Tensor, k: Tensor, v: Tensor, s: Tensor, decay: float = 1.0) -> tuple[Tensor, Tensor]:
    """Return what one query per head reads, and the next state.

        S_t = g S_{t-1} + v_t k_t^T,   read_t = S_t q_t

    Source: Katharopoulos et al. 2020, arXiv:2006.16236, section 3.4, with the identity for the feature map and without
    the normaliser; the decay g: Sun et al. 2023, arXiv:2307.08621, section 2.1. State: S, e^2 elements per head. Cost:
    4 e^2 flops per head and token, 5 e^2 with g < 1.

    Args:
        q, k: (b, heads, e). v: (b, heads, f). s: (b, heads, f, e). decay: g, 0 < g <= 1.
    """
    s = (s if decay == 1 else decay * s) + v.unsqueeze(-1) * k.unsqueeze(-2)
    return (s @ q.unsqueeze(-1)).squeeze(-1), s


def linear_attention_chunked(q: Tensor, k: Tensor, v: Tensor, s: Tensor, decay: float = 1.0) -> tuple[Tensor, Tensor]:
    """Return what the queries of t tokens read, and the state after them, without a loop over time.

        read = (D * Q K^T) V + G * Q S^T      in each chunk, S the state before it
        D_ij = g^(i-j) for j <= i, else 0,   G_i = g^(i+1)

    The states before the chunks are an exclusive sum over the chunks' V^T K; with a decay, a scan over them. In float32
    at least, whatever the dtype.

    Source: Sun et al. 2023, arXiv:2307.08621, the chunkwise form of section 2.1. Cost: (4 e^2 + 4 C e) flops per head
    and token, C = CHUNK; t is filled up to whole chunks.

    Args:
        q, k: (b, heads, t, e), t >= 1. v: (b, heads, t, f). s: (b, heads, f, e), the state before the first.
        decay: g, 0 < g <= 1.
    """
    t, dtype = q.shape[2], q.dtype
    wide = accumulator(dtype)
    q, k, v = (in_chunks(a.to(wide)) for a in (q, k, v))
    s, pairs = s.to(wide), torch.tril(q @ k.mT)
    if decay == 1:
        after = s.unsqueeze(2) + (v.mT @ k).cumsum(2)
        before = torch.cat((s.unsqueeze(2), after[:, :, :-1]), dim=2)
        read, last = pairs @ v + q @ before.mT, after[:, :, -1]
    else:
        place = torch.arange(CHUNK, dtype=wide, device=q.device).unsqueeze(-1)
        before = _before_chunks(decay ** (CHUNK - 1 - place) * v, k, s, decay)
        read = (decay ** (place - place.mT).abs() * pairs) @ v + decay ** (place + 1) * (q @ before.mT)
        tokens = (t - 1) % CHUNK + 1  # of the last chunk; the others are zeros
        to_end = decay ** (tokens - 1 - place).clamp(min=0) * v[:, :, -1]
        last = decay**tokens * before[:, :, -1] + to_end.mT @ k[:, :, -1]
    return read.flatten(2, 3).narrow(2, 0, t).to(dtype), last.to(dtype)


def _before_chunks(v: Tensor, k: Tensor, s: Tensor, decay: float) -> Tensor:
    """Return S before each chunk, (b, heads, n, f, e); values have decayed to their chunk's end."""
    added = v.mT @ k
    units = s.flatten(0, 1).flatten(1)
    rate = units.new_full(units.shape[1:], -CHUNK * math.log(decay))
    after = diagonal_scan(added.flatten(0, 1).flatten(2), units, rate).view(added.shape)
    return torch.cat((s.unsqueeze(2), after[:, :, :-1]), dim=2)


@final
class LinearAttention(AbstractLayer):
    """Linear attention: every token adds a key with its value to one matrix, which may fade and is never corrected.

        S_t = g S_{t-1} + v_t k_t^T,   y_t = W_o concat_heads(S_t q_t),   q, v = W x,   k = W x / sqrt(e)
        e = d / heads

    Source: Katharopoulos et al. 2020, arXiv:2006.16236, section 3.4. Differs: no feature map and no normaliser,
    as in Schlag et al. 2021, arXiv:2102.11174 and Sun et al. 2023, arXiv:2307.08621, whence the decay g; there each
    head has its own, here all have one, and nothing fades unless it is given. No biases.
    State: S, (b, heads, e, e), in the parameters' dtype, d^2 / heads elements; `chunked` and `fused` sum in float32 at
    least and round S where a call ends, the loop rounds it at every step.
    Cost: 8 d^2 + 4 d e flops per token (forward) by the loop, 4 d C more by chunks of C tokens, of which `fused` leaves
    out half; a decay adds d e in the loop.
    Algorithms: `reference` loops over `linear_attention_step`; `chunked` is `linear_attention_chunked`;
    `fused` takes the same chunks in one compiled kernel.

    Args:
        width: d, a multiple of heads.
        algorithm: "reference", "chunked" or "fused".
        heads: number of heads.
        decay: g, above 0 and at most 1.
    """

    def __init__(self, width: int, *, algorithm: str = "reference", heads: int = 1, decay: float = 1.0) -> None:
        super().__init__(width, algorithm)
        self.heads = whole_heads("linear-attention", heads, width)
        self.decay = real("decay", decay, above=0, at_most=1)
        self.in_projection = nn.Linear(width, 3 * width, bias=False)
        self.out_projection = nn.Linear(width, width, bias=False)

    def define(self, x_t: Tensor, state: State) -> tuple[Tensor, State]:
        """Take one token by `linear_attention_step`."""
        (s,) = state
        q, k, v = (a.squeeze(2) for a in self._project(x_t.unsqueeze(1)))
        read, s = linear_attention_step(q, k, v, s, self.decay)
        return self.out_projection(read.flatten(-2)), (s,)

    def compute(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        """Map x by one kernel or `linear_attention_chunked`; there one token by the step, which fills up no chunk."""
        if self.algorithm == "chunked" and x.shape[1] == 1:
            y_t, state = self.define(x[:, 0], state)
            return y_t.unsqueeze(1), state
        (s,) = state
        compute = fused.linear_attention if self.algorithm == "fused" else linear_attention_chunked
        read, s = compute(*self._project(x), s, self.decay)
        return self.out_projection(merge_heads(read)), (s,)

    def initial_state(self, batch: int) -> State:
        """Return zeros, (b, heads, e, e)."""
        e = self.width // self.heads
        return (self.in_projection.weight.new_zeros(batch, self.heads, e, e),)

    def state_elements(self, length: int) -> int:
        """Return d^2 / heads, whatever the length."""
        return self.width**2 // self.heads

    def _project(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return queries, keys and values of x (b, t, d), each (b, heads, t, e)."""
        q, k, v = split_heads(self.in_projection(x), self.heads)
        return q, k / math.sqrt(self.width // self.heads), v
