"""What a layer says it carries is what its state holds."""

import pytest
from catalogue import WIDTH, Implementation, every_implementation, normal


@every_implementation
@pytest.mark.parametrize("length", [1, 2, 17])
def test_state_elements_are_the_numbers_in_the_state(implementation: Implementation, length: int) -> None:
    layer = implementation.build()
    _, state = layer(normal(3, length, WIDTH))
    assert layer.state_elements(length) * 3 == sum(part.numel() for part in state)


@every_implementation
def test_before_the_first_token_too(implementation: Implementation) -> None:
    layer = implementation.build()
    assert layer.state_elements(0) * 2 == sum(part.numel() for part in layer.initial_state(2))


@pytest.mark.parametrize(
    ("layer", "options", "wanted"),
    [
        ("elman", {}, WIDTH),
        ("gru", {"hidden": 20}, 20),
        ("lstm", {"hidden": 20}, 40),
        ("cyclic", {"hidden": 20}, 20),
        ("lru", {"hidden": 20}, 40),
        ("selective", {"state": 5}, 5 * WIDTH),
        ("linear-attention", {}, WIDTH**2),
        ("linear-attention", {"heads": 4}, WIDTH**2 // 4),
        ("deltanet", {"heads": 2}, WIDTH**2 // 2),
        ("attention", {}, 2 * 1000 * WIDTH),
        ("attention", {"heads": 2, "rotary": True}, 2 * 1000 * WIDTH),
    ],
)
def test_known_sizes(layer: str, options: dict[str, int | bool], wanted: int) -> None:
    assert Implementation(layer, "reference", options).build().state_elements(1000) == wanted
