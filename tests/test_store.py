"""What goes into a store comes out of it, once, in order, for readers and for a run that resumes."""

import dataclasses
import itertools
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from store_examples import QUESTION, a_cell

from seqscale.rows import Observation, Outcome, OutcomeKind, Row, Sample, Table
from seqscale.store.store import GateRecord, Store
from seqscale.units import QUANTITIES


def _same(table, rows):
    return list(table) == list(rows)


_options = st.dictionaries(
    st.text(max_size=5), st.text(max_size=5) | st.integers(-(2**70), 2**70) | st.booleans() | st.floats(allow_nan=False)
)
_cells = st.builds(
    a_cell,
    length=st.integers(1, 2**40),
    seed=st.integers(-(2**70), 2**70),
    machine=st.text(),
    mode=st.sampled_from(["forward", "training", "decode"]),
    options=_options.map(lambda options: tuple(sorted(options.items()))),
    conditions=_options.map(lambda conditions: tuple(sorted(conditions.items()))),
)


@st.composite
def _samples(draw):
    name = draw(st.sampled_from(sorted(QUANTITIES)))
    low, high = max(QUANTITIES[name].low, -1e15), min(QUANTITIES[name].high, 1e300)
    value = draw(st.integers(int(low), 2**53) if QUANTITIES[name].whole else st.floats(low, high))
    seconds = st.none() | st.floats(0, 1e9)
    sample = Sample(
        value=value,
        launch=draw(st.integers(0, 2)),
        round=draw(st.integers(0, 2)),
        lane=draw(st.integers(0, 2)),
        cpu_s=draw(seconds),
        reference_s=draw(seconds),
    )
    return name, sample


_outcomes = st.builds(
    Outcome,
    kind=st.sampled_from(list(OutcomeKind)),
    reason=st.text(min_size=1),
    needed_s=st.none() | st.floats(allow_nan=False),
)
_measured = st.tuples(_cells, st.lists(_samples(), max_size=12), st.none() | _outcomes)


def _row(cell, samples, outcome):
    """The row that the store should give back, found without it."""
    first = {}
    for name, s in samples:  # the first of two samples with one key is kept
        first.setdefault((name, s.lane, s.launch, s.round), s)
    ordered = [(key[0], first[key]) for key in sorted(first)]
    observations, twins = {}, {}
    for name, group in itertools.groupby(ordered, key=lambda pair: pair[0]):
        kept = tuple(s for _, s in group)
        main, twin = tuple(s for s in kept if s.lane == 0), tuple(s for s in kept if s.lane)
        if main:
            observations[name] = Observation.of(name, main)
        if twin:
            twins[name] = twin
    return Row(cell, outcome, observations, twins)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(_measured, max_size=4, unique_by=lambda m: m[0].id))
def test_any_cells_samples_and_outcomes_come_back_as_they_were(measured):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.db"
        with Store.writer(path) as store:
            store.add_cells(cell for cell, _, _ in measured)
            for cell, samples, outcome in measured:
                store.commit_round((cell.id, name, s) for name, s in samples)
                if outcome is not None:
                    store.set_outcome(cell.id, outcome)
            written = store.table()
        with Store.open(path) as store:
            read = store.table()
            backwards = store.table([cell for cell, _, _ in reversed(measured)])
            finished = store.finished()
    expected = [_row(*m) for m in measured]
    assert _same(written, expected)
    assert _same(read, expected)
    assert _same(backwards, reversed(expected))
    assert finished == {row.cell.id: row.outcome for row in expected if row.outcome is not None}


@pytest.fixture
def path(tmp_path):
    return tmp_path / "seqscale.db"


def _round(cells, number, launch=0, value=1e-3, lane=0):
    return [(c.id, "time", Sample(value=value, round=number, launch=launch, lane=lane)) for c in cells]


def test_a_round_committed_twice_is_one_round_and_the_first_is_kept(path):
    cell = a_cell()
    with Store.writer(path) as store:
        store.add_cells([cell])
        store.commit_round(_round([cell], 0, value=1.0))
        store.commit_round(_round([cell], 0, value=2.0))
        (row,) = store.table()
    assert [s.value for s in row.observations["time"].samples] == [1.0]


def test_cells_added_again_keep_their_samples_and_a_moved_file_is_found(path):
    old, new = a_cell(target="old/mine.py:Mine"), a_cell(target="new/mine.py:Mine")
    assert old.id == new.id
    with Store.writer(path) as store:
        store.add_cells([a_cell(length=1), old])
        store.commit_round(_round([old], 0))
        store.add_cells([new])
        _, row = store.table()
    assert row.cell.target == "new/mine.py:Mine"
    assert len(row.observations["time"].samples) == 1


def test_a_round_with_an_impossible_sample_leaves_nothing(path):
    cell = a_cell()
    good = (cell.id, "time", Sample(value=1.0))
    with Store.writer(path) as store:
        store.add_cells([cell])
        with pytest.raises(KeyError):
            store.commit_round([good, (cell.id, "nobody's quantity", Sample(value=1.0))])
        with pytest.raises(ValueError):
            store.commit_round([good, (cell.id, "time", Sample(value=float("nan")))])
        with pytest.raises(KeyError):
            store.commit_round([good, (a_cell(length=5).id, "time", Sample(value=1.0))])
        (row,) = store.table()
    assert row == Row(cell, None)


@pytest.mark.parametrize("act", [lambda s, i: s.set_outcome(i, Outcome(kind=OutcomeKind.ok)), Store.note_crash])
def test_a_cell_that_was_not_added_cannot_have_an_outcome(path, act):
    with Store.writer(path) as store:
        store.add_cells([a_cell(length=1)])
        with pytest.raises(KeyError):
            act(store, a_cell(length=2).id)
        assert store.finished() == {}


def test_a_later_outcome_replaces_an_earlier_one(path):
    cell = a_cell()
    skipped = Outcome(kind=OutcomeKind.skipped, reason="predicted 80 s", needed_s=80.0)
    with Store.writer(path) as store:
        store.add_cells([cell])
        store.set_outcome(cell.id, skipped)
        assert store.finished() == {cell.id: skipped}
        store.set_outcome(cell.id, Outcome(kind=OutcomeKind.ok))
        assert store.finished() == {cell.id: Outcome(kind=OutcomeKind.ok)}


def test_a_reason_that_is_not_proper_text_is_kept_readable(path):
    cell = a_cell()
    with Store.writer(path) as store:
        store.add_cells([cell])
        store.set_outcome(cell.id, Outcome(kind=OutcomeKind.failed, reason="no file 'caf\udce9'"))
        assert store.finished()[cell.id].reason == "no file 'caf\\udce9'"


def test_resuming_counts_the_main_lane_rounds_of_the_quantity_in_each_launch(path):
    a, b, c = a_cell(length=1), a_cell(length=2), a_cell(length=3)
    with Store.writer(path) as store:
        store.add_cells([a, b, c])
        for launch, rounds in ((0, 3), (1, 2)):
            for number in range(rounds):
                store.commit_round(_round([a], number, launch) + _round([a], number, launch, lane=1))
        store.commit_round([(b.id, "first_call_time", Sample(value=1.0))])
        store.commit_round(_round([c], 0, launch=1))
        ids = [a.id, b.id, c.id, "unheard of"]
        assert store.rounds_done(ids, ["time"], 0) == {a.id: 3, b.id: 0, c.id: 0, "unheard of": 0}
        assert store.rounds_done(ids, ["time"], 1) == {a.id: 2, b.id: 0, c.id: 1, "unheard of": 0}


def test_fresh_forgets_the_chosen_cells_and_no_others(path):
    a, b = a_cell(length=1), a_cell(length=2)
    with Store.writer(path) as store:
        store.add_cells([a, b])
        store.commit_round(_round([a, b], 0))
        for cell in (a, b):
            store.set_outcome(cell.id, Outcome(kind=OutcomeKind.ok))
            store.note_crash(cell.id)
        kept = store.table([b])
        store.fresh([a.id])
        assert _same(store.table(), [Row(a, None), *kept])
        assert store.note_crash(a.id) == 1
        assert store.note_crash(b.id) == 2


def test_a_table_of_chosen_cells_has_a_row_for_one_that_was_never_added(path):
    here, missing = a_cell(length=1), a_cell(length=2)
    with Store.writer(path) as store:
        store.add_cells([here])
        store.set_outcome(here.id, Outcome(kind=OutcomeKind.ok))
        table = store.table([missing, here])
    assert _same(table, [Row(missing, None), Row(here, Outcome(kind=OutcomeKind.ok))])
    assert isinstance(table, Table)


def test_questions_come_back_once_each_in_the_order_asked(path):
    other = dataclasses.replace(QUESTION, claim="memory.bptt-linear")
    with Store.writer(path) as store:
        store.add_questions("quick", [QUESTION, other])
        store.add_questions("full", [QUESTION])
        store.add_questions("quick", [other, QUESTION])
        assert store.questions() == (("quick", QUESTION), ("quick", other), ("full", QUESTION))


def test_gate_results_are_kept_by_key_and_replaced(path):
    failed = GateRecord(passed=False, report={"causal": "position 3 leaked 0.1 into position 2"})
    with Store.writer(path) as store:
        assert store.gate("k") is None
        store.set_gate("k", GateRecord(passed=True, report={}))
        store.set_gate("k", failed)
        assert store.gate("k") == failed


def test_runs_say_what_ran_and_a_killed_run_has_no_end(path):
    with Store.writer(path) as store:
        first = store.begin_run("quick", "0.1.0", {"cores": 2}, {"torch": "2.13.0"})
        store.end_run(first, wall_s=10.0, measured_s=8.0)
        store.begin_run("full", "0.1.0", {"cores": 2}, {"torch": "2.13.0"})
    with Store.open(path) as store:
        done, killed = store.runs()
    assert (done.study, done.machine, done.versions) == ("quick", {"cores": 2}, {"torch": "2.13.0"})
    assert (done.wall_s, done.measured_s) == (10.0, 8.0)
    assert done.ended is not None and done.ended >= done.started
    assert (killed.study, killed.ended, killed.wall_s) == ("full", None, None)


def test_a_reader_sees_the_rounds_committed_so_far_while_a_run_writes(path):
    cell = a_cell()
    with Store.writer(path) as writer:
        writer.add_cells([cell])
        with Store.open(path) as reader:
            for number in range(3):
                writer.commit_round(_round([cell], number))
                (row,) = reader.table()
                assert len(row.observations["time"].samples) == number + 1
        writer.commit_round(_round([cell], 3))


def test_a_closed_store_is_one_file(path):
    with Store.writer(path) as store:
        store.add_cells([a_cell()])
    with Store.open(path) as store:
        store.table()
    assert list(path.parent.iterdir()) == [path]


def test_a_reader_that_stays_does_not_keep_a_writer_from_closing_or_coming_back(path):
    cell = a_cell()
    with Store.writer(path) as writer:
        writer.add_cells([cell])
        reader = Store.open(path)
        reader.table()
    with Store.writer(path) as writer:
        writer.commit_round(_round([cell], 0))
    (row,) = reader.table()
    reader.close()
    assert "time" in row.observations


def test_a_writer_that_closes_while_somebody_reads_leaves_everything_readable(path):
    cell = a_cell()
    with Store.writer(path) as writer:
        writer.add_cells([cell])
        reader = Store.open(path)
        with reader._snapshot() as db:
            db.execute("SELECT * FROM cells").fetchone()
            writer.commit_round(_round([cell], 0))
            writer.close()
    with Store.open(path) as store:
        assert "time" in store.table().rows[0].observations
    assert "time" in reader.table().rows[0].observations
    reader.close()
    with Store.writer(path) as writer:
        writer.commit_round(_round([cell], 1))
    assert list(path.parent.iterdir()) == [path]
