"""A recurrence in one compiled kernel counts what its equations do: work, steps that wait, and what is kept."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from traces import Call, counts, log2, sizes, small

from seqscale.layers.deltanet import DeltaNet
from seqscale.layers.diagonal import Diagonal
from seqscale.layers.elman import Elman
from seqscale.layers.fused import available
from seqscale.layers.gru import GRU
from seqscale.layers.linear_attention import CHUNK, LinearAttention
from seqscale.layers.lru import LRU
from seqscale.layers.lstm import LSTM

# gates; steps after the product; steps of one number for each unit; what each unit keeps of a step, and of the start
FUSED = {"elman": (Elman, 1, 2, 2, 1, 1), "gru": (GRU, 3, 7, 12, 5, 1), "lstm": (LSTM, 4, 6, 13, 6, 2)}


@pytest.mark.parametrize("name", FUSED)
@sizes
@given(b=st.integers(1, 3), t=st.integers(1, 16), d=small, more=st.integers(0, 9))
def test_a_recurrence_in_one_kernel_still_takes_its_steps(name, b, t, d, more):
    make, gates, around, pointwise, kept, start = FUSED[name]
    h = d + more
    layer = make(d, hidden=h, algorithm="fused")
    forward, training = (counts(layer, b, t, d, mode) for mode in ("forward", "training"))
    biases = {"elman": h, "gru": 2 * h, "lstm": 4 * h}[name]  # added to each other before all steps
    inputs = b * t * gates * h * (2 * d + 1)
    assert forward.work == biases + inputs + b * t * h * (2 * gates * h + pointwise)
    # before the recurrence: the biases, joined for the GRU, and the inputs' product with them
    before = 1 + (name == "gru") + 2 + log2(d)
    assert forward.ideal_span == before + t * (1 + log2(h) + around)
    assert forward.kernel_span == 3 + (name == "gru")
    assert training.saved_bytes == 4 * b * h * (kept * t + start)


def states(g, units):
    """Return those after each token of one sequence, and the one before the first."""
    return g.new_zeros(len(g), 1, g.shape[1], units), g.new_zeros(len(g), 1, units)


@sizes
@given(m=st.integers(1, 3), n=st.integers(1, 16), k=small, more=st.integers(0, 9))
def test_the_products_around_a_recurrence_are_products(m, n, k, more):
    assert available("cpu")  # and the operators are there
    make, p = torch.ops.seqscale, k + more
    laws = (
        (lambda x: make.linear(x, x.new_zeros(m, p, k), x.new_zeros(m, p)), n * p * (2 * k + 1), 2 + log2(k)),
        (lambda g: make.linear_backward(g, g.new_zeros(m, k, p)), 2 * n * k * p, 1 + log2(k)),
        (lambda g: make.outer(g, g.new_zeros(m, n, p)), 2 * n * k * p, 1 + log2(n)),
        (lambda g: make.outer_before(g[:, None], g[:, None, :, :1], *states(g, p)), 2 * n * k * p, 1 + log2(n)),
        (make.total, n * k, log2(n)),
    )
    for function, work, steps in laws:
        kernel = next(o for o in counts(Call(function), m, n, k).operators if o.name.startswith("seqscale::"))
        assert (kernel.kernels, kernel.work, kernel.steps) == (1, m * work, steps)


@sizes
@given(b=st.integers(1, 3), t=st.integers(1, 16), d=small)
def test_a_diagonal_recurrence_in_one_kernel_takes_two_steps_a_token_or_three_in_complex_numbers(b, t, d):
    for make, steps, work in ((Diagonal, 2, 2), (LRU, 3, 8)):
        fused, scan = (counts(make(d, algorithm=name), b, 1, d) for name in ("fused", "scan"))
        longer = counts(make(d, algorithm="fused"), b, 1 + t, d)
        kernel = next(o for o in longer.operators if o.name.startswith("seqscale::"))
        assert (kernel.kernels, kernel.work, kernel.steps) == (1, work * b * (1 + t) * d, steps * (1 + t))
        assert longer.ideal_span - fused.ideal_span == steps * t
        assert longer.kernel_span <= scan.kernel_span  # of one token, for which a scan has no round
        backward = counts(make(d, algorithm="fused"), b, t, d, "training").operators
        assert sum(o.work for o in backward if o.name.endswith("_backward") and "seqscale" in o.name) == (
            2 * work * b * t * d
        )


@sizes
@given(b=st.integers(1, 3), n=st.integers(1, 5), e=st.integers(1, 24))
def test_chunks_in_one_kernel_wait_for_each_other(b, n, e):
    def steps(make, chunks, end=""):
        found = counts(make(e, algorithm="fused"), b, CHUNK * chunks, e, "training").operators
        return next(o.steps for o in found if o.name.startswith("seqscale::") and o.name.endswith(end))

    # the decay's powers, keys times them, times values, and the sum of a chunk's tokens with the state
    state = 1 + 1 + 1 + log2(CHUNK) + 1 + 2 * (n - 1)  # a decay and a sum for each chunk more
    # the state before the last chunk, or the queries with their decay; a product with it, and a sum
    read = (state - 2 if n > 1 else 2) + 1 + log2(e) + 1
    within = 1 + log2(e) + 1 + 1 + log2(CHUNK) + 1  # pairs, their decay, times values, a sum
    for end in ("attention", "_backward"):
        assert steps(LinearAttention, n, end) == max(state, read, within)
    # what keys held, less the values, one row after another, their shares, into the state
    chain = 1 + log2(e) + 1 + 2 * (CHUNK - 1) + 1 + 1 + log2(CHUNK) + 1
    assert steps(DeltaNet, n, "delta") == n * chain
    assert steps(DeltaNet, n, "_backward") == n * chain + 1 + log2(CHUNK) + 1 + log2(e)


def test_the_fused_kernels_and_the_same_steps_apart_agree_in_growth():
    """Beside the recurrence both have a product for the inputs; biases are added apart in the loop."""
    for make, *_ in FUSED.values():
        grown = {}
        for algorithm in ("fused", "reference"):
            spans = [counts(make(16, algorithm=algorithm), 1, t, 16).ideal_span for t in (4, 8)]
            grown[algorithm] = (spans[1] - spans[0]) / 4
        assert 0 <= grown["reference"] - grown["fused"] <= 1


def by_chunks(t, e):
    """Return tokens, pairs of tokens, pairs of two, and chunks: what linear attention and DeltaNet compute for each."""
    sizes = [len(range(start, min(start + CHUNK, t))) for start in range(0, t, CHUNK)]
    pairs = [(i, j) for c in sizes for i in range(c) for j in range(i + 1)]
    return t, len(pairs), sum(i > j for i, j in pairs), len(sizes)


@sizes
@given(b=st.integers(1, 3), t=st.integers(1, 80), heads=st.sampled_from([1, 2, 4]), e=st.integers(1, 8))
def test_chunks_in_one_kernel_by_their_equations(b, t, heads, e):
    tokens, pairs, apart, chunks = by_chunks(t, e)
    each = {
        "linear_attention": CHUNK + 1 + pairs * (4 * e + 1) + tokens * (4 * e * e + 3 * e) + chunks * 2 * e * e,
        "linear_attention_backward": (
            CHUNK + 1 + pairs * (10 * e + 2) + tokens * (8 * e * e + 6 * e) + chunks * 2 * e * e
        ),
        "delta": pairs * 4 * e + apart * (4 * e + 1) + tokens * (6 * e * e + 3 * e + 1) + chunks * e * e,
        "delta_backward": (
            pairs * 10 * e + apart * (10 * e + 1) + tokens * (12 * e * e + 11 * e + 2) + chunks * 2 * e * e
        ),
    }
    for make in (LinearAttention, DeltaNet):
        layer = make(heads * e, algorithm="fused", heads=heads)
        found = {o.name: o.work for o in counts(layer, b, t, heads * e, "training").operators if "seqscale" in o.name}
        assert len(found) == 2
        for name, work in found.items():
            assert work == b * heads * each[name.removeprefix("seqscale::")]


@sizes
@given(b=st.integers(1, 3), t=st.integers(2, 80), e=st.integers(1, 24))
def test_chunks_in_one_kernel_keep_states_before_chunks_alone(b, t, e):
    n = -(-t // CHUNK)
    # the projection, whose parts are queries and values; keys in their scale; the decay; and what the layer reads
    kept = b * t * 5 * e + b + b * n * e * e
    assert counts(LinearAttention(e, algorithm="fused"), b, t, e, "training").saved_bytes == 4 * kept
