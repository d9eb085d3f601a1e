"""Intervals of medians and ratios: they cover, pair what can be paired, and leave exact counts exact."""

import math

import numpy as np
import pytest
from fit_tables import SHORT, counts, points, table
from hypothesis import given, settings
from hypothesis import strategies as st

from seqscale.fit.interval import SYSTEMATIC, Interval, levels, median_interval, median_ratio_interval
from seqscale.fit.points import Points

VALUES = st.lists(st.floats(1e-3, 1e3), min_size=2, max_size=40)


def keyed(values, launches=1):
    return {(j % launches, j // launches): float(v) for j, v in enumerate(values)}


@pytest.mark.parametrize("draw", ["normal", "exponential", "standard_cauchy"])
@pytest.mark.parametrize("n", [6, 7, 9, 15, 30])
def test_intervals_of_a_median_cover_whatever_the_distribution(draw, n):
    rng = np.random.default_rng([n, len(draw)])
    truth = math.log(2) if draw == "exponential" else 0.0
    found = [median_interval(keyed(getattr(rng, draw)(size=n))) for _ in range(1000)]
    assert 0.93 <= np.mean([i.low95 <= truth <= i.high95 for i in found]) <= 0.985
    assert 0.87 <= np.mean([i.low90 <= truth <= i.high90 for i in found]) <= 0.94


@pytest.mark.parametrize("n", [2, 3, 5])
def test_few_values_have_wide_intervals_that_cover(n):
    rng = np.random.default_rng(n)
    found = [median_interval(keyed(rng.normal(size=n))) for _ in range(1000)]
    assert np.mean([i.low95 <= 0 <= i.high95 for i in found]) >= 0.93


@pytest.mark.parametrize("launches", [3, 6])
def test_intervals_cover_when_each_launch_has_its_own_luck(launches):
    rng = np.random.default_rng(launches)
    luck, noise = rng.normal(0, 0.05, (1000, launches)), rng.normal(0, 0.01, (1000, 5, launches))
    found = [median_interval(keyed((a + b).ravel(), launches)) for a, b in zip(luck, noise, strict=True)]
    assert 0.93 <= np.mean([i.low95 <= 0 <= i.high95 for i in found]) <= 0.97
    as_one = [median_interval(keyed((a + b).ravel())) for a, b in zip(luck, noise, strict=True)]
    assert np.mean([i.low95 <= 0 <= i.high95 for i in as_one]) < 0.85  # what the launches are told apart for


@settings(deadline=None, max_examples=100)
@given(values=VALUES, shift=st.floats(-100, 100), scale=st.floats(0.1, 10), launches=st.integers(1, 4))
def test_intervals_are_ordered_and_follow_shift_and_scale(values, shift, scale, launches):
    one = median_interval(keyed(values, launches))
    assert one.low95 <= one.low90 <= one.value <= one.high90 <= one.high95
    other = median_interval(keyed([scale * v + shift for v in values], launches))
    for name in ("value", "low90", "high90", "low95", "high95"):
        assert getattr(other, name) == pytest.approx(scale * getattr(one, name) + shift, rel=1e-6, abs=1e-6)


def test_interpolated_order_statistics_have_the_published_weight():
    # n = 10, 95 %: between the order statistics of coverage 97.85 % (2nd) and 89.06 % (3rd);
    # I = (.9785 - .95) / (.9785 - .8906) = .3245, weight = 8 I / (2 + 6 I) = .658 (Hettmansperger and Sheather 1986)
    found = median_interval(keyed(range(1, 11)))
    assert found.low95 == pytest.approx(2.658, abs=2e-3)
    assert found.high95 == pytest.approx(8.342, abs=2e-3)


def test_widening_adds_in_quadrature():
    found = Interval(value=1.0, low90=1.0, high90=1.0, low95=0.97, high95=1.03).widened(0.02)
    assert (found.low90, found.high90) == pytest.approx((1 - 1.645 * 0.02, 1 + 1.645 * 0.02), abs=1e-4)
    assert (found.low95, found.high95) == pytest.approx((1 - 0.0493, 1 + 0.0493), abs=1e-4)


def test_a_ratio_of_counts_is_exact():
    found = median_ratio_interval({(0, 0): 4096.0}, {(0, 3): 1024.0})
    assert found.low95 == found.low90 == found.value == found.high90 == found.high95
    assert found.value == pytest.approx(math.log(4), rel=1e-12)


def test_a_ratio_cancels_what_its_rounds_share():
    rng = np.random.default_rng(0)
    storm = np.exp(rng.normal(0, 0.5, 9))
    found = median_ratio_interval(keyed(4 * storm), keyed(storm))
    assert found.value == pytest.approx(math.log(4))
    assert found.high95 - found.value == pytest.approx(1.96 * math.sqrt(2) * SYSTEMATIC, rel=1e-3)
    apart = median_ratio_interval(keyed(4 * storm), {(9, j): v for j, v in enumerate(storm)})
    assert apart.value == pytest.approx(math.log(4))
    assert apart.high95 - apart.value > 0.3


@pytest.mark.parametrize("paired", [True, False])
def test_intervals_of_a_ratio_cover(paired):
    rng = np.random.default_rng(int(paired))
    hits = []
    for _ in range(600):
        wide, narrow = (keyed(np.exp(rng.normal(0, 0.1, 9))) for _ in range(2))
        if not paired:
            narrow = {(1, j): v for (_, j), v in narrow.items()}
        found = median_ratio_interval(wide, narrow)
        hits.append(found.low95 <= 0 <= found.high95)
    assert 0.93 <= np.mean(hits) <= 0.985


def test_one_sample_beside_many_is_not_taken_for_exact():
    rng = np.random.default_rng(0)
    many = keyed(np.exp(rng.normal(0, 0.1, 9)))
    alone = median_ratio_interval(many, {(0, 0): 1.0})
    assert alone.high95 - alone.low95 > 2 * 1.96 * 0.1


@pytest.mark.parametrize("bad", [{}, {(0, 0): 0.0}, {(0, 0): -1.0}])
def test_a_ratio_needs_positive_values(bad):
    with pytest.raises(ValueError, match="positive"):
        median_ratio_interval({(0, 0): 1.0}, bad)


def test_levels_of_counts_have_no_noise_but_the_floor():
    found = levels(counts(SHORT, lambda x: 3 * x))
    assert found.exact
    assert np.exp(found.log_y) == pytest.approx([3 * x for x in SHORT])
    assert set(found.se) == {0.0}
    assert set(found.sigma) == {SYSTEMATIC}


@pytest.mark.parametrize("launches", [1, 3])
def test_standard_errors_tell_the_scatter_of_the_levels(launches):
    rng = np.random.default_rng(launches)
    found = [levels(points(SHORT, np.exp(rng.normal(0, 0.1, (8, 9))), launches)) for _ in range(300)]
    scatter = np.std([f.log_y for f in found])
    assert np.sqrt(np.mean([f.se**2 for f in found])) == pytest.approx(scatter, rel=0.15)


def test_levels_do_not_follow_a_storm_that_all_sizes_share():
    calm = levels(table("T", SHORT, 0.01, 0, shared=0.0))
    stormy = levels(table("T", SHORT, 0.01, 0, shared=0.3))
    slopes = [np.polyfit(np.log(SHORT), f.log_y, 1)[0] for f in (calm, stormy)]
    assert slopes[1] == pytest.approx(slopes[0], abs=0.01)
    assert stormy.se == pytest.approx(calm.se, rel=0.5)


def test_sizes_with_their_own_rounds_are_fitted_from_their_medians():
    samples = [[1.0, 1.1, 0.9], [2.0, 2.2, 1.8, 2.1]]
    found = levels(Points((1.0, 2.0), (1.0, 2.05), tuple(keyed(s, 1) for s in samples)))
    assert np.exp(found.log_y[0]) == pytest.approx(1.0)
    own = Points((1.0, 2.0), (1.0, 2.05), ({(0, j): v for j, v in enumerate(samples[0])}, {(1, 0): 2.0, (1, 1): 2.2}))
    assert np.exp(levels(own).log_y) == pytest.approx([1.0, math.sqrt(4.4)])
