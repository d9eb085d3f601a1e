"""A long cell says how far it is: the engine shows it, waits on, and keeps every replicate's reading apart."""

from __future__ import annotations

from dataclasses import replace

import pytest
from store_examples import a_cell

from seqscale.engine.local import LocalEngine
from seqscale.messages import Begin, CellDone, Done, GateDone, GateRequest, Measured, Told
from seqscale.probes import execute
from seqscale.probes.base import AbstractProbe, AbstractTrial, Reading, silent
from seqscale.records import Block, Effort
from seqscale.rows import Outcome, OutcomeKind, Sample
from seqscale.store.store import Store

EFFORT = Effort(min_rounds=1, max_rounds=1, call_s=3.0)


class Trial(AbstractTrial):
    note = document = None

    def __init__(self, tell):
        self.tell = tell

    def first(self):
        return ()

    def again(self):
        self.tell("half of it")
        return tuple(Reading(quantity="r2", value=0.1 * number, replicate=number) for number in range(3))


class Probe(AbstractProbe):
    name, alone, repeats = "memory-curve", False, False

    def preload(self):
        pass

    def prepare(self, cell, tell=silent):
        return Trial(tell)


def test_what_a_trial_tells_is_sent_before_its_readings_and_replicates_are_rounds(monkeypatch):
    monkeypatch.setattr(execute, "probe_of", lambda name: Probe())
    cell, events = replace(a_cell(), probe="memory-curve"), []
    execute.execute(Block(cells=(cell,), effort=EFFORT), events.append, 0, {})
    told, *measured = [event for event in events if isinstance(event, Told | Measured)]
    assert told == Told(cell=cell.id, text="half of it")
    assert [(event.sample.round, event.sample.value) for event in measured] == [(0, 0.0), (1, 0.1), (2, 0.2)]


class Laboratory:
    """A worker that answers every request with the same events, each after a pause of its own."""

    def __init__(self, events):
        self.events, self.waiting = events, []

    def send(self, request):
        passed = GateDone(passed=True, kind="ok", reason=None, report={})
        self.waiting = [(0, passed), (0, Done())] if isinstance(request, GateRequest) else list(self.events)

    def event(self, timeout_s):
        pause, event = self.waiting.pop(0)
        if pause > timeout_s:
            raise TimeoutError
        return event

    def stop(self):
        pass


@pytest.mark.parametrize(("pause", "kind"), [(2, OutcomeKind.ok), (4, OutcomeKind.timed_out)])
def test_a_cell_that_says_how_far_it_is_may_take_long(monkeypatch, tmp_path, pause, kind):
    cell = replace(a_cell(), probe="memory-curve")
    told = [(pause, Told(cell=cell.id, text=f"step {n}")) for n in range(5)]
    sample = (pause, Measured(cell=cell.id, quantity="r2", sample=Sample(value=0.5)))
    end = (0, CellDone(cell=cell.id, outcome=Outcome(kind=OutcomeKind.ok)))
    worker = Laboratory([(0, Begin(cell=cell.id, round=0)), *told, sample, end, (0, Done())])
    monkeypatch.setattr("seqscale.engine.local.Laboratory", lambda log: worker)
    shown = []
    with Store.writer(tmp_path / "a.db") as store:
        engine = LocalEngine(store, tmp_path / "log", watch=lambda p: shown.append(p.now), decided=lambda: None)
        engine.run([Block(cells=(cell,), effort=EFFORT)])
        assert store.table([cell]).row(cell).outcome.kind is kind
    assert any(text.endswith("step 4") for text in shown) is (kind is OutcomeKind.ok)
