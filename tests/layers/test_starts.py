"""What a layer starts from: the matrices, decays and biases that its documentation promises."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.linalg
import torch
from catalogue import Implementation, normal
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from seqscale.layers.gru import GRU
from seqscale.layers.linear import LinearRecurrence
from seqscale.layers.lstm import LSTM
from seqscale.layers.start import haar_orthogonal


def matrices(layer: str, width: int = 8, seed: int = 0, **options: float) -> tuple[np.ndarray, np.ndarray]:
    """Return W and U of a linear recurrence as float64."""
    built = Implementation(layer, "reference", options).build(width=width, seed=seed)
    assert isinstance(built, LinearRecurrence)
    return built.w.detach().numpy(), built.u.detach().numpy()


@settings(deadline=None, max_examples=20)
@given(units=st.integers(4, 40), radius=st.floats(0.1, 2), seed=st.integers(0, 99))
def test_orthogonal_starts_as_rho_times_an_orthogonal_matrix(units: int, radius: float, seed: int) -> None:
    w, u = matrices("orthogonal", 4, seed, hidden=units, radius=radius)
    np.testing.assert_allclose(w.T @ w, radius**2 * np.eye(units), rtol=0, atol=2e-6 * radius**2)
    assert u.shape == (units, 4)


def test_the_columns_of_u_have_length_one_on_average() -> None:
    _, u = matrices("orthogonal", 200, hidden=400)
    lengths = np.sum(u**2, axis=0)
    assert np.mean(lengths) == pytest.approx(1, abs=4 * np.sqrt(2 / 400 / 200))


def test_random_orthogonal_matrices_are_uniform() -> None:
    """Over the Haar measure an entry is positive as often as negative, and the trace has mean 0 and variance 1."""
    torch.manual_seed(0)
    draws = torch.stack([haar_orthogonal(3) for _ in range(2000)]).double()
    traces = draws.diagonal(dim1=1, dim2=2).sum(-1)
    error = 2000**-0.5
    assert float((draws > 0).double().mean((0,)).sub(0.5).abs().max()) < 4.5 * 0.5 * error
    assert abs(float(traces.mean())) < 4 * error
    assert float(traces.square().mean()) == pytest.approx(1, abs=4 * float(traces.square().std()) * error)


@settings(deadline=None, max_examples=20)
@given(units=st.integers(4, 20), steps=st.integers(0, 100))
def test_the_powers_of_cyclic_move_one_value_round_the_ring_exactly(units: int, steps: int) -> None:
    w, u = matrices("cyclic", 4, hidden=units, radius=0.5)
    wanted = np.zeros((units, units))
    wanted[(np.arange(units) + steps) % units, np.arange(units)] = 0.5**steps
    assert np.array_equal(np.linalg.matrix_power(w, steps), wanted)
    assert [np.flatnonzero(column).tolist() for column in u.T] == [[j * units // 4] for j in range(4)]
    assert u.sum() == 4


@settings(deadline=None, max_examples=20)
@given(units=st.integers(4, 32), radius=st.floats(0.85, 0.99), lag=st.integers(0, 100))
def test_cyclic_remembers_in_the_staircase(units: int, radius: float, lag: int) -> None:
    """R^2 of the value `lag` steps ago, read off all units linearly, from the states' covariance."""
    w, u = matrices("cyclic", 4, hidden=units, radius=radius)
    covariance = scipy.linalg.solve_discrete_lyapunov(w, np.outer(u[:, 0], u[:, 0]))
    trace = np.linalg.matrix_power(w, lag) @ u[:, 0]
    rho = w.max()  # as float32 has it
    wanted = rho ** (2 * (lag // units) * units) * (1 - rho ** (2 * units))
    assert trace @ np.linalg.solve(covariance, trace) == pytest.approx(wanted, rel=1e-7, abs=1e-12)


def test_elman_orthogonal_starts_with_the_gain_and_no_biases() -> None:
    own = Implementation("elman-orthogonal", "library", {"hidden": 30, "gain": 1.2}).build().state_dict()
    w = own["core.weight_hh_l0"].numpy()
    np.testing.assert_allclose(w.T @ w, 1.44 * np.eye(30), rtol=0, atol=3e-6)
    assert float(own["core.weight_ih_l0"].square().sum(0).mean()) == pytest.approx(1, abs=4 * np.sqrt(2 / 30 / 8))
    assert not own["core.bias_ih_l0"].any()
    assert not own["core.bias_hh_l0"].any()


def test_the_lru_starts_uniform_on_its_ring() -> None:
    own = Implementation("lru", "scan", {"hidden": 4000, "radius_min": 0.5, "radius_max": 0.9}).build().state_dict()
    squared, angle = torch.exp(-2 * own["nu"].exp()), own["theta"].exp()
    assert 0.25 <= squared.min() < 0.251
    assert 0.809 < squared.max() <= 0.81
    assert float(squared.mean()) == pytest.approx(0.53, abs=4 * 0.56 / 12**0.5 / 4000**0.5)  # uniform in area
    assert 0 < angle.min() < angle.max() <= 2 * np.pi * (1 + 1e-6)
    for turns in (1, 2, 3):
        assert abs(np.exp(1j * turns * angle.numpy()).mean()) < 4 * 4000**-0.5


def test_the_lru_starts_with_the_variance_of_its_input() -> None:
    layer = Implementation("lru", "scan", {"hidden": 512, "radius_max": 0.95}).build(width=32)
    with torch.no_grad():
        y = layer(normal(4, 600, 32))[0][:, 100:]
    assert float(y.var()) == pytest.approx(1, abs=0.1)


@pytest.mark.parametrize(("layer", "torchs"), [(GRU, nn.GRU), (LSTM, nn.LSTM)])
def test_without_a_forget_bias_the_weights_are_torchs_own(layer: type, torchs: type) -> None:
    torch.manual_seed(3)
    plain = torchs(4, 6)
    torch.manual_seed(3)
    ours = layer(4, hidden=6)
    assert all(value.equal(ours.core.state_dict()[name]) for name, value in plain.state_dict().items())


@pytest.mark.parametrize("layer", ["gru", "lstm"])
def test_a_forget_bias_moves_one_gate_alone(layer: str) -> None:
    plain, moved = (Implementation(layer, "library", {"forget_bias": b}).build().state_dict() for b in (0.0, 2.5))
    for name, value in plain.items():
        wanted = value.clone()
        if name == "core.bias_ih_l0":
            wanted[8:16] += 2.5
        torch.testing.assert_close(moved[name], wanted, rtol=0, atol=1e-6)


@pytest.mark.parametrize("layer", ["gru", "lstm"])
@pytest.mark.parametrize("algorithm", ["library", "reference"])
@pytest.mark.parametrize(("bias", "kept"), [(0.0, 0.5), (20.0, 1.0)])
def test_the_gate_that_a_forget_bias_moves_is_the_one_that_keeps_the_state(
    layer: str, algorithm: str, bias: float, kept: float
) -> None:
    """With all else at zero a step keeps sigmoid(bias) of the state, and adds nothing."""
    module = Implementation(layer, algorithm, {"forget_bias": bias}).build()
    plain = Implementation(layer, algorithm).build()
    with torch.no_grad():
        for own, drawn in zip(module.parameters(), plain.parameters(), strict=True):
            own -= drawn
    start = tuple(normal(2, 8, seed=seed) for seed in range(len(module.initial_state(2))))
    _, end = module(normal(2, 5, 8), start)
    torch.testing.assert_close(end[-1], kept**5 * start[-1], rtol=1e-6, atol=1e-6)
