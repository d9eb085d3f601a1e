"""Every probe of what a state remembers: what its spec promises, repeatable, and clear about what it cannot measure."""

from __future__ import annotations

import dataclasses
import os
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest
from information_cells import Found, cell

from seqscale import profiles
from seqscale.layers.catalogue import find
from seqscale.messages import (
    CellDone,
    Done,
    Measured,
    MeasureRequest,
    QuitRequest,
    Ready,
    Written,
    decode_event,
    encode_request,
)
from seqscale.probes import gradient_horizon, truncation
from seqscale.probes.execute import execute
from seqscale.probes.information import INFORMATION
from seqscale.probes.trained import SCORED
from seqscale.records import Block, Effort
from seqscale.rows import OutcomeKind
from seqscale.tasks.seeds import TEST, VALIDATION
from seqscale.units import quantity

EXAMPLE = find(f"{Path(__file__).parents[1] / 'examples' / 'my_layer.py'}:RunningMean")
EFFORT = Effort(min_rounds=1, max_rounds=1, cell_s=60.0)
T, D = 6, 4

READ = {"replicates": 2, "sequences": 100}
TRAINED = {"replicates": 2, "sequences": 8, "steps": 2, "rates": "0.01"}
TINY = {
    "memory-curve": READ | {"lags": 3},
    "fisher-memory": READ | {"lags": 3, "sequences": 3},
    "token-bits": READ | {"symbols": 2},
    "segments": READ | {"symbols": 2},
    "gradient-horizon": READ | {"sequences": 3, "exponents": 1},
    "state-ceiling": TRAINED | {"symbols": 2},
    "recall": TRAINED | {"pairs": 2, "keys": 4, "symbols": 4},
    "truncation": TRAINED | {"lag": 2, "window": 2, "boundary": "reset", "trained": "all"},
    "copy-memory": TRAINED | {"memorised": 2, "symbols": 2},
    "adding": TRAINED,
}
NAMES = [spec.name for spec in INFORMATION]
READS_A_STATE = ["memory-curve", "fisher-memory", "token-bits", "segments", "state-ceiling"]
NOT_WITHIN_BUDGET = {"copy-memory": {"steps_to_half"}, "adding": {"steps_to_half"}}  # of two steps

every_probe = pytest.mark.parametrize("probe", NAMES)


def tiny(probe, layer, length=T, more=(), **scope):
    return cell(probe, layer, length, D, conditions=TINY[probe] | dict(more), **scope)


def told(*cells):
    """Measure cells as a worker does; return the events."""
    events = []
    execute(Block(cells=cells, effort=EFFORT), events.append, 0, {})
    return events


def outcome(events):
    (done,) = (event for event in events if isinstance(event, CellDone))
    return done.outcome


def of_example(probe):
    """Return the cell of the layer that users are shown as an example."""
    fields = {"layer": EXAMPLE.name, "target": EXAMPLE.target, "layer_version": EXAMPLE.version}
    return dataclasses.replace(tiny(probe, "gru"), **fields, algorithm=EXAMPLE.algorithms[0])


@cache
def found_by(probe):
    """Return what the tiny cell of a GRU leaves, measured once for all tests."""
    return Found(tiny(probe, "gru"))


@pytest.fixture(autouse=True, scope="module")
def smaller():
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(SCORED, VALIDATION, 16)
        patch.setitem(SCORED, TEST, 32)
        patch.setattr(truncation, "STREAMS", 32)
        patch.setattr(gradient_horizon, "STEPS", 40)
        yield


def test_every_probe_has_a_tiny_cell():
    assert sorted(TINY) == sorted(NAMES)


@every_probe
def test_a_cell_gives_the_same_again_and_another_seed_something_else(probe):
    one, (again, other) = found_by(probe), (Found(tiny(probe, "gru", seed=seed)) for seed in (0, 7))
    assert one.readings == again.readings and one.document == again.document
    assert one.readings != other.readings and one.document != other.document


@every_probe
def test_readings_and_curves_are_those_of_the_spec_by_replicate(probe):
    (spec,) = (spec for spec in INFORMATION if spec.name == probe)
    found = found_by(probe)
    by_quantity = {q: [r.replicate for r in found.readings if r.quantity == q] for q in spec.quantities}
    assert len(found.readings) == sum(map(len, by_quantity.values()))
    absent = {q for q, replicates in by_quantity.items() if not replicates}
    assert absent == NOT_WITHIN_BUDGET.get(probe, set())
    assert all(replicates == [0, 1] for q, replicates in by_quantity.items() if q not in absent)
    assert found.curves
    for curve in found.curves.values():
        assert list(curve.x) == sorted(set(curve.x))
        for row in curve.values:
            assert len(row) in ((1, 2) if curve.exact else (2,))
            for value in row:
                quantity(curve.quantity).check(value)


@pytest.mark.parametrize("probe", [name for name in NAMES if "steps" not in TINY[name]])
def test_a_replicate_is_what_its_own_seed_alone_gives(probe):
    two, later = found_by(probe), Found(tiny(probe, "gru", seed=1))
    for name in {reading.quantity for reading in later.readings}:
        assert two.values(name)[1] == later.values(name)[0]
    for name, curve in later.curves.items():
        assert two.curves[name].replicate(1) == curve.replicate(0)


@every_probe
def test_a_layer_without_a_state_is_measured_or_told_that_it_has_none(probe):
    for asked in (of_example(probe), tiny(probe, "Stateless")):
        events = told(asked)
        if probe in READS_A_STATE:
            assert outcome(events).kind is OutcomeKind.unsupported
            assert "no state" in outcome(events).reason
            assert not any(isinstance(event, Measured) for event in events)
        else:
            assert outcome(events).kind is OutcomeKind.ok
            assert "no state" in outcome(events).reason  # what such a layer lacks is noted
            assert any(isinstance(event, Measured) for event in events)
            assert not any(isinstance(event, Measured) and event.quantity == "state_numbers" for event in events)


@every_probe
def test_a_layer_that_only_steps_is_read_step_by_step(probe):
    found = outcome(told(tiny(probe, "Steps")))
    # models are trained on whole sequences, and their readout sees the state that forward gives
    assert found.kind is (OutcomeKind.unsupported if probe == "state-ceiling" else OutcomeKind.ok)


@every_probe
def test_a_state_that_overflows_fails_the_cell_and_the_reason_says_where(probe):
    found = outcome(told(tiny(probe, "Explodes")))
    assert found.kind is OutcomeKind.failed
    assert "finite" in found.reason or "diverged at every learning rate: 0.01 at step 0" in found.reason
    assert ":" not in found.reason.split(" ")[0]  # not an exception that nobody expected, such as LinAlgError


def test_a_state_that_overflows_after_the_cut_is_not_taken_for_one_that_nothing_moves():
    found = outcome(told(tiny("segments", "Explodes", 7, dtype="float64")))
    assert (found.kind, found.reason) == (OutcomeKind.failed, "the state after 7 tokens is not finite.")


def test_where_it_is_not_finite_is_said():
    for probe, words in (
        ("memory-curve", "the state is not finite after 3 tokens"),
        ("token-bits", "the state is not finite after 3 tokens"),
        ("fisher-memory", "the state after 6 tokens is not finite"),
        ("gradient-horizon", "the output after 6 tokens is not finite"),
    ):
        assert words in outcome(told(tiny(probe, "Explodes"))).reason


@pytest.mark.parametrize("probe", ["memory-curve", "fisher-memory", "token-bits", "segments"])
def test_a_state_that_nothing_moves_is_no_result(probe):
    found = outcome(told(tiny(probe, "Constant")))
    assert found.kind is OutcomeKind.failed and found.reason.startswith(("the state is the same", "the input does not"))


def test_through_a_worker_comes_what_is_measured_here():
    asked, here = tiny("token-bits", "gru"), found_by("token-bits")
    worker = subprocess.Popen(
        [sys.executable, "-m", "seqscale.probes.worker"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )
    with worker:
        assert decode_event(worker.stdout.readline()) == Ready()
        worker.stdin.write(encode_request(MeasureRequest(block=Block(cells=(asked,), effort=EFFORT))))
        worker.stdin.flush()
        events = [decode_event(worker.stdout.readline())]
        while not isinstance(events[-1], Done):
            events.append(decode_event(worker.stdout.readline()))
        worker.stdin.write(encode_request(QuitRequest()))
    assert outcome(events).kind is OutcomeKind.ok
    measured = [(e.quantity, e.sample.round, e.sample.value) for e in events if isinstance(e, Measured)]
    assert measured == [(r.quantity, r.replicate, pytest.approx(r.value, rel=1e-6, abs=1e-9)) for r in here.readings]
    (document,) = (event.text for event in events if isinstance(event, Written))
    assert profiles.read(document).curves.keys() == here.curves.keys()
