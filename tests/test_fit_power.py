"""a + b T^p: the interval of the exponent covers, and exact counts give it exactly."""

import numpy as np
import pytest
from fit_tables import LONG, NOISES, SEEDS, SHORT, TRUTHS, counts, points, table
from hypothesis import given, settings
from hypothesis import strategies as st

from seqscale.fit.power import P_MAX, fit_power

POWERS = [name for name, truth in TRUTHS.items() if truth.exponent is not None]


@pytest.mark.parametrize("noise", NOISES)
@pytest.mark.parametrize("sizes", [SHORT, LONG], ids=["32..4096", "128..16384"])
@pytest.mark.parametrize("name", POWERS)
def test_intervals_of_the_exponent_cover_at_their_level(name, sizes, noise):
    truth = TRUTHS[name].exponent
    fits = [fit_power(table(name, sizes, noise, seed)) for seed in SEEDS]
    assert 0.90 <= np.mean([f.p_low <= truth <= f.p_high for f in fits]) <= 0.98
    assert 0.83 <= np.mean([f.p_low90 <= truth <= f.p_high90 for f in fits]) <= 0.96
    assert all(f.p_low <= f.p_low90 <= f.p <= f.p_high90 <= f.p_high for f in fits)
    assert np.median([f.p for f in fits]) == pytest.approx(truth, abs=0.02)


@pytest.mark.parametrize("launches", [3, 5])
def test_intervals_cover_when_launches_are_the_replicates(launches):
    fits = [fit_power(table("a + T", SHORT, 0.03, seed, rounds=3 * launches, launches=launches)) for seed in SEEDS]
    assert 0.90 <= np.mean([f.p_low <= 1.0 <= f.p_high for f in fits]) <= 0.98


@settings(deadline=None, max_examples=60)
@given(
    a=st.floats(0, 1e9),
    b=st.floats(1e-3, 1e6),
    p=st.floats(0.3, 3),
    n=st.integers(4, 10),
    first=st.sampled_from([1, 32]),
)
def test_exact_values_give_the_law_back(a, b, p, n, first):
    sizes = [first * 2.0**k for k in range(n)]
    found = fit_power(counts(sizes, lambda x: a + b * x**p))
    assert found.p_low <= found.p <= found.p_high
    for x in sizes:
        assert found.predict(x) == pytest.approx(a + b * x**p, rel=1e-6)
    if a < 0.5 * b * sizes[-1] ** p:  # else the part that grows is too small to show its exponent exactly
        assert found.p_low - 1e-6 <= p <= found.p_high + 1e-6
        assert found.p_high - found.p_low < 1e-3
        assert found.overhead_share == pytest.approx(a / (a + b * sizes[-1] ** p), abs=1e-3)


def test_a_linear_count_has_exponent_one_and_a_tiny_interval():
    found = fit_power(counts(SHORT, lambda x: 388 * x))
    assert found.p_low <= 1 <= found.p_high
    assert found.p_high - found.p_low < 1e-6
    assert found.b == pytest.approx(388, rel=1e-8)
    assert found.text() == "388 T^1.00 [1.00, 1.00]"


def test_text_names_overhead_coefficient_and_interval():
    found = fit_power(counts(SHORT, lambda x: 8.1e-5 + 1.6e-5 * x))
    assert found.text() == "8.1e-05 + 1.6e-05 T^1.00 [1.00, 1.00]"
    assert found.text("h") == "8.1e-05 + 1.6e-05 h^1.00 [1.00, 1.00]"


def test_a_constant_has_no_exponent():
    found = fit_power(counts(SHORT, lambda x: 7.0))
    assert (found.p_low, found.p_high) == (0.0, P_MAX)
    assert (found.b, found.overhead_share, found.text()) == (0.0, 1.0, "7")
    assert found.predict(1.0) == pytest.approx(7.0)


def test_the_unit_of_y_does_not_matter():
    in_s = table("a + T", SHORT, 0.03, 0)
    in_ns = points(SHORT, 1e9 * np.array([list(r.values()) for r in in_s.rounds]))
    a, b = fit_power(in_s), fit_power(in_ns)
    assert (b.p, b.p_low, b.p_high) == pytest.approx((a.p, a.p_low, a.p_high), abs=1e-6)
    assert b.a == pytest.approx(1e9 * a.a, rel=1e-5)


def test_what_a_round_shares_does_not_widen_the_interval():
    calm = [fit_power(table("T", SHORT, 0.01, seed, shared=0.0)) for seed in range(40)]
    stormy = [fit_power(table("T", SHORT, 0.01, seed, shared=0.2)) for seed in range(40)]
    widths = [np.median([f.p_high - f.p_low for f in fits]) for fits in (calm, stormy)]
    assert widths[1] == pytest.approx(widths[0], rel=0.3)


def test_three_sizes_tell_a_value_but_no_interval_and_two_nothing():
    found = fit_power(counts([32, 64, 128], lambda x: x))
    assert (found.p_low, found.p_high) == (0.0, P_MAX)
    with pytest.raises(ValueError, match="at least 3"):
        fit_power(counts([32, 64], lambda x: x))


def test_values_must_be_positive():
    with pytest.raises(ValueError, match="positive"):
        fit_power(counts(SHORT, lambda x: x - 32))
