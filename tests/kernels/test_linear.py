"""The products around a recurrence are numpy's in double precision, for any size and layout."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from recurrences import Arrays, assert_close, poison

from seqscale.kernels import blocks, linear


def draw(m: int, n: int, k: int, p: int, dtype: str) -> Arrays:
    rng = np.random.default_rng(0)
    shapes = {"x": (m, n, k), "w": (m, p, k), "b": (m, p), "g": (m, n, p)}
    return {name: rng.standard_normal(shape).astype(dtype) for name, shape in shapes.items()}


def found(drawn: Arrays, outputs: int, threads: int) -> Arrays:
    return {
        "y": linear.linear(drawn["x"], drawn["w"], drawn["b"], threads),
        "gx": linear.linear_backward(drawn["g"], drawn["w"], threads),
        "gw": linear.outer(drawn["g"], drawn["x"], outputs, threads),
    }


def wanted(drawn: Arrays, outputs: int) -> Arrays:
    x, w, b, g = (drawn[name].astype(np.float64) for name in "xwbg")
    whole = {
        "y": x @ w.swapaxes(1, 2) + b[:, None],
        "gx": g @ w,
        "gw": (g.swapaxes(1, 2) @ x)[:, :outputs],
    }
    return {name: value.astype(drawn["x"].dtype) for name, value in whole.items()}


@settings(deadline=None, max_examples=40)
@given(
    m=st.integers(1, 3),
    n=st.integers(0, 40),
    k=st.integers(1, 70),
    p=st.integers(1, 70),
    without=st.integers(0, 70),
    dtype=st.sampled_from(["float64", "float32"]),
    strided=st.booleans(),
    threads=st.integers(1, 3),
)
@example(m=2, n=600, k=33, p=20, without=0, dtype="float64", strided=False, threads=1)  # several parts of the sum
@example(m=1, n=17, k=700, p=300, without=0, dtype="float64", strided=False, threads=2)  # several groups of columns
def test_products_are_those_of_the_definition(m, n, k, p, without, dtype, strided, threads):
    drawn = draw(m, n, k, p, dtype)
    if strided:
        drawn = {name: np.repeat(array, 2, axis=-1)[..., ::2] for name, array in drawn.items()}
    outputs = max(0, p - without)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(blocks, "_WORTH_A_THREAD", 1)
        assert_close(found(drawn, outputs, threads), wanted(drawn, outputs))


def test_nothing_is_read_before_it_is_written(monkeypatch):
    drawn = draw(2, 300, 21, 37, "float32")
    clean = found(drawn, 30, 1)
    poison(monkeypatch)
    for name, value in found(drawn, 30, 1).items():
        np.testing.assert_array_equal(value, clean[name])


def test_not_a_number_reaches_what_depends_on_it_and_nothing_else():
    drawn = draw(1, 300, 21, 37, "float32")
    drawn["x"][0, 5, 3] = drawn["g"][0, 7, 2] = np.nan
    sick = {name: np.isnan(value[0]) for name, value in found(drawn, 37, 1).items()}
    assert sick["y"][5].all() and not np.delete(sick["y"], 5, axis=0).any()
    assert sick["gx"][7].all() and not np.delete(sick["gx"], 7, axis=0).any()
    assert sick["gw"][2].all() and sick["gw"][:, 3].all() and sick["gw"].sum() == 21 + 37 - 1


@pytest.mark.parametrize(
    "part, wrong, words",
    [
        ("x", lambda x: x[0], r"x: has shape \(4, 5\); expected \(models, tokens, terms\)"),
        ("w", lambda w: w[..., :3], r"w: has shape \(2, 6, 3\); expected \(2, 6, 5\)"),
        ("b", lambda b: b.astype(np.float32), "b: has dtype float32; expected float64"),
        ("g", lambda g: g.astype(np.float16), "g: has dtype float16; expected float32 or float64"),
    ],
)
def test_wrong_arguments_are_named_with_what_was_given_and_expected(part, wrong, words):
    drawn = draw(2, 4, 5, 6, "float64")
    with pytest.raises(ValueError, match=words):
        found(drawn | {part: wrong(drawn[part])}, 6, 1)


def test_more_outputs_than_there_are_is_refused():
    drawn = draw(1, 4, 5, 6, "float64")
    with pytest.raises(ValueError, match="outputs: is 7; expected at most 6"):
        linear.outer(drawn["g"], drawn["x"], 7)


@settings(deadline=None, max_examples=200)
@given(count=st.integers(0, 100), rows=st.integers(1, 9), threads=st.integers(1, 9))
def test_pieces_are_whole_blocks_of_which_none_is_done_twice(count, rows, threads):
    parts = blocks.pieces(count, rows, threads)
    assert len(parts) == max(1, min(threads, -(-count // rows)))
    assert [i for first, last in parts for i in range(first, last)] == list(range(count))
    assert all(first % rows == 0 for first, _ in parts)
    most = max(last - first for first, last in parts)
    assert all(last - first >= most - 2 * rows for first, last in parts)


@pytest.mark.parametrize("tokens, shares", [(5_000, 1), (400_000, 2)])
def test_threads_start_where_there_is_enough_for_them_to_do(tokens, shares, monkeypatch):
    started = []
    together = linear.together
    monkeypatch.setattr(linear, "together", lambda do, parts: started.append(len(parts)) or together(do, parts))
    found(draw(1, tokens, 8, 16, "float32"), 16, 2)
    assert started == [shares] * 3
