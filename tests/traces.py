"""Traces of small layers, for the tests of counts."""

from __future__ import annotations

import math

import torch
from hypothesis import settings
from hypothesis import strategies as st
from torch import nn

from seqscale.tracing.trace import trace

sizes = settings(deadline=None, max_examples=8)
small = st.integers(1, 24)


def log2(n):
    return math.ceil(math.log2(n))


def counts(module, b, t, d, mode="forward"):
    """Count a layer on (b, t, d); every operator must have its law."""
    result = trace(module, (b, t, d), torch.float32, mode).counts
    assert result.unknown_operators == ()
    return result


class Call(nn.Module):
    """A function as a module."""

    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, x):
        return self.function(x)
