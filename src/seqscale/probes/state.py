"""Reads the state of any layer: what it carries after so many tokens, its derivatives, and a linear step's matrices.

A state is whatever a layer likes, as long as it is made of tensors (torch's pytree of them). Here it is a row of
numbers for each sequence: every leaf with its sequences first, flattened, in the tree's order.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable, Sequence
from typing import Any, final

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.utils._pytree import tree_flatten, tree_unflatten

from seqscale.errors import SeqscaleError, UnsupportedError
from seqscale.layers.adapt import Steps, TakesStep, outputs, segment
from seqscale.layers.build import DTYPES, Built
from seqscale.probes.subject import layer_of
from seqscale.records import Cell

Floats = npt.NDArray[np.float64]
States = npt.NDArray[np.floating[Any]]
Embed = Callable[[Any], Tensor]

MOST_NUMBERS = 4096  # of one sequence's state: covariances are this number squared
READ_BYTES = 2**28  # what reading may hold at once, states apart
ROWS = 512  # sequences read at once at most: more leave the cache, fewer wait for torch to start its kernels
LEAST_ROWS = 4  # in a batch, where there are as many: each sequence must have another one beside it
_KEPT = 8  # numbers that a layer is taken to keep per token, over those of its state
MOST_DIFFERENTIATED = 512  # numbers of a state whose Jacobians are multiplied: this is that number cubed
LINEAR = 1e-10  # relative: how well a linear step must be the sum of its parts, in float64


@final
class Carrier:
    """A layer that carries a state, with the state as a row of numbers for each sequence.

    Args:
        layer: the layer.
        width: d.
        dtype, device: as in a cell, those that the layer was built with.

    Attributes:
        width: d.
        fixed: whether the state has the same size after any number of tokens.
        numbers: of one sequence's state after one token.

    Raises:
        UnsupportedError: the layer carries no state, or one that is not made of tensors.
    """

    def __init__(self, layer: Built, width: int, dtype: str, device: str) -> None:
        if not (layer.capabilities.carries or layer.capabilities.steps):
            lacks = "a step but no initial_state" if isinstance(layer.module, TakesStep) else "no step"
            raise UnsupportedError(f"the layer has no state to read: its forward takes none, and it has {lacks}.")
        self._module = layer.module
        self._carries = layer.capabilities.carries
        self._like = torch.empty(0, dtype=DTYPES[dtype], device=device)
        self.width = width
        states = [self._state(sequences, tokens) for sequences, tokens in ((2, 1), (3, 1), (2, 2))]
        self._template, self._tree = tree_flatten(states[0])
        strange = [type(leaf).__name__ for leaf in self._template if not isinstance(leaf, Tensor | int | float | None)]
        if strange:
            raise UnsupportedError(f"the state cannot be read: it holds a {strange[0]}, not tensors.")
        two, three, longer = ([getattr(leaf, "shape", ()) for leaf in tree_flatten(state)[0]] for state in states)
        # a leaf without an axis that follows the number of sequences (a counter) is not about any of them
        self._axes = [_differing(*pair) for pair in zip(two, three, strict=True)]
        if all(axis is None for axis in self._axes):
            raise UnsupportedError("the state cannot be read: none of its tensors has a row for each sequence.")
        self.fixed = two == longer
        self.numbers = self.flat(states[0]).shape[1]
        self._bytes = self._like.element_size() * (width + _KEPT * self.numbers)

    def _state(self, sequences: int, tokens: int) -> Any:
        with torch.no_grad():
            return self.advance(self._like.new_zeros(sequences, tokens, self.width), None)[1]

    def tensor(self, values: npt.ArrayLike) -> Tensor:
        """Return numbers in the layer's dtype, on its device."""
        return torch.as_tensor(values).to(self._like.device, self._like.dtype)

    def array(self, values: Tensor) -> States:
        """Return a tensor as numpy numbers: float64 of float64, float32 of what is narrower."""
        return values.to(torch.promote_types(values.dtype, torch.float32)).cpu().numpy()

    def advance(self, x: Tensor, state: Any) -> tuple[Tensor, Any]:
        """Read tokens x (b, t, d) from a state, None for the one before the first; return outputs and the state."""
        if self._carries:
            return segment(self._module, x, state)
        module = self._module
        assert isinstance(module, Steps)
        state, read = module.initial_state(x.shape[0]) if state is None else state, []
        for x_t in x.unbind(1):
            y_t, state = module.step(x_t, state)
            read.append(y_t)
        return torch.stack(read, dim=1), state

    def outputs(self, x: Tensor) -> Tensor:
        """Return the outputs of one pass over x (b, t, d) that knows of no state."""
        return outputs(self._module, x)

    def last(self, x: Tensor) -> Tensor:
        """Return the state after x (b, t, d) from the start, (b, numbers)."""
        return self.flat(self.advance(x, None)[1])

    def flat(self, state: Any) -> Tensor:
        """Return a state as (b, numbers)."""
        leaves, _ = tree_flatten(state)
        rows = [
            _real(leaf).movedim(axis, 0).reshape(leaf.shape[axis], -1).to(self._like.dtype)
            for leaf, axis in zip(leaves, self._axes, strict=True)
            if axis is not None
        ]
        return torch.cat(rows, dim=1)

    def whole(self, flat: Tensor) -> Any:
        """Return the state of which `flat` (b, numbers) are the numbers; for a state of fixed size."""
        leaves, used = [], 0
        for leaf, axis in zip(self._template, self._axes, strict=True):
            if axis is None:
                leaves.append(leaf)
                continue
            one = _real(leaf).movedim(axis, 0)[0]
            part = flat[:, used : used + one.numel()].reshape(-1, *one.shape)
            numbers = torch.view_as_complex(part.contiguous()) if leaf.is_complex() else part.to(leaf.dtype)
            leaves.append(numbers.movedim(0, axis).contiguous())  # cuDNN takes no other
            used += one.numel()
        return tree_unflatten(leaves, self._tree)

    def of_others(self, state: Any, donors: Tensor) -> Any:
        """Return a state in which each sequence has the state of its donor, donors (b,)."""
        leaves, tree = tree_flatten(state)
        moved = [
            leaf if axis is None else leaf.index_select(axis, donors)
            for leaf, axis in zip(leaves, self._axes, strict=True)
        ]
        return tree_unflatten(moved, tree)

    def batches(self, sequences: int, tokens: int) -> list[slice]:
        """Return the sequences in even batches of about READ_BYTES, or ROWS at most."""
        rows = max(LEAST_ROWS, min(ROWS, READ_BYTES // (tokens * self._bytes)))
        count = -(-sequences // rows)
        edges = [sequences * i // count for i in range(count + 1)]
        return [slice(first, last) for first, last in itertools.pairwise(edges)]

    def read(self, data: npt.NDArray[Any], embed: Embed, lengths: Sequence[int]) -> list[States]:
        """Return the states after each number of tokens, each (n, numbers).

        Args:
            data: (n, T), one sequence a row.
            embed: gives the tokens x (b, t, d) of some rows of data.
            lengths: numbers of tokens, rising, at most T.

        Raises:
            UnsupportedError: a state of more than MOST_NUMBERS numbers.
            SeqscaleError: a state that is not finite; the text says after which token.
        """
        found: list[States] = []
        for rows in self.batches(*data.shape):
            state, x = None, embed(data[rows])
            for i, (first, last) in enumerate(itertools.pairwise((0, *lengths))):
                with torch.no_grad():
                    _, state = self.advance(x[:, first:last], state)
                    flat = self.flat(state)
                if not flat.isfinite().all():
                    raise SeqscaleError(f"the state is not finite after {self._first_bad(x)} tokens.")
                part = self.array(flat)
                if i == len(found):
                    found.append(np.empty((len(data), _few(part.shape[1], last)), part.dtype))
                found[i][rows] = part
        return found

    def jacobians(self, states: Tensor | None, x_t: Tensor) -> tuple[Tensor, Tensor]:
        """Return d h_t / d h_{t-1} (b, N, N) and d h_t / d x_t (b, N, d), for a state of fixed size.

        Each sequence stands N times in a batch, once for each number that is differentiated.

        Args:
            states: h_{t-1}, (b, N); None at the first token, where the derivative by it is given as 0.
            x_t: (b, d).
        """
        several = max(1, READ_BYTES // (self.numbers * self._bytes))
        inputs = x_t.split(several)
        before = [None] * len(inputs) if states is None else states.split(several)
        parts = [self._jacobians(h, x) for h, x in zip(before, inputs, strict=True)]
        by_state, by_input = (torch.cat(found).unflatten(0, (-1, self.numbers)) for found in zip(*parts, strict=True))
        return by_state, by_input

    def _jacobians(self, states: Tensor | None, x_t: Tensor) -> tuple[Tensor, Tensor]:
        """Return the rows of both Jacobians, (b N, N) and (b N, d)."""
        n = self.numbers
        x = x_t.repeat_interleave(n, dim=0).requires_grad_()
        h = x.new_zeros(len(x), n) if states is None else states.repeat_interleave(n, dim=0)
        h.requires_grad_()
        _, after = self.advance(x.unsqueeze(1), None if states is None else self.whole(h))
        which = torch.eye(n, dtype=x.dtype, device=x.device).repeat(len(x_t), 1)
        by_state, by_input = torch.autograd.grad(
            self.flat(after), (h, x), which, allow_unused=True, materialize_grads=True
        )
        return by_state, by_input

    def _first_bad(self, x: Tensor) -> int:
        """Return after how many tokens the state of some sequence of x is first not finite; after all at the latest."""
        state, tokens = None, 0
        with torch.no_grad():
            for x_t in x.unbind(1):
                _, state = self.advance(x_t.unsqueeze(1), state)
                tokens += 1
                if not self.flat(state).isfinite().all():
                    break
        return tokens


def carrier_of(cell: Cell, dtype: str | None = None) -> Carrier:
    """Build the cell's layer, in its dtype or in another with the same weights; errors as `Carrier`."""
    chosen = cell if dtype is None else dataclasses.replace(cell, dtype=dtype)
    return Carrier(layer_of(chosen), chosen.width, chosen.dtype, chosen.device)


@torch.no_grad()
def step_matrices(carrier: Carrier) -> tuple[Floats, Floats] | None:
    """Return W (N, N) and U (N, d) of a step h_t = W h_{t-1} + U x_t + c; None where a step is not linear so.

    They are found by pushing basis vectors through one step, which is exact but for rounding; then a step from random
    states, and a few steps from the start, must be the sums of their parts within LINEAR. The constant c is left out.

    Args:
        carrier: of a layer in float64.
    """
    n, d = carrier.numbers, carrier.width
    if not carrier.fixed or n > MOST_NUMBERS:
        return None
    rng = np.random.default_rng(0)
    random, x = rng.standard_normal((8, n + d)), rng.standard_normal((8, 4, d))
    rows = carrier.tensor(np.concatenate((np.zeros((1, n + d)), np.eye(n + d), random)))
    _, state = carrier.advance(rows[:, None, n:], carrier.whole(rows[:, :n]))
    after = carrier.flat(state).cpu().numpy()
    constant, columns = after[0], after[1 : 1 + n + d] - after[0]
    h, last = (carrier.last(carrier.tensor(part)).cpu().numpy() for part in (x[:, :1], x))
    for t in range(1, x.shape[1]):
        h = np.concatenate((h, x[:, t]), axis=1) @ columns + constant
    off = np.abs(np.concatenate((random @ columns + constant - after[1 + n + d :], h - last))).max()
    if not off <= LINEAR * np.abs(after).max():
        return None
    return np.ascontiguousarray(columns[:n].T), np.ascontiguousarray(columns[n:].T)


def _real(leaf: Tensor) -> Tensor:
    return torch.view_as_real(leaf) if leaf.is_complex() else leaf


def _differing(two: tuple[int, ...], three: tuple[int, ...]) -> int | None:
    """Return the axis along which a tensor of two sequences and one of three differ; None where there is none."""
    axes = [axis for axis, (a, b) in enumerate(zip(two, three, strict=True)) if (a, b) == (2, 3)]
    return axes[0] if axes else None


def _few(numbers: int, tokens: int) -> int:
    """Return the numbers of a state; UnsupportedError where they are too many to be decoded."""
    if numbers > MOST_NUMBERS:
        raise UnsupportedError(
            f"the state holds {numbers:,} numbers at length {tokens}; {MOST_NUMBERS:,} at most are decoded."
        )
    return numbers
