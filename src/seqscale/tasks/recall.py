"""Associative recall: pairs of key and value are read, then keys are shown and their values asked for."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from seqscale.tasks.base import AbstractTask, Sequences, Whole, distinct, mark
from seqscale.theory.checks import within
from seqscale.theory.recall import distinct_values_bits, independent_values_bits

NEGLIGIBLE = 1e-12  # a chance that adds nothing to an accuracy


@dataclass(frozen=True, slots=True, kw_only=True)
class AssociativeRecall(AbstractTask):
    """K pairs with different keys, then every key once more, in random order at random tokens: what was its value?

    Source: Arora et al. 2023, arXiv:2312.04927 (MQAR; the layout is that of its published program). As there, with
    `apart`, `power` 0.01, `fresh` values and `fillers`: gaps are short more often than long, so that distance and pair
    are not independent. Differs: a query is marked; fillers are neither keys nor values; power 1 makes gaps uniform; a
    pair may be one token, so that a layer needs memory only and not also a way to join neighbours.

    Features of a token: one for each key, value and filler, and a mark for queries; a blank has none.

    Attributes:
        pairs: K.
        keys, values: how many there are of each, V values.
        tokens: T, with room for all pairs and one query each.
        apart: whether key and value are two tokens, else one.
        power: a; a query waits g tokens after the last pair with a chance that falls as (g + 1)^(a-1), 0 < a <= 1.
        fresh: whether no value comes twice.
        fillers: symbols that blanks among the queries are filled with; 0 leaves them blank.
    """

    pairs: int
    keys: int
    values: int
    tokens: int
    apart: bool = False
    power: float = 1.0
    fresh: bool = False
    fillers: int = 0

    def __post_init__(self) -> None:
        within("values", self.values, 2)
        within("pairs", self.pairs, 1, min(self.keys, self.values) if self.fresh else self.keys)
        within("tokens", self.tokens, self.context + self.pairs)
        within("power", self.power, np.nextafter(0, 1), 1)
        within("fillers", self.fillers, 0)

    @property
    def context(self) -> int:
        """Tokens that the pairs take; the queries come after them."""
        return self.pairs * (2 if self.apart else 1)

    @property
    def length(self) -> int:
        """T."""
        return self.tokens

    @property
    def features(self) -> int:
        """Keys, values, a mark and fillers."""
        return self.keys + self.values + 1 + self.fillers

    @property
    def outputs(self) -> int:
        """V."""
        return self.values

    @property
    def demand_bits(self) -> float:
        """K log2 V; log2 V!/(V-K)! where no value comes twice."""
        if self.fresh:
            return distinct_values_bits(self.pairs, self.values)
        return float(independent_values_bits(self.pairs, self.values))

    @property
    def chance(self) -> float:
        """1 / V."""
        return 1 / self.values

    @property
    def keyless(self) -> float:
        """The share of answers that the best guess gets right that has read all values, but no key.

        It names the value that came most often. A layer that is not better has bound no value to its key.
        """
        return 1 / self.pairs if self.fresh else largest_count(self.pairs, self.values) / self.pairs

    @property
    def blind_loss(self) -> float:
        """Ln V."""
        return float(np.log(self.values))

    def draw(self, sequences: int, rng: np.random.Generator) -> Sequences:
        """Return sequences whose answer number i is the value of pair i."""
        n, k = sequences, self.pairs
        keys = distinct(n, k, self.keys, rng)
        values = distinct(n, k, self.values, rng) if self.fresh else rng.integers(self.values, size=(n, k))
        gaps = self._gaps(n, rng)
        inputs = np.zeros((n, self.tokens, self.features), np.float32)
        if self.fillers:
            mark(inputs, np.arange(self.context, self.tokens), self._filled(n, rng))
            np.put_along_axis(inputs, self.context + gaps[:, :, None], 0.0, axis=1)
        starts = np.arange(k) * (self.context // k)
        mark(inputs, starts, keys)
        mark(inputs, starts + (1 if self.apart else 0), self.keys + values)
        mark(inputs, self.context + gaps, keys)
        mark(inputs, self.context + gaps, np.full((n, k), self.keys + self.values))
        positions = self.context + gaps
        return Sequences(inputs, positions, values, positions - starts - (1 if self.apart else 0))

    def _gaps(self, sequences: int, rng: np.random.Generator) -> Whole:
        """Return (n, K) different gaps: drawn one after another, each in proportion to its chance among those left.

        The largest K of log-chances with Gumbel noise, in their order, are such a draw (Gumbel-top-k).
        """
        logs = (self.power - 1) * np.log(np.arange(1, self.tokens - self.context + 1))
        return (-logs - rng.gumbel(size=(sequences, len(logs)))).argsort(axis=1)[:, : self.pairs]

    def _filled(self, sequences: int, rng: np.random.Generator) -> Whole:
        """Return fillers for all tokens after the pairs."""
        return self.keys + self.values + 1 + rng.integers(self.fillers, size=(sequences, self.tokens - self.context))


def largest_count(draws: int, values: int) -> float:
    """Return how often the most frequent of V values comes, on average, among K uniform draws.

        E[largest] = sum over m of 1 - P(largest <= m),   P(largest <= m) = P(X_1 + ... + X_V = K, all <= m) / P(X = K)

    Derived: with X_v independent Poisson numbers of mean K/V the counts are these, given that their sum is K.
    """
    logs = np.log(np.arange(1, draws + 1)).cumsum()
    log_factorial = np.concatenate(([0.0], logs))
    mean = draws / values
    chances = np.exp(np.arange(draws + 1) * np.log(mean) - mean - log_factorial)
    whole = np.exp(draws * np.log(draws) - draws - log_factorial[-1])
    expected = 0.0
    for most in range(draws):
        left = 1 - _power(np.where(np.arange(draws + 1) <= most, chances, 0.0), values)[draws] / whole
        if most > mean and left < NEGLIGIBLE:
            break
        expected += left
    return float(expected)


def _power(chances: npt.NDArray[np.float64], times: int) -> npt.NDArray[np.float64]:
    """Return the chances of a sum of so many numbers of one distribution on 0, 1, ..., as far as theirs are given."""
    if times == 1:
        return chances
    half = _power(chances, times // 2)
    even = np.convolve(half, half)[: len(chances)]
    return even if times % 2 == 0 else np.convolve(even, chances)[: len(chances)]
