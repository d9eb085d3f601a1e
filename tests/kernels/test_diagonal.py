"""The diagonal recurrence's kernels against a loop over steps in torch's own complex numbers."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from recurrences import assert_close, poison

from seqscale.kernels import blocks
from seqscale.kernels.diagonal import diagonal, diagonal_backward, diagonal_complex, diagonal_complex_backward

NAMES = ("y", "gradient of a", "gradient of b", "gradient of h")
every_kind = pytest.mark.parametrize("kind", ["real", "complex"])


def draw(kind, m, b, t, h, dtype="float64", shared=(False, False), seed=0):
    """Return a, b, h and the gradient of the states."""
    rng = np.random.default_rng(seed)
    of_a = (m, 1 if shared[0] else b, 1 if shared[1] else t, h)
    drawn = []
    for shape in (of_a, (m, b, t, h), (m, b, h), (m, b, t, h)):
        numbers = rng.standard_normal(shape)
        drawn.append(numbers + 1j * rng.standard_normal(shape) if kind == "complex" else numbers)
    precision = {"float32": np.complex64, "float64": np.complex128}[dtype] if kind == "complex" else dtype
    drawn[0] *= 0.7
    return [numbers.astype(precision) for numbers in drawn]


def split(*arrays):
    """Return real and imaginary parts, which do not lie side by side."""
    return [part for array in arrays for part in (array.real, array.imag)]


def join(arrays):
    return [re + 1j * im for re, im in zip(arrays[::2], arrays[1::2], strict=True)]


def by_kernel(kind, drawn, threads=1):
    """Return the states, and the gradients of a, b and h, by name."""
    a, b, h, gy = drawn
    if kind == "real":
        y = diagonal(a, b, h, threads)
        found = [y, *diagonal_backward(gy, y, a, h, threads)]
    else:
        re, im = diagonal_complex(*split(a, b, h), threads=threads)
        found = join([re, im, *diagonal_complex_backward(*split(gy), re, im, *split(a, h), threads=threads)])
    if a.shape[1] == 1:
        found[1] = found[1].sum(1, keepdims=True)
    return dict(zip(NAMES, found, strict=True))


def by_loop(drawn):
    a, b, h = (torch.tensor(part).requires_grad_() for part in drawn[:3])
    state, states = h, []
    whole = a.expand(b.shape)
    for i in range(b.shape[2]):
        state = whole[:, :, i] * state + b[:, :, i]
        states.append(state)
    y = torch.stack(states, dim=2)
    gradients = torch.autograd.grad(y, (a, b, h), torch.tensor(drawn[3]))
    return {name: part.detach().numpy() for name, part in zip(NAMES, (y, *gradients), strict=True)}


@every_kind
@settings(deadline=None, max_examples=30)
@given(
    m=st.integers(1, 3),
    b=st.integers(0, 5),
    t=st.integers(1, 9),
    h=st.integers(1, 40),
    dtype=st.sampled_from(["float64", "float32"]),
    shared=st.tuples(st.booleans(), st.booleans()),
    threads=st.integers(1, 3),
)
def test_states_and_gradients_are_the_loops(kind, m, b, t, h, dtype, shared, threads):
    drawn = draw(kind, m, b, t, h, dtype, shared)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(blocks, "_WORTH_A_THREAD", 1)
        assert_close(by_kernel(kind, drawn, threads), by_loop(drawn))


@every_kind
def test_nothing_is_read_before_it_is_written_and_calls_repeat(kind, monkeypatch):
    drawn = draw(kind, 2, 3, 5, 21, "float32", (True, True))
    clean = by_kernel(kind, drawn)
    poison(monkeypatch)
    for _ in range(100):
        for name, value in by_kernel(kind, drawn).items():
            np.testing.assert_array_equal(value, clean[name])


def test_not_a_number_and_infinity_pass_through():
    a, b, h, _ = draw("real", 1, 2, 6, 5)
    b[0, 0, 3, 1], b[0, 1, 2, 4] = np.nan, np.inf
    y = diagonal(np.abs(a), b, h)
    assert np.isnan(y[0, 0, :, 1]).tolist() == [False] * 3 + [True] * 3
    assert np.isposinf(y[0, 1, :, 4]).tolist() == [False] * 2 + [True] * 4
    assert np.isfinite(y).sum() == y.size - 7


@pytest.mark.parametrize(
    ("part", "wrong", "words"),
    [
        (0, lambda a: a[:, :, :2], r"a: has shape \(2, 3, 2, 5\); expected \(2, 3, 4, 5\)"),
        (0, lambda a: a[0], r"a: has shape \(3, 4, 5\); expected \(2, 1, 1, 5\)"),
        (1, lambda b: b[:, :, :0], r"b: has shape \(2, 3, 0, 5\); expected .* at least one step"),
        (2, lambda h: h[:, :1], r"h: has shape \(2, 1, 5\); expected \(2, 3, 5\)"),
        (2, lambda h: h.astype("float32"), "h: has dtype float32; expected float64"),
    ],
)
def test_wrong_arguments_are_named_with_what_was_given_and_expected(part, wrong, words):
    drawn = draw("real", 2, 3, 4, 5)[:3]
    drawn[part] = wrong(drawn[part])
    with pytest.raises(ValueError, match=words):
        diagonal(*drawn)


@every_kind
def test_a_gradient_of_another_length_than_the_states_is_refused(kind):
    *given_to_it, gy = draw(kind, 2, 3, 4, 5)
    with pytest.raises(ValueError, match=r"gy(_re)?: has shape \(2, 3, 2, 5\); expected \(2, 3, 4, 5\)"):
        by_kernel(kind, [*given_to_it, gy[:, :, :2]])
