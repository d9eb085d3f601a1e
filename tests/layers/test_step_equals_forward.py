"""Token by token gives what one pass gives, and every algorithm gives what `reference` gives."""

from dataclasses import replace

import torch
from catalogue import IMPLEMENTATIONS, WIDTH, Implementation, every_implementation, normal
from hypothesis import given, settings
from hypothesis import strategies as st

implementations = st.sampled_from(IMPLEMENTATIONS)

NOT_DRAWN = {"cyclic": {"w", "u"}, "selective": {"log_a"}, "elman-orthogonal": {"core.bias_ih_l0", "core.bias_hh_l0"}}
"""Parameters that start from the same values whatever the seed."""


@settings(deadline=None, max_examples=60)
@given(implementation=implementations, batch=st.integers(1, 3), length=st.integers(1, 40), seed=st.integers(0, 99))
def test_steps_equal_one_pass(implementation: Implementation, batch: int, length: int, seed: int) -> None:
    layer = implementation.build(seed=seed)
    x = normal(batch, length, WIDTH, seed=seed)
    whole, end = layer(x)
    state = layer.initial_state(batch)
    for position, x_t in enumerate(x.unbind(1)):
        y_t, state = layer.step(x_t, state)
        torch.testing.assert_close(y_t, whole[:, position], rtol=0, atol=1e-12)
    for part, wanted in zip(state, end, strict=True):
        torch.testing.assert_close(part, wanted, rtol=0, atol=1e-12)


@settings(deadline=None, max_examples=60)
@given(implementation=implementations, length=st.integers(1, 40), seed=st.integers(0, 99))
def test_every_algorithm_equals_the_reference(implementation: Implementation, length: int, seed: int) -> None:
    layer = implementation.build(seed=seed)
    reference = replace(implementation, algorithm="reference").build(seed=seed)
    x = normal(2, length, WIDTH, seed=seed)
    torch.testing.assert_close(layer(x), reference(x), rtol=0, atol=1e-12)


@every_implementation
def test_the_weights_of_a_seed_are_the_same_for_every_algorithm(implementation: Implementation) -> None:
    weights = implementation.build(seed=3).state_dict()
    reference = replace(implementation, algorithm="reference").build(seed=3).state_dict()
    other = implementation.build(seed=4).state_dict()
    assert list(weights) == list(reference)
    assert all(weights[name].equal(reference[name]) for name in weights)
    same = {name for name in weights if weights[name].equal(other[name])}
    assert same == NOT_DRAWN.get(implementation.layer, set())
