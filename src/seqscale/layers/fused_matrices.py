"""The kernels whose state is a matrix as torch's operators, with their derivatives, as `fused_base` makes them."""

from __future__ import annotations

from typing import Any, final

from torch import Tensor

from seqscale.kernels.delta import delta, delta_backward, delta_keeping
from seqscale.kernels.linear_attention import (
    linear_attention,
    linear_attention_backward,
    linear_attention_keeping,
)
from seqscale.kernels.matrices import CHUNK
from seqscale.layers.fused_base import AbstractKernel, Gradient, define, keeping, or_zeros


def _attend(q: Any, k: Any, v: Any, g: Any, s: Any, chunk: int, keep: bool, threads: int) -> Any:
    if keep:
        return linear_attention_keeping(q, k, v, g, s, chunk, threads)
    return *linear_attention(q, k, v, g, s, chunk, threads), q[:, :, :0]


def _states(k: Tensor, v: Tensor, chunk: int) -> Tensor:
    """Return what is kept of the states before the chunks, empty."""
    return k.new_empty(*k.shape[:2], -(-k.shape[2] // chunk), k.shape[3], v.shape[3])


_linear_attention = define(
    "linear_attention(Tensor q, Tensor k, Tensor v, Tensor g, Tensor s, int chunk, bool keep) "
    "-> (Tensor, Tensor, Tensor)",
    _attend,
    lambda q, k, v, g, s, chunk, keep: (
        v.new_empty(v.shape),
        s.new_empty(s.shape),
        _states(k, v, chunk) if keep else q.new_empty(q[:, :, :0].shape),
    ),
)
_linear_attention_backward = define(
    "linear_attention_backward(Tensor gy, Tensor g_last, Tensor q, Tensor k, Tensor v, Tensor g, Tensor states, "
    "int chunk) -> (Tensor, Tensor, Tensor, Tensor)",
    linear_attention_backward,
    lambda gy, g_last, q, k, v, g, states, chunk: tuple(part.new_empty(part.shape) for part in (q, k, v, g_last)),
)


@final
class LinearAttention(AbstractKernel):
    """q, k (m, b, t, e), v (m, b, t, f), g (m, b), s (m, b, f, e) -> what is read, the last S, and what is kept.

    g has no gradient.
    """

    @staticmethod
    def forward(q: Tensor, k: Tensor, v: Tensor, g: Tensor, s: Tensor, keep: bool) -> Any:
        """Run the kernel."""
        return _linear_attention(q, k, v, g, s, CHUNK, keep)

    @staticmethod
    def setup_context(ctx: Any, inputs: Any, output: Any) -> None:
        """Keep the arguments but the state, and the states before the chunks."""
        _, last, states = output
        keeping(ctx, states)
        ctx.shape = last.shape
        ctx.save_for_backward(*inputs[:4], states)

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> Any:
        """Run the kernel's gradient."""
        q, k, v, g, states = ctx.saved_tensors
        gy, g_last = or_zeros(gradients[0], v, v.shape), or_zeros(gradients[1], v, ctx.shape)
        gq, gk, gv, gs = Gradient.apply(_linear_attention_backward, gy, g_last, q, k, v, g, states, CHUNK)
        return gq, gk, gv, None, gs, None


def _replace(q: Any, k: Any, v: Any, beta: Any, s: Any, chunk: int, keep: bool, threads: int) -> Any:
    if keep:
        return delta_keeping(q, k, v, beta, s, chunk, threads)
    return *delta(q, k, v, beta, s, chunk, threads), v[:, :, :0], q[:, :, :0]


_delta = define(
    "delta(Tensor q, Tensor k, Tensor v, Tensor beta, Tensor s, int chunk, bool keep) "
    "-> (Tensor, Tensor, Tensor, Tensor)",
    _replace,
    lambda q, k, v, beta, s, chunk, keep: (
        v.new_empty(v.shape),
        s.new_empty(s.shape),
        v.new_empty(v.shape if keep else v[:, :, :0].shape),
        _states(k, v, chunk) if keep else q.new_empty(q[:, :, :0].shape),
    ),
)
_delta_backward = define(
    "delta_backward(Tensor gy, Tensor g_last, Tensor q, Tensor k, Tensor beta, Tensor off, Tensor states, int chunk) "
    "-> (Tensor, Tensor, Tensor, Tensor, Tensor)",
    delta_backward,
    lambda gy, g_last, q, k, beta, off, states, chunk: tuple(
        part.new_empty(part.shape) for part in (q, k, off, beta, g_last)
    ),
)


@final
class Delta(AbstractKernel):
    """q, k (m, b, t, e), v (m, b, t, f), beta (m, b, t), s (m, b, f, e) -> what is read, the last S, what is kept."""

    @staticmethod
    def forward(q: Tensor, k: Tensor, v: Tensor, beta: Tensor, s: Tensor, keep: bool) -> Any:
        """Run the kernel."""
        return _delta(q, k, v, beta, s, CHUNK, keep)

    @staticmethod
    def setup_context(ctx: Any, inputs: Any, output: Any) -> None:
        """Keep queries, keys and shares, how far each key's value was off, and the states before the chunks."""
        _, last, off, states = output
        keeping(ctx, off, states)
        ctx.shape = last.shape
        ctx.save_for_backward(inputs[0], inputs[1], inputs[3], off, states)

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> Any:
        """Run the kernel's gradient."""
        q, k, beta, off, states = ctx.saved_tensors
        gy, g_last = or_zeros(gradients[0], off, off.shape), or_zeros(gradients[1], off, ctx.shape)
        gq, gk, gv, g_beta, gs = Gradient.apply(_delta_backward, gy, g_last, q, k, beta, off, states, CHUNK)
        return gq, gk, gv, g_beta, gs, None
