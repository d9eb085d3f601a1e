"""Bits by distance: known codes, no bound exceeded, controls that find nothing, ever less of the first token."""

from __future__ import annotations

import math
from functools import partial

import numpy as np
import pytest
from information_cells import Found, cell
from test_probe_state import LAYER_NAMES, one_by_one

from seqscale.errors import UnsupportedError
from seqscale.estimators.split import split_sequences
from seqscale.estimators.tokens import decode_tokens
from seqscale.probes import token_bits
from seqscale.probes.replicates import as_features, data_of
from seqscale.probes.state import carrier_of
from seqscale.probes.token_bits import doublings, leak, recent_share

D, T, V = 8, 8, 4
GIVEN = {"symbols": V, "sequences": 1000, "replicates": 4}
EVERY_LAYER = [name for name in LAYER_NAMES if name != "Steps"]


@pytest.fixture(scope="module")
def found():
    """What each layer left, measured once; with what the control of shuffled labels found, and its standard error."""
    kept = {}

    def of(layer):
        if layer not in kept:
            shuffled, real = [], token_bits.shuffled_bits
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(token_bits, "shuffled_bits", lambda *given: shuffled.append(real(*given)) or shuffled[-1])
                kept[layer] = Found(cell("token-bits", layer, T, D, conditions=GIVEN)), shuffled
        return kept[layer]

    return of


@pytest.mark.parametrize("layer", ["gru", "deltanet", "attention"])
def test_it_is_what_is_decoded_by_hand_distance_by_distance(layer):
    asked = cell("token-bits", layer, 5, D, conditions=GIVEN | {"sequences": 200, "noise": 0.3}, seed=2)
    found = token_bits.measure(asked)
    rng, reader, split = data_of(asked), carrier_of(asked), split_sequences(200, asked.seed)
    tokens = rng.integers(V, size=(200, 5))
    for t in (1, 2, 4, 5):
        states = one_by_one(reader, as_features(reader, V, tokens[:, :t])).astype(np.float64)
        centred = states - states.mean(axis=0)
        noisy = centred + 0.3 * math.sqrt(np.square(centred).mean()) * rng.standard_normal(centred.shape)
        bits = [decode_tokens(noisy, tokens[:, [t - 1 - k]], V, split).variational[0] for k in range(t)]
        at = doublings(5).index(t)
        assert found.curves["found"].values[at] == pytest.approx(sum(bits), abs=1e-4)
        assert found.curves["first token"].values[at] == pytest.approx(bits[-1], abs=1e-4)
    np.testing.assert_allclose(found.curves["bits"].values, bits, atol=1e-4)


def test_a_state_that_is_the_last_token_tells_it_and_nothing_else():
    given = {"symbols": 8, "sequences": 2000, "replicates": 2}
    found = Found(cell("token-bits", "Last", T, 8, conditions=given))
    bits = np.array(found.curves["bits"].values)
    np.testing.assert_allclose(bits[0], 3, atol=0.01)
    np.testing.assert_allclose(bits[1:], 0, atol=0.01)
    assert np.array(found.curves["accuracy"].values)[0] == pytest.approx(1)
    np.testing.assert_allclose(found.curves["accuracy"].values[1:], 1 / 8, atol=4 * math.sqrt(1 / 8 / 300))
    first = np.array(found.curves["first token"].values)
    np.testing.assert_allclose(first[0], 3, atol=0.01)
    np.testing.assert_allclose(first[1:], 0, atol=0.01)
    np.testing.assert_allclose(found.curves["found"].values, 3, atol=0.05)
    assert found.curves["bound"].values[0] == (3, 3)
    assert found.values("recent_share") == pytest.approx([1, 1], abs=0.01)


def test_a_line_tells_the_tokens_that_it_holds():
    """Of two symbols in 8 units: feature 0 says which of them, so 1 bit at each of 8 distances, and no more."""
    given = {"symbols": 2, "sequences": 1000, "replicates": 2}
    found = Found(cell("token-bits", "Line", 12, 8, conditions=given))
    np.testing.assert_allclose(
        found.curves["bits"].values, np.repeat([[1.0], [0.0]], [8, 4], axis=0) * [1, 1], atol=0.02
    )
    assert found.values("token_bits") == pytest.approx([8, 8], abs=0.1)
    np.testing.assert_allclose(np.array(found.curves["found"].values)[:, 0], [1, 2, 4, 8, 8], atol=0.1)
    np.testing.assert_allclose(np.array(found.curves["first token"].values)[:, 0], [1, 1, 1, 1, 0], atol=0.02)


@pytest.mark.parametrize("layer", EVERY_LAYER)
def test_no_bound_is_exceeded(found, layer):
    curves = found(layer)[0].curves
    bits, bound = (np.array(curves[name].values) for name in ("found", "bound"))
    assert (bits <= bound + 0.01 * T).all()
    assert (np.array(curves["bits"].values) <= math.log2(V)).all()
    assert (bound[-1] <= T * math.log2(V)).all()


@pytest.mark.parametrize("layer", EVERY_LAYER)
def test_sums_are_those_of_the_curves(found, layer):
    left, _ = found(layer)
    bits = np.array(left.curves["bits"].values)
    assert left.values("token_bits") == pytest.approx(bits.sum(axis=0))
    assert left.values("fano_bits") == pytest.approx(np.sum(left.curves["fano"].values, axis=0))
    assert left.values("first_token_bits") == pytest.approx(bits[-1])
    for curve, quantity in (("first token", "first_token_bits"), ("found", "token_bits"), ("bound", "bound_bits")):
        assert left.curves[curve].x == (1, 2, 4, 8)
        assert left.curves[curve].values[-1] == pytest.approx(left.values(quantity))
    clipped = np.maximum(bits, 0)
    assert left.values("recent_share") == pytest.approx(clipped[: T // 4].sum(axis=0) / clipped.sum(axis=0))
    assert left.values("source_bits") == [T * math.log2(V)] * 4


@pytest.mark.parametrize("layer", EVERY_LAYER)
def test_shuffled_labels_tell_nothing(found, layer):
    left, shuffled = found(layer)
    assert left.values("shuffled_bits") == [total / T for total, _ in shuffled]
    for total, standard_error in shuffled:
        assert abs(total) <= 4 * standard_error


def test_the_last_token_alone_tells_nothing_of_those_before(found):
    left, _ = found("gru")
    for replicate, told in enumerate(left.values("leaked_bits")):
        asked = cell("token-bits", "gru", T, D, conditions=GIVEN, seed=replicate)
        tokens, split = data_of(asked).integers(V, size=(1000, T)), split_sequences(1000, replicate)
        alone = decode_tokens(np.eye(V)[tokens[:, -1]], tokens[:, -2::-1], V, split).by_sequence.mean(axis=1)
        assert told == pytest.approx(alone.mean())
        assert abs(told) <= 4 * alone.std(ddof=1) / len(alone) ** 0.5
    assert leak(tokens, V, split, np.array([0])) == pytest.approx(math.log2(V), abs=0.05)


@pytest.mark.parametrize("layer", EVERY_LAYER)
def test_of_the_first_token_nothing_comes_back(found, layer):
    """Data processing: between two lengths the bits may rise by chance only."""
    rises = np.diff(found(layer)[0].curves["first token"].values, axis=0)
    assert (rises.mean(axis=1) <= 4 * rises.std(axis=1, ddof=1) / 4**0.5 + 0.01).all()


def test_attention_keeps_every_token_in_a_state_that_grows(found):
    left, _ = found("attention")
    assert left.values("state_numbers") == [2 * T * D] * 4
    assert left.values("token_bits") == pytest.approx([T * math.log2(V)] * 4, rel=0.01)


def test_a_state_that_has_grown_too_large_is_unsupported():
    given = {"symbols": 2, "sequences": 100}
    with pytest.raises(UnsupportedError, match="holds 4,160 numbers at length 520; 4,096 at most"):
        token_bits.measure(cell("token-bits", "attention", 520, 4, {"heads": 1}, given))


@pytest.mark.parametrize(
    ("bits", "share"),
    [([1, 1, 1, 1], 0.25), ([3, 1, -1, 0, 0, 0, 0, 0], 1.0), ([2, -5, 2], 0.5), ([-1, 3], 0.0), ([-0.1, 0], None)],
)
def test_the_share_of_the_newest_quarter(bits, share):
    assert recent_share(np.array(bits, float)) == share


def test_where_nothing_is_found_there_is_no_share_and_the_note_says_so(monkeypatch):
    monkeypatch.setattr(token_bits, "read_out", partial(_only_noise, token_bits.read_out))
    found = Found(cell("token-bits", "gru", 3, D, conditions=GIVEN))
    assert len(found.values("recent_share")) < 4
    assert "no recent_share, as no bits are found" in found.note


def _only_noise(read, states, relative, rng):
    return read(rng.standard_normal(states.shape), relative, rng)


def test_one_token_has_none_before_it():
    found = Found(cell("token-bits", "gru", 1, D, conditions=GIVEN))
    assert found.values("leaked_bits") == []
    assert found.curves["found"].x == (1,)
    assert found.values("recent_share") == [1] * 4


@pytest.mark.parametrize(
    ("most", "lengths"), [(1, (1,)), (2, (1, 2)), (3, (1, 2, 3)), (8, (1, 2, 4, 8)), (9, (1, 2, 4, 8, 9))]
)
def test_lengths_double_up_to_the_most(most, lengths):
    assert doublings(most) == lengths
