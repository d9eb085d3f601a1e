"""What every law is fitted to: values at rising sizes, with their replicates."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Self

from seqscale.rows import Observation


@dataclass(frozen=True, slots=True)
class Points:
    """Measured values at rising sizes.

    Attributes:
        x: sizes, strictly rising (n,).
        y: the value at each size: the median over rounds, or an exact count (n,).
        rounds: for each size its samples, keyed by (launch, round), so that two sizes can be paired within a round;
            a single entry for an exact count.
    """

    x: tuple[float, ...]
    y: tuple[float, ...]
    rounds: tuple[Mapping[tuple[int, int], float], ...]

    def __post_init__(self) -> None:
        if not len(self.x) == len(self.y) == len(self.rounds) or not self.x:
            raise ValueError("x, y and rounds must have the same length, at least 1")
        if any(b <= a for a, b in zip(self.x, self.x[1:], strict=False)):
            raise ValueError(f"x={self.x}: sizes must rise")

    @classmethod
    def of(cls, observed: Iterable[tuple[float, Observation]]) -> Self:
        """Collect (size, observation) pairs, sorted by size."""
        pairs = sorted(observed, key=lambda pair: pair[0])
        rounds = tuple({(s.launch, s.round): s.value for s in o.samples} for _, o in pairs)
        return cls(tuple(float(x) for x, _ in pairs), tuple(o.value for _, o in pairs), rounds)
