"""Nothing crosses a cut but the state: every layer gives what one pass gives, and one that cheats is found out."""

from __future__ import annotations

import math
import sys
from functools import partial

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from information_cells import Found, cell
from test_probe_state import LAYER_NAMES

from seqscale.errors import SeqscaleError
from seqscale.estimators.split import split_sequences
from seqscale.estimators.tokens import decode_tokens
from seqscale.probes import segments
from seqscale.probes.readout import read_out
from seqscale.probes.replicates import as_features, data_of
from seqscale.probes.segments import donors, identity_error, swap_error, swapped
from seqscale.probes.state import carrier_of

D, V = 4, 4
GIVEN = {"symbols": V, "sequences": 400, "replicates": 2}
ALLOWED = {"float32": 1e-6, "float64": 1e-12}

every_layer = pytest.mark.parametrize("layer", LAYER_NAMES)


def carrier(layer, dtype, **scope):
    return carrier_of(cell("segments", layer, 8, D, conditions={"symbols": 2}, **scope), dtype)


@every_layer
@pytest.mark.parametrize("dtype", ALLOWED)
@settings(max_examples=4, deadline=None)
@given(sequences=st.integers(1, 5), first=st.integers(1, 20), second=st.integers(1, 20), seed=st.integers(0, 99))
def test_two_segments_are_one_pass_wherever_they_are_cut(layer, dtype, sequences, first, second, seed):
    reader = carrier(layer, dtype)
    normal = np.random.default_rng(seed).standard_normal((sequences, first + second, D))
    assert identity_error(reader, reader.tensor(normal), first) <= ALLOWED[dtype]


@every_layer
@settings(max_examples=2, deadline=None)
@given(sequences=st.integers(2, 5), first=st.integers(1, 9), second=st.integers(1, 9), seed=st.integers(0, 99))
def test_outputs_after_a_swap_are_the_donors(layer, sequences, first, second, seed):
    reader = carrier(layer, "float64")
    x = reader.tensor(np.random.default_rng(seed).standard_normal((sequences, first + second, D)))
    with torch.no_grad():
        y, state = swapped(reader, x, first)
        for i in range(sequences):  # each alone: the donor's segment 1, then its own segment 2
            alone = torch.cat((x[i - 1, :first], x[i, first:]))[None]
            torch.testing.assert_close(y[i], reader.outputs(alone)[0, first:], rtol=1e-9, atol=1e-12)
            torch.testing.assert_close(reader.flat(state)[i], reader.last(alone)[0], rtol=1e-9, atol=1e-12)
    assert swap_error(reader, x, first) <= ALLOWED["float64"]


def test_everybody_has_another_ones_state():
    for sequences in (2, 3, 7):
        given = donors(torch.zeros(sequences, 1))
        assert sorted(given.tolist()) == list(range(sequences))
        assert not (given == torch.arange(sequences)).any()


@pytest.mark.parametrize(("layer", "error"), [("Sneaks", "identity_error"), ("Tells", "swap_error")])
def test_a_layer_with_a_side_channel_is_found_out(layer, error):
    """One that keeps apart what another call read differs from one pass; a global that follows one, from its donor."""
    assert min(Found(cell("segments", layer, 8, D, conditions=GIVEN)).values(error)) > 1e-2


def test_without_its_side_channel_the_same_layer_is_cleared(monkeypatch):
    reader = carrier("Tells", "float64")
    module = sys.modules[type(reader._module).__module__]
    monkeypatch.setattr(module, "TOLD", _Forgets())
    x = reader.tensor(np.random.default_rng(0).standard_normal((3, 8, D)))
    assert max(identity_error(reader, x, 4), swap_error(reader, x, 4)) <= 1e-12


class _Forgets(dict):
    def __setitem__(self, key, value):
        pass


@pytest.mark.parametrize("layer", ["gru", "lstm", "attention", "Complex"])
def test_it_is_what_is_decoded_by_hand(layer):
    asked = cell("segments", layer, 7, D, conditions=GIVEN | {"noise": 0.2}, seed=5)
    found = segments.measure(asked)
    rng, reader, split = data_of(asked), carrier_of(asked), split_sequences(400, asked.seed)
    tokens = rng.integers(V, size=(400, 7))
    x = as_features(reader, V, tokens)
    with torch.no_grad():
        for i, t in enumerate((1, 2, 3)):  # segment 1 has 3 tokens
            read = read_out(reader.array(reader.last(x[:, :t])), 0.2, rng)
            bits = decode_tokens(read.noisy, tokens[:, :t], V, split).variational.sum()
            assert found.curves["found"].values[i] == pytest.approx(bits, abs=1e-3)
            assert found.curves["bound"].values[i] == pytest.approx(read.bound(t, V, "float32"), rel=1e-4)
        swapped_in = torch.cat((x.roll(1, 0)[:, :3], x[:, 3:]), dim=1)
        if layer != "attention":  # batches of more than one have donors of their own
            last = read_out(reader.array(reader.last(swapped_in)), 0.2, rng)
            own = decode_tokens(last.noisy, tokens[:, :3], V, split)
            assert found.values["swap_bits"] == pytest.approx(own.variational.mean(), abs=1e-3)
    assert found.values["token_bits"] == found.curves["found"].values[-1]
    assert found.values["bound_bits"] == found.curves["bound"].values[-1]


@every_layer
def test_after_a_swap_nothing_is_left_of_the_segment_that_was_swapped_out(layer):
    found = Found(cell("segments", layer, 6, D, conditions=GIVEN))
    for bits, error in zip(found.values("swap_bits"), found.facts["swap bits: standard error"], strict=True):
        assert abs(bits) <= 4 * error
    assert max(found.values("swap_error")) <= ALLOWED["float32"]


def test_what_is_carried_saturates_at_what_a_line_holds():
    """8 units of one bit each: of n tokens of two symbols min(n, 8) bits are carried."""
    given = {"symbols": 2, "sequences": 1000, "replicates": 2}
    found = Found(cell("segments", "Line", 32, 8, conditions=given))
    assert found.curves["found"].x == (1, 2, 4, 8, 16)
    for replicate in range(2):
        assert found.curves["found"].replicate(replicate) == pytest.approx([1, 2, 4, 8, 8], abs=0.1)
    assert (np.array(found.curves["bound"].values) >= np.array(found.curves["found"].values)).all()


def test_an_odd_sequence_is_cut_before_its_middle_token():
    found = Found(cell("segments", "gru", 7, D, conditions=GIVEN))
    assert (found.facts["segment 1"], found.facts["segment 2"]) == (3, 4)
    assert max(found.curves["found"].x) == 3
    assert max(found.values("token_bits")) <= 3 * math.log2(V)


def test_a_state_of_another_size_after_a_cut_is_told(monkeypatch):
    reader = carrier("attention", "float64")
    whole = type(reader).advance
    monkeypatch.setattr(type(reader), "advance", lambda self, x, state: whole(self, x, None))
    with pytest.raises(SeqscaleError, match=r"the state after a cut is \(2, 24\), without one \(2, 40\)"):
        identity_error(reader, torch.zeros(2, 5, D, dtype=torch.float64), 2)


def test_batches_change_nothing_but_the_donors():
    reader = carrier("gru", "float64")
    tokens = np.random.default_rng(0).integers(V, size=(700, 6))  # more than one batch
    states = segments.swapped_states(reader, tokens, partial(as_features, reader, V), 3)
    x = as_features(reader, V, tokens)
    for rows in reader.batches(*tokens.shape):
        with torch.no_grad():
            mixed = torch.cat((x[rows].roll(1, 0)[:, :3], x[rows][:, 3:]), dim=1)
            np.testing.assert_allclose(states[rows], reader.last(mixed), rtol=1e-9, atol=1e-12)
