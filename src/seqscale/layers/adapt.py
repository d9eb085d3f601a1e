"""The border to layers that the project does not know: what they can do is found here, once."""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

from torch import Tensor, nn

from seqscale.errors import RejectedError


@runtime_checkable
class TakesStep(Protocol):
    """A layer with `step`, whether or not it says from which state it starts; a state is whatever the layer likes."""

    def step(self, x_t: Tensor, state: Any) -> tuple[Tensor, Any]:
        """Take one token (b, d); return its output (b, d) and the next state."""


@runtime_checkable
class Steps(TakesStep, Protocol):
    """A layer that can take one token at a time from the start."""

    def initial_state(self, batch: int) -> Any:
        """Return the state before the first token."""


@runtime_checkable
class CountsState(Protocol):
    """A layer that states how much it carries."""

    def state_elements(self, length: int) -> int:
        """Return how many numbers one sequence carries after `length` tokens."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Capabilities:
    """What a layer can do beyond mapping (b, t, d) to (b, t, d).

    Attributes:
        steps: it has `step` and `initial_state`: mode `decode` can be measured.
        carries: its forward takes `state` and gives (y, state): a sequence can be cut into segments.
    """

    steps: bool
    carries: bool


def capabilities(module: nn.Module) -> Capabilities:
    """Find out what a layer can do, from its methods' names and its forward's parameters."""
    return Capabilities(
        steps=isinstance(module, Steps),
        carries="state" in inspect.signature(module.forward).parameters,
    )


def outputs(module: nn.Module, x: Tensor) -> Tensor:
    """Return the outputs of a layer for x (b, t, d), whether its forward gives y or (y, state)."""
    result = module(x)
    y = result[0] if isinstance(result, tuple) and result else result
    if not isinstance(y, Tensor):
        raise RejectedError(f"forward gave a {type(y).__name__}, not a tensor or (tensor, state).")
    return y


def segment(module: nn.Module, x: Tensor, state: Any) -> tuple[Tensor, Any]:
    """Run a layer that carries its state over one segment; state None starts afresh."""
    result = module(x, state=state)
    if not (isinstance(result, tuple) and len(result) == 2 and isinstance(result[0], Tensor)):
        raise RejectedError("forward takes a state, so it must give (y, state); it does not.")
    return result
