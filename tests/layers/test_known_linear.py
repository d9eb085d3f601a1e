"""The linear recurrences, full and complex diagonal, against numpy."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from catalogue import Implementation, normal
from hypothesis import given, settings
from hypothesis import strategies as st

from seqscale.layers.linear import linear_scan, linear_step
from seqscale.layers.lru import eigenvalue, lru_scan, lru_step
from seqscale.probes.gate import FACTOR


def test_linear_step_by_hand() -> None:
    w = torch.tensor([[0.5, -1.0], [2.0, 0.25]], dtype=torch.float64)
    b, h = torch.tensor([[1.0, 2.0]], dtype=torch.float64), torch.tensor([[4.0, -2.0]], dtype=torch.float64)
    assert linear_step(b, h, w).tolist() == [[0.5 * 4 + 2 + 1, 2 * 4 - 0.5 + 2]]


@settings(deadline=None, max_examples=40)
@given(length=st.integers(1, 140), units=st.integers(1, 6), radius=st.floats(0.1, 1.02), seed=st.integers(0, 99))
def test_the_linear_scan_is_the_sum_over_all_tokens_by_powers(
    length: int, units: int, radius: float, seed: int
) -> None:
    b, h, w = normal(1, length, units, seed=seed), normal(1, units, seed=seed + 1), normal(units, units, seed=seed + 2)
    w = radius * w / torch.linalg.matrix_norm(w, 2)
    powers = [np.linalg.matrix_power(w.numpy(), n) for n in range(length + 1)]
    terms = [h[0].numpy(), *b[0].numpy()]
    wanted = [sum(powers[t - s] @ terms[s] for s in range(t + 1)) for t in range(1, length + 1)]
    np.testing.assert_allclose(linear_scan(b, h, w)[0].numpy(), wanted, rtol=0, atol=1e-11)


@pytest.mark.parametrize("length", [1, 2, 7])
def test_gradients_of_the_linear_scan_from_a_carried_state_are_finite_differences(length: int) -> None:
    inputs = normal(2, length, 3), normal(2, 3, seed=1), 0.5 * normal(3, 3, seed=2)
    assert torch.autograd.gradcheck(linear_scan, tuple(a.requires_grad_() for a in inputs))


def test_the_linear_scan_over_4096_tokens_is_as_exact_as_the_gate_asks_in_float32() -> None:
    """A ring that hardly fades: squared in float32, W^2048 would have lost three digits."""
    w = 0.9997 * torch.eye(3).roll(1, 0)
    b, h = normal(1, 4096, 3, dtype="float32"), normal(1, 3, dtype="float32", seed=1)
    loop, exact = [h], [h.double()]
    for b_t in b.unbind(1):
        loop.append(linear_step(b_t, loop[-1], w))
        exact.append(linear_step(b_t.double(), exact[-1], w.double()))
    wanted = torch.stack(exact[1:], 1)
    loop_error = (torch.stack(loop[1:], 1) - wanted).abs().max()
    assert (linear_scan(b, h, w) - wanted).abs().max() <= FACTOR * loop_error


def polar(units: int, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Return rates and angles, drawn at random."""
    return normal(units, seed=seed).exp() / 10, 3 * normal(units, seed=seed + 1)


def test_lru_step_is_a_complex_product() -> None:
    rate, angle = polar(5, 0)
    b, h = (normal(2, 5, seed=2), normal(2, 5, seed=3)), (normal(2, 5, seed=4), normal(2, 5, seed=5))
    wanted = np.exp(-rate.numpy() + 1j * angle.numpy()) * (h[0] + 1j * h[1]).numpy() + (b[0] + 1j * b[1]).numpy()
    re, im = lru_step(b, h, rate, angle)
    np.testing.assert_allclose(re.numpy() + 1j * im.numpy(), wanted, rtol=0, atol=1e-14)


@settings(deadline=None, max_examples=40)
@given(length=st.integers(1, 140), seed=st.integers(0, 99))
def test_the_lru_scan_is_the_sum_over_all_tokens_by_powers(length: int, seed: int) -> None:
    rate, angle = polar(3, seed)
    b, h = (normal(1, length, 3, seed=2), normal(1, length, 3, seed=3)), (normal(1, 3, seed=4), normal(1, 3, seed=5))
    terms = np.concatenate(((h[0] + 1j * h[1]).numpy(), (b[0] + 1j * b[1])[0].numpy()))
    logarithm = -rate.numpy() + 1j * angle.numpy()
    wanted = [sum(np.exp((t - s) * logarithm) * terms[s] for s in range(t + 1)) for t in range(1, length + 1)]
    re, im = lru_scan(b, h, rate, angle)
    np.testing.assert_allclose(re[0].numpy() + 1j * im[0].numpy(), wanted, rtol=0, atol=1e-11)


@pytest.mark.parametrize("length", [1, 2, 7])
def test_gradients_of_the_lru_scan_from_a_carried_state_are_finite_differences(length: int) -> None:
    def scan(b_re: torch.Tensor, b_im: torch.Tensor, h_re: torch.Tensor, h_im: torch.Tensor, *polar: torch.Tensor):
        return lru_scan((b_re, b_im), (h_re, h_im), *polar)

    inputs = (*(normal(2, length, 3, seed=s) for s in (0, 1)), *(normal(2, 3, seed=s) for s in (2, 3)), *polar(3, 4))
    assert torch.autograd.gradcheck(scan, tuple(a.requires_grad_() for a in inputs))


def test_the_lru_scan_over_4096_tokens_is_as_exact_as_the_gate_asks_in_float32() -> None:
    """An angle times 2,048 is thousands of radians: the power is no less exact for it than the loop."""
    b = (normal(1, 4096, 3, dtype="float32"), normal(1, 4096, 3, dtype="float32", seed=1))
    h = (torch.zeros(1, 3), torch.zeros(1, 3))
    rate, angle = torch.tensor([1e-4, 1e-3, 0.1]), torch.tensor([6.1, 2.5, 0.01])
    loop, exact = [h], [tuple(a.double() for a in h)]
    for b_t in zip(*(a.unbind(1) for a in b), strict=True):
        loop.append(lru_step(b_t, loop[-1], rate, angle))
        exact.append(lru_step(tuple(a.double() for a in b_t), exact[-1], rate.double(), angle.double()))
    scan = lru_scan(b, h, rate, angle)
    for part in (0, 1):
        wanted = torch.stack([e[part] for e in exact[1:]], 1)
        loop_error = (torch.stack([s[part] for s in loop[1:]], 1) - wanted).abs().amax((0, 1))
        assert bool(((scan[part] - wanted).abs().amax((0, 1)) <= FACTOR * loop_error).all())


@pytest.mark.parametrize("algorithm", ["reference", "scan"])
def test_the_layer_is_the_papers_in_complex_numbers(algorithm: str) -> None:
    layer = Implementation("lru", algorithm, {"hidden": 12}).build(width=4)
    own = {name: value.numpy() for name, value in layer.state_dict().items()}
    eigenvalues = np.exp(-np.exp(own["nu"]) + 1j * np.exp(own["theta"]))
    b = own["in_projection"][:12] + 1j * own["in_projection"][12:]
    c = own["out_projection"][:, :12] - 1j * own["out_projection"][:, 12:]
    x = normal(1, 20, 4)
    h, wanted = np.zeros(12, dtype=complex), []
    for x_t in x[0].numpy():
        h = eigenvalues * h + np.sqrt(1 - np.abs(eigenvalues) ** 2) * (b @ x_t)
        wanted.append((c @ h).real)
    y, (re, im) = layer(x)
    np.testing.assert_allclose(y[0].detach().numpy(), wanted, rtol=0, atol=1e-12)
    np.testing.assert_allclose((re + 1j * im)[0].detach().numpy(), h, rtol=0, atol=1e-12)


def test_an_eigenvalue_is_rounded_once() -> None:
    rate, angle = torch.tensor([0.01]), torch.tensor([1.5])
    re, im = eigenvalue(rate, angle, torch.bfloat16, power=64)
    exact = np.exp(64 * (-0.01 + 1.5j))
    assert abs(re.item() - exact.real) < 2**-9 * abs(exact)
    assert abs(im.item() - exact.imag) < 2**-9 * abs(exact)
