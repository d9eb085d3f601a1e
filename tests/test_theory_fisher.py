"""Memory against noise inside the recurrence: 1 for normal matrices, harmonic for a delay line, at most N for any."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seqscale.theory.memory import delay_line_fisher, fisher_curve, harmonic


def orthogonal(n, seed):
    return np.linalg.qr(np.random.default_rng(seed).standard_normal((n, n)))[0]


def normal_matrix(kind, n, radius, seed):
    q = orthogonal(n, seed)
    if kind == "orthogonal":
        return radius * q
    if kind == "cyclic":
        return radius * np.roll(np.eye(n), 1, axis=0)
    return q @ np.diag(np.random.default_rng(seed).uniform(-radius, radius, n)) @ q.T


def line(n, gain):
    return gain * np.eye(n, k=-1), np.eye(n)[0]


def by_noise(w_h, w_in, noise_variance, lags):
    """J(k) from the covariance of the noise, added up term by term."""
    spread, power = np.zeros_like(w_h), np.eye(len(w_h))
    for _ in range(2000):
        spread, power = spread + power @ power.T, power @ w_h
    sensitive = [np.linalg.matrix_power(w_h, k) @ w_in for k in range(lags)]
    return np.array([s @ np.linalg.solve(noise_variance * spread, s) for s in sensitive])


@settings(deadline=None, max_examples=40)
@given(
    kind=st.sampled_from(["orthogonal", "cyclic", "symmetric"]),
    n=st.integers(1, 32),
    radius=st.floats(0.2, 0.97),
    seed=st.integers(0, 999),
)
def test_the_total_of_a_normal_matrix_is_one(kind, n, radius, seed):
    w_in = np.random.default_rng(seed).standard_normal(n)
    curve = fisher_curve(normal_matrix(kind, n, radius, seed), w_in / np.linalg.norm(w_in), 1.0, 600)
    assert curve.sum() == pytest.approx(1, abs=1e-9)


@settings(deadline=None, max_examples=40)
@given(n=st.integers(1, 40), gain=st.floats(0.2, 5))
def test_a_delay_line_has_its_closed_form(n, gain):
    closed = delay_line_fisher(n, gain)
    assert fisher_curve(*line(n, gain), 1.0, n) == pytest.approx(closed, rel=1e-8)
    if gain > 1:
        k = np.arange(1, n + 1)
        assert closed == pytest.approx((1 - gain**-2) / (1 - gain ** (-2.0 * k)), rel=1e-8)
    assert closed.sum() <= n + 1e-9


@pytest.mark.parametrize(("n", "total"), [(1, 1.0), (16, 3.3807), (32, 4.0585)])
def test_a_line_of_gain_one_has_the_harmonic_number(n, total):
    assert harmonic(n) == pytest.approx(total, abs=5e-5)
    assert delay_line_fisher(n, 1.0).sum() == pytest.approx(harmonic(n), rel=1e-12)


def test_a_line_of_gain_four_does_not_overflow():
    assert delay_line_fisher(16, 4.0).sum() == pytest.approx(15.066, abs=5e-4)
    assert np.isfinite(delay_line_fisher(1000, 4.0)).all()
    assert np.isfinite(delay_line_fisher(1000, 0.01)).all()


@settings(deadline=None, max_examples=25)
@given(n=st.integers(1, 8), radius=st.floats(0.1, 0.95), noise=st.floats(0.1, 10), seed=st.integers(0, 999))
def test_it_is_what_the_noise_leaves_and_never_more_than_the_units(n, radius, noise, seed):
    rng = np.random.default_rng(seed)
    w_h, w_in = rng.standard_normal((n, n)), rng.standard_normal(n)
    w_h *= radius / np.abs(np.linalg.eigvals(w_h)).max()
    curve = fisher_curve(w_h, w_in, noise, 30)
    assert curve == pytest.approx(by_noise(w_h, w_in, noise, 30), rel=1e-6, abs=1e-10)
    assert curve.sum() <= n * (w_in @ w_in) / noise * (1 + 1e-9)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: fisher_curve(np.eye(2), np.ones(2), 1.0, 4), "must be below 1 for a stationary state"),
        (lambda: fisher_curve(np.eye(2) / 2, np.ones(2), 0.0, 4), "noise_variance=0: must be above 0"),
        (lambda: fisher_curve(np.eye(2) / 2, np.ones(2), 1.0, 0), "lags=0: must be at least 1"),
        (lambda: fisher_curve(*_turned_line(1e3), 1.0, 4), "w_h: needs to be nearer to normal"),
        (lambda: fisher_curve(*_turned_line(3e6), 1.0, 4), "needs to be nearer to normal, or to decay faster"),
        (lambda: delay_line_fisher(0, 1.0), "n=0: must be at least 1"),
        (lambda: delay_line_fisher(3, 0.0), "gain=0: must be above 0"),
        (lambda: harmonic(0), "n=0: must be at least 1"),
    ],
)
def test_what_cannot_be_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def _turned_line(gain):
    """Two units in a line; along other axes, float64 rounds away what the first of them does."""
    turn = np.array([[1, 1], [-1, 1]]) / np.sqrt(2)
    return turn @ np.array([[0.5, gain], [0.0, 0.5]]) @ turn.T, turn[:, 1]
