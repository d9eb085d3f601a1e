"""The engine turns whatever a layer does into an outcome, and the study goes on."""

from __future__ import annotations

from pathlib import Path

import pytest

from seqscale.engine.local import BudgetSpent, LocalEngine
from seqscale.engine.machine import this_machine, versions
from seqscale.layers.catalogue import find
from seqscale.probes.catalogue import PROBES
from seqscale.records import Block, Cell, Effort
from seqscale.rows import OutcomeKind, Sample
from seqscale.store.store import Store

OWN = Path(__file__).parent / "own" / "layers.py"
EFFORT = Effort(min_rounds=2, max_rounds=3, cell_s=20.0, call_s=4.0)


def cell(name, length, launcher="fork"):
    layer = find(f"{OWN}:{name}")
    return Cell(
        probe="time", probe_version=PROBES["time"].version, layer=layer.name, layer_version=layer.version,
        target=layer.target, algorithm="own", mode="forward", length=length, width=8, batch=1, dtype="float32",
        device="cpu", threads=1, seed=0, launcher=launcher, machine=this_machine().fingerprint,
        torch=versions()["torch"],
    )  # fmt: skip


def engine(store, folder, budget_s=None):
    return LocalEngine(store, folder / "log", watch=lambda p: None, decided=lambda: None, budget_s=budget_s)


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    """One block with every misbehaviour, short and long; returns (layer name, length) -> row, and the deaths of one."""
    folder = tmp_path_factory.mktemp("engine")
    names = ("Mean", "Leaks", "Raises", "Dies", "DiesOnce", "Hangs", "Devours")
    cells = [cell(name, length) for name in names for length in (16, 256)]
    with pytest.MonkeyPatch.context() as patch, Store.writer(folder / "a.db") as store:
        patch.setenv("SEQSCALE_TEST_MARK", str(folder / "mark"))
        engine(store, folder).run([Block(cells=tuple(cells), effort=EFFORT)])
        rows = store.table()
    return {(row.cell.layer.rpartition(":")[2], row.cell.length): row for row in rows}


@pytest.mark.parametrize(
    ("name", "kind", "word"),
    [
        ("Mean", OutcomeKind.ok, ""),
        ("Leaks", OutcomeKind.rejected, "changing x[1] moves y[0]"),
        ("Raises", OutcomeKind.failed, "no more than 200 tokens <here>"),
        ("Dies", OutcomeKind.crashed, "signal 9"),
        ("DiesOnce", OutcomeKind.ok, ""),
        ("Hangs", OutcomeKind.timed_out, "4 s"),
        ("Devours", OutcomeKind.out_of_memory, "memory"),
    ],
)
def test_each_misbehaviour_is_its_own_outcome(measured, name, kind, word):
    outcome = measured[name, 256].outcome
    assert outcome.kind is kind, outcome
    assert word in (outcome.reason or "")


def test_the_cells_beside_them_are_measured(measured):
    for name in ("Mean", "Raises", "Dies", "DiesOnce", "Hangs", "Devours"):
        row = measured[name, 16]
        assert row.ok and len(row.observations["time"].samples) >= EFFORT.min_rounds, row.outcome


def test_a_budget_stops_cleanly_and_the_next_run_goes_on(tmp_path):
    block = Block(cells=tuple(cell("Mean", length) for length in (16, 32, 64)), effort=EFFORT)
    with Store.writer(tmp_path / "a.db") as store:
        with pytest.raises(BudgetSpent):
            engine(store, tmp_path, budget_s=0.0).run([block])
        assert not store.finished()
        engine(store, tmp_path).run([block])
        assert len(store.finished()) == 3


def test_a_budget_ends_a_call_that_hangs_and_that_is_no_time_out(tmp_path):
    patient = Effort(min_rounds=2, max_rounds=3, cell_s=600.0, call_s=600.0)
    with Store.writer(tmp_path / "a.db") as store:
        with pytest.raises(BudgetSpent):
            engine(store, tmp_path, budget_s=8.0).run([Block(cells=(cell("Hangs", 256),), effort=patient)])
        assert not store.finished()


def test_rounds_that_are_kept_are_not_measured_again(tmp_path):
    effort = Effort(min_rounds=4, max_rounds=4, cell_s=20.0, call_s=20.0)
    only, seen = cell("Mean", 16), []
    with Store.writer(tmp_path / "a.db") as store:
        store.add_cells([only])
        store.commit_round((only.id, "time", Sample(value=1.0, round=i)) for i in range(2))
        LocalEngine(store, tmp_path / "log", watch=lambda p: seen.append(p.now), decided=lambda: None).run(
            [Block(cells=(only,), effort=effort)]
        )
        (row,) = store.table()
    assert [now.rpartition("round ")[2] for now in seen if "round" in now] == ["3", "4"]
    assert [s.value == 1.0 for s in row.observations["time"].samples] == [True, True, False, False]


def test_fresh_launches_share_the_rounds(tmp_path):
    effort = Effort(min_rounds=4, max_rounds=4, launches=2, cell_s=20.0, call_s=20.0)
    with Store.writer(tmp_path / "a.db") as store:
        engine(store, tmp_path).run([Block(cells=(cell("Mean", 16, launcher="fresh"),), effort=effort)])
        (row,) = store.table()
    assert sorted(s.launch for s in row.observations["time"].samples) == [0, 0, 1, 1]
