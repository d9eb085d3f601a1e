"""Linear attention and DeltaNet, whose state is a matrix, against numpy and against what their equations promise."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from catalogue import Implementation, normal
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from seqscale.errors import UsageError
from seqscale.layers import fused
from seqscale.layers.deltanet import delta_chunked, delta_step
from seqscale.layers.linear_attention import CHUNK, linear_attention_chunked, linear_attention_step

BOTH = ("linear-attention", "deltanet")


def drawn(length: int, seed: int, e: int = 3, f: int = 5) -> tuple[Tensor, ...]:
    """Return q, unit k, v, beta and S for two sequences and two heads."""
    q, k, v = (normal(2, 2, length, n, seed=seed + i) for i, n in enumerate((e, e, f)))
    return q, k / k.norm(dim=-1, keepdim=True), v, normal(2, 2, length, seed=seed + 3).sigmoid(), normal(2, 2, f, e)


def by_numpy(
    q: Tensor, k: Tensor, v: Tensor, beta: Tensor | None, s: Tensor, decay: float = 1.0
) -> tuple[np.ndarray, np.ndarray]:
    """One head of one sequence; the delta rule where beta is given, as the product with I - beta k k^T."""
    state, reads = s.numpy().copy(), []
    for t in range(len(q)):
        q_t, k_t, v_t = (a[t].numpy() for a in (q, k, v))
        b_t = 1.0 if beta is None else beta[t].item()
        kept = np.eye(len(k_t)) - (0.0 if beta is None else b_t) * np.outer(k_t, k_t)
        state = decay * state @ kept + b_t * np.outer(v_t, k_t)
        reads.append(state @ q_t)
    return np.array(reads), state


@settings(deadline=None, max_examples=30)
@given(
    length=st.integers(1, 140),
    delta=st.booleans(),
    algorithm=st.sampled_from(["step", "chunked", "fused"]),
    decay=st.sampled_from([1.0, 0.9, 1e-3]),
    seed=st.integers(0, 99),
)
def test_every_head_of_every_sequence_is_its_equation(
    length: int, delta: bool, algorithm: str, decay: float, seed: int
) -> None:
    q, k, v, beta, s = drawn(length, seed)
    if algorithm == "step":
        end, parts = s, []
        for t in range(length):
            now = tuple(a[:, :, t] for a in (q, k, v))
            y_t, end = delta_step(*now, beta[:, :, t], end) if delta else linear_attention_step(*now, end, decay)
            parts.append(y_t)
        read = torch.stack(parts, dim=2)
    elif delta:
        read, end = (delta_chunked if algorithm == "chunked" else fused.delta)(q, k, v, beta, s)
    else:
        attend = linear_attention_chunked if algorithm == "chunked" else fused.linear_attention
        read, end = attend(q, k, v, s, decay)
    for i in np.ndindex(2, 2):
        wanted, last = (
            by_numpy(q[i], k[i], v[i], beta[i], s[i]) if delta else by_numpy(q[i], k[i], v[i], None, s[i], decay)
        )
        np.testing.assert_allclose(read[i].numpy(), wanted, rtol=0, atol=1e-11)
        np.testing.assert_allclose(end[i].numpy(), last, rtol=0, atol=1e-11)


@settings(deadline=None, max_examples=20)
@given(length=st.integers(1, 140), seed=st.integers(0, 99))
def test_linear_attention_is_the_sum_over_all_pairs_so_far(length: int, seed: int) -> None:
    q, k, v, _, _ = drawn(length, seed)
    read, end = linear_attention_chunked(q, k, v, torch.zeros(2, 2, 5, 3, dtype=torch.float64))
    torch.testing.assert_close(read, torch.tril(q @ k.mT) @ v, rtol=0, atol=1e-11)
    torch.testing.assert_close(end, torch.einsum("bhtf,bhte->bhfe", v, k), rtol=0, atol=1e-11)


@pytest.mark.parametrize("length", [1, 2, CHUNK + 1])
def test_gradients_of_the_chunks_from_a_carried_state_are_finite_differences(length: int) -> None:
    q, k, v, beta, s = (a[:1, :1].clone().requires_grad_() for a in drawn(length, 0))
    for attend in (linear_attention_chunked, fused.linear_attention):
        for decay in (1.0, 0.9):
            assert torch.autograd.gradcheck(attend, (q, k, v, s, decay), fast_mode=True)
    for replace in (delta_chunked, fused.delta):
        assert torch.autograd.gradcheck(replace, (q, k, v, beta, s), fast_mode=True)


@settings(deadline=None, max_examples=20)
@given(writes=st.integers(1, 100), keys=st.integers(1, 8), seed=st.integers(0, 99))
def test_a_delta_rule_with_orthonormal_keys_holds_the_latest_value_of_each(writes: int, keys: int, seed: int) -> None:
    basis, _ = torch.linalg.qr(normal(8, 8, seed=seed))
    which = torch.randint(keys, (writes,), generator=torch.Generator().manual_seed(seed))
    k, v = basis[which][None, None], normal(1, 1, writes, 4, seed=seed + 1)
    empty = torch.zeros(1, 1, 4, 8, dtype=torch.float64)
    read, s = delta_chunked(k, k, v, torch.ones(1, 1, writes, dtype=torch.float64), empty)
    torch.testing.assert_close(read, v, rtol=0, atol=1e-12)  # read by its own key, at once
    for key in set(which.tolist()):
        latest = v[0, 0, int((which == key).nonzero()[-1])]
        torch.testing.assert_close(s[0, 0] @ basis[key], latest, rtol=0, atol=1e-12)


def test_linear_attention_keeps_every_value_of_a_key_beside_the_latest() -> None:
    k, v = torch.ones(1, 1, 3, 1), torch.tensor([1.0, 10.0, 100.0])[None, None, :, None]
    read, _ = linear_attention_chunked(k, k, v, torch.zeros(1, 1, 1, 1))
    assert read.flatten().tolist() == [1, 11, 111]


def test_a_token_of_share_zero_writes_nothing() -> None:
    q, k, v, beta, s = drawn(50, 0)
    _, end = delta_chunked(q, k, v, torch.zeros_like(beta), s)
    assert end.equal(s)


@pytest.mark.parametrize("layer", BOTH)
@pytest.mark.parametrize("algorithm", ["reference", "chunked", "fused"])
@pytest.mark.parametrize("heads", [1, 2])
def test_the_layer_is_its_equation_with_its_own_projections(layer: str, algorithm: str, heads: int) -> None:
    module, x, e = Implementation(layer, algorithm, {"heads": heads}).build(), normal(1, 40, 8), 8 // heads
    own = {name: value.numpy() for name, value in module.state_dict().items()}
    projected = x[0].numpy() @ own["in_projection.weight"].T
    q, k, v = (torch.from_numpy(a).unflatten(-1, (heads, e)) for a in np.split(projected[:, :24], 3, axis=1))
    beta = torch.from_numpy(projected[:, 24:]).sigmoid() if layer == "deltanet" else None
    k = k / k.norm(dim=-1, keepdim=True) if layer == "deltanet" else k / e**0.5
    y, (s,) = module(x)
    reads = []
    for i in range(heads):
        empty = torch.zeros(e, e, dtype=torch.float64)
        read, end = by_numpy(q[:, i], k[:, i], v[:, i], None if beta is None else beta[:, i], empty)
        np.testing.assert_allclose(s[0, i].detach().numpy(), end, rtol=0, atol=1e-12)
        reads.append(read)
    wanted = np.concatenate(reads, axis=1) @ own["out_projection.weight"].T
    np.testing.assert_allclose(y[0].detach().numpy(), wanted, rtol=0, atol=1e-12)


@pytest.mark.parametrize("algorithm", ["reference", "chunked", "fused"])
def test_what_was_written_fades_by_the_decay_of_each_token_since(algorithm: str) -> None:
    layer, x = Implementation("linear-attention", algorithm, {"decay": 0.5}).build(), normal(1, 70, 8)
    _, (s,) = layer(x)
    _, (later,) = layer(torch.zeros(1, 70, 8, dtype=torch.float64), (s,))
    torch.testing.assert_close(later, 0.5**70 * s, rtol=1e-12, atol=0)


@pytest.mark.parametrize("decay", [0, 1.5, -1, "half", True])
def test_a_decay_that_is_none_is_refused(decay: object) -> None:
    with pytest.raises(UsageError, match=r"decay=.*: must be a number above 0 and at most 1\."):
        Implementation("linear-attention", "reference", {"decay": decay}).build()  # type: ignore[dict-item]


@pytest.mark.parametrize("rule", [delta_chunked, fused.delta, linear_attention_chunked, fused.linear_attention])
def test_chunks_in_bfloat16_are_rounded_at_the_end_alone(rule: Callable[..., tuple[Tensor, Tensor]]) -> None:
    rounded = [a.bfloat16() for a in drawn(300, 0)]
    delta = rule in (delta_chunked, fused.delta)
    found, wanted = (
        rule(q, k, v, beta, s) if delta else rule(q, k, v, s, 0.75)
        for q, k, v, beta, s in (rounded, [a.double() for a in rounded])
    )
    for part, exact in zip(found, wanted, strict=True):
        assert part.dtype == torch.bfloat16
        torch.testing.assert_close(part.double(), exact, rtol=2**-8, atol=1e-5)
