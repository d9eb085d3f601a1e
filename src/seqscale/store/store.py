"""The store: everything that was asked and measured, in one SQLite file.

    writer:  add_cells, add_questions -> commit_round ... set_outcome     (one process; one transaction per call)
    reader:  finished, rounds_done, table, questions, gate, runs          (any number; never changes the file)

A call that returned has been committed: killing the process afterwards does not lose it, and a call that was killed
has left nothing.
"""

from __future__ import annotations

import contextlib
import json
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import groupby
from pathlib import Path
from types import TracebackType
from typing import Any, Self, final

from seqscale.errors import StoreError
from seqscale.records import Cell, Question
from seqscale.rows import Observation, Outcome, OutcomeKind, Row, Sample, Table
from seqscale.store import files
from seqscale.store.lock import WriterLock
from seqscale.units import quantity


@dataclass(frozen=True, slots=True, kw_only=True)
class GateRecord:
    """What the gate said of a layer; `report` is JSON-ready."""

    passed: bool
    report: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One run of a study: when, on what, for how long. `ended` is None for a run that was killed or still runs.

    Attributes:
        version: of seqscale; `versions`: of what it measured with (torch, numpy, python).
        machine: facts of the machine, JSON-ready.
        started, ended: UTC, ISO 8601.
        wall_s, measured_s: seconds from start to end, and those of them that were measurement.
    """

    id: int
    study: str
    version: str
    machine: Mapping[str, Any]
    versions: Mapping[str, str]
    started: str
    ended: str | None
    wall_s: float | None
    measured_s: float | None


@final
class Store:
    """A store, open for reading (`Store.open`) or writing (`Store.writer`); close it, or use it as a context.

    Every failure of the file (not ours, newer, read-only, in use, full disk, damaged) is a StoreError.
    """

    def __init__(self, path: Path, db: sqlite3.Connection, lock: WriterLock | None) -> None:
        self.path = path
        self._db = db
        self._lock = lock

    @classmethod
    def open(cls, path: str | Path) -> Self:
        """Open an existing store to read it: no lock, so a run may be writing; works on read-only disks."""
        path = Path(path)
        return cls(path, files.open_reader(path), None)

    @classmethod
    def writer(cls, path: str | Path) -> Self:
        """Open a store as its only writer; make it if there is none."""
        path = Path(path)
        if not path.parent.is_dir():
            raise StoreError(
                f"{path}: there is no directory {path.parent}: make it, or name another file with --store."
            )
        lock = WriterLock.take(path)
        try:
            return cls(path, files.open_writer(path), lock)
        except BaseException:
            lock.release()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the file and, for a writer, let the next one in."""
        if self._lock is None:
            self._db.close()
        else:
            files.close_writer(self._db)
            self._lock.release()
            self._lock = None

    # -- writing: each call is one transaction ------------------------------------------------------------------------

    def add_cells(self, cells: Iterable[Cell]) -> None:
        """Enter cells that shall be measured; those that are there keep their place and their samples."""
        with self._transaction() as db:
            # The target of a cell is not part of its identity: a user's file that has moved is found where it is now.
            db.executemany(
                "INSERT INTO cells (id, record) VALUES (?, ?) ON CONFLICT (id) DO UPDATE SET record = excluded.record",
                ((cell.id, _json(cell.record())) for cell in cells),
            )

    def add_questions(self, study: str, questions: Iterable[Question]) -> None:
        """Enter what `study` asks, each question once."""
        with self._transaction() as db:
            db.executemany(
                "INSERT INTO questions (study, record) VALUES (?, ?) ON CONFLICT DO NOTHING",
                ((study, _json(question.record())) for question in questions),
            )

    def commit_round(
        self, samples: Iterable[tuple[str, str, Sample]], documents: Iterable[tuple[str, str]] = ()
    ) -> None:
        """Keep the (cell id, quantity, sample) and the (cell id, text) of one round, all of them or none.

        A sample whose quantity, lane, launch and round the cell already has is the same sample, and so is a second
        document of a cell: the first is kept.

        Raises:
            KeyError: a cell that was not added, or a quantity that nobody registered.
            ValueError: a value that the quantity cannot have.
        """
        kept, texts = list(samples), list(documents)
        for _, name, sample in kept:
            quantity(name).check(sample.value)
        with self._transaction() as db:
            numbers = _numbers(db, {cell_id for cell_id, _, _ in kept} | {cell_id for cell_id, _ in texts})
            db.executemany(
                "INSERT INTO samples VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
                (
                    (numbers[cell_id], name, s.lane, s.launch, s.round, s.value, s.cpu_s, s.reference_s)
                    for cell_id, name, s in kept
                ),
            )
            db.executemany(
                "INSERT INTO documents VALUES (?, ?) ON CONFLICT DO NOTHING",
                ((numbers[cell_id], _utf8(text)) for cell_id, text in texts),
            )

    def set_outcome(self, cell_id: str, outcome: Outcome) -> None:
        """Say what became of a cell; a later outcome replaces an earlier one. KeyError: it was not added."""
        reason = outcome.reason and _utf8(outcome.reason)
        with self._transaction() as db:
            db.execute(
                "REPLACE INTO outcomes VALUES (?, ?, ?, ?)",
                (_numbers(db, [cell_id])[cell_id], outcome.kind.name, reason, outcome.needed_s),
            )

    def note_crash(self, cell_id: str) -> int:
        """Count one more death of the worker that was measuring this cell; return how many there were."""
        with self._transaction() as db:
            row = db.execute(
                "INSERT INTO crashes VALUES (?, 1) ON CONFLICT (cell) DO UPDATE SET times = times + 1 RETURNING times",
                (_numbers(db, [cell_id])[cell_id],),
            ).fetchone()
        return int(row[0])

    def fresh(self, cell_ids: Iterable[str]) -> None:
        """Forget what was measured of these cells, and what became of them; other cells keep theirs."""
        with self._transaction() as db:
            numbers = json.dumps(list(_numbers(db, cell_ids).values()))
            for table in ("samples", "documents", "outcomes", "crashes"):
                db.execute(f"DELETE FROM {table} WHERE cell IN (SELECT value FROM json_each(?))", (numbers,))

    def set_gate(self, key: str, record: GateRecord) -> None:
        """Keep what the gate said; the same key again replaces it."""
        with self._transaction() as db:
            db.execute("REPLACE INTO gates VALUES (?, ?, ?)", (key, record.passed, _json(record.report)))

    def begin_run(self, study: str, version: str, machine: Mapping[str, Any], versions: Mapping[str, str]) -> int:
        """Enter a run that starts now; return its number for `end_run`."""
        with self._transaction() as db:
            cursor = db.execute(
                "INSERT INTO runs (study, version, machine, versions, started) VALUES (?, ?, ?, ?, ?)",
                (study, version, _json(machine), _json(versions), _now()),
            )
        return int(cursor.lastrowid or 0)

    def end_run(self, run: int, wall_s: float, measured_s: float) -> None:
        """Enter that a run has ended now, however it ended."""
        with self._transaction() as db:
            db.execute(
                "UPDATE runs SET ended = ?, wall_s = ?, measured_s = ? WHERE id = ?", (_now(), wall_s, measured_s, run)
            )

    # -- reading ------------------------------------------------------------------------------------------------------

    def finished(self) -> dict[str, Outcome]:
        """Return what became of each cell that has an outcome, by cell id."""
        with self._snapshot() as db:
            rows = db.execute(
                "SELECT id, kind, reason, needed_s FROM outcomes JOIN cells ON cell = number ORDER BY cell"
            )
            return {cell_id: _outcome(kind, reason, needed_s) for cell_id, kind, reason, needed_s in rows}

    def rounds_done(self, cell_ids: Iterable[str], quantities: Iterable[str], launch: int) -> dict[str, int]:
        """Return how many main-lane rounds of any of `quantities` each cell has of this launch, by cell id."""
        ids = list(cell_ids)
        with self._snapshot() as db:
            found = dict(
                db.execute(
                    "SELECT id, count(DISTINCT round) FROM samples JOIN cells ON cell = number"
                    " WHERE id IN (SELECT value FROM json_each(?)) AND lane = 0 AND launch = ?"
                    " AND quantity IN (SELECT value FROM json_each(?)) GROUP BY cell",
                    (json.dumps(ids), launch, json.dumps(list(quantities))),
                )
            )
        return {cell_id: found.get(cell_id, 0) for cell_id in ids}

    def table(self, cells: Iterable[Cell] | None = None) -> Table:
        """Return `cells` with their outcomes and observations, in their order; without `cells`, all that were added.

        A cell that was never added is a row without outcome. Observations are of the main lane, samples by launch and
        round; the A/A lane is in `Row.twins`.
        """
        with self._snapshot() as db:
            if cells is None:
                records = db.execute("SELECT id, record FROM cells ORDER BY number")
                wanted = [(cell_id, Cell.from_record(json.loads(record))) for cell_id, record in records]
            else:
                wanted = [(cell.id, cell) for cell in cells]
            numbers = _numbers(db, (cell_id for cell_id, _ in wanted))
            chosen = (json.dumps(list(numbers.values())),)
            samples = db.execute(
                "SELECT cell, quantity, lane, launch, round, value, cpu_s, reference_s FROM samples"
                " WHERE cell IN (SELECT value FROM json_each(?)) ORDER BY cell, quantity, lane, launch, round",
                chosen,
            )
            seen = _observed(samples)
            ends = {
                number: _outcome(kind, reason, needed_s)
                for number, kind, reason, needed_s in db.execute(
                    "SELECT * FROM outcomes WHERE cell IN (SELECT value FROM json_each(?))", chosen
                )
            }
            texts = dict(
                db.execute("SELECT cell, text FROM documents WHERE cell IN (SELECT value FROM json_each(?))", chosen)
            )
        places = ((cell, numbers.get(cell_id, 0)) for cell_id, cell in wanted)  # SQLite numbers from 1
        return Table(
            Row(cell, ends.get(number), *seen.get(number, ({}, {})), texts.get(number)) for cell, number in places
        )

    def questions(self) -> tuple[tuple[str, Question], ...]:
        """Return (study, question) for everything that was ever asked of this store, oldest first."""
        with self._snapshot() as db:
            rows = db.execute("SELECT study, record FROM questions ORDER BY number")
            return tuple((study, Question.from_record(json.loads(record))) for study, record in rows)

    def gate(self, key: str) -> GateRecord | None:
        """Return what the gate said under this key, or None if it was not asked."""
        with self._snapshot() as db:
            row = db.execute("SELECT passed, report FROM gates WHERE key = ?", (key,)).fetchone()
            return None if row is None else GateRecord(passed=bool(row[0]), report=json.loads(row[1]))

    def runs(self) -> tuple[Run, ...]:
        """Return every run that wrote to this store, oldest first."""
        with self._snapshot() as db:
            rows = db.execute(
                "SELECT id, study, version, machine, versions, started, ended, wall_s, measured_s FROM runs ORDER BY id"
            )
            names = [column[0] for column in rows.description]
            found = (dict(zip(names, row, strict=True)) for row in rows)
            return tuple(
                Run(**{**run, "machine": json.loads(run["machine"]), "versions": json.loads(run["versions"])})
                for run in found
            )

    # -- how ----------------------------------------------------------------------------------------------------------

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        """Everything inside happens, or nothing does."""
        with files.explained(self.path):
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield self._db
                self._db.execute("COMMIT")
            except BaseException:
                if self._db.in_transaction:  # a full disk has rolled back already
                    self._db.execute("ROLLBACK")
                raise

    @contextlib.contextmanager
    def _snapshot(self) -> Iterator[sqlite3.Connection]:
        """All queries inside see one moment of the store, whatever its writer commits meanwhile."""
        with files.explained(self.path):
            self._db.execute("BEGIN")
            try:
                yield self._db
            except (ValueError, KeyError, TypeError) as error:  # SQLite is content, our records are not
                raise StoreError(
                    f"{self.path} is damaged (a record that cannot be read: {error}): "
                    "put a copy in its place, or move it away to start a new one."
                ) from error
            finally:
                if self._db.in_transaction:  # a disk that fails has rolled back already
                    self._db.execute("ROLLBACK")


_Observed = tuple[dict[str, Observation], dict[str, tuple[Sample, ...]]]


def _numbers(db: sqlite3.Connection, cell_ids: Iterable[str]) -> dict[str, int]:
    """Return the store's number of each cell that it has, by cell id."""
    chosen = json.dumps(list(cell_ids))
    return dict(db.execute("SELECT id, number FROM cells WHERE id IN (SELECT value FROM json_each(?))", (chosen,)))


def _observed(rows: Iterable[tuple[Any, ...]]) -> dict[int, _Observed]:
    """Gather sample rows, sorted by cell, quantity and lane, into observations and twins by cell number."""
    found: dict[int, _Observed] = {}
    for (number, name, lane), group in groupby(rows, key=lambda row: row[:3]):
        samples = tuple(
            Sample(value=value, launch=launch, round=round_, lane=lane, cpu_s=cpu_s, reference_s=reference_s)
            for _, _, _, launch, round_, value, cpu_s, reference_s in group
        )
        observations, twins = found.setdefault(number, ({}, {}))
        if lane == 0:
            observations[name] = Observation.of(name, samples)
        else:
            twins[name] = twins.get(name, ()) + samples
    return found


def _outcome(kind: str, reason: str | None, needed_s: float | None) -> Outcome:
    return Outcome(kind=OutcomeKind[kind], reason=reason, needed_s=needed_s)


def _utf8(text: str) -> str:
    """Return text that SQLite takes: a layer's own words may quote bytes that are none (a file's name)."""
    return text.encode(errors="backslashreplace").decode()


def _json(value: Mapping[str, Any]) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"))


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
