"""Repeat what was read: at once, or after a delay."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from seqscale.tasks.base import AbstractTask, Sequences, one_hot
from seqscale.theory.checks import within


@dataclass(frozen=True, slots=True, kw_only=True)
class Copy(AbstractTask):
    """Read m symbols of V, wait, then repeat them in order, one a token.

    Copy-memory, the layout of Arjovsky, Shah and Bengio 2016, arXiv:1511.06464, section 4.1, there m = 10 and V = 8:

        m symbols, delay - 1 blanks, a delimiter, m blanks at which the answers are given:  T = delay + 2 m

    Differs: what a blank is answered with is not asked, so that without memory an answer costs ln V, where the paper's
    mean over all tokens is m ln V / T. With delay 1 it is plain copying.

    Attributes:
        memorised: m.
        symbols: V.
        delay: tokens between the last symbol and the first answer, the delimiter among them.
    """

    memorised: int
    symbols: int
    delay: int = 1

    def __post_init__(self) -> None:
        within("memorised", self.memorised, 1)
        within("symbols", self.symbols, 2)
        within("delay", self.delay, 1)

    @property
    def length(self) -> int:
        """Delay + 2 m."""
        return self.delay + 2 * self.memorised

    @property
    def features(self) -> int:
        """V, blank and delimiter."""
        return self.symbols + 2

    @property
    def outputs(self) -> int:
        """V."""
        return self.symbols

    @property
    def demand_bits(self) -> float:
        """M log2 V."""
        return self.memorised * math.log2(self.symbols)

    @property
    def chance(self) -> float:
        """1 / V."""
        return 1 / self.symbols

    @property
    def blind_loss(self) -> float:
        """Ln V."""
        return math.log(self.symbols)

    def draw(self, sequences: int, rng: np.random.Generator) -> Sequences:
        """Return sequences whose answer number i is symbol i."""
        m, first = self.memorised, self.memorised + self.delay
        symbols = rng.integers(self.symbols, size=(sequences, m))
        tokens = np.full((sequences, self.length), self.symbols)  # blank
        tokens[:, :m] = symbols
        tokens[:, first - 1] = self.symbols + 1  # delimiter
        positions = np.broadcast_to(np.arange(first, self.length), symbols.shape)
        return Sequences(one_hot(tokens, self.features), positions, symbols, np.full(symbols.shape, first))
