"""Counts of one layer at any size, each asked once: traced, or on a real run where a trace cannot be had."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from seqscale.errors import UnsupportedError
from seqscale.layers.adapt import Steps, capabilities, segment
from seqscale.layers.build import DTYPES
from seqscale.tracing.stop import untraceable
from seqscale.tracing.trace import faked, trace, uncollected
from seqscale.tracing.watch import Counts, watch


@dataclass(frozen=True, slots=True, order=True)
class Size:
    """Where a count is made: tokens, sequences, width of the stream, units of the state (the width, where equal)."""

    length: int
    batch: int
    width: int
    hidden: int

    @property
    def dims(self) -> dict[str, int]:
        """The sizes by the names that laws use; h only where the state is wider than the stream."""
        named = {"B": self.batch, "T": self.length, "d": self.width}
        return named if self.hidden == self.width else named | {"h": self.hidden}


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """A layer whose laws are asked for.

    Attributes:
        name, algorithm: as printed.
        build: the module for a size's width and hidden units.
        width, hidden: of the module as asked.
        varies: whether `build` can change them: not of a module that is built already.
        dtype: of the input.
        device: of the input.
    """

    name: str
    algorithm: str
    build: Callable[[int, int], nn.Module]
    width: int
    hidden: int
    varies: bool
    dtype: str
    device: str


class Counter:
    """Counts a subject in one mode, and remembers what it counted and what it cost.

    Args:
        subject: the layer.
        mode: forward, training or decode (one step after `length` tokens).
    """

    def __init__(self, subject: Subject, mode: str) -> None:
        self.subject = subject
        self.mode = mode
        self.counts: dict[Size, Counts] = {}
        self.seconds: dict[Size, float] = {}
        self._modules: dict[tuple[int, int], nn.Module] = {}

    def at(self, size: Size, limit_s: float = float("inf")) -> Counts:
        """Count at `size`.

        Raises:
            UntraceableError: the module must see its data.
            TooLongError: it took more than `limit_s` seconds.
            UnsupportedError: mode decode of a layer without a step.
        """
        if size not in self.counts:
            module, start = self._module(size), time.perf_counter()
            if self.mode == "decode":
                self.counts[size] = _step_counts(module, size, DTYPES[self.subject.dtype], limit_s)
            else:
                shape = (size.batch, size.length, size.width)
                self.counts[size] = trace(module, shape, DTYPES[self.subject.dtype], self.mode, limit_s).counts
            self.seconds[size] = time.perf_counter() - start
        return self.counts[size]

    def executed(self, size: Size, seed: int, limit_s: float) -> Counts:
        """Count a real run at `size` on the normal input of `seed`; the error of a layer that does not run gets out."""
        if self.mode == "decode":
            raise UnsupportedError("a decoding step is counted on its operation graph only.")
        generator = torch.Generator().manual_seed(seed)
        x = torch.randn((size.batch, size.length, size.width), generator=generator)
        return watch(
            self._module(size), x.to(self.subject.device, DTYPES[self.subject.dtype]), self.mode, limit_s
        ).counts

    def _module(self, size: Size) -> nn.Module:
        key = (size.width, size.hidden)
        if key not in self._modules:
            self._modules[key] = self.subject.build(*key)
        return self._modules[key]


class _Step(nn.Module):
    """One step of a layer from a state that is given, as a map of one token (b, 1, d)."""

    def __init__(self, layer: Steps, state: object) -> None:
        super().__init__()
        self._step = layer.step
        self._state = state

    def forward(self, x: Tensor) -> Tensor:
        """Return the step's output for the token x (b, 1, d)."""
        return self._step(x[:, 0], self._state)[0]


def _step_counts(module: nn.Module, size: Size, dtype: torch.dtype, limit_s: float) -> Counts:
    """Count the step that follows `length` tokens; the tokens before are traced and not counted."""
    if not isinstance(module, Steps) or not capabilities(module).carries:
        raise UnsupportedError("mode decode needs a layer with step, initial_state and a forward that takes a state.")
    shape = (size.batch, size.length + 1, size.width)
    with uncollected(), untraceable(), faked(module, shape, dtype) as (twin, x), torch.no_grad():
        assert isinstance(twin, Steps)
        _, state = segment(twin, x[:, :-1], None)
        return watch(_Step(twin, state), x[:, -1:], "forward", limit_s).counts
