"""How the derivative by an input falls with its distance, and how fast differences of states grow (capacity.md E8).

    G(k)        mean over sequences of |d y_T / d x_{T-k}|, y_T the last output, and of |d h_T / d x_{T-k}|, Frobenius
    exponents   of the products of d h_t / d h_{t-1} along one long sequence (Lyapunov; estimators/lyapunov.py)

Both are of the layer in float64, whatever the cell's dtype: norms fall below what float32 holds. All features of the
input are normal. A Jacobian of at most DIRECTIONS outputs is computed whole, by one backward pass in which each
sequence stands once for each output. Of a larger one so many random directions v are taken: |J|^2 is the mean of
|v' J|^2 for normal v.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from typing import ClassVar, final

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from seqscale.errors import UnsupportedError
from seqscale.estimators.horizon import decay, half_life
from seqscale.estimators.lyapunov import Exponents, lyapunov_exponents
from seqscale.layers.adapt import outputs
from seqscale.probes.base import AbstractProbe, AbstractTrial, Tell, silent
from seqscale.probes.information import real, whole
from seqscale.probes.replicates import Curve, Replicate, ReplicatesTrial, data_of, require_finite
from seqscale.probes.state import MOST_DIFFERENTIATED, READ_BYTES, Carrier
from seqscale.probes.subject import layer_of
from seqscale.records import Cell

Floats = npt.NDArray[np.float64]

DIRECTIONS = 64
BURN_IN, STEPS = 100, 300  # tokens of the sequence that exponents are measured along
LEAST = 1e-12  # of the norm at distance 0: what is below it has no slope
_KEPT = 64  # numbers that a layer is taken to keep for its backward pass, per number of the stream


@final
class GradientHorizonProbe(AbstractProbe):
    """Measures the norm of the derivative by distance, its half-life and slope, and the leading exponents."""

    name: ClassVar[str] = "gradient-horizon"
    repeats: ClassVar[bool] = False
    alone: ClassVar[bool] = False

    def preload(self) -> None:
        """Nothing beyond torch and numpy."""

    def prepare(self, cell: Cell, tell: Tell = silent) -> AbstractTrial:
        """Choose the cell; each replicate builds its layer."""
        facts = {
            "input": "normal, all features",
            "dtype": "float64",
            "Jacobians": f"whole up to {DIRECTIONS} outputs, by {DIRECTIONS} random directions above",
            "exponents": f"over {STEPS} tokens after {BURN_IN}",
            "device": cell.device,
        }
        return ReplicatesTrial(measure, cell, facts, tell)


def measure(cell: Cell) -> Replicate:
    """Differentiate the last output and the last state, and multiply the Jacobians of the steps."""
    given, rng, exact = dict(cell.conditions), data_of(cell), dataclasses.replace(cell, dtype="float64")
    layer = layer_of(exact)
    normal = rng.standard_normal((whole(given, "sequences"), cell.length, cell.width))
    x = torch.as_tensor(real(given, "scale") * normal, device=cell.device)
    norms = gradient_norms("output", lambda tokens: outputs(layer.module, tokens)[:, -1], x, rng)
    values, curves, missing = {"gradient_norm": float(norms[-1])}, {"gradient": _by_distance(norms)}, []
    for quantity, value in reach(norms).items():
        if isinstance(value, str):
            missing.append(f"no {quantity}: {value}")
        else:
            values[quantity] = value
    try:
        carrier = Carrier(layer, cell.width, exact.dtype, cell.device)
    except UnsupportedError as error:
        return Replicate(values=values, curves=curves, missing=(*missing, f"no lyapunov_exponent: {error}"))
    _, last = carrier.advance(x[:1], None)
    values["state_numbers"] = numbers = carrier.flat(last).shape[1]
    if not carrier.fixed:
        return Replicate(values=values, curves=curves, missing=(*missing, "no lyapunov_exponent: the state grows"))
    curves["state gradient"] = _by_distance(gradient_norms("state", carrier.last, x, rng))
    count = min(whole(given, "exponents"), numbers)
    if count and numbers > MOST_DIFFERENTIATED:
        missing.append(
            f"no lyapunov_exponent: {numbers} numbers in the state, {MOST_DIFFERENTIATED} at most are multiplied"
        )
    elif count:
        found = exponents(carrier, real(given, "scale"), count, rng)
        values["lyapunov_exponent"] = float(found.values[0])
        curves["exponents"] = Curve(
            quantity="lyapunov_exponent", by="number", x=range(1, count + 1), values=found.values
        )
    return Replicate(values=values, curves=curves, missing=tuple(missing))


def gradient_norms(name: str, last: Callable[[Tensor], Tensor], x: Tensor, rng: np.random.Generator) -> Floats:
    """Return the mean over sequences of |d last(x) / d x_{T-k}|, k = 0..T-1, (T,).

    Args:
        name: of what is differentiated, for errors.
        last: maps x (b, t, d) to it, (b, m).
        x: (b, T, d).
        rng: draws the directions, where m is above DIRECTIONS.

    Raises:
        SeqscaleError: a value or a derivative that is not finite.
    """
    several = max(1, READ_BYTES // (DIRECTIONS * x[0].numel() * _KEPT * x.element_size()))
    squares = []
    for part in x.split(several):
        with torch.no_grad():
            size = last(part).shape[1]
        copies = min(size, DIRECTIONS)
        inputs = part.repeat_interleave(copies, dim=0).requires_grad_()
        value = last(inputs)
        require_finite(f"the {name} after {x.shape[1]} tokens", value)
        if size <= DIRECTIONS:
            directions = torch.eye(size, dtype=x.dtype, device=x.device).repeat(len(part), 1)
        else:
            drawn = rng.standard_normal((len(part) * copies, size)) / np.sqrt(copies)
            directions = torch.as_tensor(drawn, device=x.device)
        (gradient,) = torch.autograd.grad(value, inputs, directions)
        require_finite(f"the derivative of the {name} after {x.shape[1]} tokens", gradient)
        squares.append(gradient.square().sum(dim=2).unflatten(0, (-1, copies)).sum(dim=1))
    return torch.cat(squares).sqrt().mean(dim=0).flip(0).cpu().numpy()


def reach(norms: Floats) -> dict[str, float | str]:
    """Return half_life and gradient_slope of norms by distance, or in their place why there is none."""
    if norms[0] == 0:
        return dict.fromkeys(("half_life", "gradient_slope"), "the last output does not depend on the last token")
    half = half_life(norms)
    found: dict[str, float | str] = {"half_life": f"above {len(norms) - 1}" if half is None else half}
    try:
        found["gradient_slope"] = decay(norms, 1, LEAST).slope
    except ValueError:
        found["gradient_slope"] = "fewer than 2 distances from 1 on have a norm to be told from rounding"
    return found


def exponents(carrier: Carrier, scale: float, count: int, rng: np.random.Generator) -> Exponents:
    """Return the leading exponents along one sequence of normal tokens of standard deviation `scale`."""
    x = carrier.tensor(scale * rng.standard_normal((1, 1 + BURN_IN + STEPS, carrier.width)))
    state, states = None, []
    with torch.no_grad():
        for t, x_t in enumerate(x.unbind(1)):
            _, state = carrier.advance(x_t.unsqueeze(1), state)
            states.append(carrier.flat(state))
            require_finite(f"the state after {t + 1} tokens", states[-1])
    before, tokens = torch.cat(states[:-1]), x[0, 1:]

    def steps() -> Iterator[Floats]:
        several = max(1, READ_BYTES // (_KEPT * before.shape[1] ** 2 * before.element_size()))
        for h, x_t in zip(before.split(several), tokens.split(several), strict=True):
            yield from carrier.jacobians(h, x_t)[0].cpu().numpy()

    return lyapunov_exponents(steps(), count, BURN_IN, rng)


def _by_distance(norms: Floats) -> Curve:
    return Curve(quantity="gradient_norm", by="distance", x=range(len(norms)), values=norms)
