"""Leaving out directions in which a state never moves changes neither what is decoded nor what the noise lets by."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seqscale.errors import SeqscaleError
from seqscale.estimators.noise import read_noise_variance
from seqscale.probes import readout
from seqscale.probes.readout import read_out
from seqscale.theory.bounds import log_det_bits

RNG = np.random.default_rng


def states_of(rank, numbers, n, seed, dtype=np.float64):
    rng = RNG(seed)
    return (rng.standard_normal((n, rank)) @ rng.standard_normal((rank, numbers)) + 5).astype(dtype)


@settings(max_examples=20, deadline=None)
@given(rank=st.integers(1, 30), more=st.integers(0, 40), seed=st.integers(0, 99), wide=st.booleans())
def test_distances_between_states_are_kept(rank, more, seed, wide):
    states = states_of(rank, rank + more, 200, seed, np.float64 if wide else np.float32)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(readout, "SEVERAL", 8)
        clean = read_out(states, 0.01, RNG(0)).clean
    centred = states.astype(np.float64) - states.mean(axis=0, dtype=np.float64)
    largest = np.abs(centred @ centred.T).max()
    np.testing.assert_allclose(clean @ clean.T, centred @ centred.T, rtol=0, atol=(1e-9 if wide else 1e-4) * largest)


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 99))
def test_directions_that_are_found_are_few(seed):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(readout, "SEVERAL", 8)
        read = read_out(states_of(20, 60, 200, seed, np.float32), 0.01, RNG(0))
    assert read.numbers == 60 and read.noisy.shape == read.clean.shape
    assert 20 <= read.clean.shape[1] <= 22  # rounding may add a direction, never a dozen


@pytest.mark.parametrize("relative", [0.01, 1.0])
def test_noise_and_bound_are_those_of_all_numbers(monkeypatch, relative):
    monkeypatch.setattr(readout, "SEVERAL", 8)
    states = states_of(5, 40, 500, 1)
    read = read_out(states, relative, RNG(2))
    assert read.clean.shape[1] == 5
    variance = read_noise_variance(states, relative)
    assert read.variance == pytest.approx(variance)
    assert (read.noisy - read.clean).var() == pytest.approx(variance, rel=0.1)
    through = log_det_bits(np.cov(states.T), variance)
    assert read.bound(1000, 8, "float32") == pytest.approx(min(3000, 40 * 32, through), rel=1e-3)


def test_the_bound_is_the_least_of_three():
    read = read_out(RNG(0).standard_normal((100, 4)), 0.01, RNG(1))
    assert read.bound(1, 8, "float32") == 3
    assert read.bound(1000, 8, "bfloat16") < 4 * 16
    assert read_out(RNG(0).standard_normal((100, 4)), 0.0, RNG(1)).bound(1000, 8, "bfloat16") == 4 * 16


def test_states_that_fill_their_numbers_are_left_as_they_are(monkeypatch):
    monkeypatch.setattr(readout, "SEVERAL", 8)
    states = RNG(0).standard_normal((100, 30))
    np.testing.assert_allclose(read_out(states, 0.01, RNG(1)).clean, states - states.mean(axis=0), atol=1e-12)


def test_a_state_that_is_always_the_same_is_refused():
    with pytest.raises(SeqscaleError, match="the same whatever is read"):
        read_out(np.full((10, 3), 0.1, np.float32), 0.01, RNG(0))
