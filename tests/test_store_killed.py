"""A writer killed at any moment loses at most the round in flight, leaves no half of one, and its lock goes with it."""

import fcntl
import random
import subprocess
import sys
import time
from pathlib import Path

import pytest
from store_examples import a_cell

from seqscale.errors import StoreError
from seqscale.store.store import Store

CELLS = [a_cell(length=length) for length in range(1, 21)]

# Commits rounds for ever, each of one sample per cell, and says so after each: an acknowledged round.
WRITER = """
import sys
from seqscale.rows import Sample
from seqscale.store.store import Store
from test_store_killed import CELLS

with Store.writer(sys.argv[1]) as store:
    store.add_cells(CELLS)
    number = store.rounds_done([CELLS[0].id], ["time"], 0)[CELLS[0].id]
    while True:
        store.commit_round([(cell.id, "time", Sample(value=1.0, round=number)) for cell in CELLS])
        print(number, flush=True)
        number += 1
"""


def _start(path):
    command = [sys.executable, "-c", WRITER, str(path)]
    return subprocess.Popen(command, cwd=Path(__file__).parent, stdout=subprocess.PIPE, text=True)


def _kill(writer):
    """Kill -9; return the last round that was acknowledged, or None."""
    writer.kill()
    lines = writer.stdout.read().split()
    writer.stdout.close()
    writer.wait()
    return int(lines[-1]) if lines else None


def _rounds(table):
    return [sorted(s.round for s in row.observations["time"].samples) for row in table]


def test_no_acknowledged_round_is_lost_and_none_is_half_there(tmp_path):
    path = tmp_path / "killed.db"
    random.seed(1)
    before = 0
    for _ in range(6):
        writer = _start(path)
        first = int(writer.stdout.readline())
        assert first == before
        time.sleep(random.uniform(0.0, 0.15))
        last = _kill(writer)
        last = first if last is None else last
        with Store.open(path) as store:  # the write-ahead log is still there, and is read
            rounds = _rounds(store.table())
        assert len(rounds) == len(CELLS)
        assert all(r == rounds[0] for r in rounds), "a round is there for some cells only"
        before = len(rounds[0])
        assert rounds[0] == list(range(before))
        assert last + 1 <= before <= last + 2  # at most the one round that was committed but not yet said
    with Store.writer(path) as store:  # the lock went with its holder
        assert _rounds(store.table())[0] == list(range(before))
    assert list(tmp_path.iterdir()) == [path]


def test_a_writer_killed_while_it_starts_leaves_a_store_that_opens(tmp_path):
    for number in range(6):
        path = tmp_path / f"young{number}.db"
        writer = _start(path)
        while not path.exists() and writer.poll() is None:
            time.sleep(0.0005)
        time.sleep(number * 0.001)
        _kill(writer)
        with Store.writer(path) as store:
            assert len(store.table()) in (0, len(CELLS))
            store.add_cells(CELLS)
            assert len(store.table()) == len(CELLS)


def test_a_second_writer_is_refused_with_the_first_ones_process_and_can_still_read(tmp_path):
    path = tmp_path / "busy.db"
    writer = _start(path)
    try:
        writer.stdout.readline()
        with pytest.raises(StoreError, match=rf"busy\.db is in use by process {writer.pid}: .*--store"):
            Store.writer(path)
        with Store.open(path) as store:
            assert len(store.table()) == len(CELLS)
    finally:
        _kill(writer)
    Store.writer(path).close()


def test_a_second_writer_in_the_same_process_is_refused_too_also_through_a_link(tmp_path):
    path, link = tmp_path / "one.db", tmp_path / "link.db"
    with Store.writer(path):
        link.symlink_to(path)
        for name in (path, link):
            with pytest.raises(StoreError, match="in use by process"):
                Store.writer(name)
    Store.writer(link).close()


def test_a_lock_that_its_holder_removes_while_we_wait_for_it_is_taken_anew(tmp_path, monkeypatch):
    # Two writers could else each hold a lock, one of them on a file that is no longer there.
    path = tmp_path / "race.db"
    leaving = [Store.writer(path)]

    def flock_after_the_holder_has_left(descriptor, how):
        if leaving:
            leaving.pop().close()
        flock(descriptor, how)

    flock = fcntl.flock
    monkeypatch.setattr(fcntl, "flock", flock_after_the_holder_has_left)
    with Store.writer(path), pytest.raises(StoreError, match="in use by process"):
        Store.writer(path)


def test_a_worker_that_outlives_a_killed_writer_does_not_keep_the_store(tmp_path):
    path = tmp_path / "orphaned.db"
    # The worker holds our end of the pipe open, so that we know that it lives.
    code = (
        "import subprocess, sys, time; from seqscale.store.store import Store; store = Store.writer(sys.argv[1]);"
        "worker = subprocess.Popen(['sleep', '30']); print(worker.pid, flush=True); time.sleep(30)"
    )
    writer = subprocess.Popen([sys.executable, "-c", code, str(path)], stdout=subprocess.PIPE, text=True)
    worker = int(writer.stdout.readline())
    writer.kill()
    writer.wait()
    try:
        assert Path(f"/proc/{worker}").exists()
        Store.writer(path).close()
    finally:
        subprocess.run(["kill", "-9", str(worker)], check=True)
        writer.stdout.close()
