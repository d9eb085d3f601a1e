"""Associative recall whose keys are written again."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from seqscale.tasks.base import AbstractTask, Sequences, mark
from seqscale.theory.checks import within
from seqscale.theory.recall import independent_values_bits


@dataclass(frozen=True, slots=True, kw_only=True)
class Rebinding(AbstractTask):
    """Every key is written several times, in random order, each time with another draw of a value; the latest counts.

    Derived from associative recall: a sum of all writes cannot answer, a state that is overwritten can.

    Features of a token: one for each key and value, and a mark for queries.

    Attributes:
        keys: how many there are; each is asked for once, after all writes.
        values: V.
        writes: of each key.
    """

    keys: int
    values: int
    writes: int

    def __post_init__(self) -> None:
        within("keys", self.keys, 1)
        within("values", self.values, 2)
        within("writes", self.writes, 1)

    @property
    def length(self) -> int:
        """Keys (writes + 1)."""
        return self.keys * (self.writes + 1)

    @property
    def features(self) -> int:
        """Keys, values and a mark."""
        return self.keys + self.values + 1

    @property
    def outputs(self) -> int:
        """V."""
        return self.values

    @property
    def demand_bits(self) -> float:
        """Keys log2 V: only the latest value of a key is asked for."""
        return float(independent_values_bits(self.keys, self.values))

    @property
    def chance(self) -> float:
        """1 / V."""
        return 1 / self.values

    @property
    def blind_loss(self) -> float:
        """Ln V."""
        return float(np.log(self.values))

    def draw(self, sequences: int, rng: np.random.Generator) -> Sequences:
        """Return sequences whose answers are in the order of the queries."""
        n, context = sequences, self.keys * self.writes
        written = rng.permuted(np.tile(np.repeat(np.arange(self.keys), self.writes), (n, 1)), axis=1)
        values = rng.integers(self.values, size=(n, context))
        asked = rng.permuted(np.tile(np.arange(self.keys), (n, 1)), axis=1)
        latest = context - 1 - (written[:, None, ::-1] == asked[:, :, None]).argmax(axis=2)
        inputs = np.zeros((n, self.length, self.features), np.float32)
        mark(inputs, np.arange(context), written)
        mark(inputs, np.arange(context), self.keys + values)
        positions = np.broadcast_to(np.arange(context, self.length), (n, self.keys))
        mark(inputs, positions, asked)
        inputs[:, context:, -1] = 1.0
        return Sequences(inputs, positions, np.take_along_axis(values, latest, axis=1), positions - latest)
