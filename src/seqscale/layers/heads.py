"""How queries, keys and values are cut into heads, and what the heads read is joined again."""

from __future__ import annotations

from torch import Tensor

from seqscale.errors import UsageError
from seqscale.layers.base import whole


def whole_heads(layer: str, heads: object, width: int) -> int:
    """Return the number of heads as the divisor of the width that it must be; UsageError names what was written."""
    number = whole("heads", heads, at_least=1)
    if width % number:
        raise UsageError(f"{layer}: width={width} must be a multiple of heads={number}; set --option heads=1.")
    return number


def split_heads(x: Tensor, heads: int) -> tuple[Tensor, Tensor, Tensor]:
    """Cut queries, keys and values that lie side by side: (b, t, 3 d) -> three of (b, heads, t, e)."""
    q, k, v = x.unflatten(-1, (3, heads, -1)).permute(2, 0, 3, 1, 4).unbind(0)
    return q, k, v


def merge_heads(read: Tensor) -> Tensor:
    """Put the heads side by side: (b, heads, t, e) -> (b, t, d)."""
    return read.transpose(1, 2).flatten(-2)
