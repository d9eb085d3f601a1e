"""Half-life and rate of decay: exact on exponentials, censored where they must be."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seqscale.estimators.horizon import Decay, decay, half_life

K = np.arange(64)


@given(rate=st.floats(0.012, 5), start=st.floats(1e-6, 1e6))
def test_an_exponential(rate, start):
    norms = start * np.exp(-rate * K)
    assert half_life(norms) == pytest.approx(math.log(2) / rate)
    found = decay(norms, 0, 1e-60)
    assert found.slope == pytest.approx(-rate)
    assert found.last == min(63, int(60 * math.log(10) / rate))


@given(st.lists(st.floats(0.01, 100), min_size=2, max_size=40))
def test_the_half_life_lies_in_the_first_step_that_passes_half(norms):
    found = half_life(np.array(norms))
    passed = [k for k, norm in enumerate(norms) if norm / norms[0] <= 0.5]
    if not passed:
        assert found is None
    else:
        assert found is not None
        assert passed[0] - 1 <= found <= passed[0]


def test_what_never_halves_is_censored():
    assert half_life(np.ones(100)) is None
    assert half_life(np.array([1.0, 3.0, 0.5])) == 2.0
    assert half_life(np.array([1.0, 0.0])) is not None


def test_a_transient_and_what_rounding_leaves_are_left_out():
    norms = np.where(K < 5, 7.0, np.exp(-0.5 * K))
    norms[40:] = 1e-15
    assert decay(norms, 5, 1e-9) == Decay(slope=pytest.approx(-0.5), first=5, last=37)
    assert decay(np.append(norms[:20], [0.0, 1.0]), 5, 1e-9).last == 19


def test_a_slope_is_the_least_squares_line():
    rng = np.random.default_rng(0)
    norms = np.exp(-0.1 * K + 0.3 * rng.standard_normal(64))
    assert decay(norms, 3, 1e-9).slope == pytest.approx(np.polyfit(K[3:], np.log(norms[3:]), 1)[0])


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: half_life(np.array([0.0, 1.0])), r"norms: G\(0\)=0: must be above 0"),
        (lambda: half_life(np.array([1.0, -1.0])), "norms=-1: must be"),
        (lambda: half_life(np.array([1.0, np.nan])), "norms=nan: must be"),
        (lambda: decay(np.ones(4), 3, 0.1), "first=3: must be at least 0 and below 3"),
        (lambda: decay(np.ones(4), -1, 0.1), "first=-1: must be at least 0"),
        (lambda: decay(np.ones(4), 0, 0.0), "least=0: must be above 0"),
    ],
)
def test_what_cannot_be_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()
