"""What one call of a layer is: the same for the clock, for the memory meter and for the trace."""

from __future__ import annotations

import torch
from torch import Tensor, nn


def output_of(result: object) -> Tensor:
    """Return y (b, t, d) of what a module returned: y itself, or (y, state)."""
    y = result[0] if isinstance(result, tuple) else result
    if not isinstance(y, Tensor):
        raise TypeError(f"the layer returned {type(y).__name__}, not a tensor (b, t, d)")
    return y


def forward_call(module: nn.Module, x: Tensor) -> Tensor:
    """Run x (b, t, d) forward, without recording for a backward pass."""
    with torch.no_grad():
        return output_of(module(x))


def training_call(module: nn.Module, x: Tensor) -> None:
    """Run x (b, t, d) forward and the mean of the outputs backward, to the parameters and to x; gradients start empty.

    Of the mean, not of the sum: the sum's gradient is one number seen through zero strides, and matrix products copy it
    into a full tensor inside the kernel, which is neither what a next layer would send nor visible to a trace. x must
    require a gradient, as the input of any layer but a model's first does.
    """
    x.grad = None
    for parameter in module.parameters():
        parameter.grad = None
    output_of(module(x)).mean().backward()
