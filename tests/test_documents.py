"""A document: the text that a probe writes of a cell goes with its numbers, once, whatever dies on the way."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from store_examples import a_cell

from seqscale.engine.local import CRASHES_ALLOWED, LocalEngine
from seqscale.messages import (
    Begin,
    CellDone,
    Died,
    Done,
    GateDone,
    GateRequest,
    Measured,
    RoundDone,
    Written,
    decode_event,
    encode_event,
)
from seqscale.probes import execute
from seqscale.probes.base import AbstractProbe, AbstractTrial, Reading, silent
from seqscale.records import Block, Effort
from seqscale.rows import Outcome, OutcomeKind, Row, Sample
from seqscale.store.store import Store

V1 = Path(__file__).parent / "data" / "store_v1.db"
OK = Outcome(kind=OutcomeKind.ok)
EFFORT = Effort(min_rounds=1, max_rounds=1)


@given(st.text())
def test_any_text_goes_through_the_pipe_in_one_line(text):
    line = encode_event(Written(cell="c", text=text))
    assert line.count("\n") == 1 and line.endswith("\n")
    assert decode_event(line) == Written(cell="c", text=text)


@settings(max_examples=20, deadline=None)
@given(st.text(alphabet=st.characters(codec="utf-8")))
def test_any_text_comes_back_from_the_store_with_its_cell(text):
    with tempfile.TemporaryDirectory() as folder, Store.writer(Path(folder) / "a.db") as store:
        here, bare = a_cell(length=1), a_cell(length=2)
        store.add_cells([here, bare])
        store.commit_round([], [(here.id, text)])
        assert [row.document for row in store.table()] == [text, None]
        assert [row.document for row in store.table([bare, here])] == [None, text]


@pytest.fixture
def store(tmp_path):
    with Store.writer(tmp_path / "a.db") as kept:
        yield kept


def test_a_second_document_of_a_cell_is_the_same_one_and_the_first_is_kept(store):
    cell = a_cell()
    store.add_cells([cell])
    store.commit_round([], [(cell.id, "first"), (cell.id, "second")])
    store.commit_round([], [(cell.id, "third")])
    assert store.table().rows[0].document == "first"


def test_a_round_that_cannot_be_kept_leaves_no_document(store):
    cell = a_cell()
    store.add_cells([cell])
    with pytest.raises(KeyError):
        store.commit_round([], [(cell.id, "text"), ("nobody", "text")])
    with pytest.raises(ValueError):
        store.commit_round([(cell.id, "time", Sample(value=float("nan")))], [(cell.id, "text")])
    assert store.table().rows[0] == Row(cell, None)


def test_fresh_forgets_the_documents_of_its_cells_and_no_others(store):
    a, b = a_cell(length=1), a_cell(length=2)
    store.add_cells([a, b])
    store.commit_round([], [(a.id, "a"), (b.id, "b")])
    store.fresh([a.id])
    assert [row.document for row in store.table()] == [None, "b"]


def test_text_that_is_not_proper_is_kept_readable(store):
    cell = a_cell()
    store.add_cells([cell])
    store.commit_round([], [(cell.id, "caf\udce9")])
    assert store.table().rows[0].document == "caf\\udce9"


def test_a_store_of_the_first_format_takes_documents(tmp_path):
    path = Path(shutil.copy(V1, tmp_path))
    with Store.open(path) as old:
        assert {row.document for row in old.table()} == {None}
    with Store.writer(path) as kept:
        cell = kept.table().rows[0].cell
        kept.commit_round([], [(cell.id, "text")])
    with Store.open(path) as kept:
        assert kept.table().rows[0].document == "text" and kept.table().rows[0].observations


# -- the probe's side --------------------------------------------------------------------------------------------------


class Trial(AbstractTrial):
    """Writes once it has measured."""

    note = None
    document = None

    def __init__(self, text):
        self.text = text

    def first(self):
        return ()

    def again(self):
        self.document = self.text
        return (Reading(quantity="time", value=1.0),)


class Probe(AbstractProbe):
    name, alone = "time", False

    def __init__(self, repeats, text):
        self.repeats, self.text = repeats, text

    def preload(self):
        pass

    def prepare(self, cell, tell=silent):
        return Trial(self.text)


@pytest.mark.parametrize("repeats", [False, True])
@pytest.mark.parametrize("text", [None, "written"])
def test_a_document_is_sent_once_after_the_readings_and_before_the_outcome(monkeypatch, repeats, text):
    monkeypatch.setattr(execute, "probe_of", lambda name: Probe(repeats, text))
    cell, events = a_cell(), []
    execute.execute(Block(cells=(cell,), effort=Effort(min_rounds=3, max_rounds=3)), events.append, 0, {})
    names = [type(event) for event in events if not isinstance(event, Begin | RoundDone)]
    rounds = 3 if repeats else 1
    assert names == [Measured] * rounds + ([Written] if text else []) + [CellDone]
    assert [event for event in events if isinstance(event, Written)] == (
        [Written(cell=cell.id, text=text)] if text else []
    )


# -- the engine's side: a worker whose answers are written down --------------------------------------------------------


class Script:
    """Answers each request with the next list of events."""

    def __init__(self, answers):
        self.answers, self.events = list(answers), []

    def send(self, request):
        passed = GateDone(passed=True, kind="ok", reason=None, report={})
        self.events = [passed, Done()] if isinstance(request, GateRequest) else self.answers.pop(0)

    def event(self, timeout_s):
        return self.events.pop(0)

    def stop(self):
        pass


def run(store, folder, cell, *answers):
    """Let the engine measure `cell` with a worker that answers so; return its row."""
    script = Script(answers)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("seqscale.engine.local.Laboratory", lambda log: script)
        engine = LocalEngine(store, folder / "log", watch=lambda p: None, decided=lambda: None)
        engine.run([Block(cells=(cell,), effort=EFFORT)])
    assert not script.answers
    return store.table([cell]).row(cell)


def measured(cell, text):
    sample = Measured(cell=cell.id, quantity="time", sample=Sample(value=1.0))
    return [Begin(cell=cell.id, round=0), sample, Written(cell=cell.id, text=text)]


def test_a_document_is_kept_with_the_outcome_of_its_cell(store, tmp_path):
    cell = a_cell()
    row = run(store, tmp_path, cell, [*measured(cell, "text"), CellDone(cell=cell.id, outcome=OK), Done()])
    assert (row.document, row.outcome) == ("text", OK)
    assert [s.value for s in row.observations["time"].samples] == [1.0]


def test_what_a_worker_wrote_before_it_died_is_lost_with_its_samples_and_written_again(store, tmp_path):
    cell = a_cell()
    died = [*measured(cell, "half"), Died(signal=9, cell=cell.id), Done()]
    done = [*measured(cell, "whole"), CellDone(cell=cell.id, outcome=OK), Done()]
    row = run(store, tmp_path, cell, died, done)
    assert row.document == "whole" and len(row.observations["time"].samples) == 1


def test_a_cell_whose_worker_dies_every_time_has_no_document(store, tmp_path):
    cell = a_cell()
    died = [*measured(cell, "half"), Died(signal=9, cell=cell.id), Done()]
    row = run(store, tmp_path, cell, *[list(died) for _ in range(CRASHES_ALLOWED + 1)])
    assert (row.document, row.outcome.kind, row.observations) == (None, OutcomeKind.crashed, {})


def test_a_document_that_was_kept_with_its_round_is_not_doubled_by_the_next_run(store, tmp_path):
    cell = a_cell()
    store.add_cells([cell])
    store.commit_round([(cell.id, "time", Sample(value=1.0))], [(cell.id, "kept")])  # killed before the outcome
    row = run(store, tmp_path, cell, [*measured(cell, "kept"), CellDone(cell=cell.id, outcome=OK), Done()])
    assert row.document == "kept" and row.ok and len(row.observations["time"].samples) == 1
