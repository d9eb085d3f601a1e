"""What became of a cell and what was seen of it: samples, observations, outcomes, rows, and the table of them all.

Nothing here imports torch, numpy or the store.
"""

from __future__ import annotations

import enum
import statistics
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from seqscale.records import Cell
from seqscale.units import quantity


class OutcomeKind(enum.Enum):
    """What became of a cell. The value is the cause in words; `cure` says what helps."""

    ok = "measured"
    skipped = "predicted to cost more than its share of the budget"
    out_of_memory = "the memory of the machine did not suffice"
    timed_out = "one call took longer than the time allowed"
    crashed = "the worker process died, three times"
    rejected = "the layer failed the gate"
    unsupported = "this layer, algorithm or machine cannot run the cell"
    failed = "the layer raised an error"

    @property
    def cure(self) -> str:
        """One sentence: what a user can do about it."""
        return _CURES[self]


_CURES = {
    OutcomeKind.ok: "nothing to do.",
    OutcomeKind.skipped: "give it time: --budget 1h, or --until the claim that needs it.",
    OutcomeKind.out_of_memory: "measure at shorter --lengths, a smaller --batch or --width, or on a larger machine.",
    OutcomeKind.timed_out: "measure at shorter --lengths, or use study full, which allows a call more time.",
    OutcomeKind.crashed: "run the cell alone with `seqscale measure` to see what the process printed.",
    OutcomeKind.rejected: "mend what the reason names; the gate runs again when the layer's file changes.",
    OutcomeKind.unsupported: (
        "choose another algorithm, mode or device; `seqscale list layers` shows which exist; a layer of your own may "
        "need `step` and `initial_state`."
    ),
    OutcomeKind.failed: "mend what the reason names; the cell is measured again when the layer's file changes.",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What became of one cell, with the evidence."""

    kind: OutcomeKind
    reason: str | None = None
    needed_s: float | None = None  # skipped: the seconds it was predicted to need

    def __post_init__(self) -> None:
        if self.kind is not OutcomeKind.ok and not self.reason:
            raise ValueError(f"an outcome '{self.kind.name}' must say why")


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One measured value. `lane` 1 marks the A/A twin: the same cell measured again under a second label."""

    value: float
    launch: int = 0
    round: int = 0
    lane: int = 0
    cpu_s: float | None = None  # thread CPU time per call: wall over CPU says how much others disturbed it
    reference_s: float | None = None  # the round's reference matrix product: says how fast the machine was


CERTAIN = 6  # samples, from which on some order statistics cover the median with 95 %


@dataclass(frozen=True, slots=True, kw_only=True)
class Observation:
    """A quantity with its median, a 95 % interval of the median, and the raw samples (main lane only)."""

    quantity: str
    value: float
    low: float
    high: float
    samples: tuple[Sample, ...]

    @property
    def unit(self) -> str:
        """The registered unit of the quantity."""
        return quantity(self.quantity).unit

    @property
    def interval(self) -> str:
        """What low and high are, in words."""
        n = len(self.samples)
        return "95 % interval of the median" if n >= CERTAIN else f"smallest and largest of {n}"

    @classmethod
    def of(cls, name: str, samples: Iterable[Sample]) -> Self:
        """Summarise samples: median, and the distribution-free interval from order statistics.

        With n samples the interval runs between the order statistics whose binomial(n, 1/2) coverage is at least 95 %;
        under six samples none has that coverage and the whole range is given.
        """
        kept = tuple(s for s in samples if s.lane == 0)
        values = sorted(s.value for s in kept)
        for value in values:
            quantity(name).check(value)
        low, high = median_interval(values)
        return cls(quantity=name, value=statistics.median(values), low=low, high=high, samples=kept)

    def record(self) -> dict[str, Any]:
        """Return the observation as JSON-ready data."""
        return {
            "quantity": self.quantity,
            "value": self.value,
            "unit": self.unit,
            "low": self.low,
            "high": self.high,
            "interval": self.interval,
            "samples": [s.value for s in self.samples],
        }


def median_interval(values: Iterable[float]) -> tuple[float, float]:
    """Return the distribution-free 95 % interval of the median; see `Observation.of`."""
    ordered = sorted(values)
    rank = _median_rank(len(ordered))
    return ordered[rank], ordered[-1 - rank]


def _median_rank(n: int) -> int:
    """Largest r such that the order statistics r and n-1-r (from 0) cover the median with 95 %; 0 if none does."""
    mass, rank = 0.5**n, 0
    term = mass
    while rank + 1 < (n + 1) // 2:
        term = term * (n - rank) / (rank + 1)
        if 2 * (mass + term) > 0.05:
            break
        mass += term
        rank += 1
    return rank


@dataclass(frozen=True, slots=True)
class Row:
    """A cell with what became of it and what was observed; outcome None: not measured yet."""

    cell: Cell
    outcome: Outcome | None
    observations: Mapping[str, Observation] = field(default_factory=dict)
    twins: Mapping[str, tuple[Sample, ...]] = field(default_factory=dict)  # the A/A lane, by quantity
    document: str | None = None  # the text that its probe wrote beside the numbers

    @property
    def ok(self) -> bool:
        """Whether the cell was measured."""
        return self.outcome is not None and self.outcome.kind is OutcomeKind.ok


class Table:
    """Rows in a fixed order; the only thing that fits, claims and the report ever see of a store."""

    def __init__(self, rows: Iterable[Row]) -> None:
        self.rows = tuple(rows)
        self._by_id = {row.cell.id: row for row in self.rows}

    def __iter__(self) -> Iterator[Row]:
        return iter(self.rows)

    def __len__(self) -> int:
        return len(self.rows)

    def row(self, cell: Cell) -> Row:
        """Return the row of `cell`; a row without outcome when the table does not have it."""
        return self._by_id.get(cell.id, Row(cell, None))

    def rows_of(self, cells: Iterable[Cell]) -> tuple[Row, ...]:
        """Return the rows of `cells`, in their order."""
        return tuple(self.row(cell) for cell in cells)
