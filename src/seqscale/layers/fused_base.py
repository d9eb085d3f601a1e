"""How a kernel becomes one of torch's operators, with a derivative, for many models of it at once.

Each is an operator, so that a trace sees it and torch.func batches it: models are the first dimension of every tensor,
and a batch of models is more of them.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import Any, final

import torch
from torch import Tensor
from torch.autograd import Function
from torch.utils._pytree import tree_map

from seqscale.errors import UnsupportedError

_LIBRARY = torch.library.Library("seqscale", "DEF")


def define(schema: str, kernel: Callable[..., Any], shapes: Callable[..., Any]) -> Any:
    """Make an operator of a kernel, and return it.

    Args:
        schema: as torch writes it.
        kernel: from numpy's arrays, and the number of threads, to arrays.
        shapes: from the tensors to empty ones of the results' shapes.
    """
    name = schema.partition("(")[0]
    _LIBRARY.define(schema)
    operator = getattr(torch.ops.seqscale, name)

    def run(*arguments: Any) -> Any:
        arrays = [a.detach().numpy() if isinstance(a, Tensor) else a for a in arguments]
        return tree_map(torch.from_numpy, kernel(*arrays, threads=torch.get_num_threads()))

    _LIBRARY.impl(name, run, "CPU")
    torch.library.register_fake(f"seqscale::{name}", shapes, lib=_LIBRARY)
    return operator.default


class AbstractKernel(Function):
    """A function of tensors with models first: under torch.func.vmap a batch is so many times more models."""

    def __init_subclass__(cls, **given: Any) -> None:
        """Have the arguments of `forward` read once: torch asks for them in each call, which takes it microseconds."""
        super().__init_subclass__(**given)
        cls.forward.__signature__ = inspect.signature(cls.forward)  # type: ignore[attr-defined]

    @classmethod
    def vmap(cls, info: Any, in_dims: Sequence[int | None], *arguments: Any) -> Any:
        """Call the function once, with all models."""
        merged = [
            _with_models(a, dim, info.batch_size).flatten(0, 1) if isinstance(a, Tensor) else a
            for a, dim in zip(arguments, in_dims, strict=True)
        ]
        found = tree_map(lambda result: result.unflatten(0, (info.batch_size, -1)), cls.apply(*merged))
        return found, tree_map(lambda _: 0, found)


def _with_models(tensor: Tensor, dim: int | None, models: int) -> Tensor:
    """Return a tensor with the batch that torch.func.vmap adds as its first dimension."""
    return tensor.expand(models, *tensor.shape) if dim is None else tensor.movedim(dim, 0)


@final
class Gradient(AbstractKernel):
    """An operator that computes gradients, and has none itself."""

    @staticmethod
    def forward(operator: Any, *arguments: Any) -> Any:
        """Run the kernel."""
        return operator(*arguments)

    @staticmethod
    def setup_context(ctx: Any, inputs: Any, output: Any) -> None:
        """Keep nothing."""

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> Any:
        """Say that there is none."""
        raise UnsupportedError("'fused' has no second derivative: choose `reference`, which has.")


def keeping(ctx: Any, *kept: Tensor) -> None:
    """Say that what is kept has no gradient; autograd would else make zeros as large, which `or_zeros` makes where due.

    Args:
        ctx: autograd's.
        kept: outputs.
    """
    ctx.mark_non_differentiable(*kept)
    ctx.set_materialize_grads(False)


def or_zeros(gradient: Tensor | None, like: Tensor, shape: torch.Size) -> Tensor:
    """Return an output's gradient; zeros of its shape, and the dtype of `like`, where nothing was made of it."""
    return like.new_zeros(shape) if gradient is None else gradient
