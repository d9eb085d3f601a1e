"""Opening a store's file for reading or writing, and every way that can fail in words that help."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path

from seqscale.errors import StoreError
from seqscale.store import migrations

BUSY_S = 30.0  # how long a statement waits for another process to finish its own

# SQLite's error names, by how they begin -> what to tell the user.
_CAUSES = {
    "SQLITE_FULL": "cannot grow, its disk is full: free some space and run the same command again; "
    "every round committed so far is kept.",
    "SQLITE_IOERR": "cannot be read or written ({error}): check its disk and the space left on it; "
    "every round committed so far is kept.",
    "SQLITE_READONLY": "is read-only: make it and its directory writable, or name another file with --store.",
    "SQLITE_BUSY": "is being used by another program: wait until it ends, or name another file with --store.",
    "SQLITE_CORRUPT": "is damaged ({error}): put a copy in its place, or move it away to start a new one.",
    "SQLITE_NOTADB": "is not a seqscale store (not even an SQLite file): name another file with --store.",
    "SQLITE_CANTOPEN": "cannot be opened: check that you may read it and its directory.",
}


@contextlib.contextmanager
def explained(path: Path) -> Iterator[None]:
    """Turn what SQLite says of `path` into a StoreError with cause and cure; our own mistakes pass unchanged."""
    try:
        yield
    except (sqlite3.IntegrityError, sqlite3.ProgrammingError):
        raise
    except sqlite3.DatabaseError as error:
        name = getattr(error, "sqlite_errorname", "")  # absent on the few errors that Python itself raises
        known = (text for start, text in _CAUSES.items() if name.startswith(start))
        text = next(known, "cannot be used ({error}): move it away to start a new one.")
        raise StoreError(f"{path} {text.format(error=error)}") from error


def open_reader(path: Path) -> sqlite3.Connection:
    """Open a store to read it, without any lock and without changing it, also on a disk that cannot be written."""
    if not path.exists():
        raise StoreError(f"there is no store at {path}: `seqscale run --store {path}` makes one.")
    with explained(path):
        db = _reading_connection(path)
        try:
            _check(db, path)
            if migrations.pending(db):
                db = _upgraded_copy(db)
            db.execute("PRAGMA query_only = ON")
        except BaseException:
            db.close()
            raise
    return db


def open_writer(path: Path) -> sqlite3.Connection:
    """Open a store to write it: make it if it is missing or blank, bring it up to date. The caller holds the lock."""
    with explained(path):
        db = _connect(path, "mode=rwc")
        try:
            if migrations.is_blank(db):
                migrations.create(db)
            _check(db, path)
            db.execute("PRAGMA journal_mode = WAL")
            # NORMAL: a commit survives the death of the process; only a power cut may take the last rounds.
            db.execute("PRAGMA synchronous = NORMAL")
            db.execute("PRAGMA foreign_keys = ON")
            migrations.migrate(db)
        except BaseException:
            db.close()
            raise
    return db


def close_writer(db: sqlite3.Connection) -> None:
    """Fold the write-ahead log into the store, so that what rests on disk is one file that can be read anywhere."""
    db.execute("PRAGMA busy_timeout = 0")
    with contextlib.suppress(sqlite3.OperationalError):  # someone is reading: the log stays, and is read with it
        db.execute("PRAGMA journal_mode = DELETE")
    db.close()


def _connect(path: Path, how: str) -> sqlite3.Connection:
    if path.is_dir():
        raise StoreError(f"{path} is a directory: name a file in it with --store.")
    # isolation_level None: transactions begin and end where the code says so.
    return sqlite3.connect(f"{path.absolute().as_uri()}?{how}", uri=True, timeout=BUSY_S, isolation_level=None)


def _reading_connection(path: Path) -> sqlite3.Connection:
    db = _connect(path, "mode=ro")
    try:
        db.execute("SELECT count(*) FROM sqlite_master").fetchone()
    except sqlite3.OperationalError as error:
        db.close()
        real = path.resolve()
        unwritable = error.sqlite_errorname.startswith(("SQLITE_CANTOPEN", "SQLITE_READONLY"))
        if not unwritable or real.with_name(real.name + "-wal").exists():
            raise
        # A store that its writer could not fold together, on a disk where SQLite cannot make the files that it
        # wants beside it. Without a log nobody is writing, and the file alone is the whole truth.
        db = _connect(path, "mode=ro&immutable=1")
    except BaseException:
        db.close()
        raise
    return db


def _check(db: sqlite3.Connection, path: Path) -> None:
    if migrations.is_blank(db):
        raise StoreError(f"{path} is empty: `seqscale run --store {path}` fills it.")
    if not migrations.is_store(db):
        raise StoreError(f"{path} is an SQLite file, but not a seqscale store: name another file with --store.")
    newer = migrations.unknown(db)
    if newer:
        raise StoreError(
            f"{path} was written by a newer seqscale (it has '{newer[-1]}'): "
            "upgrade with `pip install --upgrade seqscale`, or name another file with --store."
        )


def _upgraded_copy(old: sqlite3.Connection) -> sqlite3.Connection:
    """Return the store brought up to date in memory, because a reader leaves the file as it is."""
    copy = sqlite3.connect(":memory:", isolation_level=None)
    try:
        old.backup(copy)
        migrations.migrate(copy)
    except BaseException:
        copy.close()
        raise
    old.close()
    return copy
