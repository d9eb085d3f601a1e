"""Recall by a layer's own rule: known accuracies, forgetting and rebinding, against writes one by one by hand."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from information_cells import Found, cell

from seqscale.errors import UnsupportedError
from seqscale.layers.catalogue import LAYERS
from seqscale.probes import recall_constructed
from seqscale.probes.recall_constructed import (
    RULES,
    closed_form,
    constructed_trial,
    random_keys,
    rebound,
    recalled,
    scores,
)
from seqscale.theory.recall import additive_recall_accuracy, delta_forgetting

RNG = np.random.default_rng


def asked(layer, pairs, width, **given):
    conditions = {"form": "constructed", "pairs": pairs, "symbols": 8, "sequences": 64, "replicates": 2} | given
    return cell("recall", layer, pairs, width, conditions=conditions)


def rebinding(layer, keys, rewrites, **given):
    return asked(layer, keys * rewrites, 8, **({"form": "rebind", "keys": keys, "geometry": "orthonormal"} | given))


def by_hand(layer, keys, values, queries, symbols, logit):
    """Write pair after pair into a matrix, or weigh all pairs, for one trial in plain numpy."""
    if layer == "attention":
        weights = np.exp(logit * (queries @ keys.T))
        return (weights / weights.sum(axis=1, keepdims=True)) @ np.eye(symbols)[values]
    state = np.zeros((symbols, keys.shape[1]))
    for key, value in zip(keys, values, strict=True):
        kept = state @ key if layer == "deltanet" else 0
        state += np.outer(np.eye(symbols)[value] - kept, key)
    return queries @ state.T


@pytest.mark.parametrize("layer", RULES)
@settings(max_examples=15, deadline=None)
@given(
    trials=st.integers(1, 4),
    pairs=st.integers(1, 80),
    width=st.integers(1, 9),
    symbols=st.integers(2, 6),
    logit=st.floats(0, 20),
    seed=st.integers(0, 99),
)
def test_what_is_read_is_what_writes_one_by_one_leave(layer, trials, pairs, width, symbols, logit, seed):
    rng = RNG(seed)
    keys, values = random_keys(trials, pairs, width, "random", rng), rng.integers(symbols, size=(trials, pairs))
    positions = rng.integers(pairs, size=(trials, 3))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(recall_constructed, "NUMBERS", 200)  # in several batches
        read = scores(RULES[layer], keys, values, positions, symbols, logit)
    for r in range(trials):
        wanted = by_hand(layer, keys[r], values[r], keys[r, positions[r]], symbols, logit)
        np.testing.assert_allclose(read[r], wanted, rtol=0, atol=1e-9)


@settings(max_examples=20, deadline=None)
@given(pairs=st.integers(1, 6), width=st.integers(6, 12), seed=st.integers(0, 99))
def test_keys_are_of_length_one_and_orthonormal_where_asked(pairs, width, seed):
    np.testing.assert_allclose(np.linalg.norm(random_keys(3, pairs, width, "random", RNG(seed)), axis=2), 1)
    keys = random_keys(3, pairs, width, "orthonormal", RNG(seed))
    np.testing.assert_allclose(keys @ keys.swapaxes(1, 2), np.tile(np.eye(pairs), (3, 1, 1)), atol=1e-12)
    assert np.abs(keys[0] - keys[1]).max() > 1e-3  # each trial has its own


@pytest.mark.parametrize(
    ("width", "symbols", "pairs"), [(16, 2, 32), (16, 16, 8), (16, 16, 64), (32, 8, 48), (32, 32, 256)]
)
def test_the_mixture_formula_holds_for_many_features(width, symbols, pairs):
    """Within 0.01 for d >= 16 and V <= d, chance apart."""
    given = asked("linear-attention", pairs, width, symbols=symbols, sequences=250)
    _, right = recalled(given, pairs, RNG(1))
    each = right.mean(axis=1)
    allowed = 0.01 + 4 * each.std(ddof=1) / 250**0.5
    assert closed_form(given, pairs) == additive_recall_accuracy(pairs, width, symbols)
    assert abs(each.mean() - closed_form(given, pairs)) <= allowed


@pytest.mark.parametrize(("width", "symbols", "pairs"), [(4, 8, 8), (4, 2, 4), (8, 16, 12), (16, 64, 30)])
def test_with_few_features_it_is_what_drawing_by_hand_gives(width, symbols, pairs):
    given = asked("linear-attention", pairs, width, symbols=symbols, sequences=1500)
    _, right = recalled(given, pairs, RNG(2))
    rng, trials = RNG(3), 3000
    drawn = rng.standard_normal((trials, pairs, width))
    overlaps = np.einsum("rkd,rd->rk", drawn, drawn[:, 0]) / np.linalg.norm(drawn, axis=2)
    values, sums = rng.integers(symbols, size=(trials, pairs)), np.zeros((trials, symbols))
    np.add.at(sums, (np.arange(trials)[:, None], values), overlaps / np.linalg.norm(drawn[:, 0], axis=1)[:, None])
    by_drawing, each = (sums.argmax(axis=1) == values[:, 0]), right.mean(axis=1)
    error = math.hypot(by_drawing.std() / trials**0.5, each.std(ddof=1) / len(each) ** 0.5)
    assert abs(each.mean() - by_drawing.mean()) <= 4 * error


def test_the_delta_rule_forgets_at_the_known_rate():
    rng, trials, pairs, width, symbols = RNG(0), 1500, 24, 8, 4
    keys, values = random_keys(trials, pairs, width, "random", rng), rng.integers(symbols, size=(trials, pairs))
    read = scores(RULES["deltanet"], keys, values, np.arange(pairs), symbols, 1.0)
    right = np.take_along_axis(read, values[:, :, None], axis=2)[:, :, 0]
    # what further writes put under the value's own number has mean zero but for its share of pairs
    wrong = (read.sum(axis=2) - right) / (symbols - 1)
    error = 4 * (right - wrong).std(axis=0, ddof=1) / trials**0.5
    known = delta_forgetting(np.arange(pairs)[::-1], width)
    assert (np.abs((right - wrong).mean(axis=0) - known) <= error + 1e-9).all()


@pytest.mark.parametrize("layer", RULES)
def test_with_keys_that_do_not_overlap_all_is_recalled(layer):
    found = Found(asked(layer, 8, 8, geometry="orthonormal"))
    assert found.values("accuracy") == [1, 1]
    for name in ("accuracy", "closed form"):
        assert set(np.ravel(found.curves[name].values)) == {1.0}
    assert set(np.ravel(found.curves["accuracy by distance"].values)) == {1.0}


def test_attention_with_separated_random_keys_recalls_all_where_the_logit_is_high():
    assert Found(asked("attention", 16, 64, logit=40.0)).values("accuracy") == [1, 1]
    flat = Found(asked("attention", 16, 64, logit=0.0, sequences=400))
    assert max(flat.values("accuracy")) < 0.5  # all values weigh the same: the most frequent one is answered
    assert "closed form" not in flat.curves


def test_a_closed_form_is_given_only_where_there_is_one():
    assert closed_form(asked("attention", 8, 8, geometry="orthonormal", logit=2.0), 8) == 1.0  # e^2 > 7
    assert closed_form(asked("attention", 8, 8, geometry="orthonormal", logit=1.0), 8) is None
    assert closed_form(asked("attention", 8, 8, geometry="orthonormal", logit=1e4), 8) == 1.0
    assert closed_form(asked("deltanet", 8, 8), 8) is None
    assert closed_form(asked("attention", 8, 8), 8) is None


@settings(max_examples=20, deadline=None)
@given(keys=st.integers(1, 6), rewrites=st.integers(1, 5), seed=st.integers(0, 99))
def test_the_value_that_was_written_last_is_asked_for(keys, rewrites, seed):
    seen = {}

    def reads(rule, written, values, last, symbols, logit):
        seen.update(written=written, values=values, last=last)
        return np.eye(symbols)[np.take_along_axis(values, last, axis=1)]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(recall_constructed, "scores", reads)
        assert rebound(rebinding("deltanet", keys, rewrites, sequences=3), rewrites, RNG(seed)).all()
    for written, last in zip(seen["written"], seen["last"], strict=True):
        same = np.isclose(written @ written.T, 1)  # by key
        assert (same.sum(axis=1) == rewrites).all()
        assert sorted(last) == sorted({int(np.flatnonzero(row).max()) for row in same})


def test_only_the_delta_rule_binds_again():
    """Orthonormal keys, each written 8 times: the delta rule replaces, the others mix old values with the last."""
    accuracy = {layer: Found(rebinding(layer, 8, 8, sequences=200)) for layer in RULES}
    assert accuracy["deltanet"].values("accuracy") == [1, 1]
    for layer in ("linear-attention", "attention"):
        assert max(accuracy[layer].values("accuracy")) < 0.5
    for found in accuracy.values():
        curve = found.curves["accuracy"]
        assert (curve.by, curve.x) == ("rewrites", (1, 2, 4, 8))
        assert set(curve.values[0]) == {1.0}  # written once, all recall


def test_readings_count_what_is_asked_and_kept():
    for layer, numbers in (("attention", 32 * (8 + 8)), ("deltanet", 8 * 8), ("linear-attention", 8 * 8)):
        again = Found(rebinding(layer, 4, 8))
        assert again.values("state_numbers") == [numbers] * 2
        assert again.values("source_bits") == [4 * 3] * 2  # a key's last value only
        once = Found(asked(layer, 32, 8))
        assert once.values("state_numbers") == [numbers] * 2
        assert once.values("source_bits") == [32 * 3] * 2
        assert once.values("chance") == [1 / 8] * 2
        assert once.curves["accuracy"].x == (1, 2, 4, 8, 16, 32)
        assert once.values("accuracy") == list(once.curves["accuracy"].values[-1])
        by_distance = np.array(once.curves["accuracy by distance"].values)
        assert by_distance.mean(axis=0) == pytest.approx(once.values("accuracy"))


def test_distances_count_from_the_newest_pair():
    """Of a rule that replaces, what was written last is always right, and what is older less and less often."""
    found = Found(asked("deltanet", 200, 8, sequences=100))
    curve = found.curves["accuracy by distance"]
    assert curve.x[0] == 0 and curve.x[-1] == 199 and len(curve.x) == 64
    by_distance = np.array(curve.values)
    assert (by_distance[0] == 1).all()
    assert (by_distance[:8].mean(axis=0) > by_distance[-8:].mean(axis=0) + 0.2).all()


@pytest.mark.parametrize("layer", [name for name in LAYERS if name not in RULES])
@pytest.mark.parametrize("form", ["constructed", "rebind"])
def test_other_layers_take_no_keys(layer, form):
    with pytest.raises(
        UnsupportedError, match="keys cannot be given to it: only linear-attention, deltanet, attention"
    ):
        constructed_trial(asked(layer, 8, 8, form=form, keys=4))


def test_a_decay_is_refused_as_the_rule_that_is_asked_has_none():
    plain = asked("linear-attention", 8, 8)
    constructed_trial(replace(plain, options={"decay": 1.0}))
    with pytest.raises(UnsupportedError, match="has no decay: leave the option out"):
        constructed_trial(replace(plain, options={"decay": 0.5}))
