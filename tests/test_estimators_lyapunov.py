"""Exponents of products of matrices: known spectra, a slow reference, and standard errors that are right."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seqscale.estimators.lyapunov import lyapunov_exponents


def orthogonal(n, rng):
    return np.linalg.qr(rng.standard_normal((n, n)))[0]


def test_all_exponents_of_an_orthogonal_matrix_are_its_gain():
    rng = np.random.default_rng(0)
    found = lyapunov_exponents([0.95 * orthogonal(16, rng)] * 100, 4, 10, rng)
    assert found.values == pytest.approx([np.log(0.95)] * 4, abs=1e-12)
    assert (found.standard_errors < 1e-12).all()


@settings(deadline=None, max_examples=25)
@given(n=st.integers(1, 8), seed=st.integers(0, 999))
def test_a_constant_symmetric_matrix_has_the_logarithms_of_its_eigenvalues(n, seed):
    rng = np.random.default_rng(seed)
    values = np.sort(0.8 ** np.arange(n) * rng.uniform(0.95, 1.05, n))[::-1]
    q = orthogonal(n, rng)
    found = lyapunov_exponents([q @ np.diag(values) @ q.T] * 1000, n, 400, rng)
    assert found.values == pytest.approx(np.log(values), abs=1e-9)


def test_what_a_drawn_network_without_input_does_is_its_own_radius_not_the_mean():
    rng = np.random.default_rng(1)
    w_h = 0.5 * rng.standard_normal((60, 60)) / np.sqrt(60)
    found = lyapunov_exponents([w_h] * 6000, 1, 1000, rng)
    radius = np.abs(np.linalg.eigvals(w_h)).max()
    assert found.values[0] == pytest.approx(np.log(radius), abs=2e-3)
    assert abs(np.log(radius) - np.log(0.5)) > 0.01


@pytest.mark.parametrize("seed", range(3))
def test_the_sum_of_all_exponents_is_the_mean_log_determinant(seed):
    rng = np.random.default_rng(seed)
    jacobians = rng.standard_normal((300, 5, 5))
    found = lyapunov_exponents(jacobians, 5, 0, rng)
    determinants = np.linalg.slogdet(jacobians)[1]
    assert found.values.sum() == pytest.approx(determinants.mean(), abs=1e-10)
    assert (np.diff(found.values) < 4 * found.standard_errors[1:]).all()


def test_the_leading_exponent_is_that_of_the_product_multiplied_out():
    rng = np.random.default_rng(5)
    jacobians = rng.standard_normal((60, 4, 4))
    product = np.eye(4)
    for jacobian in jacobians:
        product = jacobian @ product
    found = lyapunov_exponents(iter(jacobians), 1, 0, rng)
    assert found.values[0] == pytest.approx(np.log(np.linalg.norm(product, 2)) / 60, abs=2 / 60)


def test_the_standard_error_covers_the_truth():
    """Random diagonal matrices: the exponents are means of logarithms; 200 sequences, seeds 0..199."""
    mean, z = -0.2, []
    for seed in range(200):
        rng = np.random.default_rng(seed)
        found = lyapunov_exponents(np.exp(rng.normal(mean, 0.5, (100, 1, 1))), 1, 0, rng)
        z.append((found.values[0] - mean) / found.standard_errors[0])
    assert np.mean(np.abs(z) < 2.262) == pytest.approx(0.95, abs=0.05)  # Student's t, 9 degrees of freedom


def test_a_direction_that_is_lost_at_once_has_a_finite_floor():
    found = lyapunov_exponents([np.diag([0.5, 0.0])] * 40, 2, 5, np.random.default_rng(0))
    assert found.values[0] == pytest.approx(np.log(0.5))
    assert np.isfinite(found.values[1])
    assert found.values[1] < -30


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"count": 3}, "count=3: must be between 1 and 2"),
        ({"burn_in": -1}, "burn_in=-1: must be at least 0"),
        ({"burn_in": 21}, "steps after burn_in=19: must be at least 20"),
        ({"jacobians": [np.eye(2)] * 3 + [np.full((2, 2), np.nan)]}, "the one of step 3 must be finite"),
    ],
)
def test_what_cannot_be_is_refused(change, message):
    given = {"jacobians": [np.eye(2)] * 40, "count": 1, "burn_in": 0, "rng": np.random.default_rng(0)} | change
    with pytest.raises(ValueError, match=message):
        lyapunov_exponents(**given)
