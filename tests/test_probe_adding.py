"""Adding: the exact baseline, steps to half of it reached where it is easy, censored with a note where it is not."""

from __future__ import annotations

import pytest
from information_cells import Found, cell

from seqscale.probes import trained
from seqscale.tasks.seeds import TEST, VALIDATION

FEW = {"replicates": 2, "sequences": 32, "steps": 3, "rates": "0.0001"}


@pytest.fixture(autouse=True)
def smaller(monkeypatch):
    monkeypatch.setitem(trained.SCORED, VALIDATION, 64)
    monkeypatch.setitem(trained.SCORED, TEST, 200)


def asked(layer, length, **given):
    return cell("adding", layer, length, 4, (), FEW | given)


def test_two_tokens_are_added_soon():
    found = Found(asked("lru", 2, steps=120, rates="0.0001,0.1"))
    assert max(found.values("squared_error")) < 1 / 60 and found.note is None
    assert found.values("learning_rate") == [0.1, 0.1]
    curve = found.curves["loss"]
    for r, reached in enumerate(found.values("steps_to_half")):
        assert reached == next(x for x, loss in zip(curve.x, curve.replicate(r), strict=True) if loss <= 1 / 12)
        assert reached > curve.x[0]
    assert found.curves["steps by rate"].values == (tuple(found.values("steps_to_half")),)


def test_a_few_steps_do_not_suffice_and_the_note_says_so():
    found = Found(asked("Steps", 12))
    assert not found.values("steps_to_half")
    assert found.note == "; ".join(f"half of 0.1667 not within 3 steps (replicate {r})" for r in (0, 1))
    assert min(found.values("squared_error")) > 1 / 12
    assert found.curves["baseline"].exact and found.curves["baseline"].values == ((1 / 6,),) * 3


def test_a_layer_without_a_state_is_trained_and_the_note_says_what_is_missing():
    found = Found(asked("Stateless", 4))
    assert len(found.values("squared_error")) == 2 and not found.values("state_numbers")
    assert "; state_numbers: the layer has no state to read" in found.note
