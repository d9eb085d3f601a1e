"""Gradients are the derivatives of the outputs, and every algorithm has the reference's."""

from dataclasses import replace

import torch
from catalogue import WIDTH, Implementation, every_implementation, normal


@every_implementation
def test_gradients_of_input_and_parameters_are_finite_differences(implementation: Implementation) -> None:
    layer = implementation.build()
    names, parameters = zip(*((n, p.detach().requires_grad_()) for n, p in layer.named_parameters()), strict=True)

    def run(x: torch.Tensor, *values: torch.Tensor) -> torch.Tensor:
        y, _ = torch.func.functional_call(layer, dict(zip(names, values, strict=True)), (x,))
        return y

    # checked along random directions: the full table has a column for every parameter
    assert torch.autograd.gradcheck(run, (normal(2, 4, WIDTH).requires_grad_(), *parameters), fast_mode=True)


@every_implementation
def test_gradients_equal_the_reference(implementation: Implementation) -> None:
    x = normal(2, 33, WIDTH).requires_grad_()
    weights = normal(2, 33, WIDTH, seed=1)
    found = []
    for layer in (implementation.build(), replace(implementation, algorithm="reference").build()):
        found.append(torch.autograd.grad(layer(x)[0], (x, *layer.parameters()), weights))
    torch.testing.assert_close(found[0], found[1], rtol=1e-11, atol=1e-11)
