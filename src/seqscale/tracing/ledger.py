"""Which storages are alive, how many bytes they hold together, and the largest sum there ever was."""

from __future__ import annotations

import weakref
from collections.abc import Iterable

from torch import Tensor, UntypedStorage


class Ledger:
    """Counts each storage once, however many tensors share it, from when it is first seen until it is freed.

    Args:
        foreign: tensors whose storages are not counted: what existed before (parameters, buffers, inputs).
    """

    def __init__(self, foreign: Iterable[Tensor]) -> None:
        self._foreign = [tensor.untyped_storage() for tensor in foreign]  # kept, so that no id is used twice
        self._alive: dict[int, weakref.ref[UntypedStorage]] = {
            id(storage): weakref.ref(storage) for storage in self._foreign
        }
        self.bytes = 0
        self.peak_bytes = 0

    def see(self, tensor: Tensor) -> None:
        """Count the tensor's storage unless it is known."""
        storage = tensor.untyped_storage()
        known = self._alive.get(id(storage))
        if known is not None and known() is storage:
            return
        key, size = id(storage), storage.nbytes()

        def freed(reference: weakref.ref[UntypedStorage]) -> None:
            self.bytes -= size
            if self._alive.get(key) is reference:
                del self._alive[key]

        self._alive[key] = weakref.ref(storage, freed)
        self.bytes += size
        self.peak_bytes = max(self.peak_bytes, self.bytes)
