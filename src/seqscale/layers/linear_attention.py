"""Linear attention: what attention becomes without its softmax, a sum that fits into one matrix."""

from __future__ import annotations

import math
from typing import final

import torch
from torch import Tensor, nn

from seqscale.layers.base import AbstractLayer, State, accumulator
from seqscale.layers.heads import merge_heads, split_heads, whole_heads

CHUNK = 32


def in_chunks(x: Tensor) -> Tensor:
    """Cut tokens into chunks, the last one filled up with zeros: (b, heads, t, e) -> (b, heads, n, CHUNK, e)."""
    b, heads, t, e = x.shape
    # joined even where nothing is missing: the products then find the same layout whatever the length
    return torch.cat((x, x.new_zeros(b, heads, -t % CHUNK, e)), dim=2).unflatten(2, (-1, CHUNK))


def linear_attention_step(q: Tensor, k: Tensor, v: Tensor, s: Tensor) -> tuple[Tensor, Tensor]:
    """Return what one query per head reads, and the next state.

        S_t = S_{t-1} + v_t k_t^T,   read_t = S_t q_t

    Source: Katharopoulos et al. 2020, arXiv:2006.16236, section 3.4, with the identity for the feature map and without
    the normaliser. State: S, e^2 elements per head. Cost: 4 e^2 flops per head and token.

    Args:
        q, k: (b, heads, e). v: (b, heads, f). s: (b, heads, f, e).
    """
    s = s + v.unsqueeze(-1) * k.unsqueeze(-2)
    return (s @ q.unsqueeze(-1)).squeeze(-1), s


def linear_attention_chunked(q: Tensor, k: Tensor, v: Tensor, s: Tensor) -> tuple[Tensor, Tensor]:
    """Return what the queries of t tokens read, and the state after them, without a loop over time.

        read = tril(Q K^T) V + Q S^T      in each chunk, S the state before it

    The states before the chunks are an exclusive sum over the chunks' V^T K. In float32 at least, whatever the dtype.

    Source: Sun et al. 2023, arXiv:2307.08621, the chunkwise form of section 2.1, without its decay. Cost:
    (4 e^2 + 4 C e) flops per head and token, C = CHUNK; t is filled up to whole chunks.

    Args:
        q, k: (b, heads, t, e), t >= 1. v: (b, heads, t, f). s: (b, heads, f, e), the state before the first.
    """
    t, dtype = q.shape[2], q.dtype
    wide = accumulator(dtype)
    q, k, v = (in_chunks(a.to(wide)) for a in (q, k, v))
    after = s.to(wide).unsqueeze(2) + (v.mT @ k).cumsum(2)
    before = torch.cat((s.to(wide).unsqueeze(2), after[:, :, :-1]), dim=2)
    read = torch.tril(q @ k.mT) @ v + q @ before.mT
    return read.flatten(2, 3).narrow(2, 0, t).to(dtype), after[:, :, -1].to(dtype)


@final
class LinearAttention(AbstractLayer):
    """Linear attention: every token adds a key with its value to one matrix, and nothing is ever taken out.

        S_t = S_{t-1} + v_t k_t^T,   y_t = W_o concat_heads(S_t q_t),   q, v = W x,   k = W x / sqrt(e),   e = d / heads

    Source: Katharopoulos et al. 2020, arXiv:2006.16236, section 3.4. Differs: no feature map and no normaliser,
    as in Schlag et al. 2021, arXiv:2102.11174 and Sun et al. 2023, arXiv:2307.08621 (there with a decay). No biases.
    State: S, (b, heads, e, e), in the parameters' dtype, d^2 / heads elements; `chunked` sums in float32 at least and
    rounds S where a call ends, the loop rounds it at every step.
    Cost: 8 d^2 + 4 d e flops per token (forward) by the loop, 4 d C more by chunks of C tokens.
    Algorithms: `reference` loops over `linear_attention_step`; `chunked` is `linear_attention_chunked`.

    Args:
        width: d, a multiple of heads.
        algorithm: "reference" or "chunked".
        heads: number of heads.
    """

    def __init__(self, width: int, *, algorithm: str = "reference", heads: int = 1) -> None:
        super().__init__(width, algorithm)
        self.heads = whole_heads("linear-attention", heads, width)
        self.in_projection = nn.Linear(width, 3 * width, bias=False)
        self.out_projection = nn.Linear(width, width, bias=False)

    def define(self, x_t: Tensor, state: State) -> tuple[Tensor, State]:
        """Take one token by `linear_attention_step`."""
        (s,) = state
        q, k, v = (a.squeeze(2) for a in self._project(x_t.unsqueeze(1)))
        read, s = linear_attention_step(q, k, v, s)
        return self.out_projection(read.flatten(-2)), (s,)

    def compute(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        """Map x by `linear_attention_chunked`; one token alone by the step, for which no chunk need be filled up."""
        if x.shape[1] == 1:
            y_t, state = self.define(x[:, 0], state)
            return y_t.unsqueeze(1), state
        (s,) = state
        read, s = linear_attention_chunked(*self._project(x), s)
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
