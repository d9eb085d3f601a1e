"""What is asked: layers, cells, scopes, questions, blocks; frozen values, each refuses to exist wrong.

    Question -> (claim) -> Cell -> (worker) -> Sample, Outcome -> (store) -> Row in a Table -> (fit, claim) -> Judgement

The second half, from Sample on, is in rows.py.

Nothing here imports torch, numpy or the store.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Self

MODES = ("forward", "training", "decode")
DTYPES = ("float32", "float64", "bfloat16")
LAUNCHERS = ("fork", "fresh")
EXTENTS = ("quick", "full")
MACHINE_NAME = "machine"  # the layer, and its family, of cells that measure the machine
INSTRUMENT_NAME = "instrument"  # the same, of cells that measure an instrument on what is known

Option = str | int | float | bool

SCOPE_UNITS = {"length": "tokens", "lengths": "tokens", "width": "features", "batch": "sequences", "threads": "threads"}


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerSpec:
    """What the desk knows of a layer without importing it.

    Attributes:
        name: catalogue name ("gru"), or what the user wrote ("mine.py:Mine").
        target: "module:Name" or "path.py:Name" of a class or function, what a worker imports.
        version: changes when the layer's numbers may change; a user's file: its sha256.
        family: "recurrent" (fixed state), "attention" (state grows), "own" (a user's, unknown), or the name of what is
            measured in place of a layer: "machine", "instrument".
        algorithms: the ways to compute it; the first is the default.
        widen: what the width claims enlarge: option "hidden", the stream's "width", or nothing (None).
        sentence: one line for `seqscale list layers`.
        fastest: the algorithm that reads many sequences and trains in the least time on a CPU; what the layer knows
            does not depend on the algorithm, so probes of information use this one. None: the default.
    """

    name: str
    target: str
    version: str
    family: str
    algorithms: tuple[str, ...]
    widen: str | None
    sentence: str
    fastest: str | None = None

    def __post_init__(self) -> None:
        if self.family not in ("recurrent", "attention", "own", MACHINE_NAME, INSTRUMENT_NAME):
            raise ValueError(f"layer {self.name}: family '{self.family}' is not recurrent, attention or own")
        if not self.algorithms:
            raise ValueError(f"layer {self.name}: it needs at least one algorithm")
        if self.fastest is not None and self.fastest not in self.algorithms:
            raise ValueError(f"layer {self.name}: fastest '{self.fastest}' is none of its algorithms")


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """One point to measure. Two cells are the same measurement exactly when their ids are equal.

    `layer` is the name a person reads, `target` what a worker imports; `target` is not part of the identity (a user's
    file may move), `layer_version` is. Lengths count tokens; for mode `decode`, `length` is the context that the one
    timed step follows. `options` are the layer's, `conditions` the probe's (noise, lag, pairs ...): all that it has, as
    `ProbeSpec.settle` fills them in.
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
    conditions: tuple[tuple[str, Option], ...] = ()

    def __post_init__(self) -> None:
        for name in ("length", "width", "batch", "threads"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name}={getattr(self, name)}: must be a whole number >= 1")
        for name, known in (("mode", MODES), ("dtype", DTYPES), ("launcher", LAUNCHERS)):
            if getattr(self, name) not in known:
                raise ValueError(f"{name}='{getattr(self, name)}': must be one of {', '.join(known)}")
        for name in ("options", "conditions"):
            if list(getattr(self, name)) != sorted(getattr(self, name)):
                raise ValueError(f"{name} must be sorted by name")

    def record(self) -> dict[str, Any]:
        """Return every field as JSON-ready data."""
        # Every id is made from this: dataclasses.asdict, which copies deeply, took most of a report of 10,000 cells.
        plain = {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}
        return plain | {"options": dict(self.options), "conditions": dict(self.conditions)}

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> Self:
        """Rebuild a cell from `record()`."""
        given = {name: tuple(sorted(record[name].items())) for name in ("options", "conditions")}
        return cls(**{**record, **given})

    @property
    def of_layer(self) -> bool:
        """Whether a layer is measured, which must pass the gate first; else the machine or an instrument is."""
        return self.layer not in (MACHINE_NAME, INSTRUMENT_NAME)

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
        options = "".join(f" {k}={v}" for k, v in (*self.options, *self.conditions))
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
    if not cell.conditions:  # so that a cell keeps the id that it had before cells had conditions
        del record["conditions"]
    text = json.dumps(record, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """Where a study's verdicts hold: everything of a cell that is not the claim's own choice.

    `extent` (one of EXTENTS) is how far the study goes where a claim registers its own cells for each.
    """

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
    extent: str = "quick"

    def __post_init__(self) -> None:
        if self.extent not in EXTENTS:
            raise ValueError(f"extent='{self.extent}': must be one of {', '.join(EXTENTS)}")
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


_SCOPE_FIELDS = tuple(f.name for f in dataclasses.fields(Scope) if f.name not in ("lengths", "extent"))


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
