"""From a cell to what is measured: the built layer and its seeded input."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from seqscale.errors import UnsupportedError
from seqscale.layers.adapt import Steps, segment
from seqscale.layers.build import DTYPES, Built, build
from seqscale.layers.catalogue import LAYERS
from seqscale.records import Cell


def layer_of(cell: Cell) -> Built:
    """Build the cell's layer in training mode, its parameters drawn from the cell's seed."""
    return _build(cell, cell.algorithm)


def input_of(cell: Cell) -> Tensor:
    """Return x (b, t, d), normal, the same for the same cell."""
    generator = torch.Generator().manual_seed(cell.seed)
    shape = (cell.batch, cell.length, cell.width)
    return torch.randn(shape, generator=generator).to(cell.device, DTYPES[cell.dtype])


def fast_twin(cell: Cell) -> Built:
    """Build the cell's layer, with the same parameters, by its default algorithm: the fast way to a context's state."""
    return layer_of(cell) if cell.layer not in LAYERS else _build(cell, LAYERS[cell.layer].algorithms[0])


def stepping(layer: Built) -> Steps:
    """Return the layer's module as one that takes tokens one at a time; UnsupportedError where it cannot."""
    if not isinstance(layer.module, Steps):
        raise UnsupportedError("the layer has no step and initial_state, so it cannot decode token by token.")
    return layer.module


def context_of(layer: Built, fast: Built, x: Tensor) -> Any:
    """Return the state of `layer` after the tokens x (b, t, d); UnsupportedError for a layer without a step.

    A forward pass of `fast` takes all tokens but the last and a step of `layer` the last one, so that the state lies in
    memory as steps leave it. Both have the same parameters; a layer's state is the same for each of its algorithms.
    """
    module = stepping(layer)
    with torch.no_grad():
        if fast.capabilities.carries and x.shape[1] > 1:
            _, state = segment(fast.module, x[:, :-1], None)
        else:
            state = module.initial_state(x.shape[0])
            for x_t in x[:, :-1].unbind(1):
                _, state = module.step(x_t, state)
        _, state = module.step(x[:, -1], state)
    return state


def step_of(module: Steps, x_t: Tensor, state: Any) -> Callable[[], object]:
    """Return the call of one step from `state`, always the same one: a step maps a state to a new one."""

    def step() -> None:
        with torch.no_grad():
            module.step(x_t, state)

    return step


def _build(cell: Cell, algorithm: str) -> Built:
    spec = LAYERS.get(cell.layer)
    return build(
        target=cell.target,
        family="own" if spec is None else spec.family,  # a layer that the catalogue does not have is the user's
        width=cell.width,
        options=dict(cell.options),
        algorithm=algorithm,
        dtype=cell.dtype,
        device=cell.device,
        seed=cell.seed,
    )
