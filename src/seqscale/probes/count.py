"""Exact counts on the operation graph, nothing executed: one sample each, without noise."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

from torch import Tensor
from torch.utils._pytree import tree_leaves

from seqscale.errors import UnsupportedError
from seqscale.layers.adapt import CountsState, Steps
from seqscale.layers.build import DTYPES
from seqscale.probes.base import AbstractProbe, AbstractTrial, Reading
from seqscale.probes.subject import layer_of
from seqscale.records import Cell
from seqscale.tracing.trace import Counts, faked, trace


class CountProbe(AbstractProbe):
    """Counts a call (modes forward, training) or the state that it leaves behind (mode decode)."""

    name: ClassVar[str] = "count"
    repeats: ClassVar[bool] = False
    alone: ClassVar[bool] = False

    def prepare(self, cell: Cell) -> AbstractTrial:
        """Choose what is counted; the layer is built when it is."""
        if cell.mode == "decode":
            return CountTrial(lambda: _state_readings(cell))
        return CountTrial(lambda: _call_readings(cell))


class CountTrial(AbstractTrial):
    """A count, made when it is asked for."""

    def __init__(self, count: Callable[[], tuple[Reading, ...]]) -> None:
        self._count = count

    def first(self) -> tuple[Reading, ...]:
        """Return nothing: a count has no first call."""
        return ()

    def again(self) -> tuple[Reading, ...]:
        """Count."""
        return self._count()


def counts_of(cell: Cell) -> Counts:
    """Trace the cell's call."""
    return trace(layer_of(cell).module, (cell.batch, cell.length, cell.width), DTYPES[cell.dtype], cell.mode)


def _call_readings(cell: Cell) -> tuple[Reading, ...]:
    counts = counts_of(cell)
    if not counts.exact:
        names = ", ".join(counts.unknown_operators)
        raise UnsupportedError(f"no law for {names}: the counts would be lower bounds. Add one in tracing/work.py.")
    return (
        Reading(quantity="work", value=counts.work),
        Reading(quantity="saved_bytes", value=counts.saved_bytes),
        Reading(quantity="predicted_peak_bytes", value=counts.predicted_peak_bytes),
        Reading(quantity="graph_nodes", value=counts.graph_nodes),
    )


def _state_readings(cell: Cell) -> tuple[Reading, ...]:
    """Read the layer's own law, and the storages of the state that is really carried after `length` tokens."""
    module = layer_of(cell).module
    readings = []
    if isinstance(module, CountsState):
        elements = cell.batch * module.state_elements(cell.length)
        readings.append(Reading(quantity="state_elements", value=elements))
    if isinstance(module, Steps):
        readings.append(Reading(quantity="state_bytes", value=_state_bytes(cell)))
    if not readings:
        raise UnsupportedError(f"{cell.layer} has neither a step nor state_elements, so its state cannot be counted.")
    return tuple(readings)
