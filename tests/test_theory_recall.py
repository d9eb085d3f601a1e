"""Recall from outer products: the mixture formula against its own model and against real keys; forgetting; softmax."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seqscale.theory.recall import (
    additive_recall_accuracy,
    delta_forgetting,
    distinct_values_bits,
    independent_values_bits,
    logit_needed,
    softmax_target_weight,
)


def own_model(pairs, dimension, values, draws, rng):
    """How often the right value's score is the largest, drawn from the scores that the formula assumes."""
    crowd = rng.binomial(pairs - 1, 1 / values, (draws, values))
    scores = rng.standard_normal((draws, values)) * np.sqrt(crowd / dimension)
    scores[:, 0] += 1
    return float((scores[:, 0] > scores[:, 1:].max(axis=1)).mean())


def unit_keys(shape, rng):
    keys = rng.standard_normal(shape)
    return keys / np.linalg.norm(keys, axis=-1, keepdims=True)


def real_keys(pairs, dimension, values, draws, rng):
    """How often S k points to the value stored with k, S written down and read."""
    right = 0
    for _ in range(draws):
        keys, stored = unit_keys((pairs, dimension), rng), rng.integers(values, size=pairs)
        state = np.eye(values)[:, stored] @ keys
        right += int((state @ keys[0]).argmax() == stored[0])
    return right / draws


@pytest.mark.parametrize(
    ("pairs", "documented"),
    [(4, 0.9982), (8, 0.9885), (16, 0.9462), (32, 0.8154), (64, 0.5907), (128, 0.3879), (256, 0.2585)],
)
def test_the_values_of_the_document(pairs, documented):
    assert additive_recall_accuracy(pairs, 16, 16) == pytest.approx(documented, abs=1e-4)


@pytest.mark.parametrize(
    ("pairs", "dimension", "values"), [(2, 1, 2), (3, 4, 2), (8, 4, 16), (40, 8, 5), (100, 64, 16), (300, 2, 3)]
)
def test_the_quadrature_is_the_formula(pairs, dimension, values):
    draws = 400_000
    found = own_model(pairs, dimension, values, draws, np.random.default_rng(pairs))
    formula = additive_recall_accuracy(pairs, dimension, values)
    assert abs(found - formula) < 4 * math.sqrt(formula * (1 - formula) / draws) + 1e-4


@pytest.mark.parametrize(
    ("pairs", "dimension", "values"), [(4, 16, 16), (16, 16, 8), (64, 16, 16), (32, 32, 32), (100, 64, 16)]
)
def test_real_keys_are_within_a_hundredth(pairs, dimension, values):
    draws = 6000
    found = real_keys(pairs, dimension, values, draws, np.random.default_rng(1))
    formula = additive_recall_accuracy(pairs, dimension, values)
    assert abs(found - formula) < 0.01 + 4 * math.sqrt(formula * (1 - formula) / draws)


def test_in_four_dimensions_the_formula_is_off_by_several_hundredths():
    draws = 10_000
    off = real_keys(6, 4, 16, draws, np.random.default_rng(0)) - additive_recall_accuracy(6, 4, 16)
    assert 0.03 < off < 0.07


@settings(deadline=None, max_examples=40)
@given(pairs=st.integers(1, 600), dimension=st.integers(1, 80), values=st.integers(2, 40))
def test_it_lies_between_chance_and_one_and_falls_with_pairs(pairs, dimension, values):
    accuracy = additive_recall_accuracy(pairs, dimension, values)
    assert 1 / values < accuracy <= 1 + 1e-9
    assert additive_recall_accuracy(pairs + 10, dimension, values) < accuracy + 1e-9
    assert additive_recall_accuracy(1, dimension, values) == pytest.approx(1)


@pytest.mark.parametrize(("dimension", "distance"), [(2, 3), (16, 1), (16, 8), (64, 40)])
def test_later_writes_of_the_delta_rule_leave_this_much(dimension, distance):
    rng, draws = np.random.default_rng(2), 20_000
    asked = unit_keys((draws, dimension), rng)
    left = asked.copy()
    for _ in range(distance):  # the row of the state that holds the value 1, (I - k k') each time
        keys = unit_keys((draws, dimension), rng)
        left -= (left * keys).sum(axis=1, keepdims=True) * keys
    overlap = (left * asked).sum(axis=1)
    assert abs(overlap.mean() - delta_forgetting(distance, dimension)) < 4 * overlap.std() / math.sqrt(draws)


def test_the_forgetting_of_the_document():
    found = delta_forgetting([1, 2, 4, 8, 16, 32], 16)
    assert found == pytest.approx([0.9375, 0.8789, 0.7725, 0.5967, 0.3561, 0.1268], abs=5e-5)


@given(pairs=st.integers(1, 10**6), logit=st.floats(-700, 1000))
def test_the_weight_of_separated_keys_is_a_softmax(pairs, logit):
    weight = float(softmax_target_weight(pairs, logit))
    longest = max(logit, 0.0)
    naive = math.exp(logit - longest) / (math.exp(logit - longest) + (pairs - 1) * math.exp(-longest))
    assert weight == pytest.approx(naive, rel=1e-9)


@given(pairs=st.integers(2, 10**6), weight=st.floats(1e-6, 1 - 1e-6))
def test_the_logit_needed_gives_the_weight_asked_for(pairs, weight):
    assert softmax_target_weight(pairs, logit_needed(pairs, weight)) == pytest.approx(weight, rel=1e-8)


def test_bits_demanded():
    assert independent_values_bits([0, 1, 10], 8) == pytest.approx([0, 3, 30])
    assert distinct_values_bits(3, 4) == pytest.approx(math.log2(4 * 3 * 2))
    assert distinct_values_bits(0, 4) == 0
    assert distinct_values_bits(32, 64) < independent_values_bits(32, 64)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: additive_recall_accuracy(0, 4, 4), "pairs=0: must be at least 1"),
        (lambda: additive_recall_accuracy(4, 0, 4), "dimension=0: must be at least 1"),
        (lambda: additive_recall_accuracy(4, 4, 1), "values=1: must be at least 2"),
        (lambda: delta_forgetting([1, -1], 4), "distance=-1: must be at least 0"),
        (lambda: softmax_target_weight(0, 1.0), "pairs=0: must be at least 1"),
        (lambda: logit_needed(1, 0.5), "pairs=1: must be at least 2"),
        (lambda: logit_needed(2, 1.0), "weight=1: must be above 0 and below 1"),
        (lambda: distinct_values_bits(5, 4), "pairs=5: must be between 0 and 4"),
        (lambda: independent_values_bits(-1, 4), "pairs=-1: must be at least 0"),
    ],
)
def test_what_cannot_be_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()
