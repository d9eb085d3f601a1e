"""Exact counts: of a call on its operation graph, nothing executed; of a state on the state itself. One sample each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from typing import ClassVar

from torch import Tensor
from torch.utils._pytree import tree_leaves

from seqscale.layers.adapt import CountsState
from seqscale.layers.build import DTYPES
from seqscale.probes.base import AbstractProbe, AbstractTrial, Reading, Tell, silent
from seqscale.probes.subject import context_of, fast_twin, input_of, layer_of
from seqscale.records import Cell
from seqscale.tracing.trace import preload, trace


class CountProbe(AbstractProbe):
    """Counts a call (modes forward, training) or the state that it leaves behind (mode decode)."""

    name: ClassVar[str] = "count"
    repeats: ClassVar[bool] = False
    alone: ClassVar[bool] = False

    def preload(self) -> None:
        """Import what a trace needs."""
        preload()

    def prepare(self, cell: Cell, tell: Tell = silent) -> AbstractTrial:
        """Choose what is counted; the layer is built when it is."""
        if cell.mode == "decode":
            return CountTrial(lambda: _state_readings(cell))
        return CountTrial(lambda: _call_readings(cell))


class CountTrial(AbstractTrial):
    """A count, made when it is asked for."""

    def __init__(self, count: Callable[[], tuple[tuple[Reading, ...], str | None]]) -> None:
        self._count = count
        self._note: str | None = None

    @property
    def note(self) -> str | None:
        """Which count is missing, and why."""
        return self._note

    @property
    def document(self) -> str | None:
        """Nothing: a count is a number."""
        return None

    def first(self) -> tuple[Reading, ...]:
        """Return nothing: a count has no first call."""
        return ()

    def again(self) -> tuple[Reading, ...]:
        """Count."""
        readings, self._note = self._count()
        return readings


def _call_readings(cell: Cell) -> tuple[tuple[Reading, ...], str | None]:
    """Trace the cell's call. What operators without a law make a lower bound of is not reported."""
    counts = trace(layer_of(cell).module, (cell.batch, cell.length, cell.width), DTYPES[cell.dtype], cell.mode).counts
    counts.require_known_sizes()
    exact = ("kernels", "saved_bytes", "predicted_peak_bytes", "graph_nodes")
    by_law = ("work", "traffic_bytes", "kernel_span", "ideal_span")
    names = exact if counts.unknown_operators else (*by_law, *exact)
    values = asdict(counts)
    note = f"work and span are not counted: no law for {', '.join(counts.unknown_operators)}"
    return tuple(Reading(quantity=n, value=values[n]) for n in names), note if counts.unknown_operators else None


def _state_readings(cell: Cell) -> tuple[tuple[Reading, ...], str | None]:
    """Read the layer's own law, and the storages of the state that is really carried after `length` tokens.

    The tokens are really read: a loop's fake ones cost milliseconds each.
    """
    layer = layer_of(cell)
    state = context_of(layer, fast_twin(cell), input_of(cell))
    storages = {
        t.untyped_storage().data_ptr(): t.untyped_storage() for t in tree_leaves(state) if isinstance(t, Tensor)
    }
    carried = Reading(quantity="state_bytes", value=sum(s.nbytes() for s in storages.values()))
    if not isinstance(layer.module, CountsState):
        return (carried,), f"{cell.layer} has no state_elements to compare with"
    return (Reading(quantity="state_elements", value=layer.module.state_elements(cell.length)), carried), None
