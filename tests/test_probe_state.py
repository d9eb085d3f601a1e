"""The state of any layer is read as it is carried: numbers, swaps, derivatives, and the matrices of a linear step."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from information_cells import cell

from seqscale.errors import SeqscaleError, UnsupportedError
from seqscale.layers.catalogue import LAYERS
from seqscale.probes import state
from seqscale.probes.replicates import as_features, through_feature_0
from seqscale.probes.state import carrier_of, step_matrices

D = 4
LAYER_NAMES = [*LAYERS, "Steps", "Complex", "Shifted"]
LINEAR = ("diagonal", "lru", "orthogonal", "cyclic", "Complex", "Shifted")

every_fixed_layer = pytest.mark.parametrize("layer", [name for name in LAYER_NAMES if name != "attention"])
every_layer = pytest.mark.parametrize("layer", LAYER_NAMES)


def carrier(layer, dtype="float64", **scope):
    return carrier_of(cell("token-bits", layer, 6, D, conditions={"symbols": 2}, **scope), dtype)


def one_by_one(layer, x):
    """Read the state of each sequence alone, one token at a time."""
    rows = []
    for sequence in x:
        after = None
        for x_t in sequence:
            _, after = layer.advance(x_t[None, None], after)
        rows.append(layer.flat(after)[0])
    return torch.stack(rows).detach().numpy()


@every_layer
@settings(max_examples=5, deadline=None)
@given(sequences=st.integers(1, 9), tokens=st.integers(1, 7), rows=st.integers(1, 5), data=st.data())
def test_what_is_read_in_batches_is_what_one_sequence_alone_leaves(layer, sequences, tokens, rows, data):
    lengths = sorted(set(data.draw(st.lists(st.integers(1, tokens), min_size=1, max_size=3))))
    read_from = carrier(layer)
    symbols = np.random.default_rng(tokens).integers(D, size=(sequences, tokens))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(state, "ROWS", rows)
        found = read_from.read(symbols, partial(as_features, read_from, D), lengths)
    for states, length in zip(found, lengths, strict=True):
        wanted = one_by_one(read_from, as_features(read_from, D, symbols[:, :length]))
        np.testing.assert_allclose(states, wanted, rtol=1e-9, atol=1e-12)


@given(sequences=st.integers(1, 3000), tokens=st.integers(1, 200))
def test_batches_hold_every_sequence_once_and_never_one_alone(sequences, tokens):
    batches = carrier("gru").batches(sequences, tokens)
    assert [i for rows in batches for i in range(rows.start, rows.stop)] == list(range(sequences))
    sizes = [rows.stop - rows.start for rows in batches]
    assert max(sizes) <= state.ROWS and min(sizes) >= min(sequences, 2)


def test_a_batch_fits_into_memory(monkeypatch):
    monkeypatch.setattr(state, "READ_BYTES", 2**16)
    reader = carrier("gru")
    (x,) = {rows.stop - rows.start for rows in reader.batches(64, 128)}
    assert x * 128 * reader.width * 8 <= 2**16


@every_fixed_layer
def test_numbers_and_state_are_each_others_inverse(layer):
    reader = carrier(layer)
    _, after = reader.advance(torch.randn(3, 5, D, dtype=torch.float64), None)
    flat = reader.flat(after)
    assert flat.shape == (3, reader.numbers)
    torch.testing.assert_close(reader.flat(reader.whole(flat)), flat, rtol=0, atol=0)
    x = torch.randn(3, 2, D, dtype=torch.float64)
    torch.testing.assert_close(reader.advance(x, reader.whole(flat))[0], reader.advance(x, after)[0])


@every_layer
def test_a_sequence_gets_the_state_of_its_donor(layer):
    reader = carrier(layer)
    _, after = reader.advance(torch.randn(4, 3, D, dtype=torch.float64), None)
    donors = torch.tensor([2, 0, 3, 3])
    torch.testing.assert_close(reader.flat(reader.of_others(after, donors)), reader.flat(after)[donors])


@every_fixed_layer
def test_jacobians_are_differences_of_states(layer):
    reader = carrier(layer)
    x = torch.randn(2, 3, D, dtype=torch.float64)
    h, step = reader.last(x[:, :2]).detach(), 1e-6
    by_state, by_input = reader.jacobians(h, x[:, 2])
    with torch.no_grad():
        for i in range(reader.numbers):
            moved = [reader.flat(reader.advance(x[:, 2:], reader.whole(h + s * torch.eye(reader.numbers)[i]))[1])
                     for s in (step, -step)]  # fmt: skip
            torch.testing.assert_close(by_state[:, :, i], (moved[0] - moved[1]) / (2 * step), rtol=1e-5, atol=1e-7)
        for i in range(D):
            moved = [reader.flat(reader.advance(x[:, 2:] + s * torch.eye(D)[i], reader.whole(h))[1])
                     for s in (step, -step)]  # fmt: skip
            torch.testing.assert_close(by_input[:, :, i], (moved[0] - moved[1]) / (2 * step), rtol=1e-5, atol=1e-7)


def test_jacobians_in_parts_are_those_of_one_batch(monkeypatch):
    reader, x = carrier("gru"), torch.randn(5, D, dtype=torch.float64)
    h = torch.randn(5, reader.numbers, dtype=torch.float64)
    whole = reader.jacobians(h, x)
    monkeypatch.setattr(state, "READ_BYTES", 1)
    for parts, wanted in zip(reader.jacobians(h, x), whole, strict=True):
        torch.testing.assert_close(parts, wanted)


@every_layer
def test_a_linear_step_has_matrices_and_no_other(layer):
    found = step_matrices(carrier(layer))
    assert (found is not None) == (layer in LINEAR)


@pytest.mark.parametrize("layer", LINEAR)
def test_the_matrices_move_a_state_as_the_layer_does(layer):
    reader = carrier(layer)
    w, u = step_matrices(reader)
    x = torch.randn(3, 6, D, dtype=torch.float64)
    with torch.no_grad():
        states = [reader.last(x[:, :t]).numpy() for t in range(1, 7)]
    # differences of two sequences, so that a constant of the step drops out
    apart, moved = states[0][0] - states[0][1], x.numpy()[0] - x.numpy()[1]
    for t in range(1, 6):
        apart = w @ apart + u @ moved[t]
        np.testing.assert_allclose(apart, states[t][0] - states[t][1], rtol=1e-9, atol=1e-12)


def test_a_complex_state_of_an_odd_number_of_features_has_matrices_too():
    """Its numbers are then rows of a table whose rows have an odd length."""
    reader = carrier_of(cell("token-bits", "Complex", 6, 3, conditions={"symbols": 2}), "float64")
    w, u = step_matrices(reader)
    turned = 0.9 * np.exp(0.25j * np.pi)
    block = np.array([[turned.real, -turned.imag], [turned.imag, turned.real]])
    np.testing.assert_allclose(w, np.kron(np.eye(3), block), atol=1e-7)
    np.testing.assert_allclose(u, np.kron(np.eye(3), [[1], [0]]), atol=1e-12)


@pytest.mark.parametrize(
    ("layer", "words"),
    [
        ("Opaque", "it holds a Kept, not tensors"),
        ("Stateless", "no state to read: its forward takes none, and it has no step."),
        ("NeverStarts", "no state to read: its forward takes none, and it has a step but no initial_state."),
    ],
)
def test_a_state_that_cannot_be_read_is_unsupported_with_the_reason(layer, words):
    with pytest.raises(UnsupportedError, match=words):
        carrier(layer)


def test_a_state_of_too_many_numbers_is_unsupported():
    large = carrier("Large")
    with pytest.raises(UnsupportedError, match="20,000 numbers at length 1; 4,096 at most"):
        large.read(np.zeros((2, 1), int), partial(as_features, large, D), (1,))
    assert step_matrices(large) is None


def test_a_state_that_is_not_finite_is_told_with_its_token():
    explodes = carrier("Explodes", "float32")
    with pytest.raises(SeqscaleError, match="not finite after 3 tokens"):
        explodes.read(np.ones((5, 6)), partial(through_feature_0, explodes, 1.0), (2, 6))


@given(symbols=st.integers(2, D), data=st.data())
def test_tokens_are_features_and_scalars_go_through_the_first(symbols, data):
    reader = carrier("gru")
    tokens = np.array(data.draw(st.lists(st.lists(st.integers(0, symbols - 1), min_size=3, max_size=3), min_size=1)))
    x = as_features(reader, symbols, tokens).numpy()
    assert x.shape == (*tokens.shape, D)
    assert (x.argmax(-1) == tokens).all() and (x.sum(-1) == 1).all() and ((x == 0) | (x == 1)).all()
    scaled = through_feature_0(reader, 2.5, tokens).numpy()
    assert (scaled[:, :, 0] == 2.5 * tokens).all() and not scaled[:, :, 1:].any()
