"""Copying out of few bits: below what counting allows, better with more bits, and a violated bound is no result."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from information_cells import Found, cell

from seqscale.errors import SeqscaleError, UnsupportedError
from seqscale.layers.adapt import segment
from seqscale.probes import state_ceiling, trained
from seqscale.probes.base import silent
from seqscale.probes.state_ceiling import BITS, LARGEST_Z, refuse_above
from seqscale.probes.trained import Plan
from seqscale.tasks.seeds import TEST, VALIDATION, stream
from seqscale.tasks.tokens import TokenStream
from seqscale.theory.bounds import copy_ceiling

T, D, VALUES, N = 6, 4, 4, 8


@pytest.fixture(autouse=True)
def smaller(monkeypatch):
    monkeypatch.setitem(trained.SCORED, VALIDATION, 100)
    monkeypatch.setitem(trained.SCORED, TEST, 300)


def asked(layer, options=(), **given):
    tiny = {"symbols": VALUES, "bits": 5, "steps": 2, "rates": "0.03", "replicates": 2, "sequences": 32}
    return cell("state-ceiling", layer, T, D, options, tiny | given)


@cache
def learned():
    """Return what a ring leaves that is trained for a while, once for all tests."""
    return Found(asked("cyclic", {"hidden": N}, steps=150))


def test_accuracy_rises_with_the_bits_from_near_chance_and_stays_below_its_ceiling():
    found = learned()
    accuracy, ceiling = (found.curves[name] for name in ("accuracy", "ceiling"))
    assert accuracy.x == ceiling.x == tuple(sorted({*BITS, 5}))
    assert ceiling.exact and [row[0] for row in ceiling.values] == pytest.approx(
        copy_ceiling(np.array(ceiling.x) * N, T, VALUES).tolist()
    )
    by_bits = np.array(accuracy.values)
    assert (by_bits <= np.array(ceiling.values) + 0.02).all()
    assert (np.diff(by_bits, axis=0) > -0.03).all() and (by_bits[-1] > by_bits[0] + 0.1).all()
    assert by_bits.min() > 1 / VALUES


def test_readings_are_those_at_the_bits_that_are_asked_for():
    found = learned()
    at = found.curves["accuracy"].x.index(5)
    assert tuple(found.values("accuracy")) == found.curves["accuracy"].values[at]
    assert found.values("accuracy_ceiling") == list(found.curves["ceiling"].values[at]) * 2
    assert found.values("chance") == [1 / VALUES] * 2
    assert found.values("state_numbers") == [N] * 2 and found.values("learning_rate") == [0.03] * 2
    with_all_bits = found.curves["accuracy by rate"]
    assert with_all_bits.x == (0.03,)
    assert with_all_bits.values[0] == pytest.approx(found.curves["accuracy"].values[-1], abs=0.01)


@pytest.mark.parametrize("layer", ["gru", "lstm", "deltanet", "attention"])
def test_what_is_copied_is_what_readouts_of_rounded_states_say_by_hand(monkeypatch, layer):
    kept = {}
    monkeypatch.setattr(
        state_ceiling, "rounded", lambda *given, f=state_ceiling.rounded: kept.update(a=given) or f(*given)
    )
    found = state_ceiling.measure(Plan.of(asked(layer, bits=2)), silent)
    result, *_ = kept["a"]
    task, plan = TokenStream(tokens=T, symbols=VALUES), result.plan
    numbers = int(found.values["state_numbers"][0])
    for r, built in enumerate(plan.layers()):
        row = result.trained.rows[r]
        embedding, readout, bias, own = row.split(
            (D * VALUES, T * VALUES * numbers, T * VALUES, len(row) - D * VALUES - T * VALUES * (numbers + 1))
        )
        torch.nn.utils.vector_to_parameters(own.clone(), built.module.parameters())
        states, tokens = [], []
        for use, sequences in ((VALIDATION, 100), (TEST, 300)):
            drawn = task.draw(sequences, stream(0, r, use))
            x = torch.as_tensor(drawn.inputs) @ embedding.view(D, VALUES).T
            with torch.no_grad():
                _, state = segment(built.module, x, None)
            states.append(torch.cat([part.flatten(1) for part in state], dim=1).double().numpy())
            tokens.append(drawn.answers)
        low, high = states[0].min(axis=0), states[0].max(axis=0)
        level = np.clip(np.floor((states[1] - low) / (high - low) * 4), 0, 3)  # of two bits
        middles = low + (level + 0.5) * (high - low) / 4
        said = middles @ readout.view(-1, numbers).double().numpy().T + bias.double().numpy()
        right = said.reshape(-1, T, VALUES).argmax(axis=2) == tokens[1]
        assert found.values["accuracy"][r] == pytest.approx(right.mean(), abs=2 / right.size)


@settings(max_examples=40, deadline=None)
@given(rate=st.floats(0.2, 0.8), off=st.floats(-10, 10), seed=st.integers(0, 99))
def test_only_what_is_surely_above_a_ceiling_is_refused(rate, off, seed):
    right = (np.random.default_rng(seed).random((3, 2, 400)) < rate).astype(float)
    error = right[1, 1].std(ddof=1) / 20
    ceiling = np.array([1.0, right[1, 1].mean() - off * error, 1.0])
    assume(ceiling[1] >= 0)  # counting allows no less: below it replicate 0, which is never right, is refused too
    right[1, 0] = 0
    if off > LARGEST_Z + 1e-6:
        with pytest.raises(SeqscaleError, match=r"fault of the instrument: at 2 bits .* \(replicate 1\)"):
            refuse_above(right, ceiling, (1, 2, 3))
    elif off < LARGEST_Z - 1e-6:
        refuse_above(right, ceiling, (1, 2, 3))


def test_a_bound_that_is_violated_fails_the_cell(monkeypatch):
    monkeypatch.setattr(state_ceiling, "copy_ceiling", lambda bits, tokens, symbols: 0.05 + 0 * bits)
    with pytest.raises(
        SeqscaleError, match=r"fault of the instrument: at 1 bits an accuracy of 0\.\d+, where counting"
    ):
        Found(asked("gru"))


def test_without_a_state_or_with_one_too_large_nothing_is_trained():
    for layer, words in (("Stateless", "gives no state"), ("Large", "a readout sees 4,096 at most")):
        with pytest.raises(UnsupportedError, match=words):
            Found(asked(layer))


def test_a_number_that_never_moves_is_left_as_it_is():
    found = Found(asked("Constant"))
    accuracy = np.array(found.curves["accuracy"].values)
    assert np.ptp(accuracy, axis=0) == pytest.approx([0, 0])
    assert (np.abs(accuracy - 1 / VALUES) < 0.05).all()
