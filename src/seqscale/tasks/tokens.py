"""Tokens without any structure, all of which are asked for at the end."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from seqscale.tasks.base import AbstractTask, Sequences, one_hot
from seqscale.theory.checks import within


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenStream(AbstractTask):
    """T tokens, each one of V symbols, uniform and independent; after the last one every token is asked for.

    Attributes:
        tokens: T.
        symbols: V.
    """

    tokens: int
    symbols: int

    def __post_init__(self) -> None:
        within("tokens", self.tokens, 1)
        within("symbols", self.symbols, 2)

    @property
    def length(self) -> int:
        """T."""
        return self.tokens

    @property
    def features(self) -> int:
        """V: a token is one feature."""
        return self.symbols

    @property
    def outputs(self) -> int:
        """V."""
        return self.symbols

    @property
    def demand_bits(self) -> float:
        """T log2 V."""
        return self.tokens * math.log2(self.symbols)

    @property
    def chance(self) -> float:
        """1 / V."""
        return 1 / self.symbols

    @property
    def blind_loss(self) -> float:
        """Ln V."""
        return math.log(self.symbols)

    def draw(self, sequences: int, rng: np.random.Generator) -> Sequences:
        """Return sequences whose answer number t is token t."""
        read = rng.integers(self.symbols, size=(sequences, self.tokens))
        distances = np.broadcast_to(np.arange(self.tokens)[::-1], read.shape)
        return Sequences(one_hot(read, self.symbols), np.full(read.shape, self.tokens - 1), read, distances)
