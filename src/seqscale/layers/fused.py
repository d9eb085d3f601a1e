"""Whole recurrences by one compiled kernel: the algorithm `fused`, on a CPU.

Kernels compute in float32 and float64; bfloat16 is carried in float32 from the first step to the last. numba is
imported when the first of these functions is called.
"""

from __future__ import annotations

from types import ModuleType

import torch
from torch import Tensor

from seqscale.errors import UnsupportedError
from seqscale.layers.base import accumulator


def elman(x: Tensor, h: Tensor, w_x: Tensor, w_h: Tensor, b_x: Tensor, b_h: Tensor) -> Tensor:
    """Return the states after each token, (b, t, h), each by `layers.elman.elman_step` from the one before.

    Args:
        x: (b, t, d). h: (b, h), before the first. w_x: (h, d). w_h: (h, h). b_x, b_h: (h,).

    Raises:
        UnsupportedError: not on a CPU, or numba does not import.
        ValueError: a wrong shape.
    """
    operators, kind = _operators(x.device), accumulator(x.dtype)
    y: Tensor = operators.Elman.apply(*_models(kind, x, w_x, b_x + b_h, h, w_h))
    return y.squeeze(0).to(x.dtype)


def gru(x: Tensor, h: Tensor, w_x: Tensor, w_h: Tensor, b_x: Tensor, b_h: Tensor) -> Tensor:
    """Return the states after each token, (b, t, h), each by `layers.gru.gru_step` from the one before.

    Args:
        x: (b, t, d). h: (b, h), before the first. w_x: (3h, d), rows r, z, n. w_h: (3h, h). b_x, b_h: (3h,).

    Raises:
        UnsupportedError: not on a CPU, or numba does not import.
        ValueError: a wrong shape.
    """
    operators, kind, last = _operators(x.device), accumulator(x.dtype), 2 * h.shape[-1]
    # of the hidden side's biases the last stands behind the reset gate
    b = torch.cat((b_x[:last] + b_h[:last], b_x[last:]))
    y: Tensor = operators.GRU.apply(*_models(kind, x, w_x, b, h, w_h, b_h[last:]), torch.is_grad_enabled())[0]
    return y.squeeze(0).to(x.dtype)


def lstm(x: Tensor, h: Tensor, c: Tensor, w_x: Tensor, w_h: Tensor, b_x: Tensor, b_h: Tensor) -> tuple[Tensor, Tensor]:
    """Return the outputs of each token, (b, t, h), by `layers.lstm.lstm_step`, and the memory c after the last, (b, h).

    Args:
        x: (b, t, d). h, c: (b, h), before the first. w_x: (4h, d), rows i, f, g, o. w_h: (4h, h). b_x, b_h: (4h,).

    Raises:
        UnsupportedError: not on a CPU, or numba does not import.
        ValueError: a wrong shape.
    """
    operators, kind = _operators(x.device), accumulator(x.dtype)
    y, last, _ = operators.LSTM.apply(*_models(kind, x, w_x, b_x + b_h, h, c, w_h), torch.is_grad_enabled())
    return y.squeeze(0).to(x.dtype), last.squeeze(0).to(x.dtype)


def diagonal(a: Tensor, b: Tensor, h: Tensor) -> Tensor:
    """Return the states h_t = a * h_{t-1} + b_t after each token, (b, t, h).

    Args:
        a: (h,). b: (b, t, h), what each token adds. h: (b, h), before the first.

    Raises:
        UnsupportedError: not on a CPU, or numba does not import.
        ValueError: a wrong shape.
    """
    operators, kind = _operators(b.device), accumulator(b.dtype)
    y: Tensor = operators.Diagonal.apply(*_models(kind, a.view(1, 1, -1), b, h))
    return y.squeeze(0).to(b.dtype)


def diagonal_complex(
    a: tuple[Tensor, Tensor], b: tuple[Tensor, Tensor], h: tuple[Tensor, Tensor]
) -> tuple[Tensor, Tensor]:
    """Return the states that `diagonal` does for complex numbers, each two tensors of real and imaginary parts."""
    dtype = b[0].dtype
    operators, kind = _operators(b[0].device), accumulator(dtype)
    shared = (part.view(1, 1, -1) for part in a)
    re, im = operators.DiagonalComplex.apply(*_models(kind, *shared, *b, *h))
    return re.squeeze(0).to(dtype), im.squeeze(0).to(dtype)


def selective(x: Tensor, delta: Tensor, a: Tensor, b: Tensor, c: Tensor, h: Tensor) -> tuple[Tensor, Tensor]:
    """Return the outputs, (b, t, d), and the last h, each token by `layers.selective.selective_step`.

    Args:
        x, delta: (b, t, d). a: (d, n). b, c: (b, t, n). h: (b, d, n), before the first. float32 or float64.

    Raises:
        UnsupportedError: not on a CPU, or numba does not import.
        ValueError: a wrong shape or dtype.
    """
    models = _models(x.dtype, x, delta, a, b, c, h)
    y, last, _ = _operators(x.device).Selective.apply(*models, torch.is_grad_enabled())
    return y.squeeze(0), last.squeeze(0)


def linear_attention(q: Tensor, k: Tensor, v: Tensor, s: Tensor, decay: float) -> tuple[Tensor, Tensor]:
    """Return what is read, (b, heads, t, f), and the last S, each token by `layers.linear_attention`'s step.

    Args:
        q, k: (b, heads, t, e). v: (b, heads, t, f). s: (b, heads, f, e), before the first. decay: from 0 to 1.

    Raises:
        UnsupportedError: not on a CPU, or numba does not import.
        ValueError: a wrong shape.
    """
    operators = _matrices(q.device)
    models = _models(accumulator(q.dtype), *(part.flatten(0, 1) for part in (q, k, v, s)))
    g = models[0].new_full(models[0].shape[:2], decay)
    read, last, _ = operators.LinearAttention.apply(*models[:3], g, models[3], torch.is_grad_enabled())
    return read.view(v.shape).to(q.dtype), last.view(s.shape).to(q.dtype)


def delta(q: Tensor, k: Tensor, v: Tensor, beta: Tensor, s: Tensor) -> tuple[Tensor, Tensor]:
    """Return what is read, (b, heads, t, f), and the last S, each token by `layers.deltanet.delta_step`.

    Args:
        q, k: (b, heads, t, e). v: (b, heads, t, f). beta: (b, heads, t). s: (b, heads, f, e), before the first.

    Raises:
        UnsupportedError: not on a CPU, or numba does not import.
        ValueError: a wrong shape.
    """
    operators = _matrices(q.device)
    models = _models(accumulator(q.dtype), *(part.flatten(0, 1) for part in (q, k, v, beta, s)))
    read, last, _, _ = operators.Delta.apply(*models, torch.is_grad_enabled())
    return read.view(v.shape).to(q.dtype), last.view(s.shape).to(q.dtype)


def available(device: str) -> bool:
    """Whether the algorithm runs on a device: a CPU, where numba imports."""
    try:
        _operators(torch.device(device))
    except UnsupportedError:
        return False
    return True


def _models(kind: torch.dtype, *tensors: Tensor) -> list[Tensor]:
    """Return the tensors of one model as those of many, of which there is one, in the kernel's dtype."""
    return [tensor.to(kind).unsqueeze(0) for tensor in tensors]


def _operators(device: torch.device) -> ModuleType:
    """Return the module of the operators, which imports numba."""
    if device.type != "cpu":
        raise UnsupportedError(f"'fused' runs on a CPU, not on {device}: choose another algorithm.")
    try:
        from seqscale.layers import fused_operators
    except ImportError as error:
        raise UnsupportedError(f"'fused' needs numba, which does not import here ({error}).") from error
    return fused_operators


def _matrices(device: torch.device) -> ModuleType:
    """Return the module of the operators whose state is a matrix."""
    _operators(device)
    from seqscale.layers import fused_matrices

    return fused_matrices
