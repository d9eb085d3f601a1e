"""Spans of simple layers equal formulas derived by hand, and code that writes in place has its functional twin's."""

from __future__ import annotations

import pytest
import torch
from catalogue import IMPLEMENTATIONS
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F
from traces import Call, counts, log2, sizes, small

from seqscale.layers.attention import Attention
from seqscale.layers.gru import GRU
from seqscale.layers.linear_attention import CHUNK
from seqscale.layers.lstm import LSTM


@sizes
@given(b=st.integers(1, 3), t=small, d=small)
def test_linear_is_one_product(b, t, d):
    layer = nn.Linear(d, d, bias=False)
    forward, training = (counts(layer, b, t, d, mode) for mode in ("forward", "training"))
    assert (forward.kernel_span, forward.ideal_span) == (1, 1 + log2(d))
    # the outputs' gradient (a one, divided) and then the longer of two products: over d, or over all tokens
    assert training.kernel_span == 3  # the same, or product and mean and its seed apart
    seed_to_product = 2 + 1 + log2(max(d, b * t))
    assert training.ideal_span == max(seed_to_product, 1 + log2(d) + log2(b * t * d))
    assert forward.traffic_bytes == 4 * (2 * b * t * d + d * d)


@sizes
@given(b=st.integers(1, 3), t=small, d=small)
def test_cumulative_sum_is_a_scan(b, t, d):
    found = counts(Call(lambda x: x.cumsum(1)), b, t, d)
    assert (found.work, found.kernel_span, found.ideal_span) == (b * t * d, 1, 2 * log2(t))
    assert found.traffic_bytes == 2 * 4 * b * t * d


@sizes
@given(b=st.integers(1, 3), t=small, d=small)
def test_pointwise_does_not_grow(b, t, d):
    found = counts(Call(lambda x: (x * 2).tanh()), b, t, d)
    assert (found.work, found.kernels, found.kernel_span, found.ideal_span) == (2 * b * t * d, 2, 2, 2)


@sizes
@given(t=small, d=small)
def test_views_and_questions_cost_nothing(t, d):
    def views(x):
        y = x.mT.unsqueeze(0).expand(2, -1, -1, -1).flatten(0, 1)[:1].mT.detach()
        return y.view(1, t, d) if y.is_contiguous() else y.reshape(1, t, d)

    # flattening an expanded tensor copies it: one kernel, and nothing for all the rest
    found = counts(Call(views), 1, t, d)
    assert found.work == 0
    assert found.kernels <= 2
    silent = counts(Call(lambda x: x.mT.unsqueeze(0)[0].mT.narrow(1, 0, t)), 1, t, d)
    assert (silent.kernels, silent.kernel_span, silent.ideal_span, silent.traffic_bytes) == (0, 0, 0, 0)


class Chain(nn.Module):
    """x W_1 W_2 ... W_n."""

    def __init__(self, d, n):
        super().__init__()
        self.w = nn.ParameterList(torch.zeros(d, d) for _ in range(n))

    def forward(self, x):
        for w in self.w:
            x = x @ w
        return x


@sizes
@given(b=st.integers(1, 3), t=small, d=small, n=st.integers(1, 5))
def test_a_matrix_chain_waits_for_every_product(b, t, d, n):
    forward, training = (counts(Chain(d, n), b, t, d, mode) for mode in ("forward", "training"))
    assert (forward.work, forward.kernel_span) == (2 * n * b * t * d * d, n)
    assert forward.ideal_span == n * (1 + log2(d))
    mean = 2 * b * t * d
    assert training.work == 3 * forward.work + mean
    assert training.saved_bytes == 4 * b * t * d * (n - 1)  # the input of each product but x itself


@sizes
@given(b=st.integers(1, 3), t=st.integers(1, 16), d=small)
def test_elman_takes_three_kernels_a_step(b, t, d):
    class Elman(nn.Module):
        def __init__(self):
            super().__init__()
            self.x, self.h = nn.Linear(d, d), nn.Linear(d, d)

        def forward(self, x):
            h, out = torch.zeros_like(x[:, 0]), []
            for x_t in x.unbind(1):
                h = torch.tanh(self.x(x_t) + self.h(h))
                out.append(h)
            return torch.stack(out, 1)

    found = counts(Elman(), b, t, d)
    product = 2 + log2(d)  # with its bias
    assert found.kernel_span == 3 * t + 2  # zeros, then product, sum and tanh a step, then the stack
    assert found.ideal_span == (product + 2) * t + 2
    assert found.work == t * b * (2 * (2 * d * d + d) + 2 * d)


@sizes
@given(b=st.integers(1, 3), t=st.integers(1, 16), d=small, h=small)
def test_lstm_in_one_kernel_still_takes_its_steps(b, t, d, h):
    found = counts(nn.LSTM(d, h, batch_first=True), b, t, d)
    product = 1 + log2(h)
    # beyond the recurrence: zeros before, the input's product where it is the deeper, copies where batch comes first
    inputs = max(0, 3 + log2(d) - product)
    assert found.ideal_span - t * (product + 6) - inputs in (1, 2, 3)
    assert found.kernel_span <= 4
    assert found.work == b * t * (8 * h * (d + h) + 21 * h)


def test_opaque_lstm_and_the_same_steps_apart_agree_in_growth():
    """The fused operator's law against the loop that it stands for: the same chain of steps but for a bias."""
    fused, loop = nn.LSTM(16, 16, batch_first=True), {}
    torch._C._set_mkldnn_enabled(False)  # mkldnn.flags also sets what only an Intel GPU has, and warns
    try:
        for t in (4, 8):
            loop[t] = counts(fused, 1, t, 16).ideal_span
    finally:
        torch._C._set_mkldnn_enabled(True)
    apart = (loop[8] - loop[4]) / 4
    within = (counts(fused, 1, 8, 16).ideal_span - counts(fused, 1, 4, 16).ideal_span) / 4
    assert within == 1 + log2(16) + 6
    assert 0 <= apart - within <= 4  # two biases are added apart there


@sizes
@given(b=st.integers(1, 3), t=st.integers(1, 40), d=small)
def test_attention_is_one_kernel_of_logarithmic_depth(b, t, d):
    def attend(x):
        q = x.unsqueeze(1)
        return F.scaled_dot_product_attention(q, q, q, is_causal=True).squeeze(1)

    found = counts(Call(attend), b, t, d)
    assert found.kernel_span == 1
    assert found.ideal_span == (1 + log2(d)) + 1 + (2 * log2(t) + 3) + (1 + log2(t))


@sizes
@given(t=st.integers(2, 12), d=st.integers(1, 8))
def test_a_loop_that_writes_into_a_buffer_has_the_span_of_one_that_stacks(t, d):
    def stacked(x):
        h, out = x[:, 0], []
        for x_t in x.unbind(1):
            h = (h * 0.5 + x_t).tanh()
            out.append(h)
        return torch.stack(out, 1)

    def in_place(x):
        out, h = torch.empty_like(x), x[:, 0].clone()
        for i in range(t):
            h.mul_(0.5).add_(x[:, i]).tanh_()
            out[:, i] = h
        return out

    def strided(x):
        out, h = x.new_empty(x.shape[0], d, t), x[:, 0]
        for i in range(t):
            h = (h * 0.5 + x[:, i]).tanh()
            out[..., i].copy_(h)
        return out.mT

    spans = [counts(Call(f), 2, t, d).kernel_span for f in (stacked, in_place, strided)]
    assert spans == [3 * t + 1, 3 * t + 2, 3 * t + 1]  # the clone of the first state is one more


@sizes
@given(t=st.integers(2, 12), d=st.integers(2, 8))
def test_slices_of_one_buffer_do_not_wait_for_each_other(t, d):
    def apart(x):
        out = x.new_empty(x.shape)
        for i in range(t):
            out[:, i] = x[:, i] * 2  # two kernels, t times, side by side
        return out.sum(1, keepdim=True)

    def rows_and_columns(x):
        out = x.new_empty(x.shape)
        out[:, 0] = x[:, 0] * 2
        out[..., 0] = out[..., 0].sum(1, keepdim=True)  # reads one element of the row: waits for it
        return out

    assert counts(Call(apart), 1, t, d).kernel_span == 3
    assert counts(Call(rows_and_columns), 1, t, d).kernel_span == 4


def test_what_is_written_over_is_no_longer_waited_for():
    def over(x):
        deep = x.tanh().tanh().tanh().tanh().contiguous()
        deep[:, :2] = x[:, :2]
        deep[:, 2:] = x[:, 2:]
        return deep.neg()

    assert counts(Call(over), 1, 4, 3).kernel_span == 4  # the tanhs; the negation waits for two copies alone


def test_complex_numbers_and_their_parts_share_elements():
    def parts(x):
        z = torch.view_as_complex(x.reshape(1, 4, 3, 2).clone())
        real = torch.view_as_real(z)
        real[..., 0] = real[..., 0] * 2
        return torch.view_as_real(z * z).flatten(2)

    assert counts(Call(parts), 1, 4, 6).kernel_span == 4  # clone, product, copy, square


@pytest.mark.parametrize(
    "name", ["elman", "elman-orthogonal", "gru", "lstm", "lru", "orthogonal", "cyclic", "linear-attention", "deltanet"]
)
def test_every_recurrent_loop_has_a_kernel_span_linear_in_length(name):
    for implementation in (i for i in IMPLEMENTATIONS if i.layer == name and i.algorithm == "reference"):
        spans = [counts(implementation.build(dtype="float32"), 1, t, 8).kernel_span for t in (5, 10, 20)]
        assert spans[2] - spans[1] == 2 * (spans[1] - spans[0]) > 0


@pytest.mark.parametrize("implementation", [i for i in IMPLEMENTATIONS if i.algorithm == "scan"], ids=str)
def test_a_scan_takes_as_many_kernels_more_each_time_the_length_doubles(implementation):
    layer = implementation.build(dtype="float32")
    spans = [counts(layer, 1, t, 8).kernel_span for t in (16, 32, 64, 1024)]
    assert spans[1] - spans[0] == spans[2] - spans[1] > 0
    assert spans[3] - spans[2] == 4 * (spans[1] - spans[0])


def test_chunks_wait_for_each_other_in_deltanet_and_not_in_linear_attention():
    def spans(name):
        layer = next(i for i in IMPLEMENTATIONS if (i.layer, i.algorithm) == (name, "chunked")).build(dtype="float32")
        return [counts(layer, 1, CHUNK * n, 8).kernel_span for n in (4, 8, 16)]

    first, second, third = spans("deltanet")
    assert third - second == 2 * (second - first) > 0
    assert len(set(spans("linear-attention"))) == 1


def test_a_trace_of_a_million_tokens_of_attention_takes_no_memory():
    found = counts(Attention(64), 1, 2**20, 64)
    assert found.kernel_span == 3  # into queries, keys and values; attention; out of the heads
    assert found.work > 2**40


@sizes
@given(b=st.integers(2, 3), t=st.integers(1, 16), d=small)
def test_gru_by_its_equations(b, t, d):
    layer = GRU(d, algorithm="reference")
    forward, training = (counts(layer, b, t, d, mode) for mode in ("forward", "training"))
    # two products with three biases each, and 11 steps of one number: gates 4, candidate 3, state 4
    assert forward.work == b * t * (12 * d * d + 6 * d + 11 * d)
    # zeros; product, sum, gate, times the state's part, sum, tanh, times 1 - z, sum; the stack
    assert forward.kernel_span == 8 * t + 2
    assert forward.ideal_span == t * (2 + log2(d) + 7) + 2
    # the state before, its product (3), r, z, n and 1 - z
    assert training.saved_bytes == 4 * 8 * b * t * d


@sizes
@given(b=st.integers(1, 3), t=st.integers(1, 16), d=small)
def test_lstm_by_its_equations(b, t, d):
    layer = LSTM(d, algorithm="reference")
    forward, training = (counts(layer, b, t, d, mode) for mode in ("forward", "training"))
    assert forward.work == b * t * (16 * d * d + 21 * d)
    # zeros; product, sum, gate, times, sum of the cell, tanh, output; the stack
    assert forward.kernel_span == 7 * t + 2
    assert forward.ideal_span == t * (2 + log2(d) + 6) + 2
    # state and cell before, four gates, and the tanh of the cell after
    assert training.saved_bytes == 4 * 7 * b * t * d


@sizes
@given(b=st.integers(1, 3), t=small, d=small)
def test_a_cumulative_sum_keeps_nothing(b, t, d):
    assert counts(Call(lambda x: x.cumsum(1)), b, t, d, "training").saved_bytes == 0


@sizes
@given(b=st.integers(1, 3), t=st.integers(1, 40), heads=st.sampled_from([1, 2, 4]), e=st.integers(1, 8))
def test_attention_by_its_equations(b, t, heads, e):
    d = heads * e
    forward, training = (counts(Attention(d, heads=heads), b, t, d, mode) for mode in ("forward", "training"))
    pairs = b * heads * t * (t + 1) // 2
    assert forward.work == 8 * b * t * d * d + pairs * (4 * e + 6)
    assert forward.kernel_span == 3
    core = (1 + log2(e)) + 1 + (2 * log2(t) + 3) + (1 + log2(t))
    assert forward.ideal_span == 2 * (1 + log2(d)) + core
    # queries, keys and values share one product; what the heads read, and one number for each head and token
    assert training.saved_bytes == 4 * (3 * b * t * d + b * t * d + b * heads * t)


def test_who_reads_a_buffer_waits_for_every_part_of_it_and_not_for_the_last_alone():
    def deep_then_shallow(x):
        out = x.new_empty(x.shape)
        out[:, :2] = x[:, :2].tanh().tanh().tanh()
        out[:, 2:] = x[:, 2:]
        return out.neg()

    assert counts(Call(deep_then_shallow), 1, 4, 3).kernel_span == 5
