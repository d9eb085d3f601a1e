"""The local slope: intervals cover, cancel what a round shares, and never pretend that replicates are all the error."""

import numpy as np
import pytest
from fit_tables import LONG, NOISES, SEEDS, SHORT, TRUTHS, counts, points, table

from seqscale.fit.interval import SYSTEMATIC
from seqscale.fit.slope import local_slope
from seqscale.fit.verdict import Decision, equivalence


def true_slope(name, sizes):
    x = np.array(sizes[-3:])
    y = np.log(TRUTHS[name].law(x))
    return float((y[-1] - y[0]) / np.log(4))


@pytest.mark.parametrize("noise", NOISES)
@pytest.mark.parametrize("sizes", [SHORT, LONG], ids=["32..4096", "128..16384"])
@pytest.mark.parametrize("name", TRUTHS)
def test_intervals_cover_the_slope_between_the_last_sizes(name, sizes, noise):
    truth = true_slope(name, sizes)
    found = [local_slope(table(name, sizes, noise, seed)) for seed in SEEDS]
    assert np.mean([s.low95 <= truth <= s.high95 for s in found]) >= 0.90
    assert np.mean([s.low90 <= truth <= s.high90 for s in found]) >= 0.83
    assert all(s.low95 <= s.low90 <= s.value <= s.high90 <= s.high95 for s in found)


@pytest.mark.parametrize(("rounds", "launches"), [(9, 1), (9, 3), (25, 1), (25, 5), (4, 1)])
def test_coverage_is_nominal_where_noise_is_all_the_error(rounds, launches):
    found = [local_slope(table("T", SHORT, 0.10, seed, rounds, launches)) for seed in range(600)]
    assert 0.93 <= np.mean([s.low95 <= 1 <= s.high95 for s in found]) <= 0.99
    assert 0.86 <= np.mean([s.low90 <= 1 <= s.high90 for s in found]) <= 0.97


def test_a_systematic_error_of_one_percent_is_covered():
    rng = np.random.default_rng(0)
    found = []
    for _ in range(600):
        cell = np.array(SHORT) * np.exp(rng.normal(0, SYSTEMATIC, len(SHORT)))
        found.append(local_slope(points(SHORT, cell[:, None] * np.exp(rng.normal(0, 1e-4, (len(SHORT), 9))))))
    assert 0.93 <= np.mean([s.low95 <= 1 <= s.high95 for s in found]) <= 0.97
    assert 0.87 <= np.mean([s.low90 <= 1 <= s.high90 for s in found]) <= 0.93


def test_noise_that_whole_rounds_share_cancels():
    calm, stormy = (local_slope(table("T", SHORT, 0.01, 0, shared=s)) for s in (0.0, 0.3))
    assert (stormy.value, stormy.low95, stormy.high95) == pytest.approx((calm.value, calm.low95, calm.high95), abs=1e-9)


def test_rounds_that_no_two_sizes_share_are_judged_by_their_medians():
    measured = table("T", SHORT, 0.03, 0)
    apart = tuple({(0, 100 * i + j): v for (_, j), v in r.items()} for i, r in enumerate(measured.rounds))
    found = local_slope(type(measured)(measured.x, measured.y, apart))
    assert found.low95 < 1 < found.high95
    paired = local_slope(measured)
    assert found.high95 - found.low95 > paired.high95 - paired.low95


@pytest.mark.parametrize(("octaves", "sizes"), [(1, SHORT[-2:]), (2, SHORT[-3:]), (3, SHORT[-4:])])
def test_only_the_last_octaves_count_and_counts_are_exact(octaves, sizes):
    found = local_slope(counts(SHORT, lambda x: x**2 if x >= sizes[0] else 1.0), octaves)
    assert found.sizes == sizes
    assert (found.value, found.low95, found.high95) == pytest.approx((2, 2, 2), abs=1e-12)


def test_one_size_has_no_slope():
    with pytest.raises(ValueError, match="two sizes"):
        local_slope(counts([32, 4096], lambda x: x))


@pytest.mark.parametrize("edge", [0.9, 1.1])
@pytest.mark.parametrize("noise", [0.01, 0.10])
def test_a_slope_on_the_edge_is_called_equal_no_more_often_than_the_level(edge, noise):
    rng = np.random.default_rng([0, round(100 * edge), round(100 * noise)])
    sizes = np.array(SHORT)
    said = []
    for _ in range(600):
        cell = sizes**edge * np.exp(rng.normal(0, SYSTEMATIC, len(sizes)))
        s = local_slope(points(SHORT, cell[:, None] * np.exp(rng.normal(0, noise, (len(sizes), 9)))))
        said.append(equivalence(s.low90, s.high90, s.low95, s.high95, 1.0, 0.1))
    rates = {d: np.mean([s is d for s in said]) for d in Decision}
    assert rates[Decision.supported] <= 0.05 + 0.02  # the level, and two standard errors of 600 trials
    assert rates[Decision.contradicted] <= 0.025 + 0.015
