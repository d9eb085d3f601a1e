"""Layers of other libraries are built, pass the gate, and are traced to the laws that their algorithms have."""

from __future__ import annotations

import copy
import importlib.util
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from catalogue import normal
from test_gate import cell, names
from torch import nn

from seqscale.errors import LayerLoadError
from seqscale.layers.build import build
from seqscale.layers.catalogue import find
from seqscale.probes.gate import TIGHT, run_gate
from seqscale.tracing.trace import trace
from seqscale.tracing.watch import Counts, watch

FILE = Path(__file__).parents[1] / "examples" / "library_layers.py"
LIBRARIES = {"Transformer": "torch", "Mamba": "transformers", "MambaScan": "mambapy", "MinGRU": "minGRU_pytorch"}
WIDTH = 32
MODES = ("forward", "training")
every_mode = pytest.mark.parametrize("mode", MODES)


@pytest.fixture(params=LIBRARIES)
def layer(request: pytest.FixtureRequest) -> str:
    return needs(request.param)


def needs(name: str) -> str:
    """Skip unless the layer's library is installed."""
    if importlib.util.find_spec(LIBRARIES[name]) is None:
        pytest.skip(f"{LIBRARIES[name]} is not installed: pip install 'seqscale[layers]'")
    return name


def made(name: str) -> nn.Module:
    return build(f"{FILE}:{name}", "own", WIDTH, {}, "own", "float32", "cpu", 0).module


def counts(module: nn.Module, length: int, mode: str = "forward") -> Counts:
    return trace(module, (1, length, WIDTH), torch.float32, mode).counts


def test_outputs_have_the_shape_of_the_input(layer: str) -> None:
    x = normal(2, 9, WIDTH, dtype="float32")
    y = made(layer)(x)
    assert y.shape == x.shape
    assert not y.equal(x)


def test_the_gate_lets_it_in(layer: str) -> None:
    report = run_gate(cell(find(f"{FILE}:{layer}"), "own"))
    assert names(report) == ["shape", "repeat", "causal"]
    assert report.checks[-1].tolerance == TIGHT


@every_mode
def test_every_operator_has_a_law_and_the_trace_foretells_the_run(layer: str, mode: str) -> None:
    module = made(layer)
    traced = counts(module, 16, mode)
    assert traced.unknown_operators == traced.unknown_sizes == ()
    assert traced.work > 0
    ran = watch(copy.deepcopy(module), torch.randn(1, 16, WIDTH), mode).counts
    # a write into a view is undone by autograd in another way for real tensors
    assert replace(traced, kernels=0, operators=()) == replace(ran, kernels=0, operators=())


def test_a_loop_over_time_has_a_span_that_grows_by_the_same_for_each_token() -> None:
    module = made(needs("Mamba"))
    spans = [counts(module, length).kernel_span for length in (16, 17, 48)]
    assert spans[1] - spans[0] == 2  # one product and one sum
    assert spans[2] - spans[0] == 2 * 32


def test_attention_and_cumulative_sums_have_as_many_kernels_at_every_length(layer: str) -> None:
    if layer not in ("Transformer", "MinGRU"):
        pytest.skip(f"{layer} has a loop over time, or over its logarithm")
    module = made(layer)
    assert counts(module, 16).kernel_span == counts(module, 1000).kernel_span


def test_a_scan_has_a_span_that_grows_by_the_same_for_each_doubling() -> None:
    module = made(needs("MambaScan"))
    spans = [counts(module, 2**power).kernel_span for power in (5, 6, 7, 12)]
    assert spans[1] - spans[0] == spans[2] - spans[1] > 0
    assert spans[3] - spans[0] == 7 * (spans[1] - spans[0])


def test_an_absent_library_is_named_with_its_cure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "mambapy.mamba", None)
    with pytest.raises(LayerLoadError, match=r"mambapy.mamba, which is absent: pip install 'seqscale\[layers\]'"):
        made("MambaScan")
