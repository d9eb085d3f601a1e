"""tanh, sigmoid and exp against numbers of more digits; what is not a number stays none."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seqscale.kernels.activations import exponential, sigmoid, tanh
from seqscale.kernels.compiling import compiled
from seqscale.kernels.instructions import pointwise

each_tanh, each_sigmoid = pointwise(lambda x: [tanh(x)]), pointwise(lambda x: [sigmoid(x)])
each_exponential = pointwise(lambda x: [exponential(x)])


@compiled
def write_tanh(y, x):
    each_tanh(x.size, (x,), (0,), (y,), (0,))


@compiled
def write_sigmoid(y, x):
    each_sigmoid(x.size, (x,), (0,), (y,), (0,))


@compiled
def write_exponential(y, x):
    each_exponential(x.size, (x,), (0,), (y,), (0,))


def tanh_of(x):
    y = np.empty_like(x)
    write_tanh(y, x)
    return y


def sigmoid_of(x):
    y = np.empty_like(x)
    write_sigmoid(y, x)
    return y


def exponential_of(x):
    y = np.empty_like(x)
    write_exponential(y, x)
    return y


FUNCTIONS = {
    "tanh": (tanh_of, np.tanh),
    "sigmoid": (sigmoid_of, lambda x: np.exp(-np.logaddexp(np.longdouble(0), -x))),
    "exponential": (exponential_of, np.exp),
}
every_function = pytest.mark.parametrize("name", FUNCTIONS)
every_dtype = pytest.mark.parametrize("dtype", [np.float32, np.float64])


def spread(dtype: type) -> np.ndarray:
    rng = np.random.default_rng(0)
    ends = np.linspace(-750, 750, 30_001), np.linspace(-110, 110, 100_001), np.linspace(-12, 12, 300_001)
    tiny = rng.standard_normal(50_000) * 10.0 ** rng.uniform(-300 if dtype is np.float64 else -37, 0, 50_000)
    return np.concatenate([*ends, tiny]).astype(dtype)


@every_function
@every_dtype
def test_errors_are_a_few_units_of_the_last_place_and_too_large_a_number_is_infinite(name, dtype):
    function, exact = FUNCTIONS[name]
    x = spread(dtype)
    true, found = exact(x.astype(np.longdouble)), function(x)
    finite = np.abs(true) <= np.finfo(dtype).max
    places = np.spacing(np.abs(true[finite]).astype(dtype)).astype(np.longdouble)
    assert float((np.abs(found[finite] - true[finite]) / places).max()) <= 4
    assert np.isposinf(found[~finite]).all()
    assert (~finite).any() == (name == "exponential")


@every_function
def test_float64_is_exact_to_1e_14(name):
    function, exact = FUNCTIONS[name]
    x = spread(np.float64)
    true = exact(x.astype(np.longdouble))
    limits = np.finfo(np.float64)
    near = (np.abs(true) > limits.tiny) & (np.abs(true) < limits.max)  # smaller numbers have fewer digits
    assert float(np.max(np.abs(function(x) - true)[near] / np.abs(true)[near])) <= 1e-14


@every_function
@every_dtype
def test_not_a_number_stays_none_and_infinity_is_the_limit(name, dtype):
    function, _ = FUNCTIONS[name]
    # in whole registers and in what is left of one
    for size in (1, 3, 16, 37):
        assert np.isnan(function(np.full(size, np.nan, dtype))).all()
        one_of_them = np.zeros(size, dtype)
        one_of_them[-1] = np.nan
        assert np.isnan(function(one_of_them)).tolist() == [False] * (size - 1) + [True]
    limits = {"tanh": [1, -1, 0, -0.0], "sigmoid": [1, 0, 0.5, 0.5], "exponential": [np.inf, 0, 1, 1]}[name]
    found = function(np.array([np.inf, -np.inf, 0.0, -0.0], dtype))
    np.testing.assert_array_equal(found, np.array(limits, dtype))
    np.testing.assert_array_equal(np.signbit(found), np.signbit(np.array(limits, dtype)))


@settings(deadline=None, max_examples=40)
@given(size=st.integers(0, 70), seed=st.integers(0, 99))
def test_every_number_of_any_array_is_written_by_itself(size, seed):
    x = np.random.default_rng(seed).standard_normal(size)
    alone = [float(tanh_of(x[i : i + 1])[0]) for i in range(size)]
    assert tanh_of(x).tolist() == alone
