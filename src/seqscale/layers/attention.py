"""Causal softmax attention, with its growing state of keys and values."""

from __future__ import annotations

import math
from typing import final

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from seqscale.errors import UsageError
from seqscale.layers.base import AbstractLayer, State
from seqscale.layers.heads import merge_heads, split_heads, whole_heads


def attention_step(q: Tensor, keys: Tensor, values: Tensor) -> Tensor:
    """Return what one query per head reads from all keys and values so far.

        y_t = softmax(q_t K^T / sqrt(e)) V,   e the width of a head

    Source: Vaswani et al. 2017, arXiv:1706.03762, eq. (1); the mask of section 3.2.3 is that no later key exists yet.
    State: keys and values, 2 s e elements per head for s tokens. Cost: 4 s e flops per head and token.

    Args:
        q: (b, heads, 1, e). keys, values: (b, heads, s, e).
    """
    scores = q @ keys.transpose(-1, -2) / math.sqrt(q.shape[-1])
    return torch.softmax(scores, dim=-1) @ values


def rotate(x: Tensor, first: int) -> Tensor:
    """Turn each pair of features by an angle that grows with the position (rotary positions).

        (x_{2i}, x_{2i+1}) turned by p * 10000^(-2i/e) at position p

    The product of a query and a key then depends on the distance of their positions alone.
    Source: Su et al. 2021, arXiv:2104.09864, eq. (34). Angles are float64: in float32 position 65,536 is known to
    1/128 radian only.

    Args:
        x: (b, heads, t, e), e even.
        first: position of x's first token.
    """
    t, e = x.shape[-2:]
    speed = 10000.0 ** (-torch.arange(0, e, 2, dtype=torch.float64, device=x.device) / e)
    angle = torch.arange(first, first + t, dtype=torch.float64, device=x.device)[:, None] * speed
    cos, sin = angle.cos().to(x.dtype), angle.sin().to(x.dtype)
    even, odd = x[..., 0::2], x[..., 1::2]
    return torch.stack((even * cos - odd * sin, even * sin + odd * cos), dim=-1).flatten(-2)


@final
class Attention(AbstractLayer):
    """Causal softmax attention: each token reads from every token up to itself, and all of them must be kept.

        y_t = W_o concat_heads(softmax(q_t K^T / sqrt(e)) V),   q, k, v = W x,   e = d / heads

    Source: Vaswani et al. 2017, arXiv:1706.03762, eq. (1) and section 3.2.2; rotary positions: Su et al. 2021,
    arXiv:2104.09864, eq. (34). No biases, no dropout; without rotary positions the layer does not see the order.
    State: keys (rotated, if rotary) and values, each (b, heads, s, e) after s tokens: 2 s d elements.
    Cost: 8 d^2 + 4 s d flops for the token after s - 1 others (forward).
    Algorithms: `library` is torch's scaled_dot_product_attention; `reference` loops over `attention_step`.

    Args:
        width: d, a multiple of heads.
        algorithm: "library" or "reference".
        heads: number of heads.
        rotary: whether queries and keys are turned by their positions; d / heads must be even.
    """

    def __init__(self, width: int, *, algorithm: str = "library", heads: int = 4, rotary: bool = False) -> None:
        super().__init__(width, algorithm)
        self.heads = whole_heads("attention", heads, width)
        if not isinstance(rotary, bool):
            raise UsageError(f"rotary={rotary!r}: must be true or false.")
        if rotary and (width // heads) % 2:
            raise UsageError(f"attention: rotary turns pairs, so width/heads={width // heads} must be even.")
        self.rotary = rotary
        self.in_projection = nn.Linear(width, 3 * width, bias=False)
        self.out_projection = nn.Linear(width, width, bias=False)

    def define(self, x_t: Tensor, state: State) -> tuple[Tensor, State]:
        """Take one token by `attention_step`."""
        q, keys, values = self._extend(x_t.unsqueeze(1), state)
        return self.out_projection(merge_heads(attention_step(q, keys, values))).squeeze(1), (keys, values)

    def compute(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        """Map x by scaled_dot_product_attention."""
        q, keys, values = self._extend(x, state)
        t, s = q.shape[2], keys.shape[2]
        if t == s:
            read = F.scaled_dot_product_attention(q, keys, values, is_causal=True)
        elif t == 1:
            read = F.scaled_dot_product_attention(q, keys, values)
        else:
            # is_causal would align the first query with the first key; carried keys lie before every query
            seen = torch.ones(t, s, dtype=torch.bool, device=x.device).tril(s - t)
            read = F.scaled_dot_product_attention(q, keys, values, attn_mask=seen)
        return self.out_projection(merge_heads(read)), (keys, values)

    def initial_state(self, batch: int) -> State:
        """Return no keys and no values, each (b, heads, 0, e)."""
        nothing = self.in_projection.weight.new_zeros(batch, self.heads, 0, self.width // self.heads)
        return nothing, nothing.clone()

    def state_elements(self, length: int) -> int:
        """Return 2 * length * d: the keys and values of every token."""
        return 2 * length * self.width

    def _extend(self, x: Tensor, state: State) -> tuple[Tensor, Tensor, Tensor]:
        """Return the queries of x (b, heads, t, e), and all keys and values so far (b, heads, s, e)."""
        past_keys, past_values = state
        q, k, v = split_heads(self.in_projection(x), self.heads)
        first = past_keys.shape[2]
        if self.rotary:
            q, k = rotate(q, first), rotate(k, first)
        if first == 0:
            return q, k, v  # joining with nothing would copy both
        return q, torch.cat((past_keys, k), dim=2), torch.cat((past_values, v), dim=2)
