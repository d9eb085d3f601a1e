"""Kernels that carry a matrix give what a loop over the layers' steps gives: outputs, last states, gradients."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from recurrences import Arrays, assert_close, poison
from torch import Tensor

from seqscale.kernels import blocks
from seqscale.kernels.delta import delta, delta_backward, delta_keeping
from seqscale.kernels.linear_attention import (
    linear_attention,
    linear_attention_backward,
    linear_attention_keeping,
)
from seqscale.layers.deltanet import delta_step
from seqscale.layers.linear_attention import linear_attention_step

GIVEN = ("q", "k", "v", "rate", "s")


@dataclass(frozen=True, slots=True)
class Kernel:
    """One recurrence whose state is a matrix.

    Attributes:
        rate: the name of its decay or share, and the shape that it has of (m, b, t).
        forward: arguments, chunk, threads -> what is read, and the last state.
        both: the same, and gradients by name.
        step: (q_t, k_t, v_t, rate_t, s) -> what is read and the next state.
        without: the argument that has no gradient.
    """

    rate: Callable[[int, int, int], tuple[int, ...]]
    forward: Callable[[Arrays, int, int], Arrays]
    both: Callable[[Arrays, int, int], Arrays]
    step: Callable[[Tensor, Tensor, Tensor, Tensor, Tensor], tuple[Tensor, Tensor]]
    without: str = ""


def arguments(drawn: Arrays) -> list[np.ndarray]:
    return [drawn[name] for name in GIVEN]


def attend(drawn: Arrays, chunk: int, threads: int) -> Arrays:
    return dict(zip(("y", "last"), linear_attention(*arguments(drawn), chunk, threads), strict=True))


def attend_both(drawn: Arrays, chunk: int, threads: int) -> Arrays:
    y, last, states = linear_attention_keeping(*arguments(drawn), chunk, threads)
    parts = [drawn[name] for name in ("gy", "g_last", "q", "k", "v", "rate")]
    gradients = linear_attention_backward(*parts, states, chunk, threads)
    return {"y": y, "last": last} | {f"gradient of {n}": g for n, g in zip("qkvs", gradients, strict=True)}


def attend_step(q: Tensor, k: Tensor, v: Tensor, g: Tensor, s: Tensor) -> tuple[Tensor, Tensor]:
    return linear_attention_step(q, k, v, g[..., None, None] * s)


def replace(drawn: Arrays, chunk: int, threads: int) -> Arrays:
    return dict(zip(("y", "last"), delta(*arguments(drawn), chunk, threads), strict=True))


def replace_both(drawn: Arrays, chunk: int, threads: int) -> Arrays:
    y, last, off, states = delta_keeping(*arguments(drawn), chunk, threads)
    parts = [drawn[name] for name in ("gy", "g_last", "q", "k", "rate")]
    gradients = delta_backward(*parts, off, states, chunk, threads)
    return {"y": y, "last": last} | {f"gradient of {n}": g for n, g in zip(GIVEN, gradients, strict=True)}


KERNELS = {
    "linear attention": Kernel(lambda m, b, t: (m, b), attend, attend_both, attend_step, without="rate"),
    "delta": Kernel(lambda m, b, t: (m, b, t), replace, replace_both, delta_step),
}
every_kernel = pytest.mark.parametrize("name", KERNELS)


def draw(name: str, m: int, b: int, t: int, e: int, f: int, dtype: str) -> Arrays:
    """Return arguments, and gradients of what is returned: normal numbers, keys of length 1, rates from 0 to 1."""
    rng = np.random.default_rng(0)
    shapes = {"q": (m, b, t, e), "k": (m, b, t, e), "v": (m, b, t, f), "s": (m, b, f, e)}
    shapes |= {"gy": (m, b, t, f), "g_last": (m, b, f, e)}
    drawn = {part: rng.standard_normal(shape) for part, shape in shapes.items()}
    drawn["k"] /= np.linalg.norm(drawn["k"], axis=-1, keepdims=True)
    drawn["rate"] = rng.uniform(size=KERNELS[name].rate(m, b, t))
    return {part: array.astype(dtype) for part, array in drawn.items()}


def reference(name: str, drawn: Arrays) -> Arrays:
    """Return what is read, the last state and gradients by a loop over steps."""
    kernel = KERNELS[name]
    leaves = {part: torch.tensor(drawn[part]).requires_grad_() for part in GIVEN}
    s, rate, read = leaves["s"], leaves["rate"], []
    for t in range(drawn["q"].shape[2]):
        rate_t = rate[:, :, t] if rate.ndim == 3 else rate
        y_t, s = kernel.step(*(leaves[part][:, :, t] for part in "qkv"), rate_t, s)
        read.append(y_t)
    y = torch.stack(read, dim=2)
    wanted = [part for part in GIVEN if part != kernel.without]
    of = [torch.tensor(drawn[part]) for part in ("gy", "g_last")]
    gradients = torch.autograd.grad([y, s], [leaves[part] for part in wanted], of)
    values = {"y": y, "last": s} | {f"gradient of {part}": g for part, g in zip(wanted, gradients, strict=True)}
    return {part: value.detach().numpy() for part, value in values.items()}


def strided(drawn: Arrays) -> Arrays:
    """The same numbers where neighbours do not lie beside each other."""
    return {part: np.repeat(array, 2, axis=-1)[..., ::2] for part, array in drawn.items()}


def expanded(drawn: Arrays) -> Arrays:
    """Numbers that are one step, or one model, shown many times."""
    small = {"q": drawn["q"][:, :, :1], "gy": drawn["gy"][:, :, :1], "s": drawn["s"][:1]}
    return drawn | {part: np.broadcast_to(array, drawn[part].shape) for part, array in small.items()}


LAYOUTS = {"contiguous": lambda drawn: drawn, "strided": strided, "expanded": expanded}


@every_kernel
@settings(deadline=None, max_examples=50)
@given(
    m=st.integers(1, 3),
    b=st.integers(0, 10),
    t=st.integers(1, 40),
    e=st.integers(1, 40),
    f=st.integers(1, 40),
    chunk=st.integers(1, 33),
    dtype=st.sampled_from(["float64", "float32"]),
    layout=st.sampled_from(sorted(LAYOUTS)),
    threads=st.integers(1, 3),
)
@example(m=1, b=2, t=70, e=64, f=64, chunk=32, dtype="float32", layout="contiguous", threads=1)
@example(m=1, b=9, t=33, e=17, f=33, chunk=32, dtype="float64", layout="contiguous", threads=1)
@example(m=1, b=1, t=1, e=1, f=1, chunk=32, dtype="float32", layout="contiguous", threads=1)
def test_what_is_read_states_and_gradients_are_the_loops(name, m, b, t, e, f, chunk, dtype, layout, threads):
    assume((name, e, dtype) != ("delta", 1, "float32") or min(t, chunk) < 8)  # as `delta_backward` says
    drawn = LAYOUTS[layout](draw(name, m, b, t, e, f, dtype))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(blocks, "_WORTH_A_THREAD", 1)
        assert_close(KERNELS[name].both(drawn, chunk, threads), reference(name, drawn))


@pytest.mark.parametrize("g", [0.0, 1.0])
def test_a_decay_may_forget_all_or_nothing(g):
    drawn = draw("linear attention", 1, 3, 37, 9, 5, "float64")
    drawn["rate"][:] = g
    assert_close(attend_both(drawn, 32, 1), reference("linear attention", drawn))


@every_kernel
def test_what_is_kept_for_the_gradient_changes_nothing_returned(name):
    drawn = draw(name, 2, 5, 40, 19, 11, "float32")
    both = KERNELS[name].both(drawn, 16, 1)
    for part, value in KERNELS[name].forward(drawn, 16, 1).items():
        np.testing.assert_array_equal(value, both[part])


@every_kernel
def test_two_halves_with_the_state_carried_are_one_pass(name):
    drawn = draw(name, 2, 3, 50, 19, 11, "float64")
    whole = KERNELS[name].forward(drawn, 32, 1)
    parts = [part for part in GIVEN if part != "s" and drawn[part].ndim > 2]
    one = KERNELS[name].forward(drawn | {part: drawn[part][:, :, :21] for part in parts}, 32, 1)
    later = {part: drawn[part][:, :, 21:] for part in parts}
    other = KERNELS[name].forward(drawn | later | {"s": one["last"]}, 32, 1)
    joined = {"y": np.concatenate([one["y"], other["y"]], axis=2), "last": other["last"]}
    assert_close(joined, whole)


@every_kernel
def test_nothing_is_read_before_it_is_written(name, monkeypatch):
    drawn = draw(name, 2, 9, 21, 21, 13, "float32")
    clean = KERNELS[name].both(drawn, 16, 1)
    poison(monkeypatch)
    for part, value in KERNELS[name].both(drawn, 16, 1).items():
        np.testing.assert_array_equal(value, clean[part])


@every_kernel
def test_a_thousand_calls_are_bit_equal(name, monkeypatch):
    monkeypatch.setattr(blocks, "_WORTH_A_THREAD", 1)
    drawn = draw(name, 1, 3, 20, 10, 10, "float32")
    first = KERNELS[name].both(drawn, 16, 2)
    for _ in range(1000):
        again = KERNELS[name].both(drawn, 16, 2)
        assert all(np.array_equal(first[part], again[part]) for part in first)


@every_kernel
@pytest.mark.parametrize("part, stays", [("q", False), ("k", True), ("v", True)])
def test_not_a_number_reaches_all_that_depends_on_it_and_nothing_else(name, part, stays):
    drawn = draw(name, 1, 9, 45, 11, 7, "float32")
    drawn[part][0, 4, 18, 0] = np.nan
    found = KERNELS[name].both(drawn, 16, 1)
    sick = np.isnan(found["y"]).any(axis=-1)[0]
    assert sick[4].tolist() == [False] * 18 + [True] + [stays] * 26
    others = {place: np.delete(value, 4, axis=1) for place, value in found.items()}
    assert not any(np.isnan(value).any() for value in others.values())
    assert np.isnan(found["last"][0, 4]).any() == stays


@every_kernel
@pytest.mark.parametrize("part", ["gy", "g_last"])
def test_a_gradient_that_is_not_a_number_goes_back_in_time_alone(name, part):
    drawn = draw(name, 1, 9, 45, 11, 7, "float32")
    drawn[part][(0, 4, 18, 0) if part == "gy" else (0, 4, 0, 0)] = np.nan
    found = KERNELS[name].both(drawn, 16, 1)
    sick = np.isnan(found["gradient of v"]).any(axis=-1)[0]
    assert sick[4].tolist() == [True] * (19 if part == "gy" else 45) + [False] * (26 if part == "gy" else 0)
    assert not np.delete(sick, 4, axis=0).any()
    assert np.isnan(found["gradient of s"][0, 4]).any()


@every_kernel
@pytest.mark.parametrize(
    "part, wrong, words",
    [
        ("q", lambda q: q[0], r"q: has shape \(3, 4, 5\); expected \(models, batch, time, features\)"),
        ("q", lambda q: q[:, :, :0], r"q: has shape \(2, 3, 0, 5\); expected .* at least one step"),
        ("q", lambda q: q.astype(np.float16), "q: has dtype float16; expected float32 or float64"),
        ("k", lambda k: k[..., :4], r"k: has shape \(2, 3, 4, 4\); expected \(2, 3, 4, 5\)"),
        ("v", lambda v: v[:, :, :2], r"v: has shape \(2, 3, 2, 6\); expected \(2, 3, 4, 6\)"),
        ("v", lambda v: v[0, 0, 0, 0], r"v: has shape \(\); expected \(2, 3, 4, 0\)"),
        ("rate", lambda r: r[:, :2], r"(g|beta): has shape \(2, 2.*\); expected \(2, 3.*\)"),
        ("s", lambda s: s.swapaxes(2, 3), r"s: has shape \(2, 3, 5, 6\); expected \(2, 3, 6, 5\)"),
        ("s", lambda s: s.astype(np.float32), "s: has dtype float32; expected float64"),
        ("gy", lambda gy: gy[:, :, :2], r"gy: has shape \(2, 3, 2, 6\); expected \(2, 3, 4, 6\)"),
        ("g_last", lambda g: g[:1], r"g_last: has shape \(1, 3, 6, 5\); expected \(2, 3, 6, 5\)"),
    ],
)
def test_wrong_arguments_are_named_with_what_was_given_and_expected(name, part, wrong, words):
    drawn = draw(name, 2, 3, 4, 5, 6, "float64")
    with pytest.raises(ValueError, match=words):
        KERNELS[name].both(drawn | {part: wrong(drawn[part])}, 32, 1)


@every_kernel
def test_a_chunk_without_tokens_is_refused(name):
    with pytest.raises(ValueError, match="chunk: is 0; expected a whole number >= 1"):
        KERNELS[name].forward(draw(name, 1, 1, 4, 5, 6, "float64"), 0, 1)


@every_kernel
def test_states_kept_for_other_chunks_are_refused(name):
    drawn = draw(name, 1, 1, 9, 5, 6, "float64")
    kernel = {"linear attention": linear_attention_keeping, "delta": delta_keeping}[name]
    kept = kernel(*arguments(drawn), 4)[2:]
    with pytest.raises(ValueError, match=r"states: has shape \(1, 1, 3, 5, 6\); expected \(1, 1, 2, 5, 6\)"):
        if name == "delta":
            delta_backward(*(drawn[part] for part in ("gy", "g_last", "q", "k", "rate")), *kept, 8)
        else:
            linear_attention_backward(*(drawn[part] for part in ("gy", "g_last", "q", "k", "v", "rate")), *kept, 8)
