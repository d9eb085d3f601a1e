"""The selective layer is the paper's recurrence, however it is computed; its steps decide what is kept."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from catalogue import Implementation, normal
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from seqscale.layers import fused
from seqscale.layers.selective import Selective, selective_scan, selective_step
from seqscale.probes.gate import FACTOR

ALGORITHMS = ("reference", "scan", "fused")


def drawn(length: int, seed: int, d: int = 5, n: int = 3) -> tuple[Tensor, ...]:
    """Return x, delta, a, b, c and h."""
    x, delta = normal(2, length, d, seed=seed), normal(2, length, d, seed=seed + 1).exp()
    b, c = normal(2, length, n, seed=seed + 2), normal(2, length, n, seed=seed + 3)
    return x, delta, -normal(d, n, seed=seed + 4).exp(), b, c, normal(2, d, n, seed=seed + 5)


def by_loop(x: Tensor, delta: Tensor, a: Tensor, b: Tensor, c: Tensor, h: Tensor) -> tuple[Tensor, Tensor]:
    outputs = []
    for i in range(x.shape[1]):
        y_t, h = selective_step(x[:, i], delta[:, i], a, b[:, i], c[:, i], h)
        outputs.append(y_t)
    return torch.stack(outputs, dim=1), h


@settings(deadline=None, max_examples=30)
@given(
    length=st.integers(1, 80), rule=st.sampled_from([by_loop, selective_scan, fused.selective]), seed=st.integers(0, 99)
)
def test_every_channel_of_every_sequence_is_its_equation(length, rule, seed):
    given_to_it = drawn(length, seed)
    read, last = rule(*given_to_it)
    x, delta, a, b, c, h = (part.numpy() for part in given_to_it)
    for i, d in np.ndindex(2, 5):
        state, wanted = h[i, d], []
        for t in range(length):
            state = np.exp(delta[i, t, d] * a[d]) * state + delta[i, t, d] * b[i, t] * x[i, t, d]
            wanted.append(c[i, t] @ state)
        np.testing.assert_allclose(read[i, :, d].numpy(), wanted, rtol=1e-11, atol=1e-11)
        np.testing.assert_allclose(last[i, d].numpy(), state, rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize("states", [1, 16])
def test_the_layer_is_its_equation_with_its_own_projections(algorithm, states):
    layer, x = Implementation("selective", algorithm, {"state": states}).build(width=20), normal(1, 40, 20)
    own = {name: value.numpy() for name, value in layer.state_dict().items()}
    low, b, c = np.split(x[0].numpy() @ own["in_projection.weight"].T, [2, 2 + states], axis=1)  # 20 channels: rank 2
    delta = np.log1p(np.exp(low @ own["step_projection.weight"].T + own["step_projection.bias"]))
    a, h, wanted = -np.exp(own["log_a"]), np.zeros((20, states)), []
    for t in range(40):
        h = np.exp(delta[t][:, None] * a) * h + np.outer(delta[t] * x[0, t].numpy(), b[t])
        wanted.append(h @ c[t])
    y, (last,) = layer(x)
    np.testing.assert_allclose(y[0].detach().numpy(), wanted, rtol=0, atol=1e-12)
    np.testing.assert_allclose(last[0].detach().numpy(), h, rtol=0, atol=1e-12)


@pytest.mark.parametrize("length", [1, 2, 7, 33])
@pytest.mark.parametrize("rule", [selective_scan, fused.selective])
def test_gradients_from_a_carried_state_are_finite_differences(length, rule):
    leaves = [part.clone().requires_grad_() for part in drawn(length, 0, d=2)]
    assert torch.autograd.gradcheck(rule, leaves, fast_mode=True)


@pytest.mark.parametrize("rule", [selective_scan, fused.selective])
def test_no_algorithm_is_less_exact_than_the_loop(rule):
    exact = drawn(300, 3)
    wanted, _ = by_loop(*(part.float().double() for part in exact))
    ours, loops = ((kind(*(part.float() for part in exact))[0] - wanted).abs().max() for kind in (rule, by_loop))
    assert ours <= FACTOR * loops


@pytest.mark.parametrize("rule", [by_loop, selective_scan, fused.selective])
def test_a_step_of_no_size_changes_nothing_and_a_long_one_forgets_all(rule):
    x, delta, a, b, c, h = drawn(40, 0)
    _, last = rule(x, torch.zeros_like(delta), a, b, c, h)
    assert last.equal(h)
    delta[:, 20] = 1e6
    alone = [part[:, 20:] for part in (x, delta)], [part[:, 20:] for part in (b, c)]
    read, last = rule(x, delta, a, b, c, h)
    other, end = rule(*alone[0], a, *alone[1], torch.zeros_like(h))
    torch.testing.assert_close(read[:, 20:], other, rtol=1e-12, atol=0)
    torch.testing.assert_close(last, end, rtol=1e-12, atol=0)


@pytest.mark.parametrize("algorithm", ["scan", "fused"])
def test_in_bfloat16_the_state_is_rounded_at_the_end_alone(algorithm):
    x = normal(2, 300, 8).bfloat16()
    layer = Implementation("selective", algorithm).build(dtype="bfloat16")
    terms = layer._terms(x)
    wanted = by_loop(*(part.double() for part in terms), torch.zeros(2, 8, 16, dtype=torch.float64))
    y, (last,) = layer(x)
    for found, exact in zip((y, last), wanted, strict=True):
        assert found.dtype == torch.bfloat16
        torch.testing.assert_close(found.double(), exact, rtol=2**-8, atol=1e-5)


def test_it_starts_with_decays_of_whole_numbers_and_steps_uniform_in_their_logarithm():
    torch.manual_seed(0)
    layer = Selective(4000, state=5)
    torch.testing.assert_close(torch.exp(layer.log_a), torch.arange(1.0, 6).expand(4000, 5))
    steps = torch.nn.functional.softplus(layer.step_projection.bias.detach()).log10()
    assert -3 - 1e-4 <= steps.min() < -2.99 and -1.01 < steps.max() <= -1 + 1e-4
    assert float(steps.mean()) == pytest.approx(-2, abs=4 * 2 / 12**0.5 / 4000**0.5)
