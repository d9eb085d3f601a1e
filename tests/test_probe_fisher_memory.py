"""Fisher memory: what is known of linear steps, and derivatives of whole sequences by hand for the others."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from information_cells import Found, cell

from seqscale.errors import UnsupportedError
from seqscale.probes import fisher_memory
from seqscale.probes.fisher_memory import fisher
from seqscale.probes.state import carrier_of, step_matrices
from seqscale.theory.memory import delay_line_fisher, fisher_curve, harmonic

D = 3
NORMAL = ("cyclic", "orthogonal", "diagonal", "lru")
LINEAR = (*NORMAL, "Complex", "Shifted", "Line")


def asked(layer, length, options=(), width=D, **given):
    conditions = {"lags": length, "sequences": 3, "replicates": 2} | given
    return cell("fisher-memory", layer, length, width, options, conditions)


def reader_of(layer, options=(), width=D):
    return carrier_of(asked(layer, 4, options, width), "float64")


def inputs(trajectories, length, seed=0):
    return np.random.default_rng(seed).standard_normal((trajectories, length))


@pytest.mark.parametrize("layer", NORMAL)
@settings(max_examples=8, deadline=None)
@given(hidden=st.integers(D, 12), length=st.integers(1, 12), scale=st.sampled_from([0.01, 1.0, 30.0]))
def test_the_total_of_a_normal_matrix_is_one(layer, hidden, length, scale):
    """After any number of tokens, as noise has entered as often as there are lags."""
    j, _ = fisher(reader_of(layer, {"hidden": hidden}), inputs(1, length), scale, length)
    assert j.shape == (length,)
    assert j.sum() == pytest.approx(1, abs=1e-5)  # weights start orthogonal to float32


@pytest.mark.parametrize("units", [1, 2, 5, 16])
def test_the_total_of_a_delay_line_is_the_harmonic_number(units):
    found = Found(asked("Line", units + 3, width=units))
    assert found.values("fisher_memory") == pytest.approx([harmonic(units)] * 2)
    curve = np.array(found.curves["fisher"].values)
    np.testing.assert_allclose(curve[:units, 0], delay_line_fisher(units, 1.0))
    np.testing.assert_allclose(curve[units:], 0, atol=1e-12)
    assert found.facts["trajectories"] == [1, 1]  # a linear step is the same along all of them


@pytest.mark.parametrize("layer", LINEAR)
def test_a_linear_step_is_measured_as_its_matrices_say(layer):
    reader, length, lags = reader_of(layer), 9, 6
    w, u = step_matrices(reader)
    powers = [np.linalg.matrix_power(w, k) for k in range(length)]
    noise, entering = sum(p @ p.T for p in powers), u[:, 0]
    wanted = [(p @ entering) @ np.linalg.solve(noise, p @ entering) / (entering @ entering) for p in powers[:lags]]
    j, gain = fisher(reader, inputs(2, length), 0.5, lags)
    np.testing.assert_allclose(j, wanted, rtol=1e-9, atol=1e-12)
    assert gain == pytest.approx(0.25 * entering @ entering)


def test_after_many_tokens_it_is_the_stationary_curve():
    reader = reader_of("orthogonal", {"hidden": 6, "radius": 0.7})
    w, u = step_matrices(reader)
    j, _ = fisher(reader, inputs(1, 60), 1.0, 10)
    np.testing.assert_allclose(j * (u[:, 0] @ u[:, 0]), fisher_curve(w, u[:, 0], 1.0, 10), rtol=1e-8)


@pytest.mark.parametrize("layer", LINEAR)
def test_linearised_a_linear_layer_gives_the_same(monkeypatch, layer):
    exact = fisher_memory.measure(asked(layer, 6))
    monkeypatch.setattr(fisher_memory, "step_matrices", lambda carrier: None)
    linearised = fisher_memory.measure(asked(layer, 6))
    assert (exact.facts["trajectories"], linearised.facts["trajectories"]) == (1, 3)
    np.testing.assert_allclose(linearised.curves["fisher"].values, exact.curves["fisher"].values, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("layer", ["gru", "lstm", "elman", "deltanet", "Steps"])
def test_another_step_is_linearised_along_its_trajectories(layer):
    """By derivatives of the last state by whole inputs and by earlier states, which no step's Jacobian enters."""
    reader, length, scale = reader_of(layer), 4, 0.7
    u = inputs(2, length)
    found, squares = np.zeros(length), []
    for row in u:
        x = torch.zeros(1, length, D, dtype=torch.float64)
        x[0, :, 0] = torch.as_tensor(scale * row)

        def state(signal, first, last, before=None, x=x):
            """Return the state after token `last` of inputs `signal`, read from the state before token `first`."""
            moved = torch.cat((scale * signal[None, first:last, None], x[:, first:last, 1:]), dim=2)
            return reader.flat(reader.advance(moved, None if before is None else reader.whole(before[None]))[1])[0]

        signal = torch.as_tensor(row)
        by_input = torch.autograd.functional.jacobian(lambda s: state(s, 0, length), signal)
        noise = torch.eye(reader.numbers, dtype=torch.float64)
        for t in range(1, length + 1):
            entering = torch.autograd.functional.jacobian(lambda s, t=t: state(s, 0, t), signal)[:, t - 1]
            squares.append(float(entering.square().sum()))
            if t < length:
                h = state(signal, 0, t).detach()
                moved = torch.autograd.functional.jacobian(lambda h, t=t, s=signal: state(s, t, length, h), h)
                noise += moved @ moved.T
        v = by_input.flip(1)  # by lag
        found += (v * torch.linalg.solve(noise, v)).sum(0).numpy() / len(u)
    j, gain = fisher(reader, u, scale, length)
    assert gain == pytest.approx(np.mean(squares))
    np.testing.assert_allclose(j, found / np.mean(squares), rtol=1e-8)


@pytest.mark.parametrize("layer", ["gru", "lstm", "elman", "linear-attention", "deltanet", *LINEAR])
def test_the_total_is_that_of_the_curve_and_at_most_the_state(layer):
    found = Found(asked(layer, 8, scale=0.1))
    totals = np.sum(found.curves["fisher"].values, axis=0)
    assert found.values("fisher_memory") == pytest.approx(totals)
    if layer in LINEAR:
        assert (totals <= np.array(found.values("state_numbers")) + 1e-9).all()
    assert min(np.ravel(found.curves["fisher"].values)) >= 0


def test_a_squashing_network_without_a_drive_is_its_linear_part():
    found = Found(asked("elman-orthogonal", 12, {"hidden": 5}, scale=1e-4))
    assert found.values("fisher_memory") == pytest.approx([1, 1], abs=1e-6)
    driven = Found(asked("elman-orthogonal", 12, {"hidden": 5}, scale=3.0))
    assert min(abs(total - 1) for total in driven.values("fisher_memory")) > 1e-3


@pytest.mark.parametrize(
    ("layer", "words"),
    [
        ("attention", "the state grows: what it keeps is not rewritten, so no noise adds up in it"),
        ("Large", "20000 numbers in the state; 512 at most are followed"),
        ("Stateless", "no state to read"),
    ],
)
def test_what_has_no_such_state_is_unsupported_with_the_reason(layer, words):
    with pytest.raises(UnsupportedError, match=words):
        fisher_memory.measure(asked(layer, 4, width=4))
