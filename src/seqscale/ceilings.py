"""`seqscale.machine`: this machine's ceilings, measured in a worker like any cell."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from seqscale.records import Block, Cell, Effort
from seqscale.rows import Observation, Row, Table
from seqscale.units import format_value

if TYPE_CHECKING:  # imported where it is used, so that importing seqscale stays instant
    from seqscale.engine.local import Progress

EFFORT = Effort(min_rounds=9, max_rounds=30, cell_s=10.0, call_s=60.0)
MEANINGS = {
    "product": "matrix product, float32",
    "stream": "memory bandwidth, triad",
    "dispatch": "start of one kernel",
    "step": "one dependent addition",
    "barrier": "sharing a kernel",
}
RIDGE = "ridge point"
RIDGE_UNIT = "flop/B"


@dataclass(frozen=True, slots=True, kw_only=True)
class Ridge:
    """The operational intensity, in flop per byte, above which arithmetic and not memory is the ceiling."""

    threads: int
    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Ceilings:
    """What this machine can do at best.

    Attributes:
        table: one row for each ceiling and number of threads.
        machine: facts of the machine. versions: of what it was measured with.
    """

    table: Table
    machine: Mapping[str, str]
    versions: Mapping[str, str]

    @property
    def threads(self) -> tuple[int, ...]:
        """The numbers of threads, in the order asked."""
        return tuple(dict.fromkeys(row.cell.threads for row in self.table))

    def row(self, ceiling: str, threads: int) -> Row | None:
        """Return the row of a ceiling; None where it does not exist, as a barrier for one thread."""
        found = (row for row in self.table if (row.cell.algorithm, row.cell.threads) == (ceiling, threads))
        return next(found, None)

    def seen(self, ceiling: str, threads: int) -> Observation | None:
        """Return what was measured of a ceiling; None where nothing was."""
        row = self.row(ceiling, threads)
        return None if row is None else next(iter(row.observations.values()), None)

    def ridge(self, threads: int) -> Ridge | None:
        """Return FLOP/s over bytes/s; its interval is that of the worst and the best of both."""
        flops, stream = self.seen("product", threads), self.seen("stream", threads)
        if flops is None or stream is None:
            return None
        return Ridge(
            threads=threads,
            value=flops.value / stream.value,
            low=flops.low / stream.high,
            high=flops.high / stream.low,
        )

    def record(self) -> dict[str, Any]:
        """Return everything JSON-ready, a unit beside every number."""
        ridges = (ridge for threads in self.threads if (ridge := self.ridge(threads)) is not None)
        return {
            "machine": dict(self.machine),
            "versions": dict(self.versions),
            "ceilings": [_row_record(row) for row in self.table],
            "ridge": [
                {"threads": r.threads, "value": r.value, "low": r.low, "high": r.high, "unit": RIDGE_UNIT}
                for r in ridges
            ],
        }

    def text(self) -> str:
        """Return a table for a person: ceilings by threads with 95 % intervals, and what is in doubt."""
        heads = ["CEILING", *(f"{p} THREAD{'S' if p > 1 else ''}" for p in self.threads)]
        names = [name for name in MEANINGS if any(self.row(name, p) is not None for p in self.threads)]
        lines = [[f"{name:<8}  {MEANINGS[name]}", *(self._measured(name, p) for p in self.threads)] for name in names]
        lines.append([f"{RIDGE:<8}", *(_ridge_text(self.ridge(p)) for p in self.threads)])
        facts = " - ".join(f"{name} {value}" for name, value in self.machine.items())
        versions = " ".join(f"{name} {version}" for name, version in self.versions.items())
        doubts = [
            f"{row.cell.algorithm}, threads {row.cell.threads}: {row.outcome.reason}"
            for row in self.table
            if row.outcome is not None and row.outcome.reason
        ]
        return "\n".join([facts, versions, "", *_aligned([heads, *lines]), *doubts])

    def _measured(self, ceiling: str, threads: int) -> str:
        seen = self.seen(ceiling, threads)
        if seen is None:
            return "-"
        ends = (format_value(seen.quantity, end) for end in (seen.low, seen.high))
        return f"{format_value(seen.quantity, seen.value)} [{', '.join(ends)}]"


def machine(
    *,
    threads: Sequence[int] | None = None,
    device: str = "cpu",
    store: str | Path | None = None,
    fresh: bool = False,
    watch: Callable[[Progress], None] = lambda progress: None,
) -> Ceilings:
    """Measure what this machine can do at best, in a few seconds.

    Args:
        threads: numbers of threads; None: 1, 2, 4 ... and all cores that this process may use; for a GPU, whose speed
            is the same with any, 1.
        device: cpu or cuda.
        store: file to keep the samples in; what it has of this machine is not measured again. None: nothing is kept.
        fresh: forget what the store has of these ceilings first.
        watch: called with progress.

    Raises:
        UsageError: a number of threads that cannot be, or a device that is not there.
        StoreError: a store that cannot be written.
    """
    from seqscale.engine.local import LocalEngine
    from seqscale.engine.machine import this_machine, versions
    from seqscale.store.store import Store

    if threads is None:
        threads = doubling(this_machine().cores) if device == "cpu" else [1]
    counts = dict.fromkeys(threads)
    blocks = [Block(cells=ceiling_cells(count, device), effort=EFFORT) for count in counts]
    cells = [cell for block in blocks for cell in block.cells]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "machine.db" if store is None else Path(store)
        with Store.writer(path) as kept:
            if fresh:
                kept.fresh(cell.id for cell in cells)
            log = path.with_name(path.name + ".log")
            LocalEngine(kept, log, watch=watch, decided=lambda: None).run(blocks)
            return Ceilings(table=kept.table(cells), machine=this_machine().facts(), versions=versions())


def ceiling_cells(threads: int, device: str) -> tuple[Cell, ...]:
    """Return the cells of this machine's ceilings for a number of threads; UsageError for one that cannot be."""
    from seqscale.probes.catalogue import MACHINE, PROBES
    from seqscale.request import resolve

    here = resolve(threads=threads, device=device)
    return tuple(
        Cell(
            probe="ceiling", probe_version=PROBES["ceiling"].version, layer=MACHINE.name,
            layer_version=MACHINE.version, target=MACHINE.target, algorithm=ceiling, mode="forward", length=1, width=1,
            batch=1, dtype="float32", device=device, threads=threads, seed=0,
            launcher="fork" if device == "cpu" else "fresh", machine=here.machine, torch=here.torch,
        )
        for ceiling in MACHINE.algorithms
        if threads > 1 or ceiling != "barrier"
    )  # fmt: skip


def doubling(cores: int) -> tuple[int, ...]:
    """Return 1, 2, 4 ... up to the number of cores, that one included."""
    return (*(2**k for k in range(cores.bit_length()) if 2**k < cores), cores)


def _row_record(row: Row) -> dict[str, Any]:
    assert row.outcome is not None
    seen = next(iter(row.observations.values()), None)
    what = {"ceiling": row.cell.algorithm, "threads": row.cell.threads, "device": row.cell.device}
    return what | {"outcome": row.outcome.kind.name, "reason": row.outcome.reason} | (seen.record() if seen else {})


def _ridge_text(ridge: Ridge | None) -> str:
    return "-" if ridge is None else f"{ridge.value:.3g} {RIDGE_UNIT} [{ridge.low:.3g}, {ridge.high:.3g}]"


def _aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    """Return the rows as lines, each column as wide as its widest word."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["   ".join(cell.ljust(n) for cell, n in zip(row, widths, strict=True)).rstrip() for row in rows]
