"""A file that cannot be our store, or cannot be written, is refused in one or two lines that name it and the cure."""

import contextlib
import os
import re
import resource
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from store_examples import a_cell

from seqscale.errors import StoreError
from seqscale.rows import Sample
from seqscale.store.store import Store

CELLS = [a_cell(length=length) for length in range(1, 201)]


def _round(number):
    return [(cell.id, "time", Sample(value=1.0, round=number)) for cell in CELLS]


@contextlib.contextmanager
def refused(path, *words):
    """The error names the file, has at most two lines, and says `words`."""
    with pytest.raises(StoreError) as caught:
        yield
    text = str(caught.value)
    assert str(path) in text
    assert len(text.splitlines()) <= 2
    for word in words:
        assert word in text, text


@pytest.fixture
def path(tmp_path):
    return tmp_path / "seqscale.db"


@pytest.fixture
def filled(path):
    with Store.writer(path) as store:
        store.add_cells(CELLS)
        store.commit_round(_round(0))
    return path


BOTH = pytest.mark.parametrize("way", [Store.open, Store.writer], ids=["open", "writer"])


@BOTH
def test_a_text_file(path, way):
    path.write_text("these are my notes\n" * 100)
    with refused(path, "not a seqscale store", "--store"):
        way(path)
    assert path.read_text() == "these are my notes\n" * 100
    assert list(path.parent.iterdir()) == [path]


@BOTH
def test_somebody_elses_sqlite_file(path, way):
    with contextlib.closing(sqlite3.connect(path)) as db:
        db.execute("CREATE TABLE recipes (name TEXT)")
        db.commit()
    before = path.read_bytes()
    with refused(path, "not a seqscale store", "--store"):
        way(path)
    assert path.read_bytes() == before


@BOTH
def test_a_directory(path, way):
    path.mkdir()
    with refused(path, "is a directory"):
        way(path)


def test_reading_what_is_not_there(path):
    with refused(path, "no store", "seqscale run --store"):
        Store.open(path)
    assert not path.exists()


def test_reading_an_empty_file_and_a_writer_fills_it(path):
    path.touch()
    with refused(path, "is empty", "seqscale run --store"):
        Store.open(path)
    Store.writer(path).close()
    Store.open(path).close()


def test_writing_into_a_directory_that_is_not_there(tmp_path):
    path = tmp_path / "nowhere" / "seqscale.db"
    with refused(path, f"no directory {path.parent}", "make it"):
        Store.writer(path)


def test_a_damaged_store(filled):
    page = 4096
    data = bytearray(filled.read_bytes())
    data[page:] = os.urandom(len(data) - page)
    filled.write_bytes(data)
    with refused(filled, "is damaged", "copy"), Store.open(filled) as store:
        store.table()


def test_a_truncated_store(filled):
    filled.write_bytes(filled.read_bytes()[: 3 * 4096 + 100])
    with refused(filled, "is damaged"), Store.open(filled) as store:
        store.table()


def test_a_record_that_is_not_ours(filled):
    with contextlib.closing(sqlite3.connect(filled)) as db:
        db.execute("UPDATE cells SET record = '{}' WHERE number = 3")
        db.commit()
    with refused(filled, "is damaged", "record"), Store.open(filled) as store:
        store.table()


def test_writing_through_a_reader(filled):
    with Store.open(filled) as store, refused(filled, "read-only"):
        store.commit_round(_round(1))


# -- disks that are full: nothing committed earlier is lost, and the next run goes on ---------------------------------


def _fill(store, upto):
    for number in range(1, upto):
        store.commit_round(_round(number))


def _assert_whole_rounds(path):
    with Store.open(path) as store:
        counts = {len(row.observations["time"].samples) for row in store.table()}
    assert len(counts) == 1
    return counts.pop()


def test_a_store_that_cannot_grow(filled):
    with Store.writer(filled) as store:
        pages = store._db.execute("PRAGMA page_count").fetchone()[0]
        store._db.execute(f"PRAGMA max_page_count = {pages + 20}")
        with refused(filled, "disk is full", "free some space"):
            _fill(store, 1000)
        kept = len(store.table().rows[0].observations["time"].samples)
        assert kept > 1
    assert _assert_whole_rounds(filled) == kept
    with Store.writer(filled) as store:
        store.commit_round(_round(kept))
    assert _assert_whole_rounds(filled) == kept + 1


@contextlib.contextmanager
def _files_of_at_most(size):
    """The operating system refuses to let any file of this process grow beyond `size` bytes."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_disk_that_refuses_to_write(filled):
    with Store.writer(filled) as store:
        with _files_of_at_most(filled.stat().st_size + 50_000), refused(filled, "every round committed so far is kept"):
            _fill(store, 1000)
        kept = len(store.table().rows[0].observations["time"].samples)
        assert kept > 1
        store.commit_round(_round(kept))
    assert _assert_whole_rounds(filled) == kept + 1


def test_a_store_that_cannot_be_begun_for_lack_of_space(path):
    with _files_of_at_most(0), refused(path, "space"):
        Store.writer(path)
    assert list(path.parent.iterdir()) == []
    Store.writer(path).close()


# -- files and directories that may not be written ---------------------------------------------------------------------


@pytest.fixture
def shared(filled):
    """A filled store in a directory that every user may reach."""
    with tempfile.TemporaryDirectory(prefix="seqscale-test-") as folder:
        Path(folder).chmod(0o755)
        yield Path(shutil.copy(filled, folder))
        Path(folder).chmod(0o755)


def _as_nobody(code, path):
    """Run `code` in a process that permissions bind, which they do not for root; return what it printed."""
    if os.geteuid() == 0:
        code = f"os.setgroups([]); os.setgid(65534); os.setuid(65534)\n{code}"
    code = f"import os, sys\nfrom seqscale.store.store import Store\npath = sys.argv[1]\n{code}"
    done = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, text=True)
    if "Operation not permitted" in done.stderr and "setgroups" in done.stderr:
        pytest.skip("root that may not become another user: permissions cannot be tried here")
    return done.stdout + done.stderr


READ = "with Store.open(path) as store: print('rows', len(store.table()))"
WRITE = "Store.writer(path)"


def test_a_read_only_file_in_a_read_only_directory_is_read_and_not_written(shared):
    shared.chmod(0o444)
    shared.parent.chmod(0o555)
    assert _as_nobody(READ, shared) == f"rows {len(CELLS)}\n"
    error = _as_nobody(WRITE, shared)
    assert re.search(rf"StoreError: {shared} cannot be written.*make the directory writable", error)


def test_a_read_only_file_in_a_writable_directory_is_read_and_not_written(shared):
    shared.chmod(0o444)
    shared.parent.chmod(0o777)
    assert _as_nobody(READ, shared) == f"rows {len(CELLS)}\n"
    assert re.search(rf"StoreError: {shared} is read-only: make it", _as_nobody(WRITE, shared))


def test_a_store_left_in_wal_mode_without_its_log_is_read_from_a_read_only_directory(shared):
    with contextlib.closing(sqlite3.connect(shared)) as db:
        db.execute("PRAGMA journal_mode = WAL")
    assert list(shared.parent.iterdir()) == [shared]
    shared.parent.chmod(0o555)
    assert _as_nobody(READ, shared) == f"rows {len(CELLS)}\n"


def test_a_killed_writers_log_is_read_from_a_read_only_directory(shared):
    killed = (
        "import os, sys; from test_store_refused import Store, a_cell;"
        "Store.writer(sys.argv[1]).add_cells([a_cell(length=999)]); os._exit(9)"
    )
    subprocess.run([sys.executable, "-c", killed, str(shared)], cwd=Path(__file__).parent)
    assert shared.with_name(shared.name + "-wal").stat().st_size > 0
    for file in shared.parent.iterdir():
        file.chmod(0o444)
    shared.parent.chmod(0o555)
    assert _as_nobody(READ, shared) == f"rows {len(CELLS) + 1}\n"


def test_a_killed_writers_log_without_its_index_is_not_passed_over_in_silence(shared):
    test_a_killed_writers_log_is_read_from_a_read_only_directory(shared)
    shared.with_name(shared.name + "-shm").unlink()
    assert re.search(rf"StoreError: {shared} cannot be opened", _as_nobody(READ, shared))
