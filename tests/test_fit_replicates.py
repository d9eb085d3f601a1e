"""Intervals over replicates, and the verdict rule on tables whose answer is known: it errs no more than it says."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from seqscale.fit.replicates import difference_interval, mean_interval, share_difference, share_interval
from seqscale.fit.verdict import Decision, at_most, average, equivalence, universal

SUPPORTED, CONTRADICTED, UNDECIDED = Decision.supported, Decision.contradicted, Decision.undecided
VALUES = st.lists(st.floats(-1e3, 1e3), min_size=2, max_size=20)
SHARES = st.lists(st.floats(0, 1), min_size=2, max_size=10)
COUNTS = (3, 5, 8, 16)  # replicates
TABLES = 1000
DELTA, SPREAD, ARMS = 0.1, 0.02, 4


def limit(level):
    """Errors among the tables that a rule of that level exceeds once in a thousand times."""
    return stats.binom.ppf(0.999, TABLES, level)


@given(values=VALUES, cells=st.integers(1, 50))
def test_the_interval_of_a_mean_is_students(values, cells):
    found = mean_interval(values, cells)
    error = stats.sem(values) or 0.0
    for level, low, high in ((0.90, found.low90, found.high90), (1 - 0.05 / cells, found.low95, found.high95)):
        half = stats.t.ppf(0.5 + level / 2, len(values) - 1) * error
        scale = 1e-9 * (1 + abs(half) + max(map(abs, values)))
        assert (low, high) == (
            pytest.approx(np.mean(values) - half, abs=scale),
            pytest.approx(np.mean(values) + half, abs=scale),
        )


@given(values=VALUES, shift=st.floats(-10, 10))
def test_a_shift_that_all_replicates_share_is_known_exactly(values, shift):
    found = difference_interval([value + shift for value in values], values)
    assert (found.low95, found.high95) == (pytest.approx(shift, abs=1e-9), pytest.approx(shift, abs=1e-9))


@given(right=st.integers(0, 60), count=st.integers(2, 5), less=st.floats(0, 1))
def test_replicates_that_do_not_differ_get_the_exact_binomial_interval(right, count, less):
    found = share_interval([right / 60] * count, 60, less=less)
    exact = stats.binomtest(right * count, 60 * count).proportion_ci(0.95, method="exact")
    assert found.low95 == pytest.approx(exact.low - less, abs=1e-9)
    assert found.high95 == pytest.approx(exact.high - less, abs=1e-9)


@given(shares=SHARES, scored=st.integers(1, 1000), cells=st.integers(1, 10))
def test_the_wider_interval_is_kept_as_far_as_a_share_can_be(shares, scored, cells):
    student, found = mean_interval(shares, cells).within(0, 1), share_interval(shares, scored, cells)
    assert found.low95 >= 0 and found.high95 <= 1
    fewer = share_interval(shares, max(1, scored // 2), cells)
    assert found.low90 <= student.low90 + 1e-12 and found.high90 >= student.high90 - 1e-12
    assert found.low95 <= student.low95 + 1e-12 and found.high95 >= student.high95 - 1e-12
    assert fewer.high95 - fewer.low95 >= found.high95 - found.low95 - 1e-9


def test_shares_that_agree_in_all_replicates_may_still_differ():
    alike = share_difference([1.0] * 3, [1.0] * 3, 100)
    assert alike.value == 0 and alike.low95 < 0 < alike.high95
    most = 1 - 0.025 ** (1 / 300)  # the share wrong that 300 right answers leave possible
    assert (alike.low95, alike.high95) == (pytest.approx(-most, rel=1e-6), pytest.approx(most, rel=1e-6))


@pytest.mark.parametrize(
    "call",
    [
        lambda: mean_interval([1.0]),
        lambda: mean_interval([1.0, math.nan]),
        lambda: mean_interval([1.0, 2.0], 0),
        lambda: difference_interval([1.0, 2.0], [1.0]),
        lambda: share_interval([0.5, 1.5], 10),
        lambda: share_interval([0.5, 0.5], 0),
        lambda: at_most(0.0, 1.0, 0.5),
        lambda: universal([]),
    ],
)
def test_what_gives_no_interval_is_refused(call):
    with pytest.raises(ValueError, match=r"replicates|cell|must|zip|low"):
        call()


@given(st.lists(st.sampled_from(Decision), min_size=1, max_size=6))
def test_one_cell_contradicts_and_all_must_support(cells):
    found = universal(cells)
    assert (found is CONTRADICTED) == any(cell is CONTRADICTED for cell in cells)
    assert (found is SUPPORTED) == all(cell is SUPPORTED for cell in cells)


@given(middle=st.floats(-1, 1), near=st.floats(0, 1), more=st.floats(0, 1), bound=st.floats(-1, 1))
def test_at_most_never_says_both(middle, near, more, bound):
    high90, low95 = middle + near, middle - near - more
    found = at_most(high90, low95, bound)
    assert found is (SUPPORTED if high90 < bound else CONTRADICTED if low95 > bound else UNDECIDED)


def judged_average(rng, theta, count):
    found = mean_interval(rng.normal(theta, SPREAD, count).tolist())
    return average(found.low95, found.high95, DELTA)


def judged_equivalence(rng, theta, count):
    found = mean_interval(rng.normal(theta, SPREAD, count).tolist())
    return equivalence(found.low90, found.high90, found.low95, found.high95, 0.0, DELTA)


def judged_universal(thetas):
    """Judge "never above DELTA" of as many cells as there are thetas."""

    def judged(rng, theta, count):
        cells = []
        for own in thetas(theta):
            found = mean_interval(rng.normal(own, SPREAD, count).tolist(), ARMS)
            cells.append(at_most(found.high90, found.low95, DELTA))
        return universal(cells)

    return judged


one_wrong = judged_universal(lambda theta: (theta, *[-1.0] * (ARMS - 1)))  # one cell decides, the others are clear
all_alike = judged_universal(lambda theta: (theta,) * ARMS)  # as many chances to err as there are cells

# (rule, true effect, verdict that is wrong there, its level)
CASES = {
    "average, at the bound, supported": (judged_average, DELTA, SUPPORTED, 0.025),
    "average, at the bound, contradicted": (judged_average, DELTA, CONTRADICTED, 0.025),
    "average, just short of it": (judged_average, DELTA - 0.005, SUPPORTED, 0.025),
    "average, just beyond it": (judged_average, DELTA + 0.005, CONTRADICTED, 0.025),
    "equivalence, at the bound, supported": (judged_equivalence, DELTA, SUPPORTED, 0.05),
    "equivalence, at the bound, contradicted": (judged_equivalence, DELTA, CONTRADICTED, 0.025),
    "equivalence, just outside": (judged_equivalence, -DELTA - 0.005, SUPPORTED, 0.05),
    "equivalence, just inside": (judged_equivalence, -DELTA + 0.005, CONTRADICTED, 0.025),
    "universal, one cell at the bound": (one_wrong, DELTA, SUPPORTED, 0.05),
    "universal, one cell just beyond": (one_wrong, DELTA + 0.005, SUPPORTED, 0.05),
    "universal, all cells at the bound": (all_alike, DELTA, CONTRADICTED, 0.025),
    "universal, all cells just within": (all_alike, DELTA - 0.005, CONTRADICTED, 0.025),
}


@pytest.mark.parametrize("count", COUNTS)
@pytest.mark.parametrize("case", CASES)
def test_the_rule_errs_no_more_than_its_level(case, count):
    judged, theta, wrong, level = CASES[case]
    rng = np.random.default_rng([count, list(CASES).index(case)])
    errors = sum(judged(rng, theta, count) is wrong for _ in range(TABLES))
    assert errors <= limit(level)


@pytest.mark.parametrize("count", COUNTS)
@pytest.mark.parametrize(
    ("judged", "theta", "right"),
    [
        (judged_average, 1.0, SUPPORTED),
        (judged_average, -1.0, CONTRADICTED),
        (judged_equivalence, 0.0, SUPPORTED),
        (judged_equivalence, 1.0, CONTRADICTED),
        (all_alike, -1.0, SUPPORTED),
        (one_wrong, 1.0, CONTRADICTED),
    ],
)
def test_every_verdict_comes_out_where_it_is_clear(judged, theta, right, count):
    rng = np.random.default_rng([count, 99])
    found = [judged(rng, theta, count) for _ in range(100)]
    assert found.count(right) >= 90


@pytest.mark.parametrize("count", COUNTS)
def test_shares_at_the_bound_are_judged_no_worse(count):
    """Accuracy 0.02 apart, one of the two perfect, and accuracy at chance plus delta."""
    rng, scored, errors = np.random.default_rng([count, 7]), 200, [0, 0]
    for _ in range(TABLES):
        perfect, less = np.ones(count).tolist(), (rng.binomial(scored, 0.98, count) / scored).tolist()
        gap = share_difference(perfect, less, scored)
        errors[0] += equivalence(gap.low90, gap.high90, gap.low95, gap.high95, 0.0, 0.02) is SUPPORTED
        rare = share_interval((rng.binomial(scored, 0.01, count) / scored).tolist(), scored)
        errors[1] += at_most(rare.high90, rare.low95, 0.01) is SUPPORTED
    assert max(errors) <= limit(0.05)
