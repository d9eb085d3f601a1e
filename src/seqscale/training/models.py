"""Many models of one shape, their parameters in one matrix, computed together where their layer allows it."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, cast, final

import numpy as np
import torch
from torch import Tensor, nn
from torch.func import functional_call, vmap
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils._pytree import tree_map

from seqscale.errors import UnsupportedError
from seqscale.layers.adapt import capabilities, outputs, segment

_IN, _OUT, _BIAS = "input map", "readout", "readout bias"  # no layer's parameter has a space in its name


@final
class Models:
    """R draws of one model, (input map) -> (layer) -> (readout), and any number of copies of each.

        x_t = E f_t,   y = layer(x),   answer = A y_t + a,   or A s + a of the layer's state s

    The parameters of all models are the rows of one matrix (M, P): an optimiser is then a few operations on it, and
    nothing of one model can touch another. The copies of a draw follow each other: row r L + l is copy l of draw r.

    E starts normal; A and a as in torch.nn.Linear. Nothing is normalised: every layer of the catalogue learns without.

    Args:
        layers: the layer with the weights of each draw, on one device and in one dtype.
        width: d.
        features: c, of a token.
        seen: how many numbers a readout sees.
        answers: how many it gives.
        rngs: of E, A and a, one for each draw.
        together: whether all models are computed by one call, by torch.func.vmap; where the layer cannot be, they are
            computed one after another all the same.
        like: any tensor of the device and the dtype that the models are to have.
        embedding: E to start from, (d, c), in place of normal numbers.

    Attributes:
        together: whether they are.
    """

    def __init__(
        self,
        layers: Sequence[nn.Module],
        *,
        width: int,
        features: int,
        seen: int,
        answers: int,
        rngs: Sequence[np.random.Generator],
        together: bool,
        like: Tensor,
        embedding: np.ndarray | None = None,
    ) -> None:
        self._layers = tuple(layers)
        self._width = width
        drawn = []
        for layer, rng in zip(layers, rngs, strict=True):
            own = {
                _IN: rng.standard_normal((width, features)) if embedding is None else embedding,
                _OUT: rng.uniform(-1, 1, (answers, seen)) / math.sqrt(seen),
                _BIAS: rng.uniform(-1, 1, (1, answers)) / math.sqrt(seen),
            }
            learned = {name: p.detach() for name, p in layer.named_parameters() if p.requires_grad}
            drawn.append({name: torch.as_tensor(v).to(like) for name, v in own.items()} | learned)
        self._shapes = {name: tensor.shape for name, tensor in drawn[0].items()}
        self._start = torch.stack([torch.cat([v.flatten() for v in one.values()]) for one in drawn])
        fixed = [_fixed(layer) for layer in layers]
        self._fixed = {name: torch.stack([one[name] for one in fixed]) for name in fixed[0]}
        self.together = together and self._agrees(like)

    def start(self, copies: int) -> Tensor:
        """Return the parameters to start from, (R copies, P); the copies of a draw are equal."""
        return self._start.repeat_interleave(copies, dim=0)

    def embed(self, rows: Tensor, features: Tensor) -> Tensor:
        """Return the streams (M, b, t, d) of what each draw reads, features (R, b, t, c)."""
        r, b, t, _ = features.shape
        embedding = self._named(rows)[_IN].unflatten(0, (r, -1))
        # the copies of a draw read the same, so that one product serves them all
        x = features.flatten(1, 2) @ embedding.flatten(1, 2).mT
        return x.view(r, b, t, -1, self._width).permute(0, 3, 1, 2, 4).flatten(0, 1)

    def run(self, rows: Tensor, x: Tensor) -> Tensor:
        """Return the layers' outputs (M, b, t, d) of streams x (M, b, t, d)."""
        return self.each(outputs, rows, x)

    def carry(self, rows: Tensor, x: Tensor, state: Any) -> tuple[Tensor, Any]:
        """Return the outputs of x from the state that an earlier call gave, None to start afresh, and the state after.

        Every tensor of a state has M as its first dimension. UnsupportedError for a state that is not made of tensors.
        """
        return self.each(segment, rows, x, state)

    def each(self, call: Callable[..., Any], rows: Tensor, x: Tensor, *state: Any) -> Any:
        """Return what `call(layer, x_m, ...)` gives for every model's layer, each tensor in it stacked to (M, ...).

        Args:
            call: tensors in, tensors out, the same for all models.
            rows: (M, P). x: (M, ...). state: what an earlier call returned, or None.
        """
        copies = len(rows) // len(self._layers)
        tensors = {name: p for name, p in self._named(rows).items() if name not in (_IN, _OUT, _BIAS)}
        tensors |= {name: b.repeat_interleave(copies, dim=0) for name, b in self._fixed.items()}
        if self.together:
            in_dims = (0, 0, *(None if s is None else 0 for s in state))
            with sdpa_kernel(SDPBackend.MATH):  # the only one of attention's kernels that can be batched
                return vmap(lambda own, *given: call(_with(self._layers[0], own), *given), in_dims)(tensors, x, *state)
        found = []
        for m in range(len(rows)):
            layer = _with(self._layers[m // copies], {name: tensor[m] for name, tensor in tensors.items()})
            found.append(call(layer, x[m], *(tree_map(partial(_picked, m), s) for s in state)))
        return tree_map(_joined, *found)

    def read(self, rows: Tensor, seen: Tensor) -> Tensor:
        """Return the answers (M, b, a, answers) that the readouts give to what they see, (M, b, a, seen)."""
        named = self._named(rows)
        return torch.baddbmm(named[_BIAS], seen.flatten(1, 2), named[_OUT].mT).unflatten(1, seen.shape[1:3])

    def layer_part(self, rows: Tensor) -> Tensor:
        """Return the columns of rows (M, P) that are the layer's own parameters."""
        return rows[:, sum(self._shapes[name].numel() for name in (_IN, _OUT, _BIAS)) :]

    def _named(self, rows: Tensor) -> dict[str, Tensor]:
        parts = rows.split([shape.numel() for shape in self._shapes.values()], dim=1)
        return {name: p.view(-1, *shape) for p, (name, shape) in zip(parts, self._shapes.items(), strict=True)}

    def _agrees(self, like: Tensor) -> bool:
        """Whether the models can be computed together, and give what they give one after another."""
        rows = self.start(1).requires_grad_()
        x = torch.sin(torch.arange(float(len(rows) * 6 * self._width))).view(len(rows), 2, 3, self._width).to(like)
        carries, found = capabilities(self._layers[0]).carries, []
        for self.together in (False, True):
            try:
                # torch warns where it would loop over models inside
                with warnings.catch_warnings(action="error", category=UserWarning):
                    y = self.run(rows, x)
                    if carries:
                        _, state = self.carry(rows, x, None)
                        y = y + self.carry(rows, x, state)[0]
                    found.append((y, *torch.autograd.grad(y.square().sum(), rows)))
            except Exception:  # a layer may refuse to be batched in any way; what it raises alone, training shows
                return False
        return all(torch.allclose(a, b, rtol=1e-3, atol=1e-4) for a, b in zip(*found, strict=True))


def _fixed(layer: nn.Module) -> dict[str, Tensor]:
    """Return what a layer holds and does not learn."""
    return dict(layer.named_buffers()) | {n: p.detach() for n, p in layer.named_parameters() if not p.requires_grad}


def _with(layer: nn.Module, tensors: dict[str, Tensor]) -> nn.Module:
    """Return a layer that computes with other parameters and buffers; good for nothing but to be called."""

    def called(*given: Any, **named: Any) -> Any:
        return functional_call(layer, tensors, given, named)

    return cast(nn.Module, called)


def _joined(*parts: Any) -> Any:
    """Return one part of a state of every model as one: tensors stacked, a counter that is the same in all as it is."""
    first = parts[0]
    if isinstance(first, Tensor):
        return torch.stack(parts)
    if not isinstance(first, int | float | None) or any(part != first for part in parts):
        raise UnsupportedError(f"the state cannot be carried: it holds a {type(first).__name__}, not tensors.")
    return first


def _picked(m: int, part: Any) -> Any:
    return part[m] if isinstance(part, Tensor) else part
