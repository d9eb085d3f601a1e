"""The selective scan's kernel against a loop over steps with torch's own derivative."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from recurrences import Arrays, assert_close, poison

from seqscale.kernels import blocks
from seqscale.kernels.selective import selective, selective_backward, selective_keeping

NAMES = ("x", "delta", "a", "b", "c", "h")


def draw(m: int, b: int, t: int, d: int, n: int, dtype: str = "float64", seed: int = 0) -> Arrays:
    """Return arguments, and the gradients of the outputs and of the last state; no state grows."""
    rng = np.random.default_rng(seed)
    of_x, of_b, of_h = (m, b, t, d), (m, b, t, n), (m, b, d, n)
    shapes = {"x": of_x, "delta": of_x, "a": (m, d, n), "b": of_b, "c": of_b, "h": of_h, "gy": of_x, "g_last": of_h}
    drawn = {name: rng.standard_normal(shape).astype(dtype) for name, shape in shapes.items()}
    return drawn | {"delta": np.abs(drawn["delta"]), "a": -np.abs(drawn["a"])}


def forward(drawn: Arrays, threads: int = 1) -> Arrays:
    return dict(zip(("y", "last"), selective(*(drawn[name] for name in NAMES), threads), strict=True))


def both(drawn: Arrays, threads: int = 1) -> Arrays:
    """Return the outputs, the last state, and all gradients, by name."""
    y, last, kept = selective_keeping(*(drawn[name] for name in NAMES), threads)
    given_to_it = (drawn["gy"], drawn["g_last"], kept, *(drawn[name] for name in NAMES[:-1]))
    gradients = selective_backward(*given_to_it, threads)
    of = {f"gradient of {name}": value for name, value in zip(NAMES, gradients, strict=True)}
    return {"y": y, "last": last} | of


def by_loop(drawn: Arrays) -> Arrays:
    leaves = {name: torch.tensor(drawn[name]).requires_grad_() for name in NAMES}
    x, delta, a, b, c, state = leaves.values()
    outputs = []
    for i in range(x.shape[2]):
        rate = delta[:, :, i, :, None]
        state = torch.exp(rate * a[:, None]) * state + rate * b[:, :, i, None] * x[:, :, i, :, None]
        outputs.append((state * c[:, :, i, None]).sum(-1))
    y = torch.stack(outputs, dim=2)
    of_sources = [torch.tensor(drawn[name]) for name in ("gy", "g_last")]
    gradients = torch.autograd.grad([y, state], list(leaves.values()), of_sources)
    values = {"y": y, "last": state} | {f"gradient of {n}": g for n, g in zip(leaves, gradients, strict=True)}
    return {name: value.detach().numpy() for name, value in values.items()}


def strided(drawn: Arrays) -> Arrays:
    """The same numbers where neighbours do not lie beside each other."""
    return {name: np.repeat(array, 2, axis=-1)[..., ::2] for name, array in drawn.items()}


def expanded(drawn: Arrays) -> Arrays:
    """Numbers of one step, shown many times."""
    steps = {name: array[:, :, :1] for name, array in drawn.items() if name in ("x", "delta", "b", "c", "gy")}
    return drawn | {name: np.broadcast_to(array, drawn[name].shape) for name, array in steps.items()}


LAYOUTS = {"contiguous": lambda drawn: drawn, "strided": strided, "expanded": expanded}


@settings(deadline=None, max_examples=60)
@given(
    m=st.integers(1, 3),
    b=st.integers(0, 9),
    t=st.integers(1, 67),
    d=st.integers(1, 40),
    n=st.integers(1, 18),
    dtype=st.sampled_from(["float64", "float32"]),
    layout=st.sampled_from(sorted(LAYOUTS)),
    threads=st.integers(1, 3),
)
@example(m=1, b=1, t=65, d=37, n=16, dtype="float64", layout="contiguous", threads=3)
@example(m=2, b=1, t=1, d=1, n=1, dtype="float32", layout="contiguous", threads=1)
def test_outputs_states_and_gradients_are_the_loops(m, b, t, d, n, dtype, layout, threads):
    drawn = LAYOUTS[layout](draw(m, b, t, d, n, dtype))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(blocks, "_WORTH_A_THREAD", 1)
        assert_close(both(drawn, threads), by_loop(drawn))


def test_what_is_kept_for_the_gradient_changes_no_output_and_is_one_state_of_32():
    drawn = draw(2, 3, 33, 19, 5, "float32")
    kept = selective_keeping(*(drawn[name] for name in NAMES))[-1]
    assert kept.shape == (2, 3, 2, 5, 19)
    found = both(drawn)
    for name, value in forward(drawn).items():
        np.testing.assert_array_equal(value, found[name])


@pytest.mark.parametrize("cut", [1, 32, 21])
def test_two_parts_with_the_state_carried_are_one_pass(cut):
    drawn = draw(2, 3, 40, 19, 5)
    steps = ("x", "delta", "b", "c")
    first = forward(drawn | {name: drawn[name][:, :, :cut] for name in steps})
    second = forward(drawn | {name: drawn[name][:, :, cut:] for name in steps} | {"h": first["last"]})
    whole = forward(drawn)
    np.testing.assert_array_equal(np.concatenate([first["y"], second["y"]], axis=2), whole["y"])
    np.testing.assert_array_equal(second["last"], whole["last"])


def test_nothing_is_read_before_it_is_written_no_argument_is_written_and_calls_repeat(monkeypatch):
    drawn = draw(2, 3, 35, 21, 5, "float32")
    untouched = {name: array.copy() for name, array in drawn.items()}
    clean = both(drawn, 2)
    poison(monkeypatch)
    for _ in range(100):
        for name, value in both(drawn, 2).items():
            np.testing.assert_array_equal(value, clean[name])
    for name, array in drawn.items():
        np.testing.assert_array_equal(array, untouched[name])


def test_channels_among_threads_change_no_output(monkeypatch):
    monkeypatch.setattr(blocks, "_WORTH_A_THREAD", 1)
    drawn = draw(1, 1, 35, 50, 5)
    alone, shared = both(drawn), both(drawn, 3)
    for name, value in alone.items():
        if name not in ("gradient of b", "gradient of c"):  # sums over channels, in another order
            np.testing.assert_array_equal(value, shared[name])
    assert_close(shared, alone)


@pytest.mark.parametrize("threads", [1, 2])
def test_not_a_number_reaches_all_that_depends_on_it_and_nothing_else(threads):
    drawn = draw(1, 2, 40, 21, 3)
    drawn["x"][0, 0, 18, 4] = np.nan
    found = both(drawn, threads)
    wanted = by_loop(drawn)
    for name, value in found.items():
        np.testing.assert_array_equal(np.isnan(value), np.isnan(wanted[name]), err_msg=name)
    assert np.isnan(found["y"][0, 0, :, 4]).tolist() == [False] * 18 + [True] * 22
    assert np.isnan(found["y"]).sum() == 22


@pytest.mark.parametrize("name", ["b", "c"])
def test_infinity_shared_by_channels_is_what_it_is_in_the_loop(name):
    drawn = draw(1, 1, 3, 5, 2)
    drawn["gy"], drawn["x"] = np.abs(drawn["gy"]), np.abs(drawn["x"])
    drawn[name][0, 0, 1, 1] = np.inf
    found, wanted = both(drawn), by_loop(drawn)
    for part, value in found.items():
        np.testing.assert_array_equal(np.isnan(value), np.isnan(wanted[part]), err_msg=part)
        np.testing.assert_array_equal(np.isposinf(value), np.isposinf(wanted[part]), err_msg=part)


@pytest.mark.parametrize(
    ("name", "wrong", "words"),
    [
        ("x", lambda x: x[0], r"x: has shape \(3, 4, 5\); expected \(models, batch, time, channels\)"),
        ("x", lambda x: x[:, :, :0], r"x: has shape \(2, 3, 0, 5\); expected .* at least one step"),
        ("x", lambda x: x.astype("float16"), "x: has dtype float16; expected float32 or float64"),
        ("delta", lambda delta: delta[..., :1], r"delta: has shape \(2, 3, 4, 1\); expected \(2, 3, 4, 5\)"),
        ("a", lambda a: a[0], r"a: has shape \(5, 6\); expected \(2, 5, 6\)"),
        ("a", lambda a: a.mT, r"a: has shape \(2, 6, 5\); expected \(2, 5, 5\)"),
        ("b", lambda b: b[..., :2], r"b: has shape \(2, 3, 4, 2\); expected \(2, 3, 4, 6\)"),
        ("c", lambda c: c.astype("float32"), "c: has dtype float32; expected float64"),
        ("h", lambda h: h.mT, r"h: has shape \(2, 3, 6, 5\); expected \(2, 3, 5, 6\)"),
    ],
)
def test_wrong_arguments_are_named_with_what_was_given_and_expected(name, wrong, words):
    drawn = draw(2, 3, 4, 5, 6)
    with pytest.raises(ValueError, match=words):
        forward(drawn | {name: wrong(drawn[name])})


@pytest.mark.parametrize(
    ("name", "wrong", "words"),
    [
        ("gy", lambda gy: gy[:, :, :2], r"gy: has shape \(2, 3, 2, 5\); expected \(2, 3, 4, 5\)"),
        ("g_last", lambda g: g[..., 0], r"g_last: has shape \(2, 3, 5\); expected \(2, 3, 5, 6\)"),
    ],
)
def test_gradients_of_another_shape_than_the_results_are_refused(name, wrong, words):
    drawn = draw(2, 3, 4, 5, 6)
    with pytest.raises(ValueError, match=words):
        both(drawn | {name: wrong(drawn[name])})
