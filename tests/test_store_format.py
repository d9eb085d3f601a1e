"""A store of any age opens; one from the future is refused; the format only grows."""

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from seqscale.errors import StoreError
from seqscale.rows import Outcome, OutcomeKind
from seqscale.store import migrations
from seqscale.store.migrations import APPLICATION_ID, MIGRATIONS, Migration
from seqscale.store.store import GateRecord, Store

V1 = Path(__file__).parent / "data" / "store_v1.db"


def _assert_is_v1(store):
    """What tests/data/make_store_v1.py wrote, in today's words."""
    measured, unfinished, skipped = store.table()
    assert [row.cell.length for row in store.table()] == [64, 128, 256]
    assert measured.cell.options == (("hidden", 32),)
    assert measured.outcome == Outcome(kind=OutcomeKind.ok)
    assert skipped.outcome == Outcome(kind=OutcomeKind.skipped, reason="predicted 80 s", needed_s=80.0)
    assert unfinished.outcome is None
    assert measured.observations["time"].value == pytest.approx(64e-5 + 4e-6)
    assert [s.round for s in measured.observations["time"].samples] == list(range(9))
    assert measured.observations["time"].samples[0].reference_s == 2e-4
    assert measured.observations["first_call_time"].value == 0.02
    assert [s.value for s in measured.twins["time"]] == [6.5e-4] * 9
    ((study, question),) = store.questions()
    assert (study, question.claim, question.layer.name) == ("quick", "time.linear-forward", "gru")
    assert question.scope.lengths == (64, 128, 256)
    assert (question.scope.extent, question.layer.fastest, measured.cell.conditions) == ("quick", None, ())
    (run,) = store.runs()
    assert (run.version, run.machine["cores"], run.measured_s) == ("0.1.0", 2, 3.0)
    assert store.gate("gru/library d=64") == GateRecord(passed=True, report={"causal": "bit-equal"})


def test_the_first_format_is_read_for_ever():
    before = V1.read_bytes()
    with Store.open(V1) as store:
        _assert_is_v1(store)
    assert V1.read_bytes() == before


def test_the_first_format_is_continued_for_ever(tmp_path):
    path = Path(shutil.copy(V1, tmp_path))
    with Store.writer(path) as store:
        _assert_is_v1(store)
        cell = store.table().rows[1].cell
        assert store.note_crash(cell.id) == 2
        store.set_outcome(cell.id, Outcome(kind=OutcomeKind.ok))
    with Store.open(path) as store:
        assert store.finished()[cell.id].kind is OutcomeKind.ok


def test_what_an_older_store_was_asked_is_not_asked_twice(tmp_path):
    path = Path(shutil.copy(V1, tmp_path))
    with Store.writer(path) as store:
        (asked,) = store.questions()
        store.add_questions("quick", [asked[1]])
        store.add_cells(row.cell for row in store.table())
        assert len(store.questions()) == 1
        assert len(store.table()) == 3


# What released files contain: to change the format, append a migration; this list grows with it.
RELEASED = ["0001-first", "0002-documents", "0003-conditions"]


def test_migrations_are_only_appended():
    assert [m.name for m in MIGRATIONS] == RELEASED


def test_a_store_is_recognised_by_its_application_id(tmp_path):
    Store.writer(tmp_path / "a.db").close()
    assert (tmp_path / "a.db").read_bytes()[68:72] == APPLICATION_ID.to_bytes(4, "big") == b"sqsc"


@pytest.fixture
def one_more(monkeypatch):
    """A seqscale whose format has one step more than ours."""
    step = Migration(
        "9999-next", ("ALTER TABLE runs ADD COLUMN mood TEXT", "UPDATE runs SET study = study || ' indeed'")
    )
    monkeypatch.setattr(migrations, "MIGRATIONS", (*MIGRATIONS, step))
    return step


def test_an_older_store_is_read_without_being_changed(one_more):
    before = V1.read_bytes()
    with Store.open(V1) as store:
        assert [run.study for run in store.runs()] == ["quick indeed"]
        with pytest.raises(StoreError, match="read-only"):
            store.fresh([])
    assert V1.read_bytes() == before


def test_an_older_store_is_brought_up_to_date_by_its_writer_once(one_more, tmp_path):
    path = Path(shutil.copy(V1, tmp_path))
    for _ in range(2):
        with Store.writer(path) as store:
            assert [run.study for run in store.runs()] == ["quick indeed"]
    with closing(sqlite3.connect(path)) as db:
        assert migrations.applied(db) == (*RELEASED, "9999-next")


@pytest.mark.parametrize("way", [Store.open, Store.writer], ids=["open", "writer"])
def test_a_store_from_a_newer_version_is_refused_unchanged(way, one_more, monkeypatch, tmp_path):
    path = tmp_path / "new.db"
    Store.writer(path).close()
    before = path.read_bytes()
    monkeypatch.setattr(migrations, "MIGRATIONS", MIGRATIONS)
    with pytest.raises(StoreError, match=r"new\.db was written by a newer seqscale \(it has '9999-next'\): upgrade"):
        way(path)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_a_migration_that_fails_leaves_the_store_as_it_was(monkeypatch, tmp_path):
    path = Path(shutil.copy(V1, tmp_path))
    broken = Migration("9999-broken", ("DELETE FROM samples", "ALTER TABLE nowhere ADD COLUMN mood TEXT"))
    monkeypatch.setattr(migrations, "MIGRATIONS", (*MIGRATIONS, broken))
    with pytest.raises(StoreError, match="nowhere"):
        Store.writer(path)
    monkeypatch.setattr(migrations, "MIGRATIONS", MIGRATIONS)
    with Store.writer(path) as store:
        _assert_is_v1(store)
