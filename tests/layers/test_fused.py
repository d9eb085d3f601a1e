"""What `fused` cannot do, it says; what a call is given, it leaves as it is."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from typing import Any

import pytest
import torch
from catalogue import IMPLEMENTATIONS, WIDTH, Implementation, normal
from torch.utils._python_dispatch import TorchDispatchMode

from seqscale.errors import UnsupportedError
from seqscale.tracing.trace import trace

FUSED = [i for i in IMPLEMENTATIONS if i.algorithm == "fused"]
every_fused = pytest.mark.parametrize("implementation", FUSED, ids=str)


@every_fused
def test_a_second_derivative_is_refused_when_it_is_taken(implementation: Implementation) -> None:
    layer, x = implementation.build(), normal(2, 5, WIDTH).requires_grad_()
    (first,) = torch.autograd.grad(layer(x)[0].square().sum(), x, create_graph=True)
    with pytest.raises(UnsupportedError, match="'fused' has no second derivative: choose `reference`"):
        first.sum().backward()


@every_fused
def test_a_second_derivative_of_any_weight_is_the_references_or_refused(implementation: Implementation) -> None:
    fused, reference = implementation.build(), replace(implementation, algorithm="reference").build()
    reference.load_state_dict(fused.state_dict())
    refused = []
    for name, _ in fused.named_parameters():
        seconds = []
        for layer in (reference, fused):
            x = normal(2, 5, WIDTH).requires_grad_()
            loss = layer(x)[0].square().sum()
            (first,) = torch.autograd.grad(loss, layer.get_parameter(name), create_graph=True)
            try:
                seconds.extend(torch.autograd.grad(first.square().sum(), x))
            except UnsupportedError:
                refused.append((name, layer is fused))
        if len(seconds) == 2:
            torch.testing.assert_close(*seconds)
    assert refused and all(by_fused for _, by_fused in refused)


@every_fused
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_no_sequences_give_no_outputs_and_no_gradient(implementation: Implementation, dtype: str) -> None:
    layer, x = implementation.build(dtype=dtype), normal(0, 5, WIDTH, dtype=dtype).requires_grad_()
    y, state = layer(x)
    assert y.shape == x.shape and [len(part) for part in state] == [0] * len(state)
    gradients = torch.autograd.grad(y.sum(), (x, *layer.parameters()), materialize_grads=True, allow_unused=True)
    assert gradients[0].shape == x.shape and not any(gradient.any() for gradient in gradients)


@every_fused
def test_another_device_is_refused(implementation: Implementation) -> None:
    layer = implementation.build(dtype="float32").to("meta")
    with pytest.raises(UnsupportedError, match="'fused' runs on a CPU, not on meta"):
        layer(torch.zeros(1, 3, WIDTH, device="meta"))


def test_without_numba_fused_is_unsupported_and_all_else_works() -> None:
    program = """
import sys
from typing import Any
sys.modules["numba"] = None
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from seqscale.errors import UnsupportedError
from seqscale.layers.gru import GRU
GRU(4)(torch.zeros(1, 2, 4))
from seqscale.training.ways import way_of
print(way_of("gru", "library", "cpu").text())
try:
    GRU(4, algorithm="fused")(torch.zeros(1, 2, 4))
except UnsupportedError as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert "'fused' needs numba, which does not import here" in done.stdout
    assert "reference, all models together" in done.stdout  # how models of the layer are then trained


@every_fused
def test_nothing_that_was_given_is_written(implementation: Implementation) -> None:
    layer, x = implementation.build(), normal(3, 6, WIDTH).requires_grad_()
    state = tuple(normal(*part.shape, seed=1).to(part.dtype) for part in layer.initial_state(3))
    kept = [tensor.detach().clone() for tensor in (x, *state, *layer.parameters())]
    y, _ = layer(x, state)
    before = y.detach().clone()
    y.sum().backward()
    assert torch.equal(y, before)
    for tensor, was in zip((x, *state, *layer.parameters()), kept, strict=True):
        assert torch.equal(tensor, was)


@every_fused
def test_gradients_reach_the_first_state_from_outputs_and_from_the_last_state(implementation: Implementation) -> None:
    found = []
    for algorithm in ("fused", "reference"):
        layer = Implementation(implementation.layer, algorithm, implementation.options).build()
        x = normal(2, 5, WIDTH).requires_grad_()
        state = tuple(normal(*p.shape, seed=2).to(p.dtype).requires_grad_() for p in layer.initial_state(2))
        y, after = layer(x, state)
        parts = [part.abs().square().sum() for part in (y, *after)]
        wanted = (x, *state, *layer.parameters())
        found.append([
            torch.autograd.grad(loss, wanted, retain_graph=True, materialize_grads=True, allow_unused=True)
            for loss in (*parts, sum(parts))
        ])  # fmt: skip
    for ours, loops in zip(*found, strict=True):
        torch.testing.assert_close(ours, loops, rtol=1e-10, atol=1e-11)


@every_fused
def test_a_gradient_asked_for_alone_is_that_asked_for_with_all_others(implementation: Implementation) -> None:
    layer, x = implementation.build(), normal(2, 5, WIDTH).requires_grad_()
    state = tuple(normal(*p.shape, seed=2).to(p.dtype).requires_grad_() for p in layer.initial_state(2))
    given = (x, *state, *layer.parameters())
    together = torch.autograd.grad(layer(x, state)[0].square().sum(), given)
    for asked, wanted in zip(given, together, strict=True):
        for tensor in given:
            tensor.requires_grad_(tensor is asked)
        (alone,) = torch.autograd.grad(layer(x, state)[0].square().sum(), asked)
        assert torch.equal(alone, wanted)


@every_fused
def test_views_give_what_their_copies_give(implementation: Implementation) -> None:
    found = []
    for copied in (False, True):
        layer = implementation.build()
        views = (normal(WIDTH, 5, 2).permute(2, 1, 0), normal(1, 1, 2 * WIDTH)[..., ::2].expand(2, 5, WIDTH))
        x, weights = (view.contiguous() if copied else view for view in views)
        assert x.is_contiguous() == copied
        y, _ = layer(x.requires_grad_())
        found.append((y, *torch.autograd.grad(y, (x, *layer.parameters()), weights)))
    for ours, wanted in zip(*found, strict=True):
        assert torch.equal(ours, wanted)


@every_fused
def test_weights_used_twice_gather_both_gradients(implementation: Implementation) -> None:
    found = []
    for algorithm in ("fused", "reference"):
        layer = Implementation(implementation.layer, algorithm, implementation.options).build()
        y = layer(layer(normal(2, 5, WIDTH))[0])[0]
        found.append(torch.autograd.grad(y.square().sum(), tuple(layer.parameters())))
    torch.testing.assert_close(found[0], found[1], rtol=1e-10, atol=1e-11)


@every_fused
def test_a_graph_grows_no_node_with_length(implementation: Implementation) -> None:
    layer = implementation.build(dtype="float32")
    short, long = (trace(layer, (1, t, WIDTH), torch.float32, "training").counts for t in (8, 64))
    assert short.graph_nodes == long.graph_nodes
    assert short.kernels == long.kernels


class Zeros(TorchDispatchMode):
    """Notes how many numbers each tensor of zeros has."""

    def __init__(self) -> None:
        super().__init__()
        self.made: list[int] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        found = func(*args, **(kwargs or {}))
        if "zeros" in func.name():
            self.made.append(found.numel())
        return found


@every_fused
def test_no_zeros_as_large_as_what_is_kept_are_made_for_its_gradient(implementation: Implementation) -> None:
    layer, x = implementation.build(), normal(2, 50, WIDTH).requires_grad_()
    y, _ = layer(x)
    with Zeros() as zeros:
        y.sum().backward()
    assert max(zeros.made, default=0) <= 2 * layer.state_elements(50)
