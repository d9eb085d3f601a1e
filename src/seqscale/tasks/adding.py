"""The adding problem: the sum of the two numbers that are marked."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from seqscale.tasks.base import AbstractTask, Sequences
from seqscale.theory.baselines import ADDING_BASELINE
from seqscale.theory.checks import within


@dataclass(frozen=True, slots=True, kw_only=True)
class Adding(AbstractTask):
    """T numbers, uniform in 0..1, two of them marked, one in each half; after the last the sum of these two is asked.

    Source: Hochreiter and Schmidhuber 1997, Neural Computation 9(8), experiment 4; one mark in each half: Arjovsky,
    Shah and Bengio 2016, arXiv:1511.06464, section 4.2.

    Attributes:
        tokens: T, at least 2.
    """

    tokens: int

    def __post_init__(self) -> None:
        within("tokens", self.tokens, 2)

    @property
    def length(self) -> int:
        """T."""
        return self.tokens

    @property
    def features(self) -> int:
        """2: the number, and 1 where it is marked."""
        return 2

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
        """1/6, the variance of a sum of two."""
        return ADDING_BASELINE

    def draw(self, sequences: int, rng: np.random.Generator) -> Sequences:
        """Return sequences with one answer each, at the last token."""
        n, t = sequences, self.tokens
        numbers = rng.random((n, t), dtype=np.float32)
        marked = np.stack((rng.integers(t // 2, size=n), rng.integers(t // 2, t, size=n)), axis=1)
        marks = np.zeros((n, t), np.float32)
        np.put_along_axis(marks, marked, 1.0, axis=1)
        answers = np.take_along_axis(numbers, marked, axis=1).sum(axis=1, keepdims=True)
        last = np.full((n, 1), t - 1)
        return Sequences(np.stack((numbers, marks), axis=2), last, answers, last - marked[:, :1])
