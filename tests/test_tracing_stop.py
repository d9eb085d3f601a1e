"""What cannot be traced says which operator stopped it, and at which line of whose code; never a wrong count."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from seqscale.tracing import opaque
from seqscale.tracing.stop import UntraceableError
from seqscale.tracing.trace import trace
from seqscale.tracing.watch import TooLongError

SHAPE = (1, 4, 4)


class Looks(nn.Module):
    def forward(self, x):
        return x if x.sum() > 0 else -x  # LOOKS


class Takes(nn.Module):
    def forward(self, x):
        return x * x.mean().item()  # TAKES


class Selects(nn.Module):
    def forward(self, x):
        return x[x > 0].sum() * x  # SELECTS


class LeavesTorch(nn.Module):
    def forward(self, x):
        return x + torch.from_numpy(np.tanh(x.detach().numpy()))  # NUMPY


@torch.library.custom_op("seqscale_tests::no_fake", mutates_args=())
def no_fake(x: torch.Tensor) -> torch.Tensor:
    return x.clone()


class Custom(nn.Module):
    def forward(self, x):
        return no_fake(x)  # CUSTOM


def line_of(mark):
    lines = Path(__file__).read_text(encoding="utf-8").splitlines()
    return next(i for i, line in enumerate(lines, 1) if line.endswith(f"# {mark}"))


@pytest.mark.parametrize(
    ("module", "mark", "operator"),
    [
        (Looks(), "LOOKS", "item"),
        (Takes(), "TAKES", "item"),
        (Selects(), "SELECTS", "nonzero"),
        (LeavesTorch(), "NUMPY", "numpy"),
        (Custom(), "CUSTOM", "no_fake"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, nn.Module) else None,
)
def test_the_line_and_the_operator_are_named(module, mark, operator):
    with pytest.raises(UntraceableError) as caught:
        trace(module, SHAPE, torch.float32, "forward")
    said = str(caught.value)
    assert f"line {line_of(mark)} of {__file__}" in said
    assert operator in said
    assert len(said.splitlines()) == 1


def test_a_trace_ends_at_its_time_limit():
    class Long(nn.Module):
        def forward(self, x):
            for _ in range(10**6):
                x = x + 1
            return x

    with pytest.raises(TooLongError, match="in the time given"):
        trace(Long(), SHAPE, torch.float32, "forward", limit_s=0.05)


def test_the_law_of_an_opaque_operator_is_not_used_where_real_runs_contradict_it(monkeypatch):
    lstm = nn.LSTM(4, 4, batch_first=True)
    assert trace(lstm, SHAPE, torch.float32, "training").counts.unknown_sizes == ()
    opaque._workspace_law_holds.cache_clear()
    monkeypatch.setattr(opaque, "_real_workspace_bytes", lambda *sizes: 1)
    try:
        assert trace(lstm, SHAPE, torch.float32, "training").counts.unknown_sizes == ("mkldnn_rnn_layer",)
    finally:
        opaque._workspace_law_holds.cache_clear()
