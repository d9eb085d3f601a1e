"""The memory of linear recurrences: the staircase, the closed form, and what a finite sample makes of it."""

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from seqscale.theory.memory import cyclic_staircase, expected_held_out, held_out_sd, linear_memory_curve


def ring(n, radius):
    return radius * np.roll(np.eye(n), 1, axis=0), np.eye(n)[0]


def random_layer(n, radius, seed):
    rng = np.random.default_rng(seed)
    w = rng.standard_normal((n, n))
    return radius * w / np.abs(np.linalg.eigvals(w)).max(), rng.standard_normal(n)


def by_regression(w_h, w_in, lags, noise_variance, length):
    """R^2 from the joint covariance of all inputs and the state, written out input by input."""
    states = np.zeros((length, len(w_in)))  # row j: what input number j has become
    for j in range(length):
        states[: j + 1] = states[: j + 1] @ w_h.T
        states[j] = w_in
    precision = np.linalg.inv(states.T @ states + noise_variance * np.eye(len(w_in)))
    known = [float(states[-1 - k] @ precision @ states[-1 - k]) if k < length else 0.0 for k in range(lags)]
    return np.array(known)


def test_the_ring_of_the_document():
    w_h, w_in = ring(32, 0.95)
    curve = linear_memory_curve(w_h, w_in, 65, 0.0)
    assert curve[[0, 31, 32, 63, 64]] == pytest.approx([0.9625, 0.9625, 0.0361, 0.0361, 0.0014], abs=5e-5)


@settings(deadline=None, max_examples=40)
@given(n=st.integers(1, 40), radius=st.floats(0.1, 0.99))
def test_a_ring_is_a_staircase_whose_total_is_its_number_of_units(n, radius):
    lags = n * (1 + int(np.ceil(np.log(1e-8) / (2 * n * np.log(radius)))))
    stairs = cyclic_staircase(n, radius, lags)
    assert linear_memory_curve(*ring(n, radius), lags, 0.0) == pytest.approx(stairs, abs=1e-10)
    assert stairs.sum() == pytest.approx(n, rel=1e-7)
    assert all(len(set(step)) == 1 for step in stairs.reshape(-1, n))


@settings(deadline=None, max_examples=40)
@given(
    n=st.integers(1, 12),
    radius=st.floats(0.1, 1.2),
    noise=st.floats(1e-3, 10),
    length=st.integers(1, 40),
    seed=st.integers(0, 999),
)
def test_from_a_state_of_zeros_it_is_the_regression_on_the_state(n, radius, noise, length, seed):
    w_h, w_in = random_layer(n, radius, seed)
    curve = linear_memory_curve(w_h, w_in, 30, noise, length)
    assert curve == pytest.approx(by_regression(w_h, w_in, 30, noise, length), rel=1e-6, abs=1e-9)
    assert (curve >= 0).all()
    assert (curve[length:] == 0).all()
    assert curve.sum() <= n


@settings(deadline=None, max_examples=30)
@given(n=st.integers(2, 20), radius=st.floats(0.1, 0.95), noise=st.floats(1e-4, 1), seed=st.integers(0, 999))
def test_the_stationary_state_is_that_of_a_long_sequence(n, radius, noise, seed):
    w_h, w_in = random_layer(n, radius, seed)
    assert linear_memory_curve(w_h, w_in, 64, noise) == pytest.approx(
        linear_memory_curve(w_h, w_in, 64, noise, length=1000), abs=1e-8
    )


@settings(deadline=None, max_examples=20)
@given(n=st.integers(2, 12), seed=st.integers(0, 999))
def test_the_total_of_an_orthogonal_recurrence_is_its_size_and_noise_only_takes(n, seed):
    w_h = 0.9 * np.linalg.qr(np.random.default_rng(seed).standard_normal((n, n)))[0]
    first = np.column_stack([np.linalg.matrix_power(w_h, k)[:, 0] for k in range(n)])
    assume(np.linalg.cond(first) < 1e3)
    totals = [linear_memory_curve(w_h, np.eye(n)[0], 400, noise).sum() for noise in (1e-9, 1e-3, 0.1)]
    assert n - 0.01 < totals[0] < n + 1e-9
    assert totals == sorted(totals, reverse=True)


def test_without_noise_a_singular_state_is_refused_not_guessed():
    w_h, w_in = np.diag(np.linspace(0.1, 0.9, 24)), np.ones(24)
    with pytest.raises(ValueError, match="noise_variance=0: needs to be larger"):
        linear_memory_curve(w_h, w_in, 10, 0.0)
    assert linear_memory_curve(w_h, w_in, 10, 1e-6).sum() < 24
    with pytest.raises(ValueError, match="noise_variance=0: needs to be larger"):
        linear_memory_curve(*ring(8, 0.9), 10, 0.0, length=7)  # the eighth unit is still at rest


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"lags": 0}, "lags=0: must be at least 1"),
        ({"noise_variance": -1.0}, "noise_variance=-1: must be at least 0"),
        ({"length": 0}, "length=0: must be at least 1"),
        ({"w_in": np.ones(3)}, r"must be \(N, N\) and \(N,\)"),
        ({"w_h": np.eye(2)}, "radius 1: must be below 1"),
        ({"w_h": 10 * np.eye(2), "length": 400}, "leave float64 within 400 steps"),
    ],
)
def test_what_cannot_be_is_refused(change, message):
    given = {"w_h": np.eye(2) / 2, "w_in": np.ones(2), "lags": 4, "noise_variance": 0.1} | change
    with pytest.raises(ValueError, match=message):
        linear_memory_curve(**given)


@pytest.mark.parametrize("r2", [0.0, 0.3, 0.9])
def test_the_bias_and_the_scatter_of_a_held_out_r2(r2):
    """Least squares on fresh data, over and over: the mean within 4 standard errors, the scatter within 15 %."""
    numbers, train, test, draws = 6, 30, 300, 1500
    rng = np.random.default_rng(7)
    scores = np.empty(draws)
    for i in range(draws):
        x = rng.standard_normal((train + test, numbers))
        y = np.sqrt(r2) * x[:, 0] + np.sqrt(1 - r2) * rng.standard_normal(len(x))
        design = np.column_stack([np.ones(train), x[:train]])
        weights = np.linalg.lstsq(design, y[:train], rcond=None)[0]
        left = y[train:] - weights[0] - x[train:] @ weights[1:]
        scores[i] = 1 - np.mean(left**2) / y[train:].var(ddof=1)
    assert abs(scores.mean() - expected_held_out(r2, numbers, train)) < 4 * scores.std() / np.sqrt(draws)
    assert scores.std() == pytest.approx(float(held_out_sd(r2, numbers, train, test)), rel=0.15)


def test_too_few_sequences_have_no_expected_score():
    assert expected_held_out(0.5, 10, 13) < 0
    with pytest.raises(ValueError, match="train=12: must be at least 13"):
        expected_held_out(0.5, 10, 12)
    with pytest.raises(ValueError, match=r"r2=1\.5: must be between 0 and 1"):
        held_out_sd([0.5, 1.5], 10, 100, 100)
