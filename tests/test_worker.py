"""The laboratory's process: what it answers, and that nothing a layer does ends more than its own cell or fork."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from seqscale.layers.catalogue import find
from seqscale.messages import (
    Begin,
    CellDone,
    Died,
    Done,
    GateDone,
    GateRequest,
    Measured,
    MeasureRequest,
    QuitRequest,
    Ready,
    RoundDone,
    Started,
    decode_event,
    encode_request,
)
from seqscale.records import Block, Cell, Effort
from seqscale.rows import OutcomeKind

OWN = Path(__file__).parent / "own" / "layers.py"
EFFORT = Effort(min_rounds=3, max_rounds=3, cell_s=30.0)


def cell(layer, length=8, **fields):
    spec = find(layer)
    fixed = {
        "probe": "time", "probe_version": 1, "layer": spec.name, "layer_version": spec.version, "target": spec.target,
        "algorithm": spec.algorithms[0], "mode": "forward", "length": length, "width": 8, "batch": 1,
        "dtype": "float32", "device": "cpu", "threads": 1, "seed": 0, "launcher": "fork", "machine": "m", "torch": "t",
    }  # fmt: skip
    return Cell(**(fixed | fields))


class Laboratory:
    """A worker process and its two ends."""

    def __init__(self):
        self.process = subprocess.Popen(
            [sys.executable, "-m", "seqscale.probes.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=os.environ | {"OMP_NUM_THREADS": "1"},
        )
        assert self.event() == Ready()

    def event(self):
        return decode_event(self.process.stdout.readline())

    def send(self, request):
        self.process.stdin.write(encode_request(request))
        self.process.stdin.flush()

    def until(self, kind):
        """Return the events up to the first of `kind`, it included."""
        events = [self.event()]
        while not isinstance(events[-1], kind):
            events.append(self.event())
        return events

    def ask(self, request):
        self.send(request)
        return self.until(Done)

    def measure(self, *cells, effort=EFFORT, **more):
        return self.ask(MeasureRequest(block=Block(cells=cells, effort=effort), **more))

    def end(self):
        self.process.kill()
        self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout, self.process.stderr):
            pipe.close()


@pytest.fixture(scope="module")
def shared():
    laboratory = Laboratory()
    yield laboratory
    laboratory.end()


@pytest.fixture
def mortal():
    laboratory = Laboratory()
    yield laboratory
    laboratory.end()


def outcomes(events):
    return {event.cell: event.outcome for event in events if isinstance(event, CellDone)}


def of(events, kind):
    return [event for event in events if isinstance(event, kind)]


def test_every_round_visits_every_cell_once_and_a_twin_twice(shared):
    cells = [cell("gru", length) for length in (2, 4, 6, 8)]
    events = shared.measure(*cells)
    assert isinstance(events[0], Started) and events[0].pid != shared.process.pid
    times = [event for event in of(events, Measured) if event.quantity == "time"]
    seen = [(event.cell, event.sample.round) for event in times if event.sample.lane == 0]
    assert sorted(seen) == sorted((c.id, r) for c in cells for r in range(3))
    twins = [event for event in times if event.sample.lane == 1]
    assert len(twins) == 3 and len({event.cell for event in twins}) == 1
    assert [event.round for event in of(events, RoundDone)] == [0, 1, 2]
    first = [event.cell for event in of(events, Measured) if event.quantity == "first_call_time"]
    assert first == [c.id for c in cells]  # small to large
    assert {outcome.kind for outcome in outcomes(events).values()} == {OutcomeKind.ok}
    for event in times:
        assert event.sample.value > 0 and event.sample.cpu_s > 0 and event.sample.reference_s > 0


def test_begin_names_the_cell_that_the_next_sample_is_of(shared):
    events = shared.measure(cell("gru", 2), cell("gru", 4))
    begun = None
    for event in events:
        if isinstance(event, Begin):
            begun = event.cell
        elif isinstance(event, Measured):
            assert event.cell == begun


def test_rounds_that_are_kept_are_not_measured_again(shared):
    a, b = cell("gru", 2), cell("gru", 4)
    events = shared.measure(a, b, rounds_done={a.id: 2, b.id: 2})
    assert {event.sample.round for event in of(events, Measured) if event.quantity == "time"} == {2}
    assert not [event for event in of(events, Measured) if event.quantity == "first_call_time"]


def test_a_layer_that_raises_or_devours_is_an_outcome_and_the_block_goes_on(shared):
    cells = {name: cell(f"{OWN}:{name}", 256) for name in ("Mean", "Raises", "Devours")}
    found = outcomes(shared.measure(*cells.values()))
    raises = found[cells["Raises"].id]
    assert raises.kind is OutcomeKind.failed
    assert raises.reason.startswith("ValueError: no more than 200 tokens") and "(layers.py:" in raises.reason
    assert found[cells["Devours"].id].kind is OutcomeKind.out_of_memory
    assert found[cells["Mean"].id].kind is OutcomeKind.ok


def test_decode_without_a_step_is_unsupported(shared):
    own = cell(f"{OWN}:Mean", mode="decode")
    assert outcomes(shared.measure(own))[own.id].kind is OutcomeKind.unsupported


def test_a_fork_that_dies_is_told_with_the_cell_in_flight_and_the_worker_lives(shared):
    good, bad = cell(f"{OWN}:Mean", 4), cell(f"{OWN}:Dies", 256)
    events = shared.measure(good, bad)
    assert of(events, Died) == [Died(signal=signal.SIGKILL, cell=bad.id)]
    assert isinstance(events[-1], Done)
    assert outcomes(shared.measure(good))[good.id].kind is OutcomeKind.ok


def test_what_the_budget_cannot_pay_is_skipped_with_what_it_would_need(shared):
    cells = [cell("gru", length) for length in (64, 2048)]
    found = outcomes(shared.measure(*cells, effort=Effort(min_rounds=9, max_rounds=9, cell_s=0.1)))
    skipped = found[cells[1].id]
    assert skipped.kind is OutcomeKind.skipped and skipped.needed_s > 0.1


def test_gate_passes_and_rejects(shared):
    passed = of(shared.ask(GateRequest(cell=cell("gru"))), GateDone)[0]
    assert passed.passed and passed.kind == "ok" and passed.report["checks"]
    leaks = of(shared.ask(GateRequest(cell=cell(f"{OWN}:Leaks"))), GateDone)[0]
    assert not leaks.passed and leaks.kind == "rejected" and leaks.reason


def test_what_a_layer_prints_stays_out_of_the_protocol(shared, tmp_path):
    file = tmp_path / "talks.py"
    file.write_text(
        "from torch import nn\n"
        "class Talks(nn.Linear):\n"
        "    def __init__(self, width):\n"
        "        super().__init__(width, width)\n"
        "    def forward(self, x):\n"
        "        print('not an event', flush=True)\n"
        "        return super().forward(x)\n"
    )
    talks = cell(f"{file}:Talks")
    assert outcomes(shared.measure(talks))[talks.id].kind is OutcomeKind.ok


def test_float32_is_never_computed_in_less(shared, tmp_path):
    file = tmp_path / "precise.py"
    file.write_text(
        "import torch\nfrom torch import nn\n"
        "class Precise(nn.Linear):\n"
        "    def __init__(self, width):\n"
        "        super().__init__(width, width)\n"
        "        assert not torch.backends.cudnn.allow_tf32\n"
        "        assert not torch.backends.cuda.matmul.allow_tf32\n"
    )
    asked = cell(f"{file}:Precise", 8)
    assert outcomes(shared.measure(asked))[asked.id].kind is OutcomeKind.ok


@pytest.mark.parametrize("probe", ["memory", "count"])
def test_probes_that_do_not_vary_take_one_round(shared, probe):
    cells = [cell("elman", length, probe=probe, mode="training") for length in (4, 8)]
    events = shared.measure(*cells)
    assert len(of(events, Started)) == (2 if probe == "memory" else 1)  # a memory cell has a fork of its own
    saved = [event for event in of(events, Measured) if event.quantity == "saved_bytes"]
    assert [(event.cell, event.sample.value) for event in saved] == [(cells[0].id, 4 * 8 * 5), (cells[1].id, 4 * 8 * 9)]


def gone(pid):
    """Whether a process ends within ten seconds."""
    try:
        handle = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    ready, _, _ = select.select([handle], [], [], 10.0)
    os.close(handle)
    return bool(ready)


@pytest.mark.parametrize("launcher", ["fork", "fresh"])
@pytest.mark.parametrize("end", ["kill", "close"])
def test_the_end_of_the_worker_is_the_end_of_what_it_does(mortal, launcher, end):
    hangs = cell(f"{OWN}:Hangs", 256, launcher=launcher)
    mortal.send(MeasureRequest(block=Block(cells=(hangs,), effort=EFFORT)))
    events = mortal.until(Begin)
    pid = events[0].pid
    assert (pid == mortal.process.pid) == (launcher == "fresh")
    time.sleep(0.2)  # into the layer's own sleep
    if end == "kill":
        mortal.process.kill()
    else:
        mortal.process.stdin.close()
    assert gone(pid)
    mortal.process.wait(10)


def test_killing_the_fork_in_flight_leaves_a_worker_that_answers(mortal):
    hangs = cell(f"{OWN}:Hangs", 256)
    mortal.send(MeasureRequest(block=Block(cells=(hangs,), effort=EFFORT)))
    started = mortal.until(Begin)[0]
    os.kill(started.pid, signal.SIGKILL)
    assert of(mortal.until(Done), Died) == [Died(signal=signal.SIGKILL, cell=hangs.id)]
    fresh = cell("gru", launcher="fresh")
    assert outcomes(mortal.measure(fresh))[fresh.id].kind is OutcomeKind.ok
    mortal.send(QuitRequest())
    assert mortal.process.wait(10) == 0
