"""What every layer of the project is: parameters, one step as its definition, and a state that is a value.

Shapes: b batch, t time, d width of the stream, h hidden units.
"""

from __future__ import annotations

import abc
import math
from collections.abc import Callable

import torch
from torch import Tensor, nn

from seqscale.errors import UsageError

State = tuple[Tensor, ...]


def loop(define: Callable[[Tensor, State], tuple[Tensor, State]], x: Tensor, state: State) -> tuple[Tensor, State]:
    """Apply one step after another: the algorithm `reference` of every layer.

    Args:
        define: one step, (b, d) and a state -> (b, d) and the next state.
        x: (b, t, d), t >= 1.
        state: what the first step starts from.

    Returns:
        The outputs (b, t, d) and the state after the last step.
    """
    outputs = []
    # unbind, not x[:, i]: the backward of t single indexings writes t gradients of the whole sequence
    for x_t in x.unbind(1):
        y_t, state = define(x_t, state)
        outputs.append(y_t)
    return torch.stack(outputs, dim=1), state


class AbstractLayer(nn.Module, abc.ABC):
    """A causal map (b, t, d) -> (b, t, d) that carries a state.

    A layer writes down one step (`define`), the same map over a whole sequence by its fast algorithms (`compute`), its
    empty state, and how much it carries. The same parameters serve every algorithm, so two layers of one seed that
    differ in `algorithm` alone have equal weights.

    Args:
        width: d.
        algorithm: how `forward` and `step` compute; `reference` loops over `define`.

    Attributes:
        width: d.
        algorithm: as given.
    """

    def __init__(self, width: int, algorithm: str) -> None:
        super().__init__()
        self.width = whole("width", width, at_least=1)
        self.algorithm = algorithm

    def forward(self, x: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        """Map x (b, t, d) to outputs (b, t, d), and return the state after x; state None starts afresh."""
        start = self.initial_state(x.shape[0]) if state is None else state
        if self.algorithm == "reference":
            return loop(self.define, x, start)
        return self.compute(x, start)

    def step(self, x_t: Tensor, state: State) -> tuple[Tensor, State]:
        """Take one token x_t (b, d) by the layer's algorithm; return its output (b, d) and the next state."""
        if self.algorithm == "reference":
            return self.define(x_t, state)
        y, after = self.compute(x_t.unsqueeze(1), state)
        return y.squeeze(1), after

    @abc.abstractmethod
    def define(self, x_t: Tensor, state: State) -> tuple[Tensor, State]:
        """Take one token x_t (b, d) as the layer's equation says; every other algorithm must agree with it."""

    @abc.abstractmethod
    def compute(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        """Map x (b, t, d) from `state` by the algorithm that is not `reference`."""

    @abc.abstractmethod
    def initial_state(self, batch: int) -> State:
        """Return the state before the first token, on the parameters' device and in their dtype."""

    @abc.abstractmethod
    def state_elements(self, length: int) -> int:
        """Return how many numbers one sequence carries after `length` tokens."""


def accumulator(dtype: torch.dtype) -> torch.dtype:
    """Return the dtype in which sums over many tokens are kept: float32 for the narrower ones, else the same."""
    return torch.float64 if dtype == torch.float64 else torch.float32


def whole(name: str, value: object, *, at_least: int) -> int:
    """Return an option's value as the whole number it must be; UsageError names what was written."""
    if isinstance(value, bool) or not isinstance(value, int) or value < at_least:
        raise UsageError(f"{name}={value!r}: must be a whole number >= {at_least}.")
    return value


def hidden_units(hidden: object, width: int) -> int:
    """Return h of a recurrent layer: `width` unless given, and never less, as the output is the first d of h units."""
    units = width if hidden is None else whole("hidden", hidden, at_least=1)
    if units < width:
        raise UsageError(
            f"hidden={units}: must be at least the width, {width}, as the output is the first d of h units."
        )
    return units


def real(
    name: str, value: object, *, above: float = -math.inf, below: float = math.inf, at_most: float = math.inf
) -> float:
    """Return an option's value as the number it must be, between bounds; UsageError names what was written."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not above < value < below or value > at_most:
        named = (("above", above), ("below", below), ("at most", at_most))
        bounds = [f" {word} {bound:g}" for word, bound in named if math.isfinite(bound)]
        raise UsageError(f"{name}={value!r}: must be a number{' and'.join(bounds)}.")
    return float(value)
