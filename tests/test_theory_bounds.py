"""What a state can hold, and what an error rate proves: bounds that meet where they must and are never beaten."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seqscale.theory.bounds import (
    bits_that_fit,
    copy_ceiling,
    exact_copy_ceiling,
    fano_bits,
    linear_capacity_depth,
    log_det_bits,
    quantised_bits,
    source_bits,
)


def test_the_ceilings_of_the_document():
    found = copy_ceiling([64, 64, 64, 32, 32], [16, 32, 64, 16, 32], 16)
    assert found == pytest.approx([1, 0.710, 0.488, 0.710, 0.488], abs=5e-4)


@given(error=st.floats(0, 1), symbols=st.integers(2, 50))
def test_fano_is_the_information_of_a_channel_that_errs_evenly(error, symbols):
    """Between a uniform token and a guess that is any of the wrong ones with equal chance, summed over the table."""
    joint = np.full((symbols, symbols), error / (symbols - 1) / symbols)
    np.fill_diagonal(joint, (1 - error) / symbols)
    positive = joint[joint > 0]
    information = float((positive * np.log2(positive * symbols**2)).sum())
    assert fano_bits(error, symbols) == pytest.approx(information, abs=1e-9)


@given(symbols=st.integers(2, 50))
def test_fano_is_all_without_errors_and_none_at_chance(symbols):
    assert fano_bits([0.0, 1 - 1 / symbols], symbols) == pytest.approx([math.log2(symbols), 0], abs=1e-12)


@given(bits=st.floats(0, 500), tokens=st.integers(1, 100), symbols=st.integers(2, 50))
def test_the_copy_ceiling_uses_up_the_bits_and_no_more(bits, tokens, symbols):
    share = float(copy_ceiling(bits, tokens, symbols))
    if bits >= source_bits(tokens, symbols):
        assert share == 1
    else:
        assert 1 / symbols <= share < 1
        assert tokens * fano_bits(1 - share, symbols) == pytest.approx(bits, abs=1e-6)


@pytest.mark.parametrize(("bits", "tokens", "symbols"), [(1, 2, 2), (1, 3, 2), (2, 3, 2), (1, 2, 3)])
def test_no_code_beats_the_ceilings(bits, tokens, symbols):
    """Every way to answer from 2^bits states, each text stored in the state that answers it best."""
    texts = np.array(list(itertools.product(range(symbols), repeat=tokens)))
    right = (texts[:, None] == texts[None]).mean(axis=2)  # of answering one text with another
    exact, token = 0.0, 0.0
    for answers in itertools.combinations(range(len(texts)), 2**bits):
        best = right[:, answers].max(axis=1)
        exact, token = max(exact, float((best == 1).mean())), max(token, float(best.mean()))
    assert exact == pytest.approx(float(exact_copy_ceiling(bits, tokens, symbols)))
    assert token <= copy_ceiling(bits, tokens, symbols)


@given(bits=st.floats(0, 1e6), tokens=st.integers(1, 10**6), symbols=st.integers(2, 50))
def test_exact_copies_are_no_more_likely_than_single_tokens(bits, tokens, symbols):
    assert 0 <= exact_copy_ceiling(bits, tokens, symbols) <= copy_ceiling(bits, tokens, symbols) + 1e-9


@given(n=st.integers(1, 12), noise=st.floats(1e-3, 10), seed=st.integers(0, 999))
def test_the_log_determinant(n, noise, seed):
    root = np.random.default_rng(seed).standard_normal((n, n))
    covariance = root @ root.T
    plain = np.linalg.slogdet(np.eye(n) + covariance / noise)[1] / 2 / math.log(2)
    assert log_det_bits(covariance, noise) == pytest.approx(plain)
    assert log_det_bits(0 * covariance, noise) == 0


def test_a_state_of_two_points_tells_no_more_than_the_log_determinant():
    """The bits that +-1 tells through noise, by quadrature: at most 1, and at most those of a normal state."""
    y = np.linspace(-40, 40, 80_001)
    for noise in (0.1, 1.0, 4.0):
        density = sum(np.exp(-((y - s) ** 2) / (2 * noise)) for s in (-1, 1)) / (2 * math.sqrt(2 * math.pi * noise))
        entropy = -np.sum(density * np.log2(np.maximum(density, 1e-300))) * (y[1] - y[0])
        told = entropy - 0.5 * math.log2(2 * math.pi * math.e * noise)
        assert 0 < told <= min(1 + 1e-6, log_det_bits(np.eye(1), noise))


@given(
    tokens=st.integers(0, 1000),
    symbols=st.integers(2, 50),
    numbers=st.integers(0, 1000),
    each=st.floats(0, 32),
    through=st.floats(0, 1e4),
)
def test_what_fits_is_the_least_of_three(tokens, symbols, numbers, each, through):
    all_three = (float(source_bits(tokens, symbols)), float(quantised_bits(numbers, each)), through)
    assert bits_that_fit(tokens, symbols, numbers, each, through) == min(all_three)
    assert bits_that_fit(tokens, symbols, numbers, each) == min(all_three[:2])


def test_the_depth_that_linear_readouts_reach():
    assert linear_capacity_depth([16, 64], 8) == pytest.approx([16 / 7, 64 / 7])


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: fano_bits(1.1, 8), "error=1.1: must be between 0 and 1"),
        (lambda: fano_bits(0.1, 1), "symbols=1: must be at least 2"),
        (lambda: copy_ceiling(-1, 8, 8), "bits=-1: must be at least 0"),
        (lambda: copy_ceiling(1, [4, 0], 8), "tokens=0: must be at least 1"),
        (lambda: exact_copy_ceiling(float("nan"), 8, 8), "bits=nan: must be at least 0"),
        (lambda: log_det_bits(np.eye(2), 0.0), "noise_variance=0: must be above 0"),
        (lambda: log_det_bits(np.triu(np.ones((2, 2))), 1.0), "must be a symmetric"),
        (lambda: quantised_bits(-1, 8), "numbers=-1: must be at least 0"),
        (lambda: source_bits(-1, 8), "tokens=-1: must be at least 0"),
        (lambda: linear_capacity_depth(8, 1), "symbols=1: must be at least 2"),
    ],
)
def test_what_cannot_be_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()
