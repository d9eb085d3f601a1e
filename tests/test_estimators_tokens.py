"""Bits about tokens: against discriminants worked out one by one, against known codes, and never more than can be."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize_scalar

from seqscale.estimators.features import random_features
from seqscale.estimators.noise import read_noise_variance, read_with_noise
from seqscale.estimators.split import Split, split_sequences
from seqscale.estimators.tokens import decode_tokens, shuffled_bits
from seqscale.theory.bounds import bits_that_fit, fano_bits, log_det_bits


def network(kind, units, symbols, distances, sequences, seed, noise=0.01):
    """States of a random recurrence that has read tokens, with noise; tokens by distance; the noise's variance."""
    rng = np.random.default_rng(seed)
    tokens = rng.integers(symbols, size=(sequences, distances + 8))
    embedded = rng.standard_normal((symbols, units))
    w_h = 0.95 * np.linalg.qr(rng.standard_normal((units, units)))[0]
    if kind == "saturated":
        w_h, embedded = rng.standard_normal((units, units)) / np.sqrt(units), 2 * embedded
    states = np.zeros((sequences, units))
    for token in tokens.T:
        states = states @ w_h.T + embedded[token]
        if kind != "linear":
            states = np.tanh(states)
    return read_with_noise(states, noise, rng), tokens[:, ::-1][:, :distances], read_noise_variance(states, noise)


def downhill(cost, step=0.02):
    """The least place of a cost that walking down from 0 leads to."""
    step, place = step if cost(step) < cost(-step) else -step, 0.0
    while cost(place + step) < cost(place):
        place += step
    return minimize_scalar(cost, bounds=(place - abs(step), place + abs(step)), method="bounded").x


def one_by_one(states, tokens, symbols, split, penalty):
    """Bits, accuracy and capacity, the covariance within symbols written down for each distance."""
    train, mean = states[split.train], states[split.train].mean(axis=0)
    added = penalty * np.mean(train.var(axis=0)) * np.eye(states.shape[1])
    found = []
    for truth in tokens.T:
        means = np.array([train[truth[split.train] == v].mean(axis=0) for v in range(symbols)])
        left = train - means[truth[split.train]]
        inverse = np.linalg.inv(left.T @ left / len(train) + added)

        def scores(x, means=means - mean, inverse=inverse):
            return (x - mean) @ inverse @ means.T - np.einsum("vi,ij,vj->v", means, inverse, means) / 2

        def log_chance(beta, part, scores=scores):
            scaled = beta * scores(states[part])
            return scaled - np.logaddexp.reduce(scaled, axis=1, keepdims=True)

        def gain(beta, part=split.validation, log_chance=log_chance, truth=truth):
            return log_chance(beta, part)[np.arange(len(part)), truth[part]].sum() + len(part) * np.log(symbols)

        def penalised(log_beta, part=split.validation, log_chance=log_chance, gain=gain, scores=scores):
            chance, score = np.exp(log_chance(np.exp(log_beta), part)), scores(states[part])
            information = np.sum(chance * (score - np.sum(chance * score, axis=1, keepdims=True)) ** 2)
            return -gain(np.exp(log_beta)) - np.log(information + 1e-300) / 2

        best = max(np.exp(downhill(penalised)), 1.0, key=gain)
        worth = gain(best) > np.log(len(split.validation)) / 2
        bits = gain(best * worth, split.test) / len(split.test) / np.log(2)
        right = scores(states[split.test]).argmax(axis=1) == truth[split.test]

        indicators = np.eye(symbols)[truth]
        share = indicators[split.train].mean(axis=0)
        x = train - mean
        weights = np.linalg.solve(x.T @ x / len(x) + added, x.T @ (indicators[split.train] - share) / len(x))
        residual = indicators[split.test] - share - (states[split.test] - mean) @ weights
        contrasts = np.linalg.svd(np.eye(symbols) - 1 / symbols)[0][:, : symbols - 1]
        capacity = sum(1 - symbols * np.mean((residual @ c) ** 2) for c in contrasts.T)
        found.append((bits, right.mean(), capacity))
    return np.array(found).T


@settings(deadline=None, max_examples=12)
@given(
    kind=st.sampled_from(["linear", "tanh", "saturated"]),
    units=st.integers(1, 12),
    symbols=st.integers(2, 6),
    penalty=st.sampled_from([1e-9, 1e-3, 0.3]),
    seed=st.integers(0, 999),
)
def test_one_factorisation_for_all_is_one_for_each(kind, units, symbols, penalty, seed):
    states, tokens, _ = network(kind, units, symbols, 6, 1000, seed, noise=0.2)
    split = split_sequences(1000, seed)
    found = decode_tokens(states, tokens, symbols, split, (penalty,))
    bits, accuracy, capacity = one_by_one(states, tokens, symbols, split, penalty)
    assert found.variational == pytest.approx(bits, abs=2e-3)
    assert found.accuracy == pytest.approx(accuracy, abs=1e-9)
    assert found.capacity == pytest.approx(capacity, abs=1e-6)
    assert found.fano == pytest.approx(fano_bits(1 - accuracy, symbols))
    assert found.by_sequence.mean(axis=0) == pytest.approx(found.variational)


def two_points(noise):
    """Bits that 1 or -1 in normal noise tells of its sign."""
    y = np.linspace(-40, 40, 80_001)
    given_one = np.exp(-((y - 1) ** 2) / (2 * noise**2)) / np.sqrt(2 * np.pi * noise**2)
    return 1 - np.sum(given_one * np.logaddexp(0, -2 * y / noise**2) / np.log(2)) * (y[1] - y[0])


@pytest.mark.parametrize("noise", [0.3, 1.0, 3.0])
def test_two_points_in_noise_tell_their_exact_information(noise):
    rng, sequences = np.random.default_rng(0), 40_000
    tokens = rng.integers(2, size=(sequences, 1))
    found = decode_tokens(
        2 * tokens - 1 + noise * rng.standard_normal((sequences, 1)), tokens, 2, split_sequences(sequences, 0)
    )
    exact = two_points(noise)
    assert abs(found.variational[0] - exact) < 4 * found.by_sequence.std() / np.sqrt(len(found.by_sequence))
    assert found.fano[0] < exact


def test_a_validation_without_mistakes_is_not_taken_for_certainty():
    noise, found = 0.4, []
    for seed in range(60):
        rng = np.random.default_rng(seed)
        tokens = rng.integers(2, size=(1000, 1))
        states = 2 * tokens - 1 + noise * rng.standard_normal((1000, 1))
        split = split_sequences(1000, seed)
        if ((states > 0) == tokens)[split.validation].all():
            found.append(decode_tokens(states, tokens, 2, split).variational[0])
    assert len(found) > 15
    assert np.mean(found) == pytest.approx(two_points(noise), abs=0.02)
    assert min(found) > two_points(noise) - 0.1


def test_tokens_written_down_side_by_side_are_found_whole():
    rng = np.random.default_rng(0)
    tokens = rng.integers(4, size=(2000, 5))
    states = np.eye(4)[tokens].reshape(2000, -1) + 1e-3 * rng.standard_normal((2000, 20))
    found = decode_tokens(states, tokens, 4, split_sequences(2000, 0))
    assert found.accuracy == pytest.approx([1] * 5)
    assert found.variational == pytest.approx([2] * 5, abs=1e-6)
    assert found.fano == pytest.approx([2] * 5)
    assert found.capacity == pytest.approx([3] * 5, abs=1e-3)


@pytest.mark.parametrize("kind", ["linear", "tanh", "saturated"])
@pytest.mark.parametrize(("units", "symbols"), [(4, 8), (16, 8), (48, 3)])
def test_no_bound_is_exceeded(kind, units, symbols):
    states, tokens, variance = network(kind, units, symbols, 32, 4000, 1)
    split = split_sequences(4000, 1)
    found = decode_tokens(states, tokens, symbols, split)
    total = found.by_sequence.sum(axis=1)
    se = total.std() / np.sqrt(len(total))
    signal = np.cov(states.T) - variance * np.eye(units)
    bound = bits_that_fit(40, symbols, units, 53, log_det_bits(signal, variance))
    assert 1 < total.mean() <= bound + 4 * se
    assert found.fano.sum() - 32 / (2 * len(total) * np.log(2)) <= bound + 4 * se
    assert 1 < found.capacity.sum() <= units + 4 * np.sqrt(units / len(total))
    assert (found.capacity <= symbols - 1 + 1e-9).all()


@pytest.mark.parametrize("kind", ["linear", "saturated"])
@pytest.mark.parametrize(("units", "distances", "sequences"), [(8, 32, 2000), (24, 100, 3000), (200, 20, 1000)])
def test_tokens_of_other_sequences_are_not_found(kind, units, distances, sequences):
    states, tokens, _ = network(kind, units, 8, distances, sequences, 2)
    split = split_sequences(sequences, 2)
    for seed in range(3):
        bits, se = shuffled_bits(states, tokens, 8, split, np.random.default_rng(seed))
        assert abs(bits) <= 4 * se


def test_the_control_fails_where_what_is_scored_was_fitted_to():
    states, tokens, _ = network("linear", 200, 8, 10, 1000, 2)
    honest = split_sequences(1000, 2)
    seen = Split(train=honest.train, validation=honest.train[:150], test=honest.train[150:300])
    bits, se = shuffled_bits(states, tokens, 8, seen, np.random.default_rng(0))
    assert bits > 4 * se > 0


def test_the_names_of_symbols_and_the_axes_of_the_state_do_not_matter():
    states, tokens, _ = network("tanh", 6, 5, 8, 1500, 3)
    split, rng = split_sequences(1500, 3), np.random.default_rng(0)
    turn = np.linalg.qr(rng.standard_normal((6, 6)))[0]
    one = decode_tokens(states, tokens, 5, split)
    other = decode_tokens(7 * states @ turn + 3, rng.permutation(5)[tokens], 5, split)
    assert other.variational == pytest.approx(one.variational, abs=1e-6)
    assert other.capacity == pytest.approx(one.capacity, abs=1e-6)


def test_random_features_find_what_no_linear_readout_does():
    rng = np.random.default_rng(0)
    states = rng.standard_normal((4000, 2))
    tokens = (states.prod(axis=1, keepdims=True) > 0).astype(int)
    split = split_sequences(4000, 0)
    features = random_features(states, split, 200, rng)
    assert features.shape == (4000, 202)
    assert decode_tokens(states, tokens, 2, split).variational[0] < 0.01
    assert decode_tokens(features, tokens, 2, split).variational[0] > 0.6
    bits, se = shuffled_bits(features, tokens, 2, split, rng)
    assert abs(bits) <= 4 * se


def test_a_number_that_never_moves_stays_out_of_the_features():
    states = np.column_stack([np.random.default_rng(0).standard_normal(100), np.full(100, 7.0)])
    features = random_features(states, split_sequences(100, 0), 5, np.random.default_rng(1))
    assert np.isfinite(features).all()
    assert (features[:, 1] == 0).all()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"symbols": 1}, "symbols=1: must be at least 2"),
        ({"symbols": 3}, "tokens=3: must be between 0 and 2"),
        ({"symbols": 5}, "must show symbol 4 at distance 0; give more sequences"),
        ({"states": np.ones((99, 2))}, "rows must match, with a penalty to try"),
        ({"states": np.ones((100, 2))}, "states: mean variance=0: must be above 0"),
        ({"penalties": ()}, "with a penalty to try"),
        ({"penalties": (0.0,)}, "penalties=0: must be above 0"),
    ],
)
def test_what_cannot_be_is_refused(change, message):
    rng = np.random.default_rng(0)
    given = {"states": rng.standard_normal((100, 2)), "tokens": rng.integers(4, size=(100, 3)), "symbols": 4}
    with pytest.raises(ValueError, match=message):
        decode_tokens(**(given | change), split=split_sequences(100, 0))
