"""DeltaNet: linear attention that first takes out what a key held."""

from __future__ import annotations

from typing import final

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from seqscale.layers import fused
from seqscale.layers.base import AbstractLayer, State, accumulator
from seqscale.layers.heads import merge_heads, split_heads, whole_heads
from seqscale.layers.linear_attention import CHUNK, in_chunks


def delta_step(q: Tensor, k: Tensor, v: Tensor, beta: Tensor, s: Tensor) -> tuple[Tensor, Tensor]:
    """Return what one query per head reads, and the next state.

        S_t = S_{t-1} (I - beta_t k_t k_t^T) + beta_t v_t k_t^T,   read_t = S_t q_t

    With |k_t| = 1 and beta_t = 1 the key then reads v_t exactly; with beta_t = 0 nothing is written.

    Source: Schlag et al. 2021, arXiv:2102.11174, section 4.2; written so in Yang et al. 2024, arXiv:2406.06484. State:
    S, e^2 elements per head. Cost: 6 e^2 + 3 e flops per head and token.

    Args:
        q, k: (b, heads, e). v: (b, heads, f). beta: (b, heads). s: (b, heads, f, e).
    """
    held = (s @ k.unsqueeze(-1)).squeeze(-1)
    written = beta.unsqueeze(-1) * (v - held)
    s = s + written.unsqueeze(-1) * k.unsqueeze(-2)
    return (s @ q.unsqueeze(-1)).squeeze(-1), s


def delta_chunked(q: Tensor, k: Tensor, v: Tensor, beta: Tensor, s: Tensor) -> tuple[Tensor, Tensor]:
    """Return what the queries of t tokens read, and the state after them, with a loop over chunks only.

    What token i of a chunk writes, u_i = beta_i (v_i - S_{i-1} k_i), depends on those before it in the chunk:

        (I + tril(diag(beta) K K^T, -1)) U = diag(beta) (V - K S^T)      S the state before the chunk
        read = Q S^T + tril(Q K^T) U,   the state after it is S + U^T K

    One triangular solve for V and K together serves all chunks at once. In float32 at least, whatever the dtype: torch
    has no solve in bfloat16.

    Source: Yang et al. 2024, arXiv:2406.06484, section 3 (the WY form of Bischof and Van Loan 1987). Cost: about
    (6 e^2 + 8 C e) flops per head and token, C = CHUNK; t is filled up to whole chunks.

    Args:
        q, k: (b, heads, t, e), t >= 1. v: (b, heads, t, f). beta: (b, heads, t). s: (b, heads, f, e), the state before
            the first.
    """
    t, dtype = q.shape[2], q.dtype
    wide = accumulator(dtype)
    q, k, v, beta = (in_chunks(a.to(wide)) for a in (q, k, v, beta.unsqueeze(-1)))
    system = torch.tril(beta * (k @ k.mT), -1) + torch.eye(CHUNK, dtype=wide, device=q.device)
    solved = torch.linalg.solve_triangular(system, beta * torch.cat((v, k), dim=-1), upper=False)
    values, keys = solved.split((v.shape[-1], k.shape[-1]), dim=-1)
    now, before, written = s.to(wide), [], []
    for values_n, keys_n, k_n in zip(values.unbind(2), keys.unbind(2), k.unbind(2), strict=True):
        before.append(now)
        written.append(values_n - keys_n @ now.mT)
        now = now + written[-1].mT @ k_n
    read = q @ torch.stack(before, dim=2).mT + torch.tril(q @ k.mT) @ torch.stack(written, dim=2)
    return read.flatten(2, 3).narrow(2, 0, t).to(dtype), now.to(dtype)


@final
class DeltaNet(AbstractLayer):
    """DeltaNet: every token replaces what its key held, by a share that it chooses itself.

        S_t = S_{t-1} (I - beta_t k_t k_t^T) + beta_t v_t k_t^T,   y_t = W_o concat_heads(S_t q_t)
        q, v = W x,   k = W x / |W x|,   beta = sigmoid(W_beta x), one per head,   e = d / heads

    Source: Yang et al. 2024, arXiv:2406.06484; the rule: Schlag et al. 2021, arXiv:2102.11174, section 4.2. Differs: no
    convolution, no SiLU and no normalisation of queries or outputs, so that the rule alone is studied. No biases.
    State: S, (b, heads, e, e), in the parameters' dtype, d^2 / heads elements; `chunked` and `fused` compute in float32
    at least and round S where a call ends, the loop rounds it at every step.
    Cost: 8 d^2 + 2 d heads + 6 d e flops per token (forward) by the loop, about 8 d C more by chunks of C tokens.
    Algorithms: `reference` loops over `delta_step`; `chunked` is `delta_chunked`; `fused` takes the same
    chunks, one after another, in one compiled kernel.

    Args:
        width: d, a multiple of heads.
        algorithm: "reference", "chunked" or "fused".
        heads: number of heads.
    """

    def __init__(self, width: int, *, algorithm: str = "reference", heads: int = 1) -> None:
        super().__init__(width, algorithm)
        self.heads = whole_heads("deltanet", heads, width)
        self.in_projection = nn.Linear(width, 3 * width + self.heads, bias=False)  # rows q, k, v, beta
        self.out_projection = nn.Linear(width, width, bias=False)

    def define(self, x_t: Tensor, state: State) -> tuple[Tensor, State]:
        """Take one token by `delta_step`."""
        (s,) = state
        q, k, v, beta = (a.squeeze(2) for a in self._project(x_t.unsqueeze(1)))
        read, s = delta_step(q, k, v, beta, s)
        return self.out_projection(read.flatten(-2)), (s,)

    def compute(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        """Map x by one kernel or by `delta_chunked`; there one token by the step, which fills up no chunk."""
        if self.algorithm == "chunked" and x.shape[1] == 1:
            y_t, state = self.define(x[:, 0], state)
            return y_t.unsqueeze(1), state
        (s,) = state
        compute = fused.delta if self.algorithm == "fused" else delta_chunked
        read, s = compute(*self._project(x), s)
        return self.out_projection(merge_heads(read)), (s,)

    def initial_state(self, batch: int) -> State:
        """Return zeros, (b, heads, e, e)."""
        e = self.width // self.heads
        return (self.in_projection.weight.new_zeros(batch, self.heads, e, e),)

    def state_elements(self, length: int) -> int:
        """Return d^2 / heads, whatever the length."""
        return self.width**2 // self.heads

    def _project(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Return queries, keys of length 1 and values of x (b, t, d), each (b, heads, t, e), and beta (b, heads, t)."""
        projected, rate = self.in_projection(x).split((3 * self.width, self.heads), dim=-1)
        q, k, v = split_heads(projected, self.heads)
        return q, F.normalize(k, dim=-1), v, torch.sigmoid(rate).transpose(1, 2)
