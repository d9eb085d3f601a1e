"""What P processors could do: bounds, who finishes first at which length, and never more than the bounds decide."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seqscale.fit.exact import exact_law
from seqscale.fit.processors import Bounds, Crossing, Model, bounds, crossing, interval_of_threads

LENGTHS = tuple(2**k for k in range(3, 21))


def law(of):
    found = exact_law([({"T": t}, of(t)) for t in (4, 5, 7, 8, 9, 16, 17, 33, 65, 131, 521)])
    assert found is not None
    return found


def model(label, work, span):
    return Model(label=label, work=law(work), span=law(span))


ATTENTION = model("attention", lambda t: 128 * t * t, lambda t: 3 * math.ceil(math.log2(t)) + 14)
GRU = model("gru", lambda t: 24_000 * t, lambda t: 15 * t + 2)


def test_bounds():
    assert bounds(1000, 10, 4) == Bounds(low=250, high=260)
    assert bounds(1000, 10, 1000) == Bounds(low=10, high=11)
    with pytest.raises(ValueError, match="at least one"):
        bounds(1000, 10, 0)


@given(st.floats(0, 1e12), st.floats(0, 1e12), st.integers(1, 65536))
def test_bounds_are_an_interval_that_holds_the_work_and_the_span(work, span, processors):
    found = bounds(work, span, processors)
    assert max(work / processors, span) == found.low <= found.high <= 2 * found.low * (1 + 1e-12)


def test_a_model_says_work_and_span_at_a_length():
    assert GRU.at(1000) == (24_000_000, 15_002)
    assert not GRU.extrapolates(500)
    assert GRU.extrapolates(1000)


def test_one_passes_the_other_between_two_lengths():
    found = crossing(ATTENTION, GRU, 1024, LENGTHS)
    (passing,) = found.passes
    label, last, since = passing
    assert label == "gru"
    for length in LENGTHS:
        mine, its = ATTENTION.bounds(length, 1024), GRU.bounds(length, 1024)
        assert (mine.high < its.low) == (length <= last)
        assert (its.high < mine.low) == (length >= since)
    assert found.text() == f"between T = {last:,} and T = {since:,}"


def test_none_up_to_the_longest():
    found = crossing(ATTENTION, GRU, 10**9, LENGTHS)
    assert found.throughout == "attention"
    assert found.text() == "none up to T = 1,048,576: attention first throughout"
    assert crossing(GRU, ATTENTION, 10**9, LENGTHS).text() == found.text()


def test_what_overlaps_is_not_decided():
    other = model("twin", lambda t: 129 * t * t, lambda t: 3 * math.ceil(math.log2(t)) + 20)
    found = crossing(ATTENTION, other, 10**9, (8, 16, 32))
    assert found.throughout == "attention"  # their spans differ
    found = crossing(ATTENTION, other, 64, (8, 16, 32))
    assert (found.sure, found.passes, found.throughout) == ((), (), None)
    assert found.text() == "not decided by the bounds up to T = 32"


def test_a_lead_that_is_not_decided_everywhere_says_where():
    found = Crossing(first="a", second="b", processors=2, runs=(("a", 8, 64), (None, 128, 1024)))
    assert found.text() == "none sure up to T = 1,024: a first where decided; not decided from T = 128 to T = 1,024"


def test_several_changes_are_all_told():
    runs = (("a", 8, 64), (None, 128, 256), ("b", 512, 512), ("a", 1024, 2048), (None, 4096, 4096))
    found = Crossing(first="a", second="b", processors=2, runs=runs)
    assert found.passes == (("b", 64, 512), ("a", 512, 1024))
    assert found.text() == (
        "b passes between T = 64 and T = 512; a passes between T = 512 and T = 1,024; "
        "not decided from T = 4,096 to T = 4,096"
    )


def test_an_undecided_gap_within_one_lead_is_no_pass():
    found = Crossing(first="a", second="b", processors=2, runs=(("a", 8, 64), (None, 128, 128), ("a", 256, 512)))
    assert found.passes == ()
    assert "not decided from T = 128" in found.text()


def test_a_crossing_needs_lengths():
    with pytest.raises(ValueError, match="needs lengths"):
        crossing(ATTENTION, GRU, 4, ())


def test_threads_share_the_inside_of_kernels_and_meet_after_each():
    exact = interval_of_threads(1.0, 2, span=10, step_s=0.01, kernels=20, barrier_s=0.001, noise=0.0)
    assert exact == Bounds(low=0.5, high=pytest.approx(0.5 + 0.1 + 0.02))
    noisy = interval_of_threads(1.0, 2, span=10, step_s=0.01, kernels=20, barrier_s=0.001, noise=0.1)
    assert noisy.low == pytest.approx(exact.low * math.exp(-0.1))
    assert noisy.high == pytest.approx(exact.high * math.exp(0.1))
    bound = interval_of_threads(1.0, 2, span=100, step_s=0.01, kernels=20, barrier_s=0.001, noise=0.0)
    assert bound.low == pytest.approx(1.0)
