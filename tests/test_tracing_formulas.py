"""Work, saved bytes and graph nodes of simple layers equal formulas derived by hand."""

from __future__ import annotations

import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F
from traces import counts, sizes, small

from seqscale.layers.linear import orthogonal
from seqscale.layers.linear_attention import CHUNK, LinearAttention


@sizes
@given(b=st.integers(1, 3), t=small, d=small)
def test_linear(b, t, d):
    layer = nn.Linear(d, d, bias=False)
    forward, training = (counts(layer, b, t, d, mode) for mode in ("forward", "training"))
    product = 2 * b * t * d * d
    assert forward.work == product
    assert forward.predicted_peak_bytes == 4 * b * t * d
    assert (forward.saved_bytes, forward.graph_nodes) == (0, 0)
    assert training.work == 3 * product + 2 * b * t * d  # both gradients; the mean of the outputs and its gradient
    assert training.saved_bytes == 0  # x is an input, W a parameter


class Loop(nn.Module):
    """h_t = tanh(h_{t-1} W + x_t), all h returned."""

    def __init__(self, d):
        super().__init__()
        self.w = nn.Parameter(torch.zeros(d, d))

    def forward(self, x):
        h, states = torch.zeros_like(x[:, 0]), []
        for x_t in x.unbind(1):
            h = torch.tanh(h @ self.w + x_t)
            states.append(h)
        return torch.stack(states, dim=1)


@sizes
@given(b=st.integers(1, 3), t=st.integers(2, 24), d=small)
def test_loop_of_an_elman_cell(b, t, d):
    forward, training = (counts(Loop(d), b, t, d, mode) for mode in ("forward", "training"))
    assert forward.work == t * (2 * b * d * d + 2 * b * d)
    # each state is saved once, by its tanh and as the next product's input; the first product's input is zeros
    assert training.saved_bytes == 4 * b * d * (t + 1)
    backward = (
        2 * b * d * d * (2 * t - 1)  # of W in every step, of h in all but the first
        + 3 * b * d * t  # of tanh
        + b * d * (t - 1)  # where the output's gradient meets the next step's
        + d * d * (t - 1)  # where the steps' gradients of W meet
    )
    assert training.work == forward.work + 2 * b * t * d + backward


class Attend(nn.Module):
    def forward(self, x):
        q = x.unsqueeze(1)
        return F.scaled_dot_product_attention(q, q * 2, q * 3, is_causal=True).squeeze(1)


@sizes
@given(b=st.integers(1, 3), t=small, d=small)
def test_causal_attention_looks_at_half_the_pairs(b, t, d):
    forward = counts(Attend(), b, t, d, "forward")
    assert forward.work == b * t * (t + 1) // 2 * (4 * d + 6) + 2 * b * t * d
    training = counts(Attend(), b, t, d, "training")
    # keys, values and outputs, and one number a row; the queries are the input
    assert training.saved_bytes == 4 * b * (3 * t * d + t)


@sizes
@given(b=st.integers(1, 3), t=small, d=small)
def test_lstm_of_onednn_does_the_work_of_its_equations(b, t, d):
    forward = counts(nn.LSTM(d, d, batch_first=True), b, t, d, "forward")
    assert forward.work == b * t * (16 * d * d + 21 * d)


class Twice(nn.Module):
    """The same arithmetic out of place or in place; the one keeps a storage more alive."""

    def __init__(self, in_place):
        super().__init__()
        self.in_place = in_place

    def forward(self, x):
        y = x * 2
        return y.exp_() if self.in_place else y.exp()


def test_a_write_in_place_is_the_same_work_in_less_memory():
    apart, within = (counts(Twice(in_place), 1, 5, 3, "forward") for in_place in (False, True))
    assert apart.work == within.work == 2 * 15
    assert (apart.predicted_peak_bytes, within.predicted_peak_bytes) == (2 * 60, 60)


def test_nodes_of_a_chain():
    assert counts(nn.Sequential(nn.Tanh(), nn.Tanh()), 1, 3, 2, "training").graph_nodes == 3  # and x's accumulator


def substitution(x):
    """Solve X Y = X for a lower triangular X (b, n, n), one unknown after the other."""
    lower, rest, unknowns = x.tril(), x, []
    for i in range(x.shape[1]):
        unknowns.append(rest[:, :1] / lower[:, i : i + 1, i : i + 1])
        rest = rest[:, 1:] - lower[:, i + 1 :, i : i + 1] * unknowns[-1]
    return torch.cat(unknowns, dim=1)


class Call(nn.Module):
    """A function as a module."""

    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, x):
        return self.function(x)


@sizes
@given(b=st.integers(1, 3), n=st.integers(1, 12))
def test_a_triangular_solve_is_the_loop_of_its_substitution(b, n):
    solve, loop = (
        counts(Call(function), b, n, n, "forward")
        for function in (lambda x: torch.linalg.solve_triangular(x.tril(), x, upper=False), substitution)
    )
    assert solve.work == loop.work == b * n**3
    # the copy of the triangle; then a division, and for the next unknown a product and a difference; joined in the end
    assert solve.ideal_span == 1 + 3 * n - 2
    assert 0 <= loop.ideal_span - solve.ideal_span <= 3


@sizes
@given(b=st.integers(1, 3), t=st.integers(2, 24), d=small, more=st.integers(0, 8))
def test_a_linear_recurrence_by_its_equations(b, t, d, more):
    h = d + more
    loop, scan = (orthogonal(d, algorithm=algorithm, hidden=h) for algorithm in ("reference", "scan"))
    assert counts(loop, b, t, d, "forward").work == b * t * (2 * h * d + 2 * h * h + h)
    # each round adds at all positions but the first; between rounds W is squared
    rounds = (t - 1).bit_length()
    met = sum(t - 2**level for level in range(rounds))
    start = b * (2 * h * h + h)
    products = 2 * b * t * h * d + b * met * (2 * h * h + h) + (rounds - 1) * 2 * h**3
    assert counts(scan, b, t, d, "forward").work == start + products
    # of the states before and after, one copy
    assert counts(scan, b, t, d, "training").saved_bytes == 4 * b * h * (t + 1)


@sizes
@given(b=st.integers(1, 3), t=st.integers(2, 80), heads=st.sampled_from([1, 2, 4]), e=st.integers(1, 8))
def test_linear_attention_by_its_equations(b, t, heads, e):
    d = heads * e
    loop, chunked = (
        counts(LinearAttention(d, algorithm=algorithm, heads=heads), b, t, d, "forward").work
        for algorithm in ("reference", "chunked")
    )
    outside = b * t * (8 * d * d + d)  # the projections, and the scale of the keys
    assert loop == outside + b * t * heads * 4 * e * e
    n = -(-t // CHUNK)
    inside = 4 * CHUNK * CHUNK * e + 4 * CHUNK * e * e + CHUNK * e  # two products of tokens, two with states, their sum
    assert chunked == outside + b * heads * n * (inside + 2 * e * e)  # and the running sum of states with the first
