"""The products around a recurrence are numpy's in double precision, for any size and layout."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from recurrences import Arrays, assert_close, before, poison

from seqscale.kernels import blocks, linear


def draw(m: int, n: int, k: int, p: int, dtype: str, last: int = 0, batch: int = 1) -> Arrays:
    rng = np.random.default_rng(0)
    shapes = {"x": (m, n, k), "w": (m, p, k), "b": (m, p), "g": (m, n, p)}
    shapes |= {"last": (m, n, last), "h": (m, batch, k)}
    return {name: rng.standard_normal(shape).astype(dtype) for name, shape in shapes.items()}


def in_batch(drawn: Arrays) -> Arrays:
    """As many sequences as there are first states, of tokens in order."""
    (m, batch, _), tokens = drawn["h"].shape, drawn["x"].shape[1]
    shape = m, batch, tokens // max(1, batch)
    return {name: drawn[name].reshape(*shape, drawn[name].shape[-1]) for name in ("g", "last", "x")}


def found(drawn: Arrays, threads: int) -> Arrays:
    return {
        "y": linear.linear(drawn["x"], drawn["w"], drawn["b"], threads),
        "gx": linear.linear_backward(drawn["g"], drawn["w"], threads),
        "gw": linear.outer(drawn["g"], drawn["x"], threads),
        "gw before": linear.outer_before(*in_batch(drawn).values(), drawn["h"], threads),
        "gb": linear.total(drawn["g"], threads),
    }


def wanted(drawn: Arrays) -> Arrays:
    x, w, b, g, last, h = (drawn[name].astype(np.float64) for name in drawn)
    outputs, sequences = g.shape[2] - last.shape[2], in_batch(drawn)["x"].astype(np.float64)
    recurrent = np.concatenate([g[..., :outputs], last], axis=2)
    whole = {
        "y": x @ w.swapaxes(1, 2) + b[:, None],
        "gx": g @ w,
        "gw": g.swapaxes(1, 2) @ x,
        "gw before": recurrent.swapaxes(1, 2) @ before(sequences, h).reshape(x.shape),
        "gb": g.sum(1),
    }
    return {name: value.astype(drawn["x"].dtype) for name, value in whole.items()}


@settings(deadline=None, max_examples=40)
@given(
    m=st.integers(1, 3),
    t=st.integers(1, 40),
    batch=st.integers(0, 3),
    k=st.integers(1, 70),
    p=st.integers(1, 70),
    last=st.integers(0, 70),
    dtype=st.sampled_from(["float64", "float32"]),
    strided=st.booleans(),
    threads=st.integers(1, 3),
)
@example(m=2, t=600, batch=1, k=33, p=20, last=3, dtype="float64", strided=False, threads=1)  # several parts of the sum
@example(
    m=1, t=17, batch=1, k=700, p=300, last=0, dtype="float64", strided=False, threads=2
)  # several groups of columns
def test_products_are_those_of_the_definition(m, t, batch, k, p, last, dtype, strided, threads):
    drawn = draw(m, batch * t, k, p, dtype, min(last, p), batch)
    if strided:
        drawn = {name: np.repeat(array, 2, axis=-1)[..., ::2] for name, array in drawn.items()}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(blocks, "_WORTH_A_THREAD", 1)
        assert_close(found(drawn, threads), wanted(drawn))


def test_nothing_is_read_before_it_is_written(monkeypatch):
    drawn = draw(2, 300, 21, 37, "float32", last=7, batch=2)
    clean = found(drawn, 1)
    poison(monkeypatch)
    for name, value in found(drawn, 1).items():
        np.testing.assert_array_equal(value, clean[name])


def test_not_a_number_reaches_what_depends_on_it_and_nothing_else():
    drawn = draw(1, 300, 21, 37, "float32")
    drawn["x"][0, 5, 3] = drawn["g"][0, 7, 2] = np.nan
    sick = {name: np.isnan(value[0]) for name, value in found(drawn, 1).items()}
    assert sick["y"][5].all() and not np.delete(sick["y"], 5, axis=0).any()
    assert sick["gx"][7].all() and not np.delete(sick["gx"], 7, axis=0).any()
    assert sick["gb"].nonzero()[0].tolist() == [2]
    assert sick["gw before"][2].all() and sick["gw before"][:, 3].all() and sick["gw before"].sum() == 21 + 37 - 1
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
        found(drawn | {part: wrong(drawn[part])}, 1)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_a_sum_over_many_tokens_is_exact_but_for_a_few_roundings(dtype):
    g = (1 + np.random.default_rng(0).random((1, 100_000, 3))).astype(dtype)
    true = [math.fsum(column) for column in g[0].T]
    assert np.abs(linear.total(g)[0] / true - 1).max() < 16 * np.finfo(dtype).eps


@pytest.mark.parametrize(
    "part, wrong, words",
    [
        ("last", lambda last: np.zeros((2, 2, 2, 7)), "last: has 7 outputs; expected at most 6, the outputs of g"),
        ("last", lambda last: last[:, :1], r"last: has shape \(2, 1, 2, 3\); expected \(2, 2, 2, 3\)"),
        ("x", lambda y: y[:, :1], r"y: has shape \(2, 1, 2, 5\); expected \(2, 2, 2, 5\)"),
        ("h", lambda h: h[:, :1], r"h: has shape \(2, 1, 5\); expected \(2, 2, 5\)"),
    ],
)
def test_wrong_sequences_are_named_with_what_was_given_and_expected(part, wrong, words):
    drawn = draw(2, 4, 5, 6, "float64", last=3, batch=2)
    given = in_batch(drawn) | {"h": drawn["h"]}
    with pytest.raises(ValueError, match=words):
        linear.outer_before(*(given | {part: wrong(given[part])}).values())


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
    found(draw(1, tokens, 8, 16, "float32"), 2)
    assert started == [shares] * 4 + [1]  # one model's sum is one thread's
