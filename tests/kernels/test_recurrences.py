"""Kernels give what a loop over steps gives: outputs, last states and all gradients, for any size and layout."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from recurrences import RECURRENCES, Arrays, assert_close, every_recurrence, poison

from seqscale.kernels import blocks


def strided(drawn: Arrays) -> Arrays:
    """The same numbers where neighbours do not lie beside each other."""
    return {name: np.repeat(array, 2, axis=-1)[..., ::2] for name, array in drawn.items()}


def expanded(drawn: Arrays) -> Arrays:
    """Numbers that are one step, or one sequence, shown many times."""
    small = {"a": drawn["a"][:, :, :1], "gy": drawn["gy"][:, :, :1], "h": drawn["h"][:1]}
    return drawn | {name: np.broadcast_to(part, drawn[name].shape) for name, part in small.items()}


LAYOUTS = {"contiguous": lambda drawn: drawn, "strided": strided, "expanded": expanded}


@every_recurrence
@settings(deadline=None, max_examples=30)
@given(
    m=st.integers(1, 3),
    b=st.integers(0, 14),
    t=st.integers(1, 7),
    h=st.integers(1, 40),
    dtype=st.sampled_from(["float64", "float32"]),
    layout=st.sampled_from(sorted(LAYOUTS)),
    threads=st.integers(1, 3),
)
@example(m=1, b=13, t=4, h=33, dtype="float64", layout="contiguous", threads=1)
@example(m=1, b=1, t=1, h=256, dtype="float32", layout="contiguous", threads=1)
def test_outputs_states_and_gradients_are_the_loops(name, m, b, t, h, dtype, layout, threads):
    recurrence = RECURRENCES[name]
    drawn = LAYOUTS[layout](recurrence.draw(m, b, t, h, dtype))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(blocks, "_WORTH_A_THREAD", 1)
        assert_close(recurrence.both(drawn, threads), recurrence.reference(drawn))


@pytest.mark.parametrize("name", ["gru", "lstm"])
def test_what_is_kept_for_the_gradient_changes_no_output(name):
    recurrence = RECURRENCES[name]
    drawn = recurrence.draw(2, 5, 6, 19, "float32")
    both = recurrence.both(drawn, 1)
    for part, value in recurrence.forward(drawn, 1).items():
        np.testing.assert_array_equal(value, both[part])


@every_recurrence
def test_two_halves_with_the_state_carried_are_one_pass(name):
    recurrence = RECURRENCES[name]
    drawn = recurrence.draw(2, 5, 8, 19, "float64")
    whole = recurrence.forward(drawn, 1)
    one = recurrence.forward(drawn | {"a": drawn["a"][:, :, :3]}, 1)
    ends = {"h": one["y"][:, :, -1], recurrence.states[-1]: one["last"]}
    other = recurrence.forward(drawn | ends | {"a": drawn["a"][:, :, 3:]}, 1)
    np.testing.assert_array_equal(np.concatenate([one["y"], other["y"]], axis=2), whole["y"])
    np.testing.assert_array_equal(other["last"], whole["last"])


@every_recurrence
def test_nothing_is_read_before_it_is_written(name, monkeypatch):
    recurrence = RECURRENCES[name]
    drawn = recurrence.draw(2, 6, 5, 21, "float32")
    clean = recurrence.both(drawn, 1)
    poison(monkeypatch)
    for part, value in recurrence.both(drawn, 1).items():
        np.testing.assert_array_equal(value, clean[part])


@every_recurrence
def test_a_thousand_calls_are_bit_equal(name, monkeypatch):
    monkeypatch.setattr(blocks, "_WORTH_A_THREAD", 1)
    recurrence = RECURRENCES[name]
    drawn = recurrence.draw(1, 3, 4, 10, "float32")
    first = recurrence.both(drawn, 2)
    for _ in range(1000):
        again = recurrence.both(drawn, 2)
        assert all(np.array_equal(first[part], again[part]) for part in first)


@every_recurrence
def test_not_a_number_reaches_all_that_depends_on_it_and_nothing_else(name):
    recurrence = RECURRENCES[name]
    drawn = recurrence.draw(1, 9, 6, 11, "float32")
    drawn["a"][0, 4, 2, 0] = np.nan
    y = recurrence.forward(drawn, 1)["y"]
    sick = np.isnan(y).any(axis=-1)[0]
    assert sick[4].tolist() == [False] * 2 + [True] * 4
    assert not np.delete(sick, 4, axis=0).any()
    assert np.isnan(y[0, 4, 3:]).all()


@settings(deadline=None, max_examples=200)
@given(models=st.integers(1, 9), batch=st.integers(0, 40), threads=st.integers(1, 9))
def test_threads_share_every_row_once(models, batch, threads):
    parts = list(blocks.shares(models, batch, threads))
    assert len(parts) <= threads
    done = [(m, first + r) for part in parts for rows, first, *at in part for r in range(rows) for m in range(*at)]
    assert sorted(done) == [(m, row) for m in range(models) for row in range(batch)]


def test_an_error_in_a_thread_is_raised():
    def kernel(rows):
        def fail(*arguments):
            if arguments[-3] > 0:
                raise MemoryError("no room")

        return fail

    with pytest.raises(MemoryError, match="no room"):
        blocks.run(kernel, [np.zeros(1)], [], [], np.zeros((1, 2, 1, 1)), work=10**9, threads=2)


@every_recurrence
@pytest.mark.parametrize(
    "part, wrong, words",
    [
        ("a", lambda a: a[0], r"a: has shape \(3, 4, {n}\); expected \(models, batch, time"),
        ("a", lambda a: a[:, :, :0], r"a: has shape \(2, 3, 0, {n}\); expected .* at least one step"),
        ("a", lambda a: a.astype(np.float16), "a: has dtype float16; expected float32 or float64"),
        ("h", lambda h: h[:, :2], r"h: has shape \(2, 2, 5\); expected \(2, 3, 5\)"),
        ("h", lambda h: h.astype(np.float32), "h: has dtype float32; expected float64"),
        ("w", lambda w: w.swapaxes(1, 2)[:, :4], r"w: has shape \(2, 4, .*\); expected \(2, {n}, 5\)"),
    ],
)
def test_wrong_arguments_are_named_with_what_was_given_and_expected(name, part, wrong, words):
    recurrence = RECURRENCES[name]
    drawn = recurrence.draw(2, 3, 4, 5, "float64")
    with pytest.raises(ValueError, match=words.format(n=5 * recurrence.gates)):
        recurrence.forward(drawn | {part: wrong(drawn[part])}, 1)


@every_recurrence
def test_a_gradient_of_another_length_than_the_outputs_is_refused(name):
    drawn = RECURRENCES[name].draw(2, 3, 4, 5, "float64")
    with pytest.raises(ValueError, match=r"(gy|kept): has shape \(2, 3, ., .*\); expected \(2, 3, ., .*\)"):
        RECURRENCES[name].both(drawn | {"gy": drawn["gy"][:, :, :2]}, 1)


@pytest.mark.parametrize("name", ["gru", "lstm"])
def test_a_last_dimension_that_is_no_whole_number_of_gates_is_refused(name):
    drawn = RECURRENCES[name].draw(1, 1, 2, 4, "float64")
    with pytest.raises(
        ValueError, match=r"a: has shape \(1, 1, 2, 7\); expected a last dimension of . times the units"
    ):
        RECURRENCES[name].forward(drawn | {"a": drawn["a"][..., :7]}, 1)
