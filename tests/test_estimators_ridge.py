"""Held-out R^2: against ridge regressions solved one by one, and against the closed form of linear memory."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seqscale.estimators.noise import read_noise_variance, read_with_noise
from seqscale.estimators.ridge import held_out_r2
from seqscale.estimators.split import split_sequences
from seqscale.theory.memory import expected_held_out, held_out_sd, linear_memory_curve

PENALTIES = (0.0, 1e-4, 1e-2, 1.0)


def one_by_one(features, targets, split, penalties):
    """Normal equations with an intercept for each target and penalty."""
    found = []
    for y in targets.T:
        scores = []
        for penalty in penalties:
            x_mean, y_mean = features[split.train].mean(axis=0), y[split.train].mean()
            x = features[split.train] - x_mean
            added = penalty * len(x) * np.mean(x.var(axis=0)) * np.eye(x.shape[1])
            weights = np.linalg.solve(x.T @ x + added, x.T @ (y[split.train] - y_mean))
            left = {part: y[i] - y_mean - (features[i] - x_mean) @ weights for part, i in parts(split)}
            scores.append(
                (np.mean(left["validation"] ** 2), 1 - np.mean(left["test"] ** 2) / y[split.test].var(ddof=1))
            )
        found.append(min(scores)[1])
    return np.array(found)


def parts(split):
    return [("validation", split.validation), ("test", split.test)]


@settings(deadline=None, max_examples=30)
@given(numbers=st.integers(1, 12), targets=st.integers(1, 5), seed=st.integers(0, 999))
def test_it_is_ridge_regression(numbers, targets, seed):
    rng = np.random.default_rng(seed)
    x = 3 + rng.standard_normal((120, numbers)) @ rng.standard_normal((numbers, numbers))
    y = x @ rng.standard_normal((numbers, targets)) + 5 * rng.standard_normal((120, targets))
    split = split_sequences(120, seed)
    expected = one_by_one(x, y, split, PENALTIES)
    assert held_out_r2(x, y, split, PENALTIES) == pytest.approx(expected, abs=1e-7)


def layer(kind, n, rng):
    w_in = rng.standard_normal(n) / np.sqrt(n)
    if kind == "orthogonal":
        return 0.95 * np.linalg.qr(rng.standard_normal((n, n)))[0], w_in
    if kind == "diagonal":
        return np.diag(rng.uniform(0.1, 0.95, n)), w_in
    w_h = rng.standard_normal((n, n))
    return 0.95 * w_h / np.abs(np.linalg.eigvals(w_h)).max(), w_in


def scores(kind, n, noise, length, seed):
    """The z score of each lag: held out minus expected, over its standard deviation."""
    rng, sequences, lags = np.random.default_rng(seed), 4000, n + 8
    w_h, w_in = layer(kind, n, rng)
    columns = np.column_stack([np.linalg.matrix_power(w_h, k) @ w_in for k in range(length)])
    u = rng.standard_normal((sequences, max(length, lags)))  # column k: the input k steps ago
    states, split = u[:, :length] @ columns.T, split_sequences(sequences, seed)
    relative = np.sqrt(noise / read_noise_variance(states, 1.0))
    found = held_out_r2(read_with_noise(states, relative, rng), u[:, :lags], split, (0.0,))
    curve = linear_memory_curve(w_h, w_in, lags, noise, length)
    expected = expected_held_out(curve, n, len(split.train))
    return (found - expected) / held_out_sd(curve, n, len(split.train), len(split.test))


@settings(deadline=None, max_examples=30, derandomize=True)
@given(
    kind=st.sampled_from(["orthogonal", "diagonal", "random"]),
    n=st.integers(2, 32),
    noise=st.sampled_from([1e-4, 1e-2, 1.0]),
    length=st.integers(1, 60),
    seed=st.integers(0, 999),
)
def test_linear_memory_is_its_closed_form(kind, n, noise, length, seed):
    assert np.abs(scores(kind, n, noise, length, seed)).max() <= 4


@pytest.mark.parametrize("kind", ["orthogonal", "diagonal", "random"])
def test_the_scores_scatter_as_much_as_said(kind):
    z = np.concatenate([scores(kind, 16, 1e-2, 40, seed) for seed in range(12)])
    assert abs(z.mean()) < 0.35
    assert np.mean(z**2) == pytest.approx(1, abs=0.3)


def test_what_is_not_there_scores_below_zero_unclipped():
    rng, split = np.random.default_rng(0), split_sequences(400, 0)
    found = held_out_r2(rng.standard_normal((400, 40)), rng.standard_normal((400, 20)), split, (0.0,))
    assert found.mean() == pytest.approx(float(expected_held_out(0.0, 40, len(split.train))), abs=0.06)
    assert found.min() < -0.1


def test_features_that_depend_on_each_other_change_nothing():
    rng, split = np.random.default_rng(0), split_sequences(300, 0)
    x = rng.standard_normal((300, 5))
    y = x @ rng.standard_normal((5, 2)) + rng.standard_normal((300, 2))
    double = np.column_stack([x, x[:, :2], np.ones(300)])
    assert held_out_r2(double, y, split, (0.0,)) == pytest.approx(held_out_r2(x, y, split, (0.0,)), abs=1e-9)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"penalties": ()}, "rows must match, with a penalty to try"),
        ({"penalties": (-1.0,)}, "penalties=-1: must be at least 0"),
        ({"targets": np.ones((99, 1))}, "rows must match"),
        ({"targets": np.ones((100, 2))}, "column 0 is constant"),
    ],
)
def test_what_cannot_be_is_refused(change, message):
    rng = np.random.default_rng(0)
    given = {"features": rng.standard_normal((100, 2)), "targets": rng.standard_normal((100, 2)), "penalties": (0.0,)}
    with pytest.raises(ValueError, match=message):
        held_out_r2(**(given | change), split=split_sequences(100, 0))
