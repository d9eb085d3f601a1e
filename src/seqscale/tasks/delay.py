"""A delay line: at every token the number that was read some tokens ago."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from seqscale.tasks.base import AbstractTask, Sequences
from seqscale.theory.checks import within


@dataclass(frozen=True, slots=True, kw_only=True)
class DelayLine(AbstractTask):
    """Normal numbers u_t of variance 1; at every token t >= L the answer is u_{t-L}.

    Source: Jaeger 2001, "Short term memory in echo state networks", GMD report 152, the task whose R^2 is the memory
    curve.

    Attributes:
        tokens: T.
        lag: L, at least 0 and below T.
    """

    tokens: int
    lag: int

    def __post_init__(self) -> None:
        within("tokens", self.tokens, 1)
        within("lag", self.lag, 0, self.tokens - 1)

    @property
    def length(self) -> int:
        """T."""
        return self.tokens

    @property
    def features(self) -> int:
        """1: u_t."""
        return 1

    @property
    def outputs(self) -> int:
        """1: an answer is a number."""
        return 1

    @property
    def demand_bits(self) -> float:
        """Infinite: a real number has no last digit."""
        return math.inf

    @property
    def chance(self) -> float:
        """0: no guess is exactly right."""
        return 0.0

    @property
    def blind_loss(self) -> float:
        """1, the variance of u."""
        return 1.0

    def draw(self, sequences: int, rng: np.random.Generator) -> Sequences:
        """Return sequences whose answer number i is u_i, given at token i + L."""
        u = rng.standard_normal((sequences, self.tokens), dtype=np.float32)
        positions = np.broadcast_to(np.arange(self.lag, self.tokens), (sequences, self.tokens - self.lag))
        return Sequences(u[:, :, None], positions, u[:, : positions.shape[1]], np.full(positions.shape, self.lag))
