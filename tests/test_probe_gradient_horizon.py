"""Derivatives by distance: powers of the matrix for linear layers, autograd by hand for the others; exponents."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from information_cells import Found, cell
from test_probe_state import LAYER_NAMES

from seqscale.errors import SeqscaleError
from seqscale.layers.adapt import outputs
from seqscale.probes import gradient_horizon
from seqscale.probes.gradient_horizon import exponents, gradient_norms, reach
from seqscale.probes.replicates import data_of
from seqscale.probes.state import carrier_of, step_matrices
from seqscale.probes.subject import layer_of

D, T = 4, 7
LINEAR = ("cyclic", "orthogonal", "diagonal", "lru", "Complex", "Shifted", "Line")


@pytest.fixture(autouse=True)
def shorter(monkeypatch):
    monkeypatch.setattr(gradient_horizon, "STEPS", 40)


def asked(layer, length=T, options=(), seed=0, dtype="float64", **given):
    conditions = {"sequences": 3, "exponents": 0, "replicates": 2} | given
    return cell("gradient-horizon", layer, length, D, options, conditions, seed=seed, dtype=dtype)


@pytest.mark.parametrize("layer", LINEAR)
def test_of_a_linear_layer_it_is_the_power_of_its_matrix(layer):
    w, u = step_matrices(carrier_of(asked(layer)))
    norms = gradient_horizon.measure(asked(layer)).curves["state gradient"].values
    wanted = [np.linalg.norm(np.linalg.matrix_power(w, k) @ u) for k in range(T)]
    np.testing.assert_allclose(norms, wanted, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("radius", [0.5, 0.9])
def test_of_an_orthogonal_layer_slope_and_half_life_are_those_of_its_radius(radius):
    # weights start orthogonal to float32
    found = Found(asked("orthogonal", 20, {"hidden": D, "radius": radius}, exponents=3))
    assert found.values("gradient_slope") == pytest.approx([math.log(radius)] * 2)
    assert found.values("half_life") == pytest.approx([math.log(0.5) / math.log(radius)] * 2)
    curve = np.array(found.curves["gradient"].values)
    np.testing.assert_allclose(curve, curve[0] * radius ** np.arange(20)[:, None], rtol=1e-5)
    assert found.values("gradient_norm") == pytest.approx(curve[-1])
    assert found.values("lyapunov_exponent") == pytest.approx([math.log(radius)] * 2)
    np.testing.assert_allclose(found.curves["exponents"].values, math.log(radius), rtol=1e-5)
    assert found.curves["exponents"].x == (1, 2, 3)
    assert found.note is None


@pytest.mark.parametrize("layer", [*LAYER_NAMES, "Stateless"])
def test_it_is_the_jacobian_of_each_sequence_by_hand(layer):
    given = asked(layer, 5, scale=0.5, seed=3)
    x = 0.5 * torch.as_tensor(data_of(given).standard_normal((3, 5, D)))
    module, wanted = layer_of(given).module, np.zeros(5)
    for row in x:
        whole = torch.autograd.functional.jacobian(lambda s: outputs(module, s[None])[0, -1], row)  # (d, t, d)
        wanted += whole.square().sum(dim=(0, 2)).sqrt().flip(0).numpy() / 3
    found = gradient_horizon.measure(given)
    np.testing.assert_allclose(found.curves["gradient"].values, wanted, rtol=1e-9, atol=1e-12)
    assert found.values["gradient_norm"] == found.curves["gradient"].values[-1]


def test_in_parts_it_is_the_same(monkeypatch):
    whole = gradient_horizon.measure(asked("gru", exponents=2))
    monkeypatch.setattr(gradient_horizon, "READ_BYTES", 1)
    parts = gradient_horizon.measure(asked("gru", exponents=2))
    for name in ("gradient", "state gradient", "exponents"):
        np.testing.assert_allclose(parts.curves[name].values, whole.curves[name].values, rtol=1e-9)


def test_random_directions_have_the_norm_of_the_whole_on_average(monkeypatch):
    rng = np.random.default_rng(0)
    matrix = torch.as_tensor(rng.standard_normal((40, D)))
    x = torch.as_tensor(rng.standard_normal((400, 2, D)))

    def last(tokens):
        return tokens[:, -1] @ matrix.mT + 0.5 * tokens[:, -2] @ matrix.mT

    exact = gradient_norms("output", last, x, rng)
    assert exact == pytest.approx([matrix.norm().item(), 0.5 * matrix.norm().item()])
    monkeypatch.setattr(gradient_horizon, "DIRECTIONS", 16)
    np.testing.assert_allclose(gradient_norms("output", last, x, rng), exact, rtol=0.05)


@pytest.mark.parametrize("layer", ["gru", "lru", "deltanet"])
def test_weights_are_the_cells_whatever_its_dtype(layer):
    for narrow, wide in zip(Found(asked(layer, dtype="float32")).readings, Found(asked(layer)).readings, strict=True):
        assert narrow.value == pytest.approx(wide.value, rel=1e-4)


def test_attention_reaches_back_without_decay():
    found = Found(asked("attention", 32, {"heads": 1}, sequences=16, scale=0.3))
    curve = np.array(found.curves["gradient"].values)[1:]  # its own token also asks
    assert np.abs(found.values("gradient_slope")).max() < 0.02
    assert curve.max() / curve.min() < 1.5
    assert "no lyapunov_exponent: the state grows (2 of 2 replicates)" in found.note
    assert found.values("state_numbers") == [2 * 32 * D] * 2
    assert set(found.curves) == {"gradient"}


def test_a_half_life_beyond_the_sequence_is_noted():
    found = Found(asked("orthogonal", 9, {"hidden": D, "radius": 1.0}))
    assert found.values("half_life") == []
    assert found.note == "no half_life: above 8 (2 of 2 replicates)"
    assert found.values("gradient_slope") == pytest.approx([0, 0], abs=1e-6)


@pytest.mark.parametrize(
    ("norms", "known"),
    [
        ([1.0, 1.0, 1.0], {"half_life": "above 2", "gradient_slope": 0.0}),
        ([4.0, 2.0, 1.0], {"half_life": 1.0, "gradient_slope": math.log(0.5)}),
        ([4.0, 2.0, 1e-13, 1.0], {"half_life": 1.0, "gradient_slope": "fewer than 2 distances from 1 on have a norm"}),
        ([4.0], {"half_life": "above 0", "gradient_slope": "fewer than 2 distances from 1 on have a norm"}),
        ([0.0, 1.0], dict.fromkeys(("half_life", "gradient_slope"), "the last output does not depend on the last")),
    ],
)
def test_what_has_no_reach_says_why(norms, known):
    found = reach(np.array(norms))
    assert found.keys() == known.keys()
    for name, value in known.items():
        if isinstance(value, str):
            assert found[name].startswith(value)
        else:
            assert found[name] == pytest.approx(value, abs=1e-12)


def test_exponents_are_those_of_the_products_along_the_trajectory():
    """The sum of all is the mean logarithm of the determinants, which no choice of directions changes."""
    reader = carrier_of(asked("gru"))
    found = exponents(reader, 1.0, D, np.random.default_rng(0)).values
    burnt = gradient_horizon.BURN_IN + 1  # the first token has no state before it to be differentiated by
    x = torch.as_tensor(np.random.default_rng(0).standard_normal((1, burnt + 40, D)))
    total = 0.0
    for t in range(burnt, burnt + 40):
        h = reader.last(x[:, :t]).detach()
        by_state, _ = reader.jacobians(h, x[:, t])
        total += float(torch.linalg.slogdet(by_state[0])[1])
    assert found.sum() == pytest.approx(total / 40)


def test_no_more_exponents_than_numbers_and_none_where_none_are_asked():
    assert gradient_horizon.measure(asked("Line", exponents=9)).curves["exponents"].x == range(1, D + 1)
    none = gradient_horizon.measure(asked("gru", exponents=0))
    assert "lyapunov_exponent" not in none.values and none.missing == ()


def test_a_state_too_large_to_multiply_is_noted(monkeypatch):
    monkeypatch.setattr(gradient_horizon, "MOST_DIFFERENTIATED", 3)
    found = gradient_horizon.measure(asked("gru", exponents=1))
    assert "no lyapunov_exponent: 4 numbers in the state, 3 at most are multiplied" in found.missing
    assert "state gradient" in found.curves


def test_a_derivative_that_is_not_finite_is_told():
    x = torch.ones(2, 3, D, dtype=torch.float64)
    with pytest.raises(SeqscaleError, match="the derivative of the output after 3 tokens is not finite"):
        gradient_norms("output", lambda tokens: (tokens[:, -1] - 1).sqrt(), x, np.random.default_rng(0))
    with pytest.raises(SeqscaleError, match="the state after 3 tokens is not finite"):
        gradient_norms("state", lambda tokens: tokens[:, -1] / 0, x, np.random.default_rng(0))
