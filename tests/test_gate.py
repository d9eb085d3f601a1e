"""The gate passes every layer of the catalogue, and rejects each broken one for the right reason."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from catalogue import IMPLEMENTATIONS, WIDTH, Implementation
from torch import Tensor, nn

from seqscale.errors import RejectedError, UnsupportedError
from seqscale.layers.adapt import capabilities
from seqscale.layers.base import State
from seqscale.layers.build import DTYPES, Built
from seqscale.layers.catalogue import LAYERS, find
from seqscale.layers.gru import GRU
from seqscale.probes.gate import FACTOR, LENGTHS, TIGHT, Subject, check, run_gate
from seqscale.records import Cell, LayerSpec, Option

EXAMPLE = Path(__file__).parents[1] / "examples" / "my_layer.py"


def cell(spec: LayerSpec, algorithm: str, dtype: str = "float32", options: Mapping[str, Option] | None = None) -> Cell:
    return Cell(
        probe="time",
        probe_version=1,
        layer=spec.name,
        layer_version=spec.version,
        target=spec.target,
        options=tuple(sorted((options or {}).items())),
        algorithm=algorithm,
        mode="forward",
        length=8,
        width=WIDTH,
        batch=1,
        dtype=dtype,
        device="cpu",
        threads=1,
        seed=0,
        launcher="fork",
        machine="a machine",
        torch=torch.__version__,
    )


def names(report: Any) -> list[str]:
    return [c["name"].split(",")[0] for c in report.record()["checks"]]


@pytest.mark.parametrize(
    ("implementation", "dtype"),
    # `reference` is compared with nothing: one dtype says enough of it
    [(i, dtype) for i in IMPLEMENTATIONS for dtype in DTYPES if i.algorithm != "reference" or dtype == "bfloat16"],
    ids=str,
)
def test_our_layers_pass(implementation: Implementation, dtype: str) -> None:
    spec = LAYERS[implementation.layer]
    report = run_gate(cell(spec, implementation.algorithm, dtype, implementation.options))
    wanted = ["shape", "repeat", "causal", "segments", "step"]
    if implementation.algorithm != "reference":
        wanted.append("agrees with reference in float64")
        wanted += [] if dtype == "float64" else [f"error in {dtype} over the reference's"]
    assert names(report) == wanted
    assert all(c.worst <= c.tolerance for c in report.checks)
    assert {c.name: c.tolerance for c in report.checks}["causal"] == 0
    assert report.notes == ()


@pytest.mark.parametrize("dtype", DTYPES)
def test_the_example_of_a_users_own_layer_passes(dtype: str) -> None:
    report = run_gate(cell(find(f"{EXAMPLE}:RunningMean"), "own", dtype, {"expand": 2}))
    assert names(report) == ["shape", "repeat", "causal"]
    assert report.checks[-1].tolerance == TIGHT
    report = run_gate(cell(find(f"{EXAMPLE}:LeakyMean"), "own", dtype))
    assert names(report) == ["shape", "repeat", "causal", "segments", "step"]


# -- a user's own layers, broken one way each ------------------------------------------------------------------------


class Own(nn.Module):
    """A linear map, then whatever `spoil` does to it."""

    def __init__(self, spoil: Callable[[Tensor], Any]) -> None:
        super().__init__()
        self.linear = nn.Linear(WIDTH, WIDTH)
        self.spoil = spoil

    def forward(self, x: Tensor) -> Any:
        return self.spoil(self.linear(x))


def put(module: Callable[[], nn.Module], dtype: str = "float32") -> Any:
    """Put a user's layer to the gate."""

    def make(dtype: str, algorithm: str) -> Built:
        torch.manual_seed(0)
        made = module().to(DTYPES[dtype])
        return Built(module=made, capabilities=capabilities(made), notes=("a note",))

    return check(
        Subject(
            make=make,
            algorithm="own",
            has_reference=False,
            ours=False,
            width=WIDTH,
            dtype=dtype,
            device="cpu",
            seed=0,
        )
    )


def leak_from(source: int, target: int) -> Callable[[Tensor], Tensor]:
    """Add a thousandth of y[source] to y[target]."""

    def spoil(y: Tensor) -> Tensor:
        if y.shape[1] <= source:
            return y
        moved = torch.zeros_like(y)
        moved[:, target] = 1e-3 * y[:, source]
        return y + moved

    return spoil


def nan_at(position: int) -> Callable[[Tensor], Tensor]:
    return lambda y: torch.where(torch.arange(y.shape[1])[:, None] == position, torch.nan, y)


def reversed_in_chunks(size: int) -> Callable[[Tensor], Tensor]:
    """Reverse the whole chunks, and leave the last tokens as they are."""
    return lambda y: torch.cat([c.flip(1) if c.shape[1] == size else c for c in y.split(size, dim=1)], dim=1)


@pytest.mark.parametrize(
    ("spoil", "text"),
    [
        (
            leak_from(1, 0),
            r"not causal: changing x\[1\] moves y\[0\], .* by 0\.00\d+ of the largest output \(2 tokens\)",
        ),
        (leak_from(16, 15), r"changing x\[16\] moves y\[15\]"),
        (leak_from(128, 3), r"changing x\[128\] moves y\[3\].*\(129 tokens\)"),
        (leak_from(100, 20), r"changing x\[100\] moves y\[20\]"),
        (reversed_in_chunks(2), r"changing x\[1\] moves y\[0\]"),
        (reversed_in_chunks(16), r"not causal: changing x\[15\] moves y\[0\]"),
        (reversed_in_chunks(64), r"not causal: changing x\[6[0-3]\] moves y\[0\]"),
        (lambda y: y - y.mean(1, keepdim=True), r"changing x\[1\] moves y\[0\]"),
        (lambda y: y[:, :-1], r"wrong shape: for an input with \(2, 1, 8\) the output has \(2, 0, 8\)"),
        (lambda y: y[..., :3], r"wrong shape: .* \(2, 1, 3\)"),
        (lambda y: y.double(), r"wrong dtype: for an input with torch\.float32 the output has torch\.float64"),
        (nan_at(63), r"not finite: y\[63\] of a sequence of 64 tokens"),
        (lambda y: y / 0, r"not finite: y\[0\] of a sequence of 1 tokens"),
        (lambda y: [y], r"forward gave a list, not a tensor"),
        (lambda y: torch.nn.functional.dropout(y), r"not repeatable: two calls on one input differ"),
    ],
)
def test_a_broken_layer_is_rejected_with_the_reason(spoil: Callable[[Tensor], Any], text: str) -> None:
    with pytest.raises(RejectedError, match=text) as caught:
        put(lambda: Own(spoil))
    assert len(str(caught.value)) < 300
    assert "\n" not in str(caught.value)


def test_the_same_layer_unbroken_passes_and_keeps_its_notes() -> None:
    assert put(lambda: Own(lambda y: y)).notes == ("a note",)


def test_a_leak_of_rounding_size_is_allowed_in_a_users_layer() -> None:
    """A convolution by Fourier transform spreads rounding errors to all positions."""
    report = put(lambda: Own(lambda y: torch.fft.irfft(torch.fft.rfft(y, dim=1), n=y.shape[1], dim=1)))
    assert 0 < report.checks[-1].worst < TIGHT


def test_an_error_of_the_layers_own_comes_through() -> None:
    def fall(y: Tensor) -> Tensor:
        raise KeyError("my own mistake")

    with pytest.raises(KeyError, match="my own mistake"):
        put(lambda: Own(fall))


def test_a_layer_that_runs_in_one_dtype_only_is_told_so() -> None:
    with pytest.raises(RejectedError, match=r"checked in float64, in which the layer does not run: .*x\.dtype"):
        put(lambda: Own(lambda y: y @ torch.eye(WIDTH)))


def test_a_kernel_that_torch_does_not_have_is_unsupported() -> None:
    with pytest.raises(UnsupportedError, match="torch has no kernel for bfloat16 on cpu"):
        put(lambda: Own(lambda y: y @ torch.linalg.inv(torch.eye(WIDTH, dtype=y.dtype))), "bfloat16")


class Sum(nn.Module):
    """A running sum; `kept` says which part of its state survives a segment's end, `factor` spoils its step."""

    def __init__(self, kept: float, factor: float) -> None:
        super().__init__()
        self.kept, self.factor = kept, factor

    def forward(self, x: Tensor, state: Tensor | None = None) -> tuple[Tensor, Tensor]:
        y = x.cumsum(1) + (0 if state is None else state[:, None])
        return y, self.kept * y[:, -1]

    def step(self, x_t: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        y_t = self.factor * x_t + state
        return y_t, y_t

    def initial_state(self, batch: int) -> Tensor:
        return torch.zeros(batch, WIDTH, dtype=torch.float64)


def test_a_users_layer_with_state_and_step_is_held_to_them() -> None:
    assert names(put(lambda: Sum(1.0, 1.0))) == ["shape", "repeat", "causal", "segments", "step"]
    with pytest.raises(RejectedError, match=r"state not carried: 129 tokens cut at 1, .* differ from one pass by"):
        put(lambda: Sum(0.0, 1.0))
    with pytest.raises(RejectedError, match="step differs from forward by"):
        put(lambda: Sum(1.0, 1.001))


class Aside(Sum):
    """A running sum that it keeps in an attribute, beside a state that says nothing."""

    def __init__(self) -> None:
        super().__init__(1.0, 1.0)

    def forward(self, x: Tensor, state: Tensor | None = None) -> tuple[Tensor, Tensor]:
        y, _ = super().forward(x, None if state is None else self.sum)
        self.sum = y[:, -1]
        return y, torch.zeros_like(self.sum)


class AsideInSteps(Sum):
    """The same, but only step by step: its forward is whole."""

    def __init__(self) -> None:
        super().__init__(1.0, 1.0)

    def initial_state(self, batch: int) -> Tensor:
        self.sum = super().initial_state(batch)
        return self.sum

    def step(self, x_t: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        self.sum = self.sum + x_t
        return self.sum, state


@pytest.mark.parametrize("cheat", [Aside, AsideInSteps])
def test_nothing_but_the_state_may_be_remembered(cheat: Callable[[], nn.Module]) -> None:
    with pytest.raises(RejectedError, match=r"another sequence .* in between"):
        put(cheat)


def test_a_state_that_is_taken_must_be_given_back() -> None:
    class Silent(nn.Module):
        def forward(self, x: Tensor, state: Tensor | None = None) -> Tensor:
            return x

    with pytest.raises(RejectedError, match=r"forward takes a state, so it must give \(y, state\)"):
        put(Silent)


# -- an algorithm of ours that computes something else than the reference ---------------------------------------------


class _WrongGradient(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, y: Tensor) -> Tensor:
        return y.clone()

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        return gradient * 1.001


class _Forgets(torch.autograd.Function):
    """The identity, with a gradient that is right for x and lost for one parameter."""

    @staticmethod
    def forward(ctx: Any, weight: Tensor) -> Tensor:
        return weight.clone()

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        return torch.zeros_like(gradient)


Compute = Callable[[GRU, Tensor, State], tuple[Tensor, State]]


def put_gru(monkeypatch: pytest.MonkeyPatch, compute: Compute, dtype: str = "float32") -> Any:
    """Put a GRU to the gate whose library algorithm is `compute`."""
    monkeypatch.setattr(GRU, "compute", compute)
    return run_gate(cell(LAYERS["gru"], "library", dtype))


library = GRU.compute


def wrong_value(layer: GRU, x: Tensor, state: State) -> tuple[Tensor, State]:
    y, after = library(layer, x, state)
    return y * (1 + 1e-8), after


def wrong_gradient(layer: GRU, x: Tensor, state: State) -> tuple[Tensor, State]:
    y, after = library(layer, x, state)
    return _WrongGradient.apply(y), after


def no_gradient_of_a_bias(layer: GRU, x: Tensor, state: State) -> tuple[Tensor, State]:
    own = dict(layer.core.named_parameters())
    lost = own | {"bias_hh_l0": _Forgets.apply(own["bias_hh_l0"])}
    y, last = torch.func.functional_call(layer.core, lost, (x, state[0].unsqueeze(0)))
    return y[..., : layer.width], (last.squeeze(0),)


def drops_its_state(layer: GRU, x: Tensor, state: State) -> tuple[Tensor, State]:
    return library(layer, x, layer.initial_state(x.shape[0]) if x.shape[1] > 1 else state)


def rounds_between_steps(layer: GRU, x: Tensor, state: State) -> tuple[Tensor, State]:
    """Keep the state in bfloat16, whatever the dtype."""
    outs = []
    for x_t in x.unbind(1):
        y_t, (h,) = layer.define(x_t, state)
        state = (h.bfloat16().to(h.dtype),)
        outs.append(y_t)
    return torch.stack(outs, dim=1), state


def rounds_in_float32(layer: GRU, x: Tensor, state: State) -> tuple[Tensor, State]:
    """Keep the state in bfloat16 where the input is float32: right in float64, which alone would not show it."""
    return (rounds_between_steps if x.dtype == torch.float32 else library)(layer, x, state)


def ten_times_the_rounding(layer: GRU, x: Tensor, state: State) -> tuple[Tensor, State]:
    y, after = library(layer, x, state)
    return (y * (1 + 4e-6) if x.dtype == torch.float32 else y), after


def rounds_without_gradients(layer: GRU, x: Tensor, state: State) -> tuple[Tensor, State]:
    return (library if torch.is_grad_enabled() else rounds_in_float32)(layer, x, state)


def sees_the_next(layer: GRU, x: Tensor, state: State) -> tuple[Tensor, State]:
    y, after = library(layer, x, state)
    return y + 1e-7 * torch.cat((x[:, 1:], x[:, :1] * 0), dim=1), after


@pytest.mark.parametrize(
    ("compute", "text"),
    [
        (sees_the_next, r"changing x\[1\] moves y\[0\].*it must not move at all"),
        (
            drops_its_state,
            r"state not carried: 129 tokens cut at 1, another sequence read in between, differ from one pass",
        ),
        (wrong_value, r"disagrees with 'reference': the output at 1 tokens differs by 1e-08"),
        (wrong_gradient, r"the gradient of x at 2 tokens differs by 0\.001 of its largest element in float64"),
        (no_gradient_of_a_bias, r"the gradient of core\.bias_hh_l0 at 2 tokens differs by 1 "),
        (rounds_between_steps, r"state not carried|step differs|in float64"),
        (rounds_in_float32, r"the output at 2 tokens is off by .* in float32 against float64.* allowed are 4 times"),
        (
            ten_times_the_rounding,
            r"the output at 1 tokens is off by (4e-06|3\.9e-06) of its largest element in float32",
        ),
        (rounds_without_gradients, r"the output without gradients at 2 tokens is off by .* in float32"),
    ],
)
def test_a_wrong_algorithm_is_rejected_with_the_reason(
    monkeypatch: pytest.MonkeyPatch, compute: Compute, text: str
) -> None:
    with pytest.raises(RejectedError, match=text) as caught:
        put_gru(monkeypatch, compute)
    assert len(str(caught.value)) < 300


def test_an_error_a_little_above_the_reference_is_allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    report = put_gru(monkeypatch, lambda layer, x, state: library(layer, x, state))
    last = report.checks[-1]
    assert 0 < last.worst < last.tolerance == FACTOR


def test_the_lengths_straddle_the_edges_of_chunks() -> None:
    for chunk in (16, 64):
        assert {chunk, chunk + 1} <= set(LENGTHS)
    assert {1, 2, 129} <= set(LENGTHS)
