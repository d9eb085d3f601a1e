"""Trained recall: attention learns it, what crosses between segments is the state, the rate is not chosen on test."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
import torch
from information_cells import Found, cell

from seqscale.probes import recall, trained
from seqscale.probes.base import silent
from seqscale.probes.trained import Plan
from seqscale.tasks.seeds import TEST, VALIDATION

T, D, VALUES = 8, 8, 4


@pytest.fixture(autouse=True)
def smaller(monkeypatch):
    monkeypatch.setitem(trained.SCORED, VALIDATION, 100)  # no multiple of a step's sequences
    monkeypatch.setitem(trained.SCORED, TEST, 500)


def asked(layer, length=T, width=D, options=(), **given):
    tiny = {
        "pairs": 2, "keys": 4, "symbols": VALUES, "steps": 2, "rates": "0.01", "replicates": 2, "sequences": 32,
    }  # fmt: skip
    return cell("recall", layer, length, width, options, tiny | given)


@cache
def learned():
    """Return what attention leaves that is trained for long enough, once for all tests."""
    return Found(asked("attention", steps=200, rates="0.03"))


def by_chance(accuracies, answers=2 * 500):
    chance = 1 / VALUES
    return all(abs(a - chance) < 4 * (chance * (1 - chance) / answers) ** 0.5 for a in accuracies)


def test_attention_learns_two_pairs_and_all_of_it_is_in_the_keys_and_values_that_are_carried():
    found = learned()
    accuracy = found.values("accuracy")
    assert min(accuracy) > 0.9
    assert found.values("carried_accuracy") == pytest.approx(accuracy, abs=2 / 1000)  # ties by rounding at most
    assert by_chance(found.values("reset_accuracy"))
    assert found.note is None


@pytest.mark.parametrize("layer", ["gru", "lru", "Steps"])
def test_segments_with_the_state_carried_answer_as_one_pass(layer):
    found = Found(asked(layer))
    if layer == "Steps":
        assert not found.values("carried_accuracy") and not found.values("reset_accuracy")
        assert found.note == "the layer's forward takes no state, so no sequence of it can be cut in two"
    else:
        assert found.values("carried_accuracy") == found.values("accuracy")
        assert by_chance(found.values("reset_accuracy")) and found.note is None


def test_a_layer_whose_state_cannot_be_carried_is_trained_and_the_note_says_what_is_missing():
    found = Found(asked("Opaque"))
    assert len(found.values("accuracy")) == 2 and not found.values("carried_accuracy")
    assert found.note.startswith("carried_accuracy, reset_accuracy: the state cannot be carried: it holds a Kept")


def test_readings_are_what_the_task_demands():
    plain, zoology = (Found(asked("gru", 16, gaps=gaps, pairs=4, packing="apart")) for gaps in ("uniform", "power"))
    assert plain.values("source_bits") == [4 * 2] * 2
    assert zoology.values("source_bits") == pytest.approx([np.log2(4 * 3 * 2)] * 2)
    for found in (plain, zoology):
        assert found.values("chance") == [1 / VALUES] * 2
        assert found.values("state_numbers") == [D] * 2
        assert found.values("learning_rate") == [0.01] * 2
    assert zoology.values("keyless_accuracy") == [0.25] * 2
    assert min(plain.values("keyless_accuracy")) > 0.25


def test_accuracy_by_distance_is_counted_where_every_replicate_has_it():
    distances = np.array([[[1, 2], [2, 5]], [[2, 1], [1, 2]]])
    right = np.array([[[True, False], [True, True]], [[False, True], [False, True]]])
    (curve,) = recall.by_distance(distances, right)
    assert (curve.x, curve.values) == ((1, 2), ((1.0, 0.5), (0.5, 0.5)))


def test_distances_are_those_of_the_layout():
    """Of two pairs, in the first two of eight tokens, a query is 1 to 7 tokens away."""
    found = learned()
    curve = found.curves["accuracy by distance"]
    assert curve.x == tuple(range(1, T))
    assert np.min(curve.values) > 0.7


def test_the_oldest_quarter_is_of_the_first_pairs(monkeypatch):
    """A model that answers pair 0 right, and no other, of 8."""
    plan = Plan.of(asked("cyclic", 16, pairs=8, keys=8))

    def answers(models, rows, features, positions):
        context = features[:, :, :8]
        first, asks = context[:, :, 0, :8], features[:, :, 8:, :8]
        of_first = (torch.einsum("rbk,rbtk->rbt", first, asks) > 0).gather(2, positions - 8)
        values = context[:, :, :1, 8 : 8 + VALUES]
        wrong = context[:, :, :, 8 : 8 + VALUES].roll(1, -1)
        return torch.where(of_first.unsqueeze(-1), values.expand_as(wrong), wrong) + 0 * rows.sum()

    monkeypatch.setattr(recall, "picked", answers)
    found = recall.measure(plan, silent)
    assert found.values["accuracy"].tolist() == [1 / 8] * 2
    assert found.values["early_accuracy"].tolist() == [1 / 2] * 2
