"""The verdict arithmetic: three outcomes, never support by a wide interval."""

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from seqscale.fit.verdict import Decision, average, equivalence

FINITE = st.floats(-1e6, 1e6)


@pytest.mark.parametrize(
    ("interval90", "interval95", "decision"),
    [
        ((0.95, 1.05), (0.93, 1.07), Decision.supported),
        ((0.95, 1.05), (0.85, 1.15), Decision.supported),  # the 90 % interval alone supports
        ((0.90, 1.10), (0.90, 1.10), Decision.supported),
        ((0.95, 1.11), (0.94, 1.12), Decision.undecided),
        ((0.50, 1.50), (0.40, 1.60), Decision.undecided),
        ((1.12, 1.20), (1.11, 1.21), Decision.contradicted),
        ((1.12, 1.20), (1.09, 1.23), Decision.undecided),  # the 95 % interval must be outside
        ((0.50, 0.88), (0.40, 0.92), Decision.undecided),
        ((0.40, 0.50), (0.39, 0.51), Decision.contradicted),
    ],
)
def test_equivalence(interval90, interval95, decision):
    assert equivalence(*interval90, *interval95, target=1.0, delta=0.1) is decision


@pytest.mark.parametrize(
    ("low", "high", "decision"),
    [
        (0.2, 0.3, Decision.supported),
        (0.1, 0.3, Decision.undecided),
        (-0.3, 0.05, Decision.contradicted),
        (-0.3, -0.2, Decision.contradicted),
        (-1.0, 1.0, Decision.undecided),
    ],
)
def test_average(low, high, decision):
    assert average(low, high, delta=0.1) is decision


@given(a=FINITE, b=FINITE, c=FINITE, d=FINITE, target=FINITE, delta=st.floats(0, 1e6))
def test_a_wider_interval_never_decides_more(a, b, c, d, target, delta):
    low95, low90, high90, high95 = sorted((a, b, c, d))
    narrow = equivalence(low90, high90, low90, high90, target, delta)
    wide = equivalence(low95, high95, low95, high95, target, delta)
    assert wide in (narrow, Decision.undecided)
    assert average(low95, high95, delta) in (average(low90, high90, delta), Decision.undecided)


@given(low=FINITE, width=st.floats(0, 10), delta=st.floats(0, 10))
def test_no_interval_both_supports_and_contradicts(low, width, delta):
    high = low + width
    assume(high >= low)
    inside = -delta <= low and high <= delta
    outside = high < -delta or low > delta
    expected = Decision.supported if inside else Decision.contradicted if outside else Decision.undecided
    assert equivalence(low, high, low, high, 0.0, delta) is expected


@pytest.mark.parametrize(
    "call",
    [
        lambda: average(1.0, 0.0, 0.1),
        lambda: average(0.0, float("nan"), 0.1),
        lambda: average(0.0, 1.0, -0.1),
        lambda: equivalence(0.0, 1.0, 2.0, 1.0, 0.0, 0.1),
    ],
)
def test_impossible_intervals_are_refused(call):
    with pytest.raises(ValueError, match=r"delta|low must not exceed"):
        call()
