"""The local engine: hands blocks to worker processes, commits every finished round, and turns deaths into outcomes."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from seqscale.engine.forecast import Forecast
from seqscale.engine.laboratory import Laboratory, WorkerDiedError
from seqscale.errors import UsageError
from seqscale.messages import (
    Begin,
    CellDone,
    Died,
    Done,
    Event,
    GateDone,
    GateRequest,
    Measured,
    MeasureRequest,
    Request,
    RoundDone,
    Started,
    Told,
    Written,
)
from seqscale.records import Block, Cell, Effort
from seqscale.rows import Outcome, OutcomeKind
from seqscale.store.store import GateRecord, Store

CRASHES_ALLOWED = 2  # a cell whose worker dies is tried again twice
_GATE_S = 90.0
# The quantities that rounds repeat: a cell has as many rounds as it has samples of one of them.
_REPEATED = ("time", "flop_rate", "bandwidth", "dispatch_time", "dependent_step_time", "barrier_time")


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """What is happening now: the cell in hand, cells done of all, and the seconds that are probably left."""

    now: str
    done: int
    total: int
    left_s: float


class BudgetSpent(Exception):
    """The run's time is up; everything measured so far is kept."""


class LocalEngine:
    """Runs blocks on this machine.

    Args:
        store: where rounds and outcomes are committed.
        log: file for the workers' stderr.
        watch: called with Progress whenever something begins.
        decided: called after each block, so that verdicts can be shown while the run goes on.
        budget_s: seconds after which the run stops cleanly; None for no limit.
    """

    def __init__(
        self,
        store: Store,
        log: Path,
        *,
        watch: Callable[[Progress], None],
        decided: Callable[[], None],
        budget_s: float | None = None,
    ) -> None:
        self._store = store
        self._log = log
        self._watch = watch
        self._decided = decided
        self._deadline = None if budget_s is None else time.monotonic() + budget_s
        self._laboratory: Laboratory | None = None
        self._forecast = Forecast()
        self._waiting: dict[str, tuple[Cell, Effort]] = {}  # cells without an outcome, for the time left
        self._total = 0
        self.measured_s = 0.0  # seconds that ended in a sample: the rest is what the tool itself costs

    def run(self, blocks: Sequence[Block], reopened: frozenset[str] = frozenset()) -> None:
        """Measure every unfinished cell of `blocks`; cells in `reopened` get more rounds though they have an outcome.

        Raises:
            BudgetSpent: the budget ended before the last cell.
        """
        self._store.add_cells(cell for block in blocks for cell in block.cells)
        for row in self._store.table(cell for block in blocks for cell in block.cells if cell.probe == "time"):
            for sample in row.observations["time"].samples if "time" in row.observations else ():
                self._forecast.learn(row.cell, sample)
        finished = self._store.finished()
        todo = [
            Block(cells=cells, effort=block.effort)
            for block in blocks
            if (cells := tuple(c for c in block.cells if c.id in reopened or _open(finished.get(c.id), block.effort)))
        ]
        self._total = sum(len(block.cells) for block in blocks)
        self._waiting = {cell.id: (cell, block.effort) for block in todo for cell in block.cells}
        try:
            for block in todo:
                self._measure(block)
                self._decided()
        finally:
            self._stop_laboratory()

    def admit(self, cells: Iterable[Cell]) -> None:
        """Ask the gate of each cell before anything is measured.

        Raises:
            UsageError: a layer that does not import or cannot be called so. One that fails a check is no error: its
                cells get that outcome.
        """
        try:
            for cell in cells:
                report = self._gate(cell).report
                if report.get("misuse"):
                    raise UsageError(f"{cell.layer}: {report['reason']}")
        except BaseException:
            self._stop_laboratory()
            raise

    # -- one block ---------------------------------------------------------------------------------------------------

    def _measure(self, block: Block) -> None:
        passed = self._pass_gate(block.cells)
        fresh = block.cells[0].launcher == "fresh"
        for launch in range(block.effort.launches):
            if fresh:
                self._stop_laboratory()
            # Other launches' outcomes `ok` only say that the launch is through; the last one's is the cell's.
            last = launch == block.effort.launches - 1
            attempted = {cell.id: cell for cell in passed if cell.id in self._waiting}
            while attempted:
                self._check_budget()
                self._attempt(attempted, block.effort, launch, last)
                if fresh and attempted:
                    self._stop_laboratory()

    def _attempt(self, attempted: dict[str, Cell], effort: Effort, launch: int, last: bool) -> None:
        """Send what is left of a block once; take out of `attempted` every cell that this launch is done with.

        When the worker dies or hangs, the next attempt goes on where the last whole round ended.
        """
        block = Block(cells=tuple(attempted.values()), effort=effort)
        done = self._store.rounds_done(attempted, _REPEATED, launch)
        self._send(MeasureRequest(block=block, launch=launch, rounds_done=done))
        buffer: list[Measured | Written] = []
        flying: Cell | None = None
        quiet = True  # nothing was heard of any cell
        began = time.monotonic()
        try:
            while not isinstance(event := self._event(effort.call_s), Done):
                self.measured_s += time.monotonic() - began if isinstance(event, Measured | Told) else 0.0
                began = time.monotonic()
                match event:
                    case Begin():
                        self._check_budget()
                        flying = attempted[event.cell]
                        self._tell(flying.label() + ("" if event.round is None else f", round {event.round + 1}"))
                    case Told():
                        self._check_budget()
                        self._tell(f"{attempted[event.cell].label()}: {event.text}")
                    case Measured():
                        buffer.append(event)
                        self._learn(attempted[event.cell], event)
                    case Written():
                        buffer.append(event)
                    case RoundDone():
                        self._commit(buffer)
                        buffer.clear()
                    case CellDone():
                        quiet = False
                        self._commit([item for item in buffer if item.cell == event.cell])
                        buffer = [item for item in buffer if item.cell != event.cell]
                        cell = attempted.pop(event.cell)
                        if last or event.outcome.kind is not OutcomeKind.ok:
                            self._finish(cell, event.outcome)
                    case Died():
                        quiet = False
                        buffer.clear()
                        victim = attempted.get(event.cell or "", flying)
                        self._note_death(victim, f"signal {event.signal}", attempted)
            if quiet:
                raise WorkerDiedError("it reported nothing of the cell")
        except TimeoutError:
            self._stop_laboratory()
            victim = flying or next(iter(attempted.values()))
            reason = f"one call took more than {effort.call_s:.0f} s"
            self._finish(victim, Outcome(kind=OutcomeKind.timed_out, reason=reason))
            attempted.pop(victim.id, None)
        except WorkerDiedError as death:
            self._stop_laboratory()
            self._note_death(flying, str(death), attempted)

    def _commit(self, events: Sequence[Measured | Written]) -> None:
        """Keep samples and documents, all of them or none."""
        self._store.commit_round(
            ((e.cell, e.quantity, e.sample) for e in events if isinstance(e, Measured)),
            ((e.cell, e.text) for e in events if isinstance(e, Written)),
        )

    def _note_death(self, flying: Cell | None, death: str, attempted: dict[str, Cell]) -> None:
        """Count the death against the cell in flight; after the last retry it becomes the cell's outcome."""
        victim = flying or next(iter(attempted.values()))
        if self._store.note_crash(victim.id) > CRASHES_ALLOWED:
            reason = f"the worker died while measuring it: {death}"
            self._finish(victim, Outcome(kind=OutcomeKind.crashed, reason=reason))
            attempted.pop(victim.id, None)

    def _learn(self, cell: Cell, event: Measured) -> None:
        if event.quantity == "time":
            self._forecast.learn(cell, event.sample)

    # -- the gate ----------------------------------------------------------------------------------------------------

    def _pass_gate(self, cells: Iterable[Cell]) -> list[Cell]:
        """Return the cells whose layer passes the gate; the others get its outcome here."""
        passed = []
        for cell in cells:
            self._check_budget()
            record = self._gate(cell)
            if record.passed:
                passed.append(cell)
            else:
                kind, reason = OutcomeKind[record.report["kind"]], record.report["reason"]
                self._finish(cell, Outcome(kind=kind, reason=reason))
        return passed

    def _gate(self, cell: Cell) -> GateRecord:
        """Return what the store or else the gate says of the cell's layer; what is no layer has no gate to pass."""
        if not cell.of_layer:
            return GateRecord(passed=True, report={})
        record = self._store.gate(cell.gate_key)
        if record is None:
            record = self._ask_gate(cell)
            if not record.report.get("misuse"):  # what was missing may be there at the next run
                self._store.set_gate(cell.gate_key, record)
        return record

    def _ask_gate(self, cell: Cell) -> GateRecord:
        self._tell(f"gate {cell.layer}/{cell.algorithm} d={cell.width} {cell.dtype}")
        for _ in range(CRASHES_ALLOWED + 1):
            try:
                return self._gate_answer(cell)
            except TimeoutError:
                self._stop_laboratory()
                reason = f"the gate took more than {_GATE_S:.0f} s"
                return GateRecord(passed=False, report={"kind": OutcomeKind.timed_out.name, "reason": reason})
            except WorkerDiedError as death:
                self._stop_laboratory()
                reason = f"the worker died in the gate: {death}"
        return GateRecord(passed=False, report={"kind": OutcomeKind.crashed.name, "reason": reason})

    def _gate_answer(self, cell: Cell) -> GateRecord:
        self._send(GateRequest(cell=cell))
        answer: GateRecord | None = None
        while not isinstance(event := self._event(_GATE_S), Done):
            match event:
                case GateDone():
                    report = {**event.report, "kind": event.kind, "reason": event.reason, "misuse": event.misuse}
                    answer = GateRecord(passed=event.passed, report=report)
                case Died():
                    raise WorkerDiedError(f"signal {event.signal}")
                case Started():
                    pass
        if answer is None:
            raise WorkerDiedError("it gave no answer")
        return answer

    # -- small things ------------------------------------------------------------------------------------------------

    def _send(self, request: Request) -> None:
        if self._laboratory is None:
            self._tell("starting a worker (it imports torch)")
            self._laboratory = Laboratory(self._log)
        self._laboratory.send(request)

    def _event(self, timeout_s: float) -> Event:
        """Return the next event; TimeoutError after `timeout_s`, BudgetSpent where the budget ends before that."""
        assert self._laboratory is not None
        left_s = timeout_s if self._deadline is None else max(0.0, self._deadline - time.monotonic())
        try:
            return self._laboratory.event(min(timeout_s, left_s))
        except TimeoutError:
            self._check_budget()
            raise

    def _stop_laboratory(self) -> None:
        if self._laboratory is not None:
            self._laboratory.stop()
            self._laboratory = None

    def _check_budget(self) -> None:
        if self._deadline is not None and time.monotonic() > self._deadline:
            raise BudgetSpent

    def _finish(self, cell: Cell, outcome: Outcome) -> None:
        self._store.set_outcome(cell.id, outcome)
        self._waiting.pop(cell.id, None)

    def _tell(self, now: str) -> None:
        left_s = sum(self._forecast.seconds(cell, effort) for cell, effort in self._waiting.values())
        done = self._total - len(self._waiting)
        self._watch(Progress(now=now, done=done, total=self._total, left_s=left_s))


def _open(outcome: Outcome | None, effort: Effort) -> bool:
    """Whether a cell is still to be measured: no outcome yet, or skipped under a smaller share than it now has."""
    if outcome is None:
        return True
    return outcome.kind is OutcomeKind.skipped and outcome.needed_s is not None and outcome.needed_s <= effort.cell_s
