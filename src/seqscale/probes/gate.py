"""The gate: what a layer must pass before any number of it is kept.

Run once per (layer, options, algorithm, width, dtype, device), with the cell's weights, at lengths up to 129 that
straddle the edges of chunks. In this order:

    shape      outputs (b, t, d) in the input's dtype on its device, and finite
    repeat     two calls on one input give one answer (a dropout that could not be set to 0 does not)
    causal     changing x[t] and all after it leaves every output before t as it was: bit-equal for the project's layers
               on a CPU, within TIGHT of the largest output in float64 for a user's and on other devices
    segments   two segments with carried state, another sequence read in between, equal one pass (float64, TIGHT), for
               a layer that carries its state
    step       token by token, another sequence's tokens in between, equals one pass (float64, TIGHT), for a layer that
               has a step
    agrees     the algorithm equals `reference`, outputs and gradients: in float64 within TIGHT, then in the cell's
               dtype with at most FACTOR times the reference's own error against float64

The last is asked of layers that have a `reference`. Differences are relative to the largest element of the tensor.
A layer that fails raises RejectedError; an error of the layer's own comes through as it is.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from seqscale.errors import RejectedError, UnsupportedError
from seqscale.layers.adapt import outputs, segment
from seqscale.layers.build import DTYPES, Built, build
from seqscale.layers.catalogue import LAYERS
from seqscale.records import Cell

LENGTHS = (1, 2, 16, 17, 64, 65, 129)
BATCH = 2
TIGHT = 1e-10
FACTOR = 4.0
# A tensor of few elements can have a tiny error by luck. So the reference's own error is the largest, relative to its
# tensor, that it made in any output (or in any gradient) at this or a shorter length, and never less than this.
FLOOR_ULP = 2.0
CUDA_FLOOR = 4e-6  # cuDNN's recurrent kernels approximate tanh and sigmoid: outputs 3e-6 to 1.1e-5 off on an H200
OUTPUT = "the output"
_CAUSAL_LENGTHS = (2, 17, 129)
_GRADIENT_LENGTHS = (2, 17, 129)  # backwards through a loop cost most of the gate
_CUTS = (1, 65)
_STEPS = 17
_NAMES = {"float32": "float", "float64": "double", "bfloat16": "bfloat16"}  # as torch's errors write a dtype
_NO_KERNEL = ("not implemented", "not supported", "unsupported dtype")

Make = Callable[[str, str], Built]


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One check that was passed: the worst that was seen, and what is allowed (relative; `agrees` in FACTORs)."""

    name: str
    worst: float
    tolerance: float


@dataclass(frozen=True, slots=True, kw_only=True)
class GateReport:
    """What a layer that passed was asked, and what was changed in it."""

    checks: tuple[Check, ...]
    notes: tuple[str, ...]

    def record(self) -> dict[str, Any]:
        """Return the report as JSON-ready data."""
        return {"checks": [dataclasses.asdict(check) for check in self.checks], "notes": list(self.notes)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """What is at the gate.

    Attributes:
        make: (dtype, algorithm) -> the layer, with the same weights each time.
        algorithm: the one that is asked.
        has_reference: whether algorithm `reference` exists to be compared with.
        ours: whether it is a layer of the project, from which bit-equality is asked.
        width, dtype, device, seed: as in a cell.
    """

    make: Make
    algorithm: str
    has_reference: bool
    ours: bool
    width: int
    dtype: str
    device: str
    seed: int

    def input(self, length: int, dtype: str, draw: int = 0) -> Tensor:
        """Return x (BATCH, length, d): normal, drawn in float32, rounded to the cell's dtype, then cast to `dtype`."""
        generator = torch.Generator().manual_seed(self.seed * 1000 + length + 500 * draw)
        x = torch.randn(BATCH, length, self.width, generator=generator)
        return x.to(DTYPES[self.dtype]).to(self.device, DTYPES[dtype])


def run_gate(cell: Cell) -> GateReport:
    """Check the layer of `cell`, computed by its algorithm, in its width, dtype and device.

    Raises:
        RejectedError: it failed; the text says which check, where, and by how much.
        UnsupportedError: torch cannot compute it in this dtype on this device.
        LayerLoadError, UsageError: it cannot be built.
        Exception: whatever the layer's own code raises.
    """
    spec = LAYERS.get(cell.layer)

    def make(dtype: str, algorithm: str) -> Built:
        family = "own" if spec is None else spec.family
        options = dict(cell.options)
        return build(cell.target, family, cell.width, options, algorithm, dtype, cell.device, cell.seed)

    return check(
        Subject(
            make=make,
            algorithm=cell.algorithm,
            has_reference=spec is not None and "reference" in spec.algorithms,
            ours=spec is not None,
            width=cell.width,
            dtype=cell.dtype,
            device=cell.device,
            seed=cell.seed,
        )
    )


def check(subject: Subject) -> GateReport:
    """Put a layer through every check that applies to it; see `run_gate` for what is raised."""
    built = subject.make(subject.dtype, subject.algorithm)
    checks = [_shape(subject, built.module), _repeat(subject, built.module)]
    if subject.ours and torch.device(subject.device).type == "cpu":
        checks.append(_causal(subject, built.module, subject.dtype, 0.0))
    exact = subject.make("float64", subject.algorithm)
    checks.extend(_in_float64(subject, exact))
    if subject.has_reference and subject.algorithm != "reference":
        exact.module.load_state_dict(built.module.state_dict())  # with the rounding of the cell's dtype
        checks.extend(_agrees(subject, built.module, exact.module))
    return GateReport(checks=tuple(checks), notes=built.notes)


def _shape(subject: Subject, module: nn.Module) -> Check:
    """Outputs have the input's shape, dtype and device, and are finite."""
    for length in LENGTHS:
        x = subject.input(length, subject.dtype)
        y = _first_run(subject, module, x)
        for what, given, wanted in (
            ("shape", tuple(y.shape), tuple(x.shape)),
            ("dtype", y.dtype, x.dtype),
            ("device", y.device, x.device),
        ):
            if given != wanted:
                raise RejectedError(f"wrong {what}: for an input with {wanted} the output has {given}.")
        if not bool(y.isfinite().all()):
            at = int((~y.isfinite()).any(dim=-1).any(dim=0).nonzero()[0])
            raise RejectedError(f"not finite: y[{at}] of a sequence of {length} tokens holds NaN or infinity.")
    return Check(name="shape, dtype, device, finite", worst=0.0, tolerance=0.0)


def _first_run(subject: Subject, module: nn.Module, x: Tensor) -> Tensor:
    """Run the layer where torch may still say that it has no kernel for the dtype."""
    try:
        with torch.no_grad():
            return outputs(module, x)
    except RuntimeError as error:
        text = str(error).lower()
        if not (_NAMES[subject.dtype] in text and any(words in text for words in _NO_KERNEL)):
            raise  # the layer's own
        raise UnsupportedError(f"torch has no kernel for {subject.dtype} on {subject.device}: {error}") from error


def _repeat(subject: Subject, module: nn.Module) -> Check:
    """Two calls on one input agree."""
    x = subject.input(_STEPS, subject.dtype)
    tolerance = 16 * torch.finfo(x.dtype).eps
    with torch.no_grad():
        first, second = outputs(module, x), outputs(module, x)
    off = _off(second, first)
    if off > tolerance:
        raise RejectedError(
            f"not repeatable: two calls on one input differ by {off:.2g} of the largest output; leave out random "
            "numbers and use torch's dropout modules, which are set to 0."
        )
    return Check(name="repeat", worst=off, tolerance=tolerance)


def _causal(subject: Subject, module: nn.Module, dtype: str, tolerance: float) -> Check:
    """Changing x[t:] leaves all outputs before t as they were, for several t."""
    worst = 0.0
    for length in _CAUSAL_LENGTHS:
        x, other = subject.input(length, dtype), subject.input(length, dtype, draw=1)

        def run(first: int, x: Tensor = x, other: Tensor = other) -> Tensor:
            with torch.no_grad():
                return outputs(module, torch.cat((x[:, :first], other[:, first:]), dim=1))

        before = run(length)
        # 1 lies inside every chunk, the others on edges and far from them
        for t in sorted({1, length // 8, length // 2, length - 1} - {0}):
            moved = (run(t)[:, :t] - before[:, :t]).abs()
            off = float(moved.max() / _largest(before))
            if off > tolerance:
                raise RejectedError(_leak(run, before, t, tolerance))
            worst = max(worst, off)
    return Check(name="causal", worst=worst, tolerance=tolerance)


def _leak(run: Callable[[int], Tensor], before: Tensor, t: int, tolerance: float) -> str:
    """Say which input moves which earlier output: the first output that moves, and the last input that moves it."""
    size = _largest(before)

    def moved(first: int, s: int) -> float:
        return float((run(first)[:, s] - before[:, s]).abs().max() / size)

    s = next(s for s in range(t) if moved(t, s) > tolerance)
    low, high = t, before.shape[1]  # x[low:] moves y[s], x[high:] does not
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if moved(middle, s) > tolerance else (low, middle)
    allowed = "it must not move at all" if tolerance == 0 else f"allowed are {tolerance:g}"
    return (
        f"not causal: changing x[{low}] moves y[{s}], which comes before it, by {moved(low, s):.2g} of the largest "
        f"output ({before.shape[1]} tokens); {allowed}."
    )


def _in_float64(subject: Subject, exact: Built) -> Iterator[Check]:
    """Yield the checks that are made in float64."""
    module, longest = exact.module, subject.input(LENGTHS[-1], "float64")
    try:
        with torch.no_grad():
            whole = outputs(module, longest)
    except RuntimeError as error:
        if subject.ours or subject.dtype == "float64":
            raise
        line = str(error).splitlines()[0]
        raise RejectedError(
            f"causality is checked in float64, in which the layer does not run: {line}; make its tensors in x.dtype."
        ) from error
    if not subject.ours or torch.device(subject.device).type != "cpu":
        yield _causal(subject, module, "float64", TIGHT)
    if exact.capabilities.carries:
        yield _segments(module, longest, whole)
    if exact.capabilities.steps:
        yield _step(module, longest[:, :_STEPS])


def _segments(module: nn.Module, x: Tensor, whole: Tensor) -> Check:
    """Two segments with carried state equal one pass."""
    worst = 0.0
    for cut in _CUTS:
        off = _off(_in_two(module, x, cut), whole)
        if not off <= TIGHT:
            raise RejectedError(
                f"state not carried: {x.shape[1]} tokens cut at {cut}, another sequence read in between, differ from "
                f"one pass by {off:.2g} of the largest output in float64; allowed are {TIGHT:g}."
            )
        worst = max(worst, off)
    return Check(name="segments", worst=worst, tolerance=TIGHT)


def _in_two(module: nn.Module, x: Tensor, cut: int) -> Tensor:
    """Return the outputs of two segments, the second from the state of the first.

    In between another sequence is read: what a layer keeps beside its state is then that one's.
    """
    with torch.no_grad():
        first, state = segment(module, x[:, :cut], None)
        segment(module, x[:, :cut].flip(0), None)
        second, _ = segment(module, x[:, cut:], state)
    return torch.cat((first, second), dim=1)


def _step(module: Any, x: Tensor) -> Check:
    """Token by token equals one pass, though another sequence takes its steps in between."""
    with torch.no_grad():
        whole, parts = outputs(module, x), []
        state, others = module.initial_state(x.shape[0]), module.initial_state(x.shape[0])
        for x_t in x.unbind(1):
            y_t, state = module.step(x_t, state)
            _, others = module.step(x_t.flip(0), others)
            parts.append(y_t)
    by_step = torch.stack(parts, dim=1)
    if by_step.shape != whole.shape:
        raise RejectedError(f"wrong shape: step gives {tuple(parts[0].shape)} for {tuple(x[:, 0].shape)}.")
    off = _off(by_step, whole)
    if not off <= TIGHT:
        raise RejectedError(
            f"step differs from forward by {off:.2g} of the largest output in float64 after {x.shape[1]} tokens, "
            f"another sequence stepped in between; allowed are {TIGHT:g}."
        )
    return Check(name="step", worst=off, tolerance=TIGHT)


def _agrees(subject: Subject, module: nn.Module, exact: nn.Module) -> Iterator[Check]:
    """Yield the agreement with `reference`, in float64 and then in the cell's dtype; all have the same weights."""
    truth, own = (subject.make(dtype, "reference").module for dtype in ("float64", subject.dtype))
    for reference in (truth, own):
        reference.load_state_dict(module.state_dict())
    true = {length: _run(truth, subject, length, "float64") for length in LENGTHS}
    yield _agrees_exactly(subject, exact, true)
    if subject.dtype != "float64":
        yield _agrees_rounded(subject, module, own, true)


def _agrees_exactly(subject: Subject, exact: nn.Module, true: Mapping[int, Mapping[str, Tensor]]) -> Check:
    """Outputs and gradients equal the reference's in float64."""
    worst = 0.0
    for length in LENGTHS:
        for words, name, value in _run_more(exact, subject, length, "float64"):
            off = _off(value, true[length][name])
            if not off <= TIGHT:
                raise RejectedError(
                    f"'{subject.algorithm}' disagrees with 'reference': {words} at {length} tokens differs by "
                    f"{off:.2g} of its largest element in float64; allowed are {TIGHT:g}."
                )
            worst = max(worst, off)
    return Check(name="agrees with reference in float64", worst=worst, tolerance=TIGHT)


def _agrees_rounded(
    subject: Subject, module: nn.Module, own: nn.Module, true: Mapping[int, Mapping[str, Tensor]]
) -> Check:
    """Outputs and gradients in the cell's dtype are at most FACTOR times as far from the truth as the reference's."""
    worst = 0.0
    on_device = 0.0 if torch.device(subject.device).type == "cpu" else CUDA_FLOOR
    floor = max(FLOOR_ULP * torch.finfo(DTYPES[subject.dtype]).eps, on_device)
    own_error = {"output": floor, "gradient": floor}
    for length in LENGTHS:
        for name, value in _run(own, subject, length, subject.dtype).items():
            kind = _kind(name)
            own_error[kind] = max(own_error[kind], _off(value, true[length][name]))
        for words, name, value in _run_more(module, subject, length, subject.dtype):
            off, own_off = _off(value, true[length][name]), own_error[_kind(name)]
            if not off <= FACTOR * own_off:
                raise RejectedError(
                    f"'{subject.algorithm}' disagrees with 'reference': {words} at {length} tokens is off by {off:.2g} "
                    f"of its largest element in {subject.dtype} against float64, the reference's {_kind(name)}s by "
                    f"{own_off:.2g}; allowed are {FACTOR:g} times that."
                )
            worst = max(worst, off / own_off)
    return Check(name=f"error in {subject.dtype} over the reference's", worst=worst, tolerance=FACTOR)


def _kind(name: str) -> str:
    return "output" if name == OUTPUT else "gradient"


def _run(module: nn.Module, subject: Subject, length: int, dtype: str) -> dict[str, Tensor]:
    """Return the output, and the gradients where they are compared, by name and in float64.

    The loss weighs the outputs by fixed normal numbers.
    """
    x = subject.input(length, dtype)
    if length not in _GRADIENT_LENGTHS:
        with torch.no_grad():
            return {OUTPUT: outputs(module, x).double()}
    x.requires_grad_()
    y = outputs(module, x)
    names, parameters = zip(*module.named_parameters(), strict=True)
    weights = subject.input(length, dtype, draw=2)
    gradients = torch.autograd.grad(y, (x, *parameters), weights, allow_unused=True, materialize_grads=True)
    found = {OUTPUT: y.detach()} | dict(zip(("x", *names), gradients, strict=True))
    return {name: value.double() for name, value in found.items()}


def _run_more(module: nn.Module, subject: Subject, length: int, dtype: str) -> Iterator[tuple[str, str, Tensor]]:
    """Yield what was asked of the algorithm, in words, the name of what it must equal, and the value.

    Beside what `_run` gives: the output when no gradient is wanted, for which torch may run other kernels, and in two
    segments.
    """
    for name, value in _run(module, subject, length, dtype).items():
        yield name if name == OUTPUT else f"the gradient of {name}", name, value
    x = subject.input(length, dtype)
    if length in _GRADIENT_LENGTHS:
        with torch.no_grad():
            yield "the output without gradients", OUTPUT, outputs(module, x).double()
        yield "the output in two segments", OUTPUT, _in_two(module, x, length // 2).double()


def _largest(value: Tensor) -> float:
    """Return the largest magnitude; the smallest normal number for a tensor of zeros, so that it can divide."""
    return max(float(value.abs().max()), torch.finfo(value.dtype).tiny)


def _off(value: Tensor, wanted: Tensor) -> float:
    """Return the largest difference, relative to the largest element wanted."""
    return float((value - wanted).abs().max()) / _largest(wanted)
