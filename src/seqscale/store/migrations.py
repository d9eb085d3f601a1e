"""The store's format as a list of named steps. The list only grows: a step that has been released is never changed.

Format history:
    0001-first      cells, samples, outcomes, crashes, gates, questions, runs
    0002-documents  documents: the text that a probe writes of a cell
    0003-conditions what a cell's probe fixes, a layer's fastest algorithm, how far a question's study goes

A field that records.Cell or records.Question gains gets a step here that fills it in the records already stored
so that a file of any age opens (tests/data/store_v1.db).
"""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass

# "sqsc", at byte 68 of the file: what `file` and we recognise a store by.
APPLICATION_ID = 0x73717363


@dataclass(frozen=True, slots=True)
class Migration:
    """One step of the format: its name, recorded in the file, and its SQL statements, applied in one transaction."""

    name: str
    statements: tuple[str, ...]


MIGRATIONS = (
    Migration(
        "0001-first",
        (
            # A cell is its record (JSON); `number` is its place in every table, and what the other tables refer to.
            """CREATE TABLE cells (
                number INTEGER PRIMARY KEY,
                id TEXT NOT NULL UNIQUE,
                record TEXT NOT NULL
            )""",
            # The key makes a round that is committed twice one round; its order is the order of reading.
            """CREATE TABLE samples (
                cell INTEGER NOT NULL REFERENCES cells (number),
                quantity TEXT NOT NULL,
                lane INTEGER NOT NULL,
                launch INTEGER NOT NULL,
                round INTEGER NOT NULL,
                value REAL NOT NULL,
                cpu_s REAL,
                reference_s REAL,
                PRIMARY KEY (cell, quantity, lane, launch, round)
            ) WITHOUT ROWID""",
            """CREATE TABLE outcomes (
                cell INTEGER PRIMARY KEY REFERENCES cells (number),
                kind TEXT NOT NULL,
                reason TEXT,
                needed_s REAL
            )""",
            """CREATE TABLE crashes (
                cell INTEGER PRIMARY KEY REFERENCES cells (number),
                times INTEGER NOT NULL
            )""",
            """CREATE TABLE gates (
                key TEXT PRIMARY KEY NOT NULL,
                passed INTEGER NOT NULL,
                report TEXT NOT NULL
            )""",
            """CREATE TABLE questions (
                number INTEGER PRIMARY KEY,
                study TEXT NOT NULL,
                record TEXT NOT NULL,
                UNIQUE (study, record)
            )""",
            """CREATE TABLE runs (
                id INTEGER PRIMARY KEY,
                study TEXT NOT NULL,
                version TEXT NOT NULL,
                machine TEXT NOT NULL,
                versions TEXT NOT NULL,
                started TEXT NOT NULL,
                ended TEXT,
                wall_s REAL,
                measured_s REAL
            )""",
        ),
    ),
    Migration(
        "0002-documents",
        (
            """CREATE TABLE documents (
                cell INTEGER PRIMARY KEY REFERENCES cells (number),
                text TEXT NOT NULL
            )""",
        ),
    ),
    Migration(
        "0003-conditions",
        (
            "UPDATE cells SET record = json_set(record, '$.conditions', json('{}'))",
            # A question is known by its text: names stay in alphabetical order, as the store writes them.
            """UPDATE questions SET record = json_object(
                'algorithm', record ->> '$.algorithm', 'claim', record ->> '$.claim',
                'layer', json_object(
                    'algorithms', record -> '$.layer.algorithms', 'family', record ->> '$.layer.family',
                    'fastest', NULL, 'name', record ->> '$.layer.name', 'sentence', record ->> '$.layer.sentence',
                    'target', record ->> '$.layer.target', 'version', record ->> '$.layer.version',
                    'widen', record ->> '$.layer.widen'),
                'scope', json_object(
                    'batch', record -> '$.scope.batch', 'device', record ->> '$.scope.device',
                    'dtype', record ->> '$.scope.dtype', 'extent', iif(study = 'full', 'full', 'quick'),
                    'launcher', record ->> '$.scope.launcher', 'lengths', record -> '$.scope.lengths',
                    'machine', record ->> '$.scope.machine', 'options', record -> '$.scope.options',
                    'seed', record -> '$.scope.seed', 'threads', record -> '$.scope.threads',
                    'torch', record ->> '$.scope.torch', 'width', record -> '$.scope.width'))""",
        ),
    ),
)


def is_blank(db: sqlite3.Connection) -> bool:
    """Whether nobody has put anything into this file yet."""
    application: int = db.execute("PRAGMA application_id").fetchone()[0]
    objects: int = db.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
    return application == 0 and objects == 0


def is_store(db: sqlite3.Connection) -> bool:
    """Whether this SQLite file is a seqscale store."""
    application: int = db.execute("PRAGMA application_id").fetchone()[0]
    return application == APPLICATION_ID


def applied(db: sqlite3.Connection) -> tuple[str, ...]:
    """Return the names of the migrations that this store has, oldest first."""
    return tuple(name for (name,) in db.execute("SELECT name FROM migrations ORDER BY rowid"))


def unknown(db: sqlite3.Connection) -> tuple[str, ...]:
    """Return the store's migrations that this seqscale does not know: a newer one made them."""
    known = {migration.name for migration in MIGRATIONS}
    return tuple(name for name in applied(db) if name not in known)


def pending(db: sqlite3.Connection) -> tuple[Migration, ...]:
    """Return the migrations that this store does not have yet, in order."""
    have = set(applied(db))
    return tuple(migration for migration in MIGRATIONS if migration.name not in have)


def create(db: sqlite3.Connection) -> None:
    """Mark a blank file as ours and give it the table of migrations, in one transaction."""
    db.execute("BEGIN IMMEDIATE")
    db.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    db.execute("CREATE TABLE migrations (name TEXT NOT NULL UNIQUE, applied TEXT NOT NULL)")
    db.execute("COMMIT")


def migrate(db: sqlite3.Connection) -> None:
    """Apply what is pending, each migration with its own record in one transaction."""
    for migration in pending(db):
        db.execute("BEGIN IMMEDIATE")
        try:
            for statement in migration.statements:
                db.execute(statement)
            db.execute("INSERT INTO migrations VALUES (?, datetime('now'))", (migration.name,))
            db.execute("COMMIT")
        except BaseException:
            if db.in_transaction:  # a full disk has rolled back already
                db.execute("ROLLBACK")
            raise
