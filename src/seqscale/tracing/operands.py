"""What one call of an operator reads and what it writes, read off the operator's schema."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from torch import Tensor
from torch._ops import OpOverload

from seqscale.tracing.work import base_name, words

# Operators that write their first argument without having read it.
_FILLS = words("copy fill zero uniform normal bernoulli random exponential")
# Operators that take a shape from their first argument and no number.
_SHAPED = words(
    "full_like is_same_size new_full new_ones new_zeros ones_like rand_like randint_like randn_like zeros_like"
)
# Operators that read as much of their first argument as they return, not all of it.
_GATHERS = words("embedding gather index index_select take masked_select")
# Operators that only ask for memory: nothing runs.
_ALLOCATES = words("empty empty_like empty_permuted empty_strided new_empty new_empty_strided resize set")


@dataclass(frozen=True, slots=True)
class Operands:
    """The tensors that one call reads and writes, and the bytes that move for it at the least."""

    reads: tuple[Tensor, ...]
    writes: tuple[Tensor, ...]
    traffic_bytes: int


def operands_of(operator: OpOverload, args: Sequence[Any], kwargs: dict[str, Any], result: Any) -> Operands:
    """Return what the call read and wrote; each tensor counts once, an expanded one with the elements that exist."""
    name = base_name(operator)
    written_at, written_names, makes = _writes_of(operator)
    writes = [t for i in written_at if i < len(args) for t in _tensors(args[i])]
    writes += [t for key in written_names if key in kwargs for t in _tensors(kwargs[key])]
    unread = [*writes] if name.removesuffix("_") in _FILLS or written_names else []
    unread += _tensors(args[0]) if name in _SHAPED else ()
    untouched = {id(t) for t in unread}
    reads = {id(t): t for value in (*args, *kwargs.values()) for t in _tensors(value) if id(t) not in untouched}
    if makes:
        writes += _tensors(result)
    moved = sum(_bytes(t) for t in writes)
    if name in _GATHERS:
        source, *rest = reads.values()
        moved += min(_bytes(source), moved) + sum(_bytes(t) for t in rest)
    else:
        moved += sum(_bytes(t) for t in reads.values())
    return Operands(tuple(reads.values()), tuple(writes), moved)


@cache
def runs(operator: OpOverload) -> bool:
    """Whether the operator runs a kernel at all: not one that only allocates."""
    return base_name(operator).removesuffix("_") not in _ALLOCATES


@cache
def _writes_of(operator: OpOverload) -> tuple[tuple[int, ...], tuple[str, ...], bool]:
    """Return which arguments are written (by position; by name for `out`), and whether the results are new tensors."""
    positions, names = [], []
    for i, argument in enumerate(operator._schema.arguments):
        if argument.alias_info is not None and argument.alias_info.is_write:
            if argument.kwarg_only:
                names.append(argument.name)
            else:
                positions.append(i)
    makes = any(r.alias_info is None for r in operator._schema.returns)
    return tuple(positions), tuple(names), makes


def _tensors(value: Any) -> tuple[Tensor, ...]:
    if isinstance(value, Tensor):
        return (value,)
    return tuple(item for item in value if isinstance(item, Tensor)) if isinstance(value, list | tuple) else ()


def _bytes(tensor: Tensor) -> int:
    """Return the bytes of the distinct elements that the tensor shows."""
    count = tensor.itemsize
    for n, stride in zip(tensor.shape, tensor.stride(), strict=True):
        count *= n if stride or n == 0 else 1
    return count
