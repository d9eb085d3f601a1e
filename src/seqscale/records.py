"""The frozen values that flow from room to room; each refuses to exist wrong.

    Cell -> (worker) -> Sample, Outcome -> (store) -> Row in a Table -> (fit, claim) -> Judgement

Nothing here imports torch, numpy or the store.
"""

from __future__ import annotations

import dataclasses
import enum
import hashlib
import json
import statistics
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Self

from seqscale.units import quantity

MODES = ("forward", "training", "decode")
DTYPES = ("float32", "float64", "bfloat16")
LAUNCHERS = ("fork", "fresh")
MACHINE_NAME = "machine"  # the layer, and its family, of cells that measure no layer

Option = str | int | float | bool

SCOPE_UNITS = {"length": "tokens", "lengths": "tokens", "width": "features", "batch": "sequences", "threads": "threads"}


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
    OutcomeKind.unsupported: "choose another algorithm, mode or device; `seqscale list layers` shows which exist.",
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
class LayerSpec:
    """What the desk knows of a layer without importing it.

    Attributes:
        name: catalogue name ("gru"), or what the user wrote ("mine.py:Mine").
        target: "module:Class" or "path.py:Class", what a worker imports.
        version: changes when the layer's numbers may change; a user's file: its sha256.
        family: "recurrent" (fixed state), "attention" (state grows), "own" (a user's, unknown), or "machine".
        algorithms: the ways to compute it; the first is the default.
        widen: what the width claims enlarge: option "hidden", the stream's "width", or nothing (None).
        sentence: one line for `seqscale list layers`.
    """

    name: str
    target: str
    version: str
    family: str
    algorithms: tuple[str, ...]
    widen: str | None
    sentence: str

    def __post_init__(self) -> None:
        if self.family not in ("recurrent", "attention", "own", MACHINE_NAME):
            raise ValueError(f"layer {self.name}: family '{self.family}' is not recurrent, attention or own")
        if not self.algorithms:
            raise ValueError(f"layer {self.name}: it needs at least one algorithm")


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """One point to measure. Two cells are the same measurement exactly when their ids are equal.

    `layer` is the name a person reads, `target` what a worker imports; `target` is not part of the identity (a user's
    file may move), `layer_version` is. Lengths count tokens; for mode `decode`, `length` is the context that the one
    timed step follows.
    """

    probe: str
    probe_version: int
    layer: str
    layer_version: str
    target: str
    options: tuple[tuple[str, Option], ...] = ()
    algorithm: str
    mode: str
    length: int
    width: int
    batch: int
    dtype: str
    device: str
    threads: int
    seed: int
    launcher: str
    machine: str
    torch: str

    def __post_init__(self) -> None:
        for name in ("length", "width", "batch", "threads"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name}={getattr(self, name)}: must be a whole number >= 1")
        for name, known in (("mode", MODES), ("dtype", DTYPES), ("launcher", LAUNCHERS)):
            if getattr(self, name) not in known:
                raise ValueError(f"{name}='{getattr(self, name)}': must be one of {', '.join(known)}")
        if list(self.options) != sorted(self.options):
            raise ValueError("options must be sorted by name")

    def record(self) -> dict[str, Any]:
        """Return every field as JSON-ready data."""
        # Every id is made from this: dataclasses.asdict, which copies deeply, took most of a report of 10,000 cells.
        plain = {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}
        return plain | {"options": dict(self.options)}

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> Self:
        """Rebuild a cell from `record()`."""
        return cls(**{**record, "options": tuple(sorted(record["options"].items()))})

    @property
    def id(self) -> str:
        """First 16 hex digits of the sha256 of the canonical record."""
        return _cell_id(self)

    @property
    def gate_key(self) -> str:
        """What the gate runs once for: layer, options, algorithm, width, dtype, device, and torch's version."""
        asked = (self.layer, self.layer_version, self.options, self.algorithm, self.width, self.dtype, self.device)
        return json.dumps([*asked, self.torch])

    def label(self) -> str:
        """Write the cell for a person: `time training gru/library T=512 d=64 b=1 float32`."""
        options = "".join(f" {k}={v}" for k, v in self.options)
        threads = f" threads={self.threads}" if self.threads > 1 else ""
        return (
            f"{self.probe} {self.mode} {self.layer}/{self.algorithm} T={self.length} d={self.width}"
            f"{options} b={self.batch} {self.dtype}{threads}"
        )


_CELL_FIELDS = tuple(f.name for f in dataclasses.fields(Cell))


@lru_cache(maxsize=1 << 17)
def _cell_id(cell: Cell) -> str:
    record = cell.record()
    del record["target"]
    text = json.dumps(record, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """Where a study's verdicts hold: everything of a cell that is not the claim's own choice."""

    lengths: tuple[int, ...]
    width: int
    batch: int
    dtype: str
    device: str
    threads: int
    seed: int
    launcher: str
    machine: str
    torch: str
    options: tuple[tuple[str, Option], ...] = ()

    def __post_init__(self) -> None:
        if not self.lengths or any(n < 1 for n in self.lengths) or list(self.lengths) != sorted(set(self.lengths)):
            raise ValueError(f"lengths={self.lengths}: must be whole numbers >= 1, rising")

    def record(self) -> dict[str, Any]:
        """Return every field as JSON-ready data."""
        return dataclasses.asdict(self) | {"lengths": list(self.lengths), "options": dict(self.options)}

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> Self:
        """Rebuild a scope from `record()`."""
        options = tuple(sorted(record["options"].items()))
        return cls(**{**record, "lengths": tuple(record["lengths"]), "options": options})

    def cell(self, probe: str, probe_version: int, layer: LayerSpec, **fields: Any) -> Cell:
        """Return the cell of `layer` in this scope; `fields` gives length, algorithm, mode and what else differs."""
        own = {name: getattr(self, name) for name in _SCOPE_FIELDS}
        fixed = {
            "probe": probe,
            "probe_version": probe_version,
            "layer": layer.name,
            "layer_version": layer.version,
            "target": layer.target,
        }
        return Cell(**{**own, **fixed, **fields})


_SCOPE_FIELDS = tuple(f.name for f in dataclasses.fields(Scope) if f.name != "lengths")


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """One claim asked of one layer computed by one algorithm, in one scope; what a study is made of."""

    claim: str
    layer: LayerSpec
    algorithm: str
    scope: Scope

    def record(self) -> dict[str, Any]:
        """Return the question as JSON-ready data."""
        layer = dataclasses.asdict(self.layer) | {"algorithms": list(self.layer.algorithms)}
        return {"claim": self.claim, "layer": layer, "algorithm": self.algorithm, "scope": self.scope.record()}

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> Self:
        """Rebuild a question from `record()`."""
        layer = LayerSpec(**{**record["layer"], "algorithms": tuple(record["layer"]["algorithms"])})
        scope = Scope.from_record(record["scope"])
        return cls(claim=record["claim"], layer=layer, algorithm=record["algorithm"], scope=scope)


@dataclass(frozen=True, slots=True, kw_only=True)
class Effort:
    """How hard a block is measured, and when a cell costs too much.

    Attributes:
        min_rounds, max_rounds: visits of every cell of the block.
        half_width: stop when each cell's median is known to this relative half-width.
        launches: fresh processes that share the rounds (the replicate of Kalibera and Jones 2013).
        cell_s: seconds that all rounds of one cell may take together; predicted above -> `skipped`.
        call_s: seconds that one call may take; above -> `timed_out`.
    """

    min_rounds: int = 9
    max_rounds: int = 30
    half_width: float = 0.02
    launches: int = 1
    cell_s: float = 12.0
    call_s: float = 60.0

    def __post_init__(self) -> None:
        if not 1 <= self.min_rounds <= self.max_rounds or self.launches < 1 or self.cell_s <= 0 or self.call_s <= 0:
            raise ValueError(f"{self}: rounds, launches and seconds must be positive, min_rounds <= max_rounds")


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """Cells that are measured together, in interleaved rounds, by one worker."""

    cells: tuple[Cell, ...]
    effort: Effort

    def __post_init__(self) -> None:
        if not self.cells:
            raise ValueError("a block needs at least one cell")
        if len({(c.probe, c.device, c.threads, c.launcher) for c in self.cells}) != 1:
            raise ValueError("the cells of a block share probe, device, threads and launcher")


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One measured value. `lane` 1 marks the A/A twin: the same cell measured again under a second label."""

    value: float
    launch: int = 0
    round: int = 0
    lane: int = 0
    cpu_s: float | None = None  # thread CPU time per call: wall over CPU says how much others disturbed it
    reference_s: float | None = None  # the round's reference matrix product: says how fast the machine was


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
