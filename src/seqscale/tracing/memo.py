"""Remembers what an operator gives for arguments of the same shapes, so that a loop over time is traced once a step.

A fake operator costs about a quarter of a millisecond and the steps of a loop repeat it with the same shapes. What it
gave is remembered by the shapes, strides and dtypes of its tensor arguments and by all other arguments, and given again
as new fake tensors, as views of the same argument, or as the argument itself. Where in its storage an argument begins
is no part of that: the steps of a sequence differ in it, and a view begins as far behind its argument as before.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any

import torch
from torch import Tensor
from torch._ops import OpOverload
from torch._subclasses.fake_tensor import FakeTensor, FakeTensorMode, in_kernel_invocation_manager
from torch.utils._mode_utils import no_dispatch

_Rebuild = Callable[[list[FakeTensor]], FakeTensor]  # the call's tensor arguments -> one of its results
_NEVER = frozenset({torch.Tag.data_dependent_output, torch.Tag.dynamic_output_shape, torch.Tag.inplace_view})
# Operators that are told where in the storage to begin.
_ABSOLUTE = frozenset({torch.ops.aten.as_strided.default, torch.ops.aten.as_strided_scatter.default})


class Memo:
    """Calls operators on fake tensors, each kind of call once."""

    def __init__(self) -> None:
        self._known: dict[Hashable, tuple[bool, list[_Rebuild]] | None] = {}

    def call(self, operator: OpOverload, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Return what `operator` gives, remembered or asked of the fake operator."""
        tensors: list[FakeTensor] = []
        try:
            key = (operator, _key(args, tensors), _key(tuple(kwargs.items()), tensors))
            known = self._known.get(key)
        except TypeError:  # an argument that is not hashable, or a tensor that is not fake
            return operator(*args, **kwargs)
        if known is not None:
            single, rebuild = known
            results = [make(tensors) for make in rebuild]
            return results[0] if single else tuple(results)
        result = operator(*args, **kwargs)
        if key not in self._known and _NEVER.isdisjoint(operator.tags) and operator not in _ABSOLUTE:
            self._known[key] = _recipe(result, tensors)
        return result


def _key(value: Any, tensors: list[FakeTensor]) -> Hashable:
    """Return what a call's result can depend on, and collect the tensors on the way; TypeError where it is unclear."""
    kind = type(value)
    if kind is FakeTensor:
        if value.constant is not None:
            raise TypeError("a tensor with a known value")
        tensors.append(value)
        return (value.shape, value.stride(), value.dtype, value.fake_device)
    if kind is tuple or kind is list:
        return (kind, *[_key(item, tensors) for item in value])
    if isinstance(value, Tensor):
        raise TypeError("a tensor that is not fake")
    return (kind, value)


def _recipe(result: Any, tensors: list[FakeTensor]) -> tuple[bool, list[_Rebuild]] | None:
    """Return how to make `result` again from the call's tensor arguments; None when it takes more than that."""
    single = isinstance(result, Tensor)
    results = [result] if single else list(result) if isinstance(result, tuple | list) else []
    if not results or not all(type(r) is FakeTensor and r.constant is None for r in results):
        return None
    owners = {id(t.untyped_storage()): i for i, t in enumerate(tensors)}
    rebuild, own = [], set()
    for r in results:
        same = [i for i, t in enumerate(tensors) if t is r]
        storage = r.untyped_storage()
        if same:
            rebuild.append(_argument(same[0]))
        elif id(storage) in owners:
            owner = owners[id(storage)]
            rebuild.append(_view(owner, r, r.storage_offset() - tensors[owner].storage_offset()))
        elif id(storage) in own or r.storage_offset():
            return None
        else:
            own.add(id(storage))
            rebuild.append(_fresh(r))
    return single, rebuild


def _argument(index: int) -> _Rebuild:
    return lambda tensors: tensors[index]


def _fresh(like: FakeTensor) -> _Rebuild:
    mode, device, dtype = like.fake_mode, like.fake_device, like.dtype
    shape, stride = tuple(like.shape), like.stride()

    def make(tensors: list[FakeTensor]) -> FakeTensor:
        with no_dispatch():
            return _fake(mode, torch.empty_strided(shape, stride, dtype=dtype, device="meta"), device)

    return make


def _view(index: int, like: FakeTensor, behind: int) -> _Rebuild:
    mode, device, dtype = like.fake_mode, like.fake_device, like.dtype
    shape, stride = tuple(like.shape), like.stride()

    def make(tensors: list[FakeTensor]) -> FakeTensor:
        storage, offset = tensors[index].untyped_storage(), tensors[index].storage_offset() + behind
        with in_kernel_invocation_manager(mode), no_dispatch():
            empty = torch.empty(0, dtype=dtype, device="meta")
            return _fake(mode, empty.set_(storage, offset, shape, stride), device)

    return make


def _fake(mode: FakeTensorMode, meta: Tensor, device: torch.device) -> FakeTensor:
    return FakeTensor(mode, meta, device)
