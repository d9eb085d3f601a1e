"""A sequence cut into segments, the state carried over, gives what one pass gives."""

import torch
from catalogue import IMPLEMENTATIONS, WIDTH, Implementation, every_implementation, normal
from hypothesis import given, settings
from hypothesis import strategies as st


@settings(deadline=None, max_examples=80)
@given(
    implementation=st.sampled_from(IMPLEMENTATIONS),
    lengths=st.lists(st.integers(1, 20), min_size=2, max_size=4),
    seed=st.integers(0, 99),
)
def test_segments_with_carried_state_equal_one_pass(
    implementation: Implementation, lengths: list[int], seed: int
) -> None:
    layer = implementation.build(seed=seed)
    x = normal(2, sum(lengths), WIDTH, seed=seed)
    whole, end = layer(x)
    state, parts = layer.initial_state(2), []
    for piece in x.split(lengths, dim=1):
        y, state = layer(piece, state)
        parts.append(y)
    torch.testing.assert_close(torch.cat(parts, dim=1), whole, rtol=0, atol=1e-12)
    torch.testing.assert_close(state, end, rtol=0, atol=1e-12)


@every_implementation
def test_a_dropped_state_would_be_seen(implementation: Implementation) -> None:
    layer = implementation.build()
    x = normal(2, 9, WIDTH)
    afresh, _ = layer(x[:, 4:])
    assert (afresh - layer(x)[0][:, 4:]).abs().max() > 1e-3


@every_implementation
def test_a_state_is_a_value_that_no_call_changes(implementation: Implementation) -> None:
    layer = implementation.build()
    x = normal(2, 6, WIDTH)
    _, state = layer(x)
    before = tuple(part.detach().clone() for part in state)
    layer(x, state)
    layer.step(x[:, 0], state)
    assert all(part.equal(kept) for part, kept in zip(state, before, strict=True))


@every_implementation
def test_gradients_flow_through_the_carried_state(implementation: Implementation) -> None:
    layer = implementation.build()
    x = normal(2, 9, WIDTH).requires_grad_()
    weights = normal(2, 9, WIDTH, seed=1)
    (whole,) = torch.autograd.grad(layer(x)[0], x, weights)
    first, state = layer(x[:, :4])
    second, _ = layer(x[:, 4:], state)
    (cut,) = torch.autograd.grad(torch.cat((first, second), dim=1), x, weights)
    torch.testing.assert_close(cut, whole, rtol=0, atol=1e-12)
