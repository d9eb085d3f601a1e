"""The memory curve is R^2 of a readout of the last state, split by sequence; of linear layers it is the closed form."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from information_cells import Found, cell
from test_probe_state import one_by_one

from seqscale.errors import SeqscaleError
from seqscale.estimators.split import split_sequences
from seqscale.probes import memory_curve
from seqscale.probes.replicates import data_of
from seqscale.probes.state import carrier_of
from seqscale.theory.memory import cyclic_staircase, expected_held_out, held_out_sd

D = 4


def by_hand(asked, sequences, noise, scale, lags):
    """Read sequence after sequence, add the noise, and solve one least squares for each lag."""
    rng = data_of(asked)
    u = rng.standard_normal((sequences, asked.length))
    x = torch.zeros(sequences, asked.length, D)
    x[:, :, 0] = torch.as_tensor(scale * u)
    states = one_by_one(carrier_of(asked), x).astype(np.float64)
    sd = noise * np.sqrt(np.mean([column.var() for column in states.T]))
    seen = np.column_stack((states + sd * rng.standard_normal(states.shape), np.ones(sequences)))
    split = split_sequences(sequences, asked.seed)
    r2 = []
    for lag in range(lags):
        target = u[:, asked.length - 1 - lag]
        weights, *_ = np.linalg.lstsq(seen[split.train], target[split.train])
        error = target[split.test] - seen[split.test] @ weights
        r2.append(1 - np.mean(error**2) / target[split.test].var(ddof=1))
    return r2


@pytest.mark.parametrize("layer", ["gru", "lru", "deltanet", "Steps"])
@pytest.mark.parametrize(("noise", "scale"), [(0.1, 1.0), (1.0, 0.3)])
def test_it_is_what_least_squares_by_hand_finds(monkeypatch, layer, noise, scale):
    monkeypatch.setattr(memory_curve, "PENALTIES", (0.0,))
    given = {"lags": 5, "noise": noise, "scale": scale, "sequences": 300}
    asked = cell("memory-curve", layer, 7, D, conditions=given, seed=3)
    r2 = memory_curve.measure(asked).curves["r2"].values
    np.testing.assert_allclose(r2, by_hand(asked, 300, noise, scale, 5), rtol=0, atol=2e-4)


@pytest.mark.parametrize("layer", ["cyclic", "orthogonal", "diagonal", "lru"])
@pytest.mark.parametrize("noise", [0.001, 0.3])
def test_linear_layers_meet_their_closed_form(layer, noise):
    given = {"lags": 24, "noise": noise, "sequences": 2000, "replicates": 3}
    found = Found(cell("memory-curve", layer, 40, D, {"hidden": 8}, given))
    r2, closed = (np.array(found.curves[name].values) for name in ("r2", "closed form"))
    numbers, train, test = found.values("state_numbers")[0], found.facts["train"][0], found.facts["test"][0]
    allowed = 4 * held_out_sd(closed, int(numbers), train, test)
    assert (r2 <= closed + allowed).all()
    assert (r2 >= expected_held_out(closed, int(numbers), train) - allowed).all()
    np.testing.assert_allclose(found.curves["expected held out"].values, expected_held_out(closed, int(numbers), train))
    assert found.values("memory_capacity") == pytest.approx(r2.sum(axis=0))
    assert closed.sum() / 3 <= numbers


def test_a_ring_has_a_staircase():
    given = {"lags": 24, "noise": 0.0, "sequences": 1000, "replicates": 2}
    found = Found(cell("memory-curve", "cyclic", 200, D, {"hidden": 8, "radius": 0.9}, given))
    for replicate in range(2):
        curve = found.curves["closed form"].replicate(replicate)
        assert curve == pytest.approx(cyclic_staircase(8, 0.9, 24), abs=1e-6)


def test_a_constant_in_the_step_changes_nothing_and_a_squashing_one_has_no_closed_form():
    given = {"lags": 4, "sequences": 200, "replicates": 2}
    assert Found(cell("memory-curve", "Shifted", 6, D, conditions=given)).curves["closed form"].exact
    assert set(Found(cell("memory-curve", "gru", 6, D, conditions=given)).curves) == {"r2"}


def test_attention_keeps_every_input_in_a_state_that_is_larger_than_its_directions():
    given = {"lags": 40, "sequences": 400, "replicates": 2, "noise": 0.001}
    found = Found(cell("memory-curve", "attention", 40, D, {"heads": 1}, given))
    assert found.values("state_numbers") == [2 * 40 * D] * 2
    assert np.min(found.curves["r2"].values) > 0.99


def test_without_noise_a_singular_state_has_no_closed_form_and_the_note_says_so():
    given = {"lags": 4, "sequences": 200, "replicates": 2, "noise": 0.0}
    found = Found(cell("memory-curve", "orthogonal", 4, D, {"hidden": 8}, given))  # 4 inputs do not fill 8 numbers
    assert "closed form" not in found.curves
    assert found.note.startswith("no closed form: ") and found.note.endswith("(2 of 2 replicates)")


def test_a_state_that_nothing_moves_is_told():
    with pytest.raises(SeqscaleError, match="the same whatever is read"):
        memory_curve.measure(cell("memory-curve", "Constant", 4, D, conditions={"lags": 2, "sequences": 100}))
