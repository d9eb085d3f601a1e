"""The kernels whose state is a vector, or one for each channel, as torch's operators, as `fused_base` makes them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, final

import torch
from torch import Tensor

from seqscale.kernels.diagonal import diagonal, diagonal_backward, diagonal_complex, diagonal_complex_backward
from seqscale.kernels.elman import elman, elman_backward
from seqscale.kernels.gru import gru, gru_backward, gru_keeping
from seqscale.kernels.linear import linear, linear_backward, outer, outer_before, total
from seqscale.kernels.lstm import lstm, lstm_backward, lstm_keeping
from seqscale.kernels.selective import kept_states, selective, selective_backward, selective_keeping
from seqscale.layers.fused_base import AbstractKernel, Gradient, define, keeping, or_zeros

_linear = define(
    "linear(Tensor x, Tensor w, Tensor b) -> Tensor", linear, lambda x, w, b: x.new_empty(*x.shape[:2], w.shape[1])
)
_linear_backward = define(
    "linear_backward(Tensor g, Tensor w) -> Tensor",
    linear_backward,
    lambda g, w: g.new_empty(*g.shape[:2], w.shape[2]),
)
_outer = define(
    "outer(Tensor g, Tensor x) -> Tensor", outer, lambda g, x: x.new_empty(x.shape[0], g.shape[2], x.shape[2])
)
_outer_before = define(
    "outer_before(Tensor g, Tensor last, Tensor y, Tensor h) -> Tensor",
    outer_before,
    lambda g, last, y, h: y.new_empty(y.shape[0], g.shape[3], y.shape[3]),
)
_total = define("total(Tensor g) -> Tensor", total, lambda g: g.new_empty(g.shape[0], g.shape[2]))


def _from_inputs(x: Tensor, w: Tensor, b: Tensor) -> Tensor:
    """Return what the input adds to each gate, W x_t + b, (m, b, t, gates * h)."""
    a: Tensor = _linear(x.flatten(1, 2), w, b)
    return a.unflatten(1, x.shape[1:3])


def _of_inputs(asked: Sequence[bool], ga: Tensor, x: Tensor, w: Tensor) -> tuple[Any, Any, Any]:
    """Return the gradients of `_from_inputs`, those that are asked for."""
    g = ga.flatten(1, 2)
    gx = Gradient.apply(_linear_backward, g, w).unflatten(1, x.shape[1:3]) if asked[0] else None
    gw = Gradient.apply(_outer, g, x.flatten(1, 2)) if asked[1] else None
    return gx, gw, _of_bias(ga) if asked[2] else None


def _of_bias(ga: Tensor) -> Any:
    """Return the gradient of b, (m, outputs): the sum over all tokens."""
    return Gradient.apply(_total, ga.flatten(1, 2))


def _of_weights(ga: Tensor, y: Tensor, h: Tensor) -> Any:
    """Return the gradient of a recurrent W whose product is added to all gates, (m, gates * h, h)."""
    return Gradient.apply(_outer_before, ga, ga[..., :0], y, h)


_elman = define("elman(Tensor a, Tensor h, Tensor w) -> Tensor", elman, lambda a, h, w: torch.empty_like(a))
_elman_backward = define(
    "elman_backward(Tensor gy, Tensor y, Tensor w) -> (Tensor, Tensor)",
    elman_backward,
    lambda gy, y, w: (torch.empty_like(y), y.new_empty(y[:, :, 0].shape)),
)


@final
class Elman(AbstractKernel):
    """x (m, b, t, d), w_x (m, h, d), b (m, h), h (m, b, h), w (m, h, h) -> states (m, b, t, h)."""

    @staticmethod
    def forward(x: Tensor, w_x: Tensor, b: Tensor, h: Tensor, w: Tensor) -> Any:
        """Run the kernels."""
        return _elman(_from_inputs(x, w_x, b), h, w)

    @staticmethod
    def setup_context(ctx: Any, inputs: Any, output: Tensor) -> None:
        """Keep the inputs and the states."""
        x, w_x, _, *others = inputs
        ctx.save_for_backward(output, x, w_x, *others)

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> Any:
        """Run the kernel's gradient, and gather the weights'."""
        y, x, w_x, h, w = ctx.saved_tensors
        ga, gh = Gradient.apply(_elman_backward, gradients[0], y, w)
        return *_of_inputs(ctx.needs_input_grad, ga, x, w_x), gh, _of_weights(ga, y, h)


def _gru_or_keeping(a: Any, h: Any, w: Any, b_n: Any, keep: bool, threads: int) -> Any:
    if keep:
        return gru_keeping(a, h, w, b_n, threads)
    return gru(a, h, w, b_n, threads), a[:, :, :0, :0]


_gru = define(
    "gru(Tensor a, Tensor h, Tensor w, Tensor b_n, bool keep) -> (Tensor, Tensor)",
    _gru_or_keeping,
    lambda a, h, w, b_n, keep: (
        a.new_empty(*a.shape[:3], h.shape[-1]),
        a.new_empty((*a.shape[:3], 4 * h.shape[-1]) if keep else (*a.shape[:2], 0, 0)),
    ),
)
_gru_backward = define(
    "gru_backward(Tensor gy, Tensor y, Tensor kept, Tensor h, Tensor w) -> (Tensor, Tensor, Tensor)",
    gru_backward,
    lambda gy, y, kept, h, w: (y.new_empty(*y.shape[:3], 3 * y.shape[3]), torch.empty_like(y), torch.empty_like(h)),
)


@final
class GRU(AbstractKernel):
    """x (m, b, t, d), w_x (m, 3h, d), b (m, 3h), h (m, b, h), w (m, 3h, h), b_n (m, h) -> states (m, b, t, h), kept."""

    @staticmethod
    def forward(x: Tensor, w_x: Tensor, b: Tensor, h: Tensor, w: Tensor, b_n: Tensor, keep: bool) -> Any:
        """Run the kernels."""
        return _gru(_from_inputs(x, w_x, b), h, w, b_n, keep)

    @staticmethod
    def setup_context(ctx: Any, inputs: Any, output: Any) -> None:
        """Keep the inputs, the states and the gates."""
        (x, w_x, _, h, w, *_), (y, kept) = inputs, output
        keeping(ctx, kept)
        ctx.save_for_backward(y, kept, x, w_x, h, w)

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> Any:
        """Run the kernel's gradient, and gather the weights'."""
        y, kept, x, w_x, h, w = ctx.saved_tensors
        gy = or_zeros(gradients[0], y, y.shape)
        ga, gp, gh = Gradient.apply(_gru_backward, gy, y, kept, h, w)
        of_w = Gradient.apply(_outer_before, ga, gp, y, h)
        return *_of_inputs(ctx.needs_input_grad, ga, x, w_x), gh, of_w, _of_bias(gp), None


def _lstm_or_keeping(a: Any, h: Any, c: Any, w: Any, keep: bool, threads: int) -> Any:
    if keep:
        return lstm_keeping(a, h, c, w, threads)
    return *lstm(a, h, c, w, threads), a[:, :, :0, :0]


_lstm = define(
    "lstm(Tensor a, Tensor h, Tensor c, Tensor w, bool keep) -> (Tensor, Tensor, Tensor)",
    _lstm_or_keeping,
    lambda a, h, c, w, keep: (
        a.new_empty(*a.shape[:3], h.shape[-1]),
        torch.empty_like(c),
        a.new_empty((*a.shape[:3], 5 * h.shape[-1]) if keep else (*a.shape[:2], 0, 0)),
    ),
)
_lstm_backward = define(
    "lstm_backward(Tensor gy, Tensor g_last, Tensor kept, Tensor c, Tensor w) -> (Tensor, Tensor, Tensor)",
    lstm_backward,
    lambda gy, g_last, kept, c, w: (
        gy.new_empty(*gy.shape[:3], 4 * gy.shape[3]),
        torch.empty_like(c),
        torch.empty_like(c),
    ),
)


@final
class LSTM(AbstractKernel):
    """x (m, b, t, d), w_x (m, 4h, d), b (m, 4h), h, c (m, b, h), w (m, 4h, h) -> outputs (m, b, t, h), last c, kept."""

    @staticmethod
    def forward(x: Tensor, w_x: Tensor, b: Tensor, h: Tensor, c: Tensor, w: Tensor, keep: bool) -> Any:
        """Run the kernels."""
        return _lstm(_from_inputs(x, w_x, b), h, c, w, keep)

    @staticmethod
    def setup_context(ctx: Any, inputs: Any, output: Any) -> None:
        """Keep the inputs, the outputs, the gates and the memory."""
        (x, w_x, _, h, c, w, _), (y, _, kept) = inputs, output
        keeping(ctx, kept)
        ctx.save_for_backward(y, kept, x, w_x, h, c, w)

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> Any:
        """Run the kernel's gradient, and gather the weights'."""
        y, kept, x, w_x, h, c, w = ctx.saved_tensors
        gy = or_zeros(gradients[0], y, y.shape)
        g_last = or_zeros(gradients[1], c, c.shape)
        ga, gh, gc = Gradient.apply(_lstm_backward, gy, g_last, kept, c, w)
        of_w = _of_weights(ga, y, h)
        return *_of_inputs(ctx.needs_input_grad, ga, x, w_x), gh, gc, of_w, None


_diagonal = define("diagonal(Tensor a, Tensor b, Tensor h) -> Tensor", diagonal, lambda a, b, h: torch.empty_like(b))
_diagonal_backward = define(
    "diagonal_backward(Tensor gy, Tensor y, Tensor a, Tensor h) -> (Tensor, Tensor, Tensor)",
    diagonal_backward,
    lambda gy, y, a, h: (_each_row(a, y), torch.empty_like(y), torch.empty_like(h)),
)


def _each_row(a: Tensor, y: Tensor) -> Tensor:
    """Return an empty gradient of a for each sequence, (m, b, t or 1, h)."""
    return a.new_empty(a.shape[0], y.shape[1], *a.shape[2:])


@final
class Diagonal(AbstractKernel):
    """a (m, b or 1, t or 1, h), b (m, b, t, h), h (m, b, h) -> states (m, b, t, h), as `kernels.diagonal`."""

    @staticmethod
    def forward(a: Tensor, b: Tensor, h: Tensor) -> Any:
        """Run the kernel."""
        return _diagonal(a, b, h)

    @staticmethod
    def setup_context(ctx: Any, inputs: Any, output: Tensor) -> None:
        """Keep the states."""
        ctx.save_for_backward(output, inputs[0], inputs[2])

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> Any:
        """Run the kernel's gradient."""
        y, a, h = ctx.saved_tensors
        ga, gb, gh = Gradient.apply(_diagonal_backward, gradients[0], y, a, h)
        return ga.sum_to_size(a.shape), gb, gh


_diagonal_complex = define(
    "diagonal_complex(Tensor a_re, Tensor a_im, Tensor b_re, Tensor b_im, Tensor h_re, Tensor h_im) "
    "-> (Tensor, Tensor)",
    diagonal_complex,
    lambda a_re, a_im, b_re, b_im, h_re, h_im: (torch.empty_like(b_re), torch.empty_like(b_im)),
)
_diagonal_complex_backward = define(
    "diagonal_complex_backward(Tensor gy_re, Tensor gy_im, Tensor y_re, Tensor y_im, Tensor a_re, Tensor a_im, "
    "Tensor h_re, Tensor h_im) -> (Tensor, Tensor, Tensor, Tensor, Tensor, Tensor)",
    diagonal_complex_backward,
    lambda gy_re, gy_im, y_re, y_im, a_re, a_im, h_re, h_im: (
        *(_each_row(a, y_re) for a in (a_re, a_im)),
        *(torch.empty_like(part) for part in (y_re, y_im, h_re, h_im)),
    ),
)


@final
class DiagonalComplex(AbstractKernel):
    """As `Diagonal`, each complex tensor as two, of its real and imaginary parts."""

    @staticmethod
    def forward(a_re: Tensor, a_im: Tensor, b_re: Tensor, b_im: Tensor, h_re: Tensor, h_im: Tensor) -> Any:
        """Run the kernel."""
        return _diagonal_complex(a_re, a_im, b_re, b_im, h_re, h_im)

    @staticmethod
    def setup_context(ctx: Any, inputs: Any, output: Any) -> None:
        """Keep the states."""
        ctx.save_for_backward(*output, *inputs[:2], *inputs[4:])

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> Any:
        """Run the kernel's gradient."""
        y_re, y_im, a_re, a_im, h_re, h_im = ctx.saved_tensors
        ga_re, ga_im, *others = Gradient.apply(
            _diagonal_complex_backward, *gradients, y_re, y_im, a_re, a_im, h_re, h_im
        )
        return ga_re.sum_to_size(a_re.shape), ga_im.sum_to_size(a_im.shape), *others


def _selective_or_keeping(x: Any, delta: Any, a: Any, b: Any, c: Any, h: Any, keep: bool, threads: int) -> Any:
    if keep:
        return selective_keeping(x, delta, a, b, c, h, threads)
    return *selective(x, delta, a, b, c, h, threads), x[:, :, :0, None]


_selective = define(
    "selective(Tensor x, Tensor delta, Tensor a, Tensor b, Tensor c, Tensor h, bool keep) -> (Tensor, Tensor, Tensor)",
    _selective_or_keeping,
    lambda x, delta, a, b, c, h, keep: (
        x.new_empty(x.shape),
        h.new_empty(h.shape),
        x.new_empty(*x.shape[:2], *((kept_states(x.shape[2]), *a.shape[:0:-1]) if keep else (0, 1, x.shape[3]))),
    ),
)
_selective_backward = define(
    "selective_backward(Tensor gy, Tensor g_last, Tensor kept, Tensor x, Tensor delta, Tensor a, Tensor b, Tensor c) "
    "-> (Tensor, Tensor, Tensor, Tensor, Tensor, Tensor)",
    selective_backward,
    lambda gy, g_last, kept, x, delta, a, b, c: tuple(
        part.new_empty(part.shape) for part in (x, delta, a, b, c, g_last)
    ),
)


@final
class Selective(AbstractKernel):
    """x, delta (m, b, t, d), a (m, d, n), b, c (m, b, t, n), h (m, b, d, n) -> outputs, the last h, what is kept."""

    @staticmethod
    def forward(x: Tensor, delta: Tensor, a: Tensor, b: Tensor, c: Tensor, h: Tensor, keep: bool) -> Any:
        """Run the kernel."""
        return _selective(x, delta, a, b, c, h, keep)

    @staticmethod
    def setup_context(ctx: Any, inputs: Any, output: Any) -> None:
        """Keep the arguments but the state, and the states before the stretches."""
        _, last, kept = output
        keeping(ctx, kept)
        ctx.shape = last.shape
        ctx.save_for_backward(kept, *inputs[:5])

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> Any:
        """Run the kernel's gradient."""
        kept, x, *others = ctx.saved_tensors
        gy, g_last = or_zeros(gradients[0], x, x.shape), or_zeros(gradients[1], x, ctx.shape)
        return *Gradient.apply(_selective_backward, gy, g_last, kept, x, *others), None
