"""Exponents in closed form against exponents of products that are multiplied out."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seqscale.estimators.lyapunov import lyapunov_exponents
from seqscale.theory.lyapunov import delta_exponent, driven_tanh_exponent, orthogonal_exponent


def projections(dimension, steps, rng):
    """The Jacobians of the delta rule at rate 1: I - k k' with random unit keys."""
    for _ in range(steps):
        key = rng.standard_normal(dimension)
        key /= np.linalg.norm(key)
        yield np.eye(dimension) - np.outer(key, key)


def tanh_jacobians(w_h, input_sd, steps, rng):
    h = rng.standard_normal(len(w_h))
    for _ in range(steps):
        h = np.tanh(w_h @ h + input_sd * rng.standard_normal(len(h)))
        yield (1 - h**2)[:, None] * w_h


def test_orthogonal():
    assert orthogonal_exponent(0.95) == pytest.approx(-0.051293, abs=5e-7)


def test_driven_tanh_of_the_document():
    assert driven_tanh_exponent(1.5, 0.5) == pytest.approx(-0.0167, abs=5e-5)


@given(gain=st.floats(0.05, 0.99))
def test_without_input_a_small_gain_dies_out_and_its_logarithm_is_left(gain):
    assert driven_tanh_exponent(gain, 0.0) == pytest.approx(math.log(gain), abs=1e-9)


@settings(deadline=None)
@given(gain=st.floats(0.1, 3), louder=st.floats(0.1, 3))
def test_input_only_calms(gain, louder):
    """Saturated units hand on less: the exponent falls with the input, and stays below ln gain."""
    quiet, loud = driven_tanh_exponent(gain, 0.1), driven_tanh_exponent(gain, 0.1 + louder)
    assert loud < quiet < math.log(gain)


@settings(deadline=None, max_examples=15)
@given(gain=st.floats(0.2, 3), input_sd=st.floats(0, 2))
def test_the_mean_field_is_a_fixed_point(gain, input_sd):
    """Fixed-point iteration from above with Gauss and Hermite nodes, written out."""
    z, weight = np.polynomial.hermite_e.hermegauss(200)
    weight = weight / weight.sum()
    q = gain**2 + input_sd**2
    for _ in range(20_000):
        new = gain**2 * float(weight @ np.tanh(math.sqrt(q) * z) ** 2) + input_sd**2
        if abs(new - q) < 1e-14:
            break
        q = new
    slope = 1 - np.tanh(math.sqrt(q) * z) ** 2
    plain = 0.5 * math.log(gain**2 * float(weight @ slope**2))
    assert driven_tanh_exponent(gain, input_sd) == pytest.approx(plain, abs=2e-3)


def test_a_driven_network_of_400_units_is_near_the_mean_field():
    rng = np.random.default_rng(3)
    w_h = 1.5 * rng.standard_normal((400, 400)) / 20
    found = lyapunov_exponents(tanh_jacobians(w_h, 0.5, 700, rng), 1, 100, rng)
    assert abs(found.values[0] - driven_tanh_exponent(1.5, 0.5)) < 4 * found.standard_errors[0] + 0.004


@pytest.mark.parametrize("dimension", [2, 3, 8, 32])
def test_the_delta_rule_shrinks_at_its_closed_rate(dimension):
    rng = np.random.default_rng(dimension)
    found = lyapunov_exponents(projections(dimension, 6000, rng), 1, 50, rng)
    assert abs(found.values[0] - delta_exponent(dimension)) < 4 * found.standard_errors[0]


def test_the_delta_rule_in_many_dimensions_is_minus_one_over_twice_as_many():
    assert delta_exponent(2) == pytest.approx(-math.log(2))
    assert delta_exponent(1000) == pytest.approx(-1 / 2000, rel=3e-3)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: orthogonal_exponent(0.0), "gain=0: must be above 0"),
        (lambda: driven_tanh_exponent(-1.0, 0.1), "gain=-1: must be above 0"),
        (lambda: driven_tanh_exponent(1.0, -0.1), "input_sd=-0.1: must be at least 0"),
        (lambda: delta_exponent(1), "dimension=1: must be at least 2"),
    ],
)
def test_what_cannot_be_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()
