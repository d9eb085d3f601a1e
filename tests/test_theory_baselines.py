"""What is scored without memory or within a window, against sampling and against enumeration."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seqscale.theory.baselines import ADDING_BASELINE, copy_memory_baseline, truncation_ceiling


@pytest.mark.parametrize(("delay", "documented"), [(100, 0.17329), (500, 0.03999)])
def test_copy_memory_of_the_document(delay, documented):
    assert copy_memory_baseline(10, 8, delay) == pytest.approx(documented, abs=5e-6)
    assert copy_memory_baseline(10, 8, delay) == pytest.approx(10 * math.log(8) / (delay + 20))


@given(memorised=st.integers(1, 20), symbols=st.integers(2, 20), delay=st.integers(0, 500))
def test_copy_memory_is_the_mean_of_sure_blanks_and_blind_answers(memorised, symbols, delay):
    losses = [0.0] * (memorised + delay) + [-math.log(1 / symbols)] * memorised
    assert copy_memory_baseline(memorised, symbols, delay) == pytest.approx(float(np.mean(losses)))


def test_adding():
    assert ADDING_BASELINE == 1 / 6
    drawn = np.square(np.random.default_rng(0).random((400_000, 2)).sum(axis=1) - 1)
    assert abs(drawn.mean() - ADDING_BASELINE) < 4 * drawn.std() / math.sqrt(len(drawn))


@given(lag=st.integers(0, 60), window=st.integers(1, 60))
def test_the_share_of_targets_whose_source_is_in_the_window(lag, window):
    inside = np.mean([at >= lag for at in range(window)])
    assert truncation_ceiling(lag, window) == pytest.approx(inside)


def test_what_cannot_be_is_refused():
    with pytest.raises(ValueError, match="window=0: must be at least 1"):
        truncation_ceiling(1, [4, 0])
    with pytest.raises(ValueError, match="lag=-1: must be at least 0"):
        truncation_ceiling(-1, 4)
    with pytest.raises(ValueError, match="symbols=1: must be at least 2"):
        copy_memory_baseline(10, 1, 100)
    with pytest.raises(ValueError, match="delay=-1: must be at least 0"):
        copy_memory_baseline(10, 8, -1)
