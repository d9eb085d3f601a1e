"""A layer maps (b, t, d) to (b, t, d) in the input's dtype, and its state is a tuple of tensors of that batch."""

import pytest
import torch
from catalogue import WIDTH, Implementation, every_implementation, normal

from seqscale.layers.build import DTYPES


@every_implementation
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("batch", "length"), [(1, 1), (3, 5)])
def test_outputs_have_the_shape_and_dtype_of_the_input(
    implementation: Implementation, dtype: str, batch: int, length: int
) -> None:
    layer = implementation.build(dtype=dtype)
    x = normal(batch, length, WIDTH, dtype=dtype)
    y, state = layer(x)
    assert y.shape == x.shape
    assert y.dtype == x.dtype
    assert torch.isfinite(y).all()
    assert isinstance(state, tuple)
    assert all(part.dtype == x.dtype and part.shape[0] == batch for part in state)


@every_implementation
def test_a_step_maps_one_token(implementation: Implementation) -> None:
    layer = implementation.build()
    y_t, state = layer.step(normal(3, WIDTH), layer.initial_state(3))
    assert y_t.shape == (3, WIDTH)
    assert [part.shape[0] for part in state] == [3] * len(state)


@every_implementation
def test_the_sequences_of_a_batch_do_not_mix(implementation: Implementation) -> None:
    layer = implementation.build()
    x = normal(3, 6, WIDTH)
    alone = torch.cat([layer(x[i : i + 1])[0] for i in range(3)])
    torch.testing.assert_close(layer(x)[0], alone, rtol=0, atol=1e-13)
