"""What the engine and a worker say to each other: frozen values, one JSON object a line.

A request goes to the worker's stdin, events come back on its stdout; `probes/worker.py` tells in which order.
Imports neither torch nor the store, so that both sides can use it.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from seqscale.records import Block, Cell, Effort
from seqscale.rows import Outcome, OutcomeKind, Sample


@dataclass(frozen=True, slots=True, kw_only=True)
class GateRequest:
    """Check the layer of `cell` (layer, options, algorithm, width, dtype, device) before it is measured."""

    cell: Cell


@dataclass(frozen=True, slots=True, kw_only=True)
class MeasureRequest:
    """Measure a block.

    Attributes:
        block: what to measure, and how hard.
        launch: which of `block.effort.launches` this is, from 0.
        rounds_done: rounds of this launch that are kept already, by cell id; a cell not named has none.
    """

    block: Block
    launch: int = 0
    rounds_done: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class QuitRequest:
    """End the worker."""


Request = GateRequest | MeasureRequest | QuitRequest


@dataclass(frozen=True, slots=True, kw_only=True)
class Ready:
    """The worker has imported torch and waits for a request."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Started:
    """Process `pid` does the work from here on; kill it, and the worker itself lives on (if it is a fork)."""

    pid: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Begin:
    """The next thing that runs is this cell; `round` None is its first call (built, warmed up)."""

    cell: str
    round: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """One sample of one quantity of a cell."""

    cell: str
    quantity: str
    sample: Sample


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """How far the cell in flight is, in a few words; says also that it does not hang."""

    cell: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """The text that a probe writes of a cell, beside its numbers."""

    cell: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RoundDone:
    """Every remaining cell has been visited in this round: the time to commit."""

    round: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CellDone:
    """What became of a cell. `ok` means that this launch is through with it."""

    cell: str
    outcome: Outcome


@dataclass(frozen=True, slots=True, kw_only=True)
class GateDone:
    """Whether the layer passed the gate.

    Attributes:
        passed: whether `kind` is `ok`.
        kind: name of the outcome that every cell of a layer that failed gets: rejected, unsupported, failed, ...
        reason: why it failed.
        report: what was checked, for a layer that passed.
        misuse: the layer does not import, or cannot be called so: what the user wrote is at fault.
    """

    passed: bool
    kind: str
    reason: str | None
    report: Mapping[str, Any]
    misuse: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Died:
    """The process at work ended before its time: by `signal`, or (signal 0) by leaving with an exit status.

    `cell` is the one that was in flight, None when none was.
    """

    signal: int
    cell: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """The last event of every request but quit."""


Event = Ready | Started | Begin | Measured | Told | Written | RoundDone | CellDone | GateDone | Died | Done


def block_record(block: Block) -> dict[str, Any]:
    """Return a block as JSON-ready data."""
    return {"cells": [cell.record() for cell in block.cells], "effort": dataclasses.asdict(block.effort)}


def block_from_record(record: Mapping[str, Any]) -> Block:
    """Rebuild a block from `block_record`."""
    return Block(cells=tuple(Cell.from_record(c) for c in record["cells"]), effort=Effort(**record["effort"]))


def encode_request(request: Request) -> str:
    """Write a request as one line of JSON, newline included."""
    match request:
        case GateRequest():
            record: dict[str, Any] = {"do": "gate", "cell": request.cell.record()}
        case MeasureRequest():
            record = {
                "do": "measure",
                "block": block_record(request.block),
                "launch": request.launch,
                "rounds_done": dict(request.rounds_done),
            }
        case QuitRequest():
            record = {"do": "quit"}
    return json.dumps(record) + "\n"


def decode_request(line: str) -> Request:
    """Read a request; ValueError for a line that is none."""
    record = json.loads(line)
    match record.get("do"):
        case "gate":
            return GateRequest(cell=Cell.from_record(record["cell"]))
        case "measure":
            return MeasureRequest(
                block=block_from_record(record["block"]),
                launch=record["launch"],
                rounds_done=record["rounds_done"],
            )
        case "quit":
            return QuitRequest()
    raise ValueError(f"not a request: {line.strip()}")


def encode_event(event: Event) -> str:
    """Write an event as one line of JSON, newline included."""
    match event:
        case Begin():
            record: dict[str, Any] = {
                "event": "begin",
                "cell": event.cell,
                "round": "first" if event.round is None else event.round,
            }
        case Measured():
            record = {"event": "sample", "cell": event.cell, "quantity": event.quantity}
            record |= dataclasses.asdict(event.sample)
        case CellDone():
            outcome = dataclasses.asdict(event.outcome) | {"kind": event.outcome.kind.name}
            record = {"event": "outcome", "cell": event.cell} | outcome
        case _:
            record = {"event": _NAMES[type(event)]} | dataclasses.asdict(event)
    return json.dumps(record) + "\n"


def decode_event(line: str) -> Event:
    """Read an event; ValueError for a line that is none."""
    record = json.loads(line)
    name = record.pop("event", None)
    match name:
        case "begin":
            first = record["round"] == "first"
            return Begin(cell=record["cell"], round=None if first else record["round"])
        case "sample":
            return Measured(cell=record.pop("cell"), quantity=record.pop("quantity"), sample=Sample(**record))
        case "outcome":
            cell, kind = record.pop("cell"), OutcomeKind[record.pop("kind")]
            return CellDone(cell=cell, outcome=Outcome(kind=kind, **record))
    for kind_of_event, known in _NAMES.items():
        if name == known:
            return kind_of_event(**record)
    raise ValueError(f"not an event: {line.strip()}")


# The events whose JSON is their fields as they stand.
_NAMES: dict[type[Ready | Started | Told | Written | RoundDone | GateDone | Died | Done], str] = {
    Ready: "ready",
    Started: "started",
    Told: "told",
    Written: "document",
    RoundDone: "round",
    GateDone: "gate",
    Died: "died",
    Done: "done",
}
