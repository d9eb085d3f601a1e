"""Changing x[t] leaves every earlier output bit-equal, and moves y[t]."""

import torch
from catalogue import IMPLEMENTATIONS, WIDTH, Implementation, normal
from hypothesis import given, settings
from hypothesis import strategies as st


@settings(deadline=None, max_examples=120)
@given(
    implementation=st.sampled_from(IMPLEMENTATIONS),
    dtype=st.sampled_from(["float32", "float64", "bfloat16"]),
    length=st.integers(2, 70),
    where=st.floats(0, 1),
    seed=st.integers(0, 99),
)
def test_no_output_sees_a_later_input(
    implementation: Implementation, dtype: str, length: int, where: float, seed: int
) -> None:
    layer = implementation.build(dtype=dtype, seed=seed)
    t = 1 + round(where * (length - 2))
    x = normal(2, length, WIDTH, dtype=dtype, seed=seed)
    changed = x.clone()
    changed[:, t] = normal(2, WIDTH, dtype=dtype, seed=seed + 1000)
    with torch.no_grad():
        before, after = layer(x)[0], layer(changed)[0]
    assert after[:, :t].equal(before[:, :t])
    assert not after[:, t].equal(before[:, t])
