"""Which kernel waits for which: the operation graph of one call, built while the call is watched.

A kernel waits for the kernels that wrote the elements it reads. Elements, not storages: two steps that write two slices
of one buffer do not wait for each other, and whoever reads the whole buffer waits for both. A kernel that writes over
elements waits for nobody who read them before: in a copy of the program that never writes in place it would not either,
so both have the same span.

    kernel span    the longest chain, each kernel 1
    ideal span     the longest chain, each kernel at its depth (depth.py)
"""

from __future__ import annotations

import weakref
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, UntypedStorage

from seqscale.errors import UnsupportedError

BEFORE = -1  # written before the call: parameters, inputs
LARGEST_MAP = 2**26  # elements of a storage whose writers are kept apart: 256 MiB


@dataclass(frozen=True, slots=True)
class Kernel:
    """One operator that ran: its name, its work [flop], its ideal depth [steps] and the kernels it waits for."""

    name: str
    work: int
    depth: int
    waits: tuple[int, ...]


class Flow:
    """The kernels of one call in the order in which they ran, and who wrote what."""

    def __init__(self) -> None:
        self.kernels: list[Kernel] = []
        self._ends: list[tuple[int, int]] = []  # kernel -> (kernels, ideal steps) of the longest chains that end in it
        self._written: dict[int, _Written] = {}

    def ran(self, name: str, work: int, depth: int, reads: Iterable[Tensor], writes: Iterable[Tensor]) -> None:
        """Take in one kernel; `writes` are its results and what it wrote in place."""
        waits: set[int] = set()
        for tensor in reads:
            waits |= self._writers(tensor)
        number = len(self.kernels)
        self.kernels.append(Kernel(name, work, depth, tuple(sorted(waits))))
        before = [self._ends[w] for w in waits]
        self._ends.append((1 + max((e[0] for e in before), default=0), depth + max((e[1] for e in before), default=0)))
        for tensor in writes:
            self._write(tensor, number)

    @property
    def kernel_span(self) -> int:
        """The longest chain of kernels."""
        return max((kernels for kernels, _ in self._ends), default=0)

    @property
    def ideal_span(self) -> int:
        """The longest chain of dependent steps, each kernel at its depth."""
        return max((steps for _, steps in self._ends), default=0)

    def longest_chain(self) -> tuple[int, ...]:
        """Return the kernels of one chain of `ideal_span` steps, first to last."""
        if not self.kernels:
            return ()
        now = max(range(len(self._ends)), key=lambda k: self._ends[k][1])
        chain = [now]
        while waits := self.kernels[now].waits:
            now = max(waits, key=lambda k: self._ends[k][1])
            chain.append(now)
        return tuple(reversed(chain))

    def _writers(self, tensor: Tensor) -> set[int]:
        known = self._known(tensor.untyped_storage())
        return set() if known is None else known.writers(tensor) - {BEFORE}

    def _write(self, tensor: Tensor, number: int) -> None:
        storage = tensor.untyped_storage()
        known = self._known(storage)
        if known is None:
            known = self._written[id(storage)] = _Written(weakref.ref(storage))
        known.write(tensor, number)

    def _known(self, storage: UntypedStorage) -> _Written | None:
        known = self._written.get(id(storage))
        return known if known is not None and known.storage() is storage else None


class _Written:
    """Who wrote the elements of one storage last: one kernel for all, or a map from the first partial write on."""

    __slots__ = ("_item", "_map", "_whole", "storage")

    def __init__(self, storage: weakref.ref[UntypedStorage]) -> None:
        self.storage = storage
        self._whole = BEFORE
        self._map: NDArray[np.int32] | None = None
        self._item = 1  # bytes of one element of the map

    def writers(self, tensor: Tensor) -> set[int]:
        """Return the kernels that wrote what `tensor` shows."""
        if self._map is None:
            return {self._whole}
        return set(np.unique(self._shown(tensor)).tolist())

    def write(self, tensor: Tensor, number: int) -> None:
        """Note that kernel `number` wrote what `tensor` shows."""
        size = tensor.untyped_storage().nbytes()
        if _shows_all(tensor, size):
            self._whole, self._map = number, None
            return
        if self._map is None:
            self._item = tensor.itemsize
            if size // self._item > LARGEST_MAP:
                raise UnsupportedError(
                    f"cannot be traced at this size: it writes into a part of a tensor of {size // self._item:,} "
                    f"elements, and who wrote which is kept for {LARGEST_MAP:,} at most; trace it shorter."
                )
            self._map = np.full(size // self._item, self._whole, dtype=np.int32)
        self._shown(tensor)[...] = number

    def _shown(self, tensor: Tensor) -> NDArray[np.int32]:
        """Return the map's entries of the elements that `tensor` shows, as a view."""
        assert self._map is not None
        if tensor.itemsize < self._item:  # the parts of a complex number, say
            self._map = np.repeat(self._map, self._item // tensor.itemsize)
            self._item = tensor.itemsize
        times = tensor.itemsize // self._item
        strides = [s * times * 4 for s in tensor.stride()]  # an entry has 4 bytes
        return np.lib.stride_tricks.as_strided(
            self._map[tensor.storage_offset() * times :], (*tensor.shape, times), (*strides, 4)
        )


def _shows_all(tensor: Tensor, size: int) -> bool:
    return tensor.numel() * tensor.itemsize >= size and not any(
        stride == 0 and n > 1 for n, stride in zip(tensor.shape, tensor.stride(), strict=True)
    )
