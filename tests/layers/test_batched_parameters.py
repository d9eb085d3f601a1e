"""Many models at once: a layer under torch.func over stacked parameters equals a loop over the models."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from catalogue import IMPLEMENTATIONS, WIDTH, Implementation, normal
from torch import Tensor
from torch.func import functional_call, grad, jacrev, stack_module_state, vmap

Parameters = dict[str, Tensor]

REFUSED = ("elman/library", "elman-orthogonal/library", "gru/library", "lstm/library")
"""torch 2.13 has no batching rule for torch.nn.RNN, GRU and LSTM: many such models run by `reference`, or in a loop."""

ONE_BY_ONE = ("attention/library",)
"""torch has no batching rule for the CPU's attention kernel: it runs the kernel once per model, and warns of it."""

MODELS, LENGTH = 3, 37
BATCHED = [i for i in IMPLEMENTATIONS if f"{i.layer}/{i.algorithm}" not in REFUSED]


def output(implementation: Implementation) -> Callable[[Parameters, Tensor], Tensor]:
    layer = implementation.build()
    return lambda parameters, x: functional_call(layer, parameters, (x,))[0]


def loss(implementation: Implementation) -> Callable[[Parameters, Tensor], Tensor]:
    run, weights = output(implementation), normal(2, LENGTH, WIDTH, seed=9)
    return lambda parameters, x: (run(parameters, x) * weights).sum()


def models(implementation: Implementation) -> tuple[list[Parameters], Parameters, Tensor]:
    """Return the parameters of each model, the same stacked, and an input for each model."""
    layers = [implementation.build(seed=seed) for seed in range(MODELS)]
    stacked, _ = stack_module_state(layers)
    return [dict(layer.named_parameters()) for layer in layers], stacked, normal(MODELS, 2, LENGTH, WIDTH)


@pytest.mark.filterwarnings("ignore:There is a performance drop")
@pytest.mark.parametrize("implementation", BATCHED, ids=str)
def test_stacked_parameters_equal_a_loop_over_the_models(implementation: Implementation) -> None:
    run, score = output(implementation), loss(implementation)
    each, stacked, x = models(implementation)
    batched = vmap(run)(stacked, x)
    torch.testing.assert_close(batched, torch.stack([run(p, own) for p, own in zip(each, x, strict=True)]))
    wanted = [torch.autograd.grad(score(p, own), tuple(p.values())) for p, own in zip(each, x, strict=True)]
    by_autograd = torch.autograd.grad(vmap(score)(stacked, x).sum(), tuple(stacked.values()))
    by_func = vmap(grad(score))(stacked, x)
    for name, found, *alone in zip(stacked, by_autograd, *wanted, strict=True):
        torch.testing.assert_close(found, torch.stack(alone), rtol=1e-9, atol=1e-9)
        torch.testing.assert_close(by_func[name], torch.stack(alone), rtol=1e-9, atol=1e-9)


@pytest.mark.filterwarnings("ignore:There is a performance drop")
@pytest.mark.parametrize("implementation", BATCHED, ids=str)
def test_one_input_and_one_model_may_be_shared(implementation: Implementation) -> None:
    run = output(implementation)
    each, stacked, x = models(implementation)
    one_input = vmap(run, in_dims=(0, None))(stacked, x[0])
    torch.testing.assert_close(one_input, torch.stack([run(p, x[0]) for p in each]))
    one_model = vmap(run, in_dims=(None, 0))(each[0], x)
    torch.testing.assert_close(one_model, torch.stack([run(each[0], own) for own in x]))


@pytest.mark.filterwarnings("ignore:There is a performance drop")
@pytest.mark.parametrize("implementation", BATCHED, ids=str)
def test_a_jacobian_by_torch_func_is_autograds(implementation: Implementation) -> None:
    layer, x = implementation.build(), normal(1, 5, WIDTH)
    wanted = torch.autograd.functional.jacobian(lambda x: layer(x)[0][0, -1], x)
    found = jacrev(lambda x: layer(x)[0][0, -1])(x)
    torch.testing.assert_close(found, wanted)


@pytest.mark.parametrize("implementation", [i for i in IMPLEMENTATIONS if i not in BATCHED], ids=str)
def test_what_is_listed_as_refused_is_refused(implementation: Implementation) -> None:
    _, stacked, x = models(implementation)
    with pytest.raises(RuntimeError, match="Batching rule not implemented"):
        vmap(output(implementation))(stacked, x)


@pytest.mark.parametrize("implementation", BATCHED, ids=str)
def test_only_what_is_listed_runs_model_by_model(
    implementation: Implementation, recwarn: pytest.WarningsRecorder
) -> None:
    _, stacked, x = models(implementation)
    vmap(output(implementation))(stacked, x)
    warned = any("performance drop" in str(warning.message) for warning in recwarn)
    assert warned == (f"{implementation.layer}/{implementation.algorithm}" in ONE_BY_ONE)
