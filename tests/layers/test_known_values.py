"""Values worked out without torch: by hand, or by the textbook formula in numpy."""

import math

import numpy as np
import pytest
import torch
from catalogue import Implementation, every_implementation, normal
from hypothesis import given, settings
from hypothesis import strategies as st

from seqscale.layers.attention import Attention, rotate
from seqscale.layers.diagonal import Diagonal, diagonal_input, diagonal_scan, diagonal_step
from seqscale.layers.elman import Elman, elman_step
from seqscale.layers.gru import GRU, gru_step
from seqscale.layers.lstm import lstm_step
from seqscale.probes.gate import FACTOR


def column(*values: float) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.float64)[:, None]


def vector(*values: float) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.float64)


def sigmoid(a: float) -> float:
    return 1 / (1 + math.exp(-a))


def test_elman_step_by_hand() -> None:
    h = elman_step(column(2.0), column(-1.0), column(0.5), column(0.25), vector(0.1), vector(0.2))
    assert h.item() == pytest.approx(math.tanh(0.5 * 2 + 0.1 + 0.25 * -1 + 0.2), abs=1e-15)


def test_gru_step_by_hand_with_the_reset_gate_after_the_product() -> None:
    x, h = 2.0, -1.0
    w_x, w_h, b_x, b_h = (0.5, -0.3, 0.8), (0.25, 0.6, -0.7), (0.1, 0.2, 0.3), (-0.1, 0.4, 0.9)
    r, z = (sigmoid(w_x[i] * x + b_x[i] + w_h[i] * h + b_h[i]) for i in (0, 1))
    n = math.tanh(w_x[2] * x + b_x[2] + r * (w_h[2] * h + b_h[2]))
    found = gru_step(column(x), column(h), column(*w_x), column(*w_h), vector(*b_x), vector(*b_h))
    assert found.item() == pytest.approx((1 - z) * n + z * h, abs=1e-15)


def test_lstm_step_by_hand() -> None:
    x, h, c = 2.0, -1.0, 0.5
    w_x, w_h, b_x, b_h = (0.5, -0.3, 0.8, 0.2), (0.25, 0.6, -0.7, 0.1), (0.1, 0.2, 0.3, 0.4), (-0.1, 0.4, 0.9, 0.7)
    a = [w_x[k] * x + b_x[k] + w_h[k] * h + b_h[k] for k in range(4)]
    c_wanted = sigmoid(a[1]) * c + sigmoid(a[0]) * math.tanh(a[2])
    found = lstm_step(column(x), column(h), column(c), column(*w_x), column(*w_h), vector(*b_x), vector(*b_h))
    assert found[0].item() == pytest.approx(sigmoid(a[3]) * math.tanh(c_wanted), abs=1e-15)
    assert found[1].item() == pytest.approx(c_wanted, abs=1e-15)


def test_diagonal_step_by_hand() -> None:
    a, w, x, h = 0.8, 0.5, 2.0, -1.0
    rate = vector(-math.log(a))
    b = diagonal_input(column(x), column(w), rate)
    assert b.item() == pytest.approx(0.6 * 0.5 * 2, abs=1e-15)
    assert diagonal_step(b, column(h), rate).item() == pytest.approx(a * h + 0.6 * w * x, abs=1e-15)


@settings(deadline=None, max_examples=60)
@given(length=st.integers(1, 140), a=st.floats(1e-4, 0.9999), seed=st.integers(0, 99))
def test_the_scan_is_the_decayed_sum_over_all_tokens(length: int, a: float, seed: int) -> None:
    b, h = normal(1, length, 1, seed=seed), normal(1, 1, seed=seed + 1000)
    found = diagonal_scan(b, h, vector(-math.log(a)))[0, :, 0].numpy()
    powers = np.power(a, np.arange(length + 1))
    terms = np.concatenate((h[0].numpy(), b[0, :, 0].numpy()))
    wanted = [powers[: t + 1][::-1] @ terms[: t + 1] for t in range(1, length + 1)]
    np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-12)


def test_the_scan_over_4096_tokens_is_as_exact_as_the_gate_asks_in_float32() -> None:
    b, h = normal(1, 4096, 3, dtype="float32"), normal(1, 3, dtype="float32", seed=1)
    rate = torch.tensor([1e-4, 1e-3, 0.1])
    loop, exact = [h], [h.double()]
    for b_t in b.unbind(1):
        loop.append(diagonal_step(b_t, loop[-1], rate))
        exact.append(diagonal_step(b_t.double(), exact[-1], rate.double()))
    wanted = torch.stack(exact[1:], 1)
    loop_error = (torch.stack(loop[1:], 1) - wanted).abs().amax((0, 1))
    scan_error = (diagonal_scan(b, h, rate) - wanted).abs().amax((0, 1))
    assert bool((scan_error <= FACTOR * loop_error).all())


@pytest.mark.parametrize("length", [1, 2, 7])
def test_gradients_of_the_scan_from_a_carried_state_are_finite_differences(length: int) -> None:
    b, h = normal(2, length, 3).requires_grad_(), normal(2, 3, seed=1).requires_grad_()
    assert torch.autograd.gradcheck(diagonal_scan, (b, h, vector(0.01, 0.3, 2.0).requires_grad_()))


def test_a_decay_that_underflows_leaves_the_scan_finite() -> None:
    b, h = normal(1, 300, 1, dtype="float32"), normal(1, 1, dtype="float32", seed=1)
    assert diagonal_scan(b, h, torch.tensor([200.0])).equal(b)


def test_a_diagonal_layer_starts_from_slow_decays() -> None:
    torch.manual_seed(0)
    a = torch.exp(-torch.exp(Diagonal(64, hidden=1000).nu))
    assert 0.9 <= a.min() < 0.91
    assert 0.99 < a.max() <= 0.999


def test_the_output_is_the_first_d_of_the_h_units() -> None:
    layer = Elman(3, hidden=7).double()
    y, (h,) = layer(normal(2, 5, 3))
    assert h.shape == (2, 7)
    assert y[:, -1].equal(h[:, :3])


@every_implementation
def test_nothing_is_carried_before_the_first_token(implementation: Implementation) -> None:
    assert not any(part.any() for part in implementation.build().initial_state(2))


def test_a_closed_update_gate_keeps_the_state_for_ever() -> None:
    layer = GRU(4, algorithm="reference").double()
    with torch.no_grad():
        layer.core.bias_ih_l0[4:8] = 1e4  # z = 1
    start = normal(2, 4, seed=1)
    _, (end,) = layer(normal(2, 50, 4), (start,))
    assert end.equal(start)


def attention_by_numpy(layer: Attention, x: np.ndarray) -> np.ndarray:
    """The formula, one query at a time; rotary pairs as complex numbers, which torch's layer does not use."""
    length, d = x.shape
    e = d // layer.heads
    q, k, v = np.split(x @ layer.in_projection.weight.detach().numpy().T, 3, axis=1)
    reads = np.zeros((length, d))
    for head in range(layer.heads):
        own = slice(head * e, (head + 1) * e)
        q_h, k_h = q[:, own].copy(), k[:, own].copy()
        if layer.rotary:
            turn = np.exp(1j * np.arange(length)[:, None] * 10000.0 ** (-2 * np.arange(e // 2) / e))
            q_h, k_h = (np.ascontiguousarray(a).view(complex) * turn for a in (q_h, k_h))
        for t in range(length):
            scores = (k_h[: t + 1] @ q_h[t].conj()).real / math.sqrt(e)
            weights = np.exp(scores - scores.max())
            reads[t, own] = weights / weights.sum() @ v[: t + 1, own]
    return reads @ layer.out_projection.weight.detach().numpy().T


@settings(deadline=None, max_examples=40)
@given(
    algorithm=st.sampled_from(["library", "reference"]),
    heads=st.sampled_from([1, 2, 4]),
    rotary=st.booleans(),
    length=st.integers(1, 30),
    seed=st.integers(0, 99),
)
def test_attention_is_the_quadratic_formula(algorithm: str, heads: int, rotary: bool, length: int, seed: int) -> None:
    torch.manual_seed(seed)
    layer = Attention(8, algorithm=algorithm, heads=heads, rotary=rotary).double()
    x = normal(1, length, 8, seed=seed)
    y = layer(x)[0][0].detach().numpy()
    np.testing.assert_allclose(y, attention_by_numpy(layer, x[0].numpy()), rtol=0, atol=1e-13)


def test_equal_scores_read_the_mean_of_the_values() -> None:
    layer = Attention(4, heads=1).double()
    with torch.no_grad():
        layer.in_projection.weight[:8] = 0  # no query, no key
        layer.in_projection.weight[8:] = torch.eye(4)
        layer.out_projection.weight[:] = torch.eye(4)
    x = normal(1, 9, 4)
    mean = x.cumsum(1) / torch.arange(1, 10)[:, None]
    torch.testing.assert_close(layer(x)[0], mean, rtol=0, atol=1e-14)


@settings(deadline=None, max_examples=40)
@given(first=st.integers(0, 1000), gap=st.integers(0, 1000), shift=st.integers(0, 100_000))
def test_a_rotary_product_depends_on_the_distance_alone(first: int, gap: int, shift: int) -> None:
    q, k = normal(1, 1, 1, 16), normal(1, 1, 1, 16, seed=1)

    def score(at: int) -> float:
        return float((rotate(q, at + gap) * rotate(k, at)).sum())

    assert score(first) == pytest.approx(score(first + shift), abs=1e-9)


def test_rotary_turns_position_by_position_and_keeps_lengths() -> None:
    x = normal(1, 2, 6, 8)
    turned = rotate(x, 0)
    assert turned[:, :, 0].equal(x[:, :, 0])
    assert turned[:, :, 3:].equal(rotate(x[:, :, 3:], 3))
    torch.testing.assert_close(turned.norm(dim=-1), x.norm(dim=-1))
    pair = rotate(torch.tensor([1.0, 0.0], dtype=torch.float64).expand(1, 1, 4, 2), 0)
    torch.testing.assert_close(pair[0, 0, 3], vector(math.cos(3), math.sin(3)))
