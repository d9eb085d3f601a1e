"""Sequences are split once, whole, by a seed; states are read with the noise, or to the bits, that were declared."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seqscale.estimators.noise import quantise, read_noise_variance, read_with_noise
from seqscale.estimators.split import split_sequences


@given(sequences=st.integers(10, 5000), seed=st.integers(0, 2**32))
def test_every_sequence_is_in_one_part(sequences, seed):
    split = split_sequences(sequences, seed)
    assert sorted([*split.train, *split.validation, *split.test]) == list(range(sequences))
    assert len(split.train) == pytest.approx(0.70 * sequences, abs=1)
    assert len(split.validation) == pytest.approx(0.15 * sequences, abs=1)
    assert len(split.test) == pytest.approx(0.15 * sequences, abs=1)


def test_the_seed_decides():
    one, same, other = (split_sequences(100, seed) for seed in (1, 1, 2))
    assert (one.train == same.train).all()
    assert (one.train != other.train).any()


@given(units=st.integers(1, 8), relative=st.floats(1e-3, 10), seed=st.integers(0, 999))
def test_noise_has_the_declared_variance_the_same_for_every_unit(units, relative, seed):
    rng = np.random.default_rng(seed)
    states = rng.standard_normal((4000, units)) * rng.uniform(0.1, 10, units) + 5
    variance = read_noise_variance(states, relative)
    assert variance == pytest.approx(relative**2 * np.mean(states.std(axis=0) ** 2))
    added = read_with_noise(states, relative, rng) - states
    assert added.var(axis=0) == pytest.approx(np.full(units, variance), rel=0.15)
    assert np.abs(added.mean(axis=0)).max() < 5 * np.sqrt(variance / 4000)


def test_noise_comes_from_the_generator_alone():
    states = np.arange(12.0).reshape(6, 2)
    one, same = (read_with_noise(states, 0.1, np.random.default_rng(3)) for _ in range(2))
    assert (one == same).all()
    assert (read_with_noise(states, 0.0, np.random.default_rng(3)) == states).all()


@given(bits=st.integers(1, 12), low=st.floats(-10, 0), width=st.floats(0.1, 10), seed=st.integers(0, 999))
def test_quantised_states_are_the_nearest_of_their_levels(bits, low, width, seed):
    states = np.random.default_rng(seed).uniform(low, low + width, 500)
    levels = low + width * (np.arange(2**bits) + 0.5) / 2**bits
    found = quantise(states, bits, low, low + width)
    nearest = np.abs(states[:, None] - levels).min(axis=1)
    assert np.abs(found - states) == pytest.approx(nearest, abs=1e-9)
    assert len(np.unique(found)) <= 2**bits


def test_what_lies_outside_goes_to_the_last_cell():
    assert quantise(np.array([-9.0, 0.1, 1.0, 9.0]), 1, -1.0, 1.0).tolist() == [-0.5, 0.5, 0.5, 0.5]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: split_sequences(9, 0), "sequences=9: must be at least 10"),
        (lambda: read_noise_variance(np.ones((4, 2)), -0.1), "relative=-0.1: must be at least 0"),
        (lambda: read_noise_variance(np.ones((1, 2)), 0.1), "rows=1: must be at least 2"),
        (lambda: quantise(np.ones(2), 0, 0.0, 1.0), "bits=0: must be between 1 and 32"),
        (lambda: quantise(np.ones(2), 4, 1.0, 1.0), "low=1, high=1: high must be above low"),
    ],
)
def test_what_cannot_be_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()
