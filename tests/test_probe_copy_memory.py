"""Copy-memory: exact baseline, steps to half of it reached where it is easy, censored with a note where it is not."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from information_cells import Found, cell

from seqscale.probes import trained
from seqscale.probes.copy_memory import task_of
from seqscale.probes.half import BLOCKS, in_blocks, steps_to
from seqscale.tasks.seeds import TEST, VALIDATION
from seqscale.theory.baselines import copy_memory_baseline

EASY = {"memorised": 1, "symbols": 2, "steps": 160, "rates": "0.0001,0.03"}


@pytest.fixture(autouse=True)
def smaller(monkeypatch):
    monkeypatch.setitem(trained.SCORED, VALIDATION, 64)
    monkeypatch.setitem(trained.SCORED, TEST, 200)


def asked(layer="elman", length=4, **given):
    return cell("copy-memory", layer, length, 4, (), {"replicates": 2, "sequences": 16} | given)


def test_an_easy_one_is_learned_and_the_steps_to_half_are_where_the_curve_crosses():
    found = Found(asked(**EASY))
    assert found.values("accuracy") == [1, 1] and max(found.values("loss")) < 0.1
    assert found.values("learning_rate") == [0.03, 0.03] and found.note is None
    curve, steps = found.curves["loss"], found.values("steps_to_half")
    for r, reached in enumerate(steps):
        crossing = next(i for i, loss in enumerate(curve.replicate(r)) if loss <= math.log(2) / 2)
        assert crossing > 0 and curve.x[crossing] == reached < 160
    assert curve.x == tuple(range(4, 161, 4))
    by_rate = found.curves["steps by rate"]
    assert by_rate.x == (0.03,) and by_rate.values == (tuple(steps),)  # the small rate got nowhere
    assert found.values("state_numbers") == [4, 4]


def test_what_is_not_reached_within_the_steps_has_no_number_and_a_note():
    found = Found(asked(length=9, memorised=2, symbols=8, steps=3, rates="0.001"))
    assert not found.values("steps_to_half") and "steps by rate" not in found.curves
    half = f"half of {math.log(8):.4g} not within 3 steps"
    assert found.note == f"{half} (replicate 0); {half} (replicate 1)"
    assert min(found.values("loss")) > math.log(8) / 2 and max(found.values("accuracy")) < 0.5
    assert found.curves["loss"].x == (1, 2, 3)


@pytest.mark.parametrize(("length", "memorised", "symbols"), [(21, 10, 8), (120, 10, 8), (9, 2, 3)])
def test_the_baseline_is_exact_and_the_layout_has_the_cells_length(length, memorised, symbols):
    given = asked(length=length, memorised=memorised, symbols=symbols)
    task = task_of(given)
    assert (task.length, task.memorised, task.symbols) == (length, memorised, symbols)
    published = copy_memory_baseline(memorised, symbols, task.delay)  # the mean over all tokens, blanks among them
    assert task.blind_loss * memorised / length == pytest.approx(published)
    if length == 9:
        found = Found(asked(length=length, memorised=memorised, symbols=symbols, steps=2, rates="0.001"))
        assert found.curves["baseline"].exact and found.curves["baseline"].x == found.curves["loss"].x
        assert found.curves["baseline"].values == ((math.log(3),),) * 2


@given(steps=st.integers(1, 400), seed=st.integers(0, 99), low=st.floats(0, 1))
def test_blocks_are_even_and_the_first_that_is_low_enough_counts(steps, seed, low):
    losses = np.random.default_rng(seed).random((steps, 3))
    losses[steps // 2 :, 2] = np.nan  # one that diverged
    ends, means = in_blocks(losses)
    size = ends[0]
    assert all(end == (i + 1) * size for i, end in enumerate(ends)) and 0 <= steps - ends[-1] < size
    assert len(ends) == steps if steps < BLOCKS else BLOCKS <= len(ends) < 2 * BLOCKS
    reached = steps_to(ends, means, low)
    for m in range(3):
        wanted = [end for end in ends if losses[end - size : end, m].mean() <= low]
        assert reached[m] == wanted[0] if wanted else np.isnan(reached[m])
