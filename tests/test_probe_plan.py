"""What the rounds are decided by: forecasts, the end of a cell's rounds, twins; and messages survive the wire."""

from __future__ import annotations

import dataclasses
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

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
    Told,
    Written,
    decode_event,
    decode_request,
    encode_event,
    encode_request,
)
from seqscale.probes.plan import Forecast, over_budget, rounds_of_launch, settled, twins_of
from seqscale.records import Block, Cell, Effort
from seqscale.rows import Outcome, OutcomeKind, Sample


def cell(length=8, **fields):
    fixed = {
        "probe": "time", "probe_version": 1, "layer": "gru", "layer_version": "1", "target": "x:Y", "algorithm": "a",
        "mode": "forward", "length": length, "width": 8, "batch": 1, "dtype": "float32", "device": "cpu",
        "threads": 1, "seed": 0, "launcher": "fork", "machine": "m", "torch": "t", "options": (("hidden", 16),),
    }  # fmt: skip
    return Cell(**(fixed | fields))


def test_nothing_is_foretold_of_the_first_cell_and_linear_growth_of_the_second():
    forecast = Forecast()
    assert forecast.predict(cell(64)) is None
    forecast.saw(cell(64), 0.5)
    assert forecast.predict(cell(128)) == pytest.approx(1.0)
    assert forecast.predict(cell(128, batch=2)) is None


@settings(deadline=None, max_examples=30)
@given(power=st.floats(0.0, 2.0), scale=st.floats(1e-6, 1.0))
def test_a_power_law_is_foretold_exactly(power, scale):
    forecast = Forecast()
    for length in (16, 32, 64):
        forecast.saw(cell(length), scale * length**power)
    assert forecast.predict(cell(256)) == pytest.approx(scale * 256**power)


def test_skipped_says_what_it_would_need():
    effort = Effort(cell_s=1.0)
    assert over_budget(None, 9, effort) is None
    assert over_budget(0.1, 10, effort) is None
    skipped = over_budget(0.2, 10, effort)
    assert skipped.kind is OutcomeKind.skipped and skipped.needed_s == pytest.approx(2.0)


def test_launches_share_the_rounds():
    assert rounds_of_launch(Effort(min_rounds=10, max_rounds=30, launches=3)) == (4, 10)


def test_settled_asks_for_samples_and_for_a_narrow_interval():
    effort = Effort(min_rounds=9, half_width=0.02)

    def samples(spread):
        return [Sample(value=math.exp(spread * i)) for i in range(-4, 5)]

    assert settled("time", samples(0.005), effort)  # the interval leaves out one sample at each end: 3 * 0.005
    assert not settled("time", samples(0.01), effort)
    assert not settled("time", samples(0.0)[:3], effort)


@pytest.mark.parametrize(("cells", "twins"), [(1, 0), (3, 0), (4, 1), (19, 1), (20, 2)])
def test_about_one_cell_in_ten_has_a_twin_always_the_same(cells, twins):
    block = [cell(n + 1) for n in range(cells)]
    chosen = twins_of(block)
    assert len(chosen) == twins and chosen == twins_of(block[::-1])


EVENTS = (
    Ready(),
    Started(pid=7),
    Begin(cell="c", round=None),
    Begin(cell="c", round=0),
    Measured(cell="c", quantity="time", sample=Sample(value=1.5, launch=1, round=2, lane=1, cpu_s=1.0)),
    Told(cell="c", text="step 3 of 9"),
    Written(cell="c", text="two\nlines"),
    RoundDone(round=3),
    CellDone(cell="c", outcome=Outcome(kind=OutcomeKind.ok)),
    CellDone(cell="c", outcome=Outcome(kind=OutcomeKind.skipped, reason="dear", needed_s=9.0)),
    GateDone(passed=False, kind="rejected", reason="leaks", report={}),
    Died(signal=9, cell=None),
    Done(),
)


@pytest.mark.parametrize("event", EVENTS, ids=lambda e: type(e).__name__)
def test_events_survive_the_wire(event):
    line = encode_event(event)
    assert line.endswith("\n") and line.count("\n") == 1
    assert decode_event(line) == event


@pytest.mark.parametrize(
    "request_",
    [
        GateRequest(cell=cell()),
        MeasureRequest(
            block=Block(cells=(cell(1), cell(2)), effort=Effort(launches=2)), launch=1, rounds_done={"a": 3}
        ),
        QuitRequest(),
    ],
    ids=lambda r: type(r).__name__,
)
def test_requests_survive_the_wire(request_):
    assert decode_request(encode_request(request_)) == request_


@pytest.mark.parametrize("decode", [decode_event, decode_request])
def test_a_line_that_is_no_message_is_refused(decode):
    with pytest.raises(ValueError, match="not a"):
        decode('{"event": "lunch", "do": "lunch"}\n')


def test_every_event_is_tested():
    assert {type(e) for e in EVENTS} == set(encode_event.__globals__["Event"].__args__)
    assert all(dataclasses.is_dataclass(e) for e in EVENTS)
