"""What a trace foretells on fake tensors is what the same tracker counts while the module really runs."""

from __future__ import annotations

import copy
import weakref
from dataclasses import replace

import pytest
import torch
from catalogue import every_implementation
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from torch import nn

from seqscale.errors import UnsupportedError
from seqscale.layers.build import DTYPES
from seqscale.tracing.opaque import lstm_workspace_bytes
from seqscale.tracing.trace import trace
from seqscale.tracing.watch import watch

MODES = ("forward", "training")
every_mode = pytest.mark.parametrize("mode", MODES)


def executed(module, shape, dtype, mode):
    return watch(copy.deepcopy(module), torch.randn(shape).to(dtype), mode).counts


@every_implementation
@every_mode
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_catalogue_traced_equals_executed(implementation, mode, dtype):
    module = implementation.build(dtype=dtype)
    shape = (2, 7, module.width)
    assert trace(module, shape, DTYPES[dtype], mode).counts == executed(module, shape, DTYPES[dtype], mode)


class Everything(nn.Module):
    """In-place writes, views of views, joins, a convolution and a normalisation."""

    def __init__(self, width):
        super().__init__()
        self.conv = nn.Conv1d(width, width, 3, padding=2, groups=width)
        self.norm = nn.LayerNorm(width)
        self.up = nn.Linear(width, 2 * width)

    def forward(self, x):
        b, t, d = x.shape
        y = self.conv(x.mT)[..., :t].mT
        a, g = self.up(self.norm(y)).chunk(2, dim=-1)
        out = x.new_zeros(b, t, d)
        out[:, 1:] += a[:, :-1]
        return torch.cat([out[:, :1], out[:, 1:]], dim=1).mul_(torch.nn.functional.silu(g)).cumsum(1)


@pytest.mark.parametrize("kind", [nn.RNN, nn.GRU, nn.LSTM, Everything])
@every_mode
@settings(deadline=None, max_examples=4, phases=[Phase.generate])
@given(b=st.integers(1, 3), t=st.integers(1, 12), d=st.integers(1, 20))
def test_modules_of_torch_traced_equals_executed(kind, mode, b, t, d):
    module = kind(d) if kind is Everything else kind(d, d, batch_first=True)
    counts = trace(module, (b, t, d), torch.float32, mode).counts
    ran = executed(module, (b, t, d), torch.float32, mode)
    if kind is Everything:
        # autograd undoes a write into a view by as_strided for real tensors, by the view's own operator for fake ones
        by_kernel = {"kernels": 0, "kernel_span": 0, "ideal_span": 0, "traffic_bytes": 0, "operators": ()}
        counts, ran = replace(counts, **by_kernel), replace(ran, **by_kernel)
    assert counts == ran
    assert counts.unknown_operators == ()


@settings(deadline=None, max_examples=25)
@given(t=st.integers(1, 300), b=st.integers(1, 4), d=st.integers(1, 300), h=st.integers(1, 300))
def test_workspace_of_the_real_lstm_is_as_long_as_its_law_says(t, b, d, h):
    seen = []

    def pack(tensor):
        seen.extend([tensor.untyped_storage().nbytes()] if tensor.dtype is torch.uint8 else [])
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        nn.LSTM(d, h, batch_first=True)(torch.zeros(b, t, d, requires_grad=True))
    assert seen == [lstm_workspace_bytes(t, b, d, h)]


def test_a_module_is_left_as_it_was():
    module = nn.GRU(4, 4, batch_first=True)
    before = copy.deepcopy(module.state_dict())
    trace(module, (1, 5, 4), torch.float32, "training")
    assert all(torch.equal(before[name], value) for name, value in module.state_dict().items())
    assert all(parameter.grad is None for parameter in module.parameters())


def test_a_trace_leaves_no_weak_reference_to_what_the_module_owns():
    """Three of them in garbage can crash Python 3.11 when the module dies."""
    module = nn.Linear(4, 4)
    for _ in range(3):
        trace(module, (1, 5, 4), torch.float32, "training")
    assert weakref.getweakrefcount(module.weight.untyped_storage()) == 0


def test_a_trace_takes_no_memory_of_the_size_it_foretells():
    counts = trace(nn.Linear(8, 8, bias=False), (1, 2**40, 8), torch.float32, "forward").counts
    assert counts.predicted_peak_bytes == 4 * 8 * 2**40


class Looks(nn.Module):
    def forward(self, x):
        return x if x.sum() > 0 else -x


def test_a_module_that_must_see_its_data_is_unsupported():
    with pytest.raises(UnsupportedError, match="needs real data"):
        trace(Looks(), (1, 4, 4), torch.float32, "forward")


class Solves(nn.Module):
    def forward(self, x):
        return torch.linalg.matrix_exp(x @ x.mT) @ x


def test_an_operator_without_a_law_is_named():
    counts = trace(Solves(), (1, 4, 4), torch.float32, "forward").counts
    assert counts.unknown_operators == ("linalg_matrix_exp",)
