"""The kernels of one short call: what each does and which it waits for, read off the operation graph."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import ClassVar

from seqscale.errors import UnsupportedError
from seqscale.layers.build import DTYPES
from seqscale.probes.base import AbstractProbe, AbstractTrial, Reading, Tell, silent
from seqscale.probes.subject import layer_of
from seqscale.records import Cell
from seqscale.tracing.flow import Kernel
from seqscale.tracing.trace import preload, trace

MOST_KERNELS = 5000  # a document of about 200 kB; a picture shows a few hundred


class ScheduleProbe(AbstractProbe):
    """Writes down the kernels of a forward pass, for pictures; nothing is executed."""

    name: ClassVar[str] = "schedule"
    repeats: ClassVar[bool] = False
    alone: ClassVar[bool] = False

    def preload(self) -> None:
        """Import what a trace needs."""
        preload()

    def prepare(self, cell: Cell, tell: Tell = silent) -> AbstractTrial:
        """Choose the cell; the layer is built and traced when it is asked for."""
        return ScheduleTrial(cell)


class ScheduleTrial(AbstractTrial):
    """One trace, made when it is asked for."""

    def __init__(self, cell: Cell) -> None:
        self._cell = cell
        self._document: str | None = None

    @property
    def note(self) -> str | None:
        """Nothing: the kernels are there, or the trace has failed."""
        return None

    @property
    def document(self) -> str | None:
        """The kernels as JSON, see `written`."""
        return self._document

    def first(self) -> tuple[Reading, ...]:
        """Return nothing: a trace has no first call."""
        return ()

    def again(self) -> tuple[Reading, ...]:
        """Trace.

        Raises:
            UnsupportedError: more than MOST_KERNELS kernels, or operators without a law, of which no picture is true.
        """
        cell = self._cell
        shape = (cell.batch, cell.length, cell.width)
        watched = trace(layer_of(cell).module, shape, DTYPES[cell.dtype], cell.mode)
        counts = watched.counts
        if counts.unknown_operators:
            raise UnsupportedError(f"no law for {', '.join(counts.unknown_operators)}.")
        if counts.kernels > MOST_KERNELS:
            raise UnsupportedError(f"{counts.kernels:,} kernels; a schedule shows {MOST_KERNELS:,} at most.")
        self._document = written(watched.kernels)
        return (
            Reading(quantity="kernels", value=counts.kernels),
            Reading(quantity="work", value=counts.work),
            Reading(quantity="ideal_span", value=counts.ideal_span),
        )


def written(kernels: Sequence[Kernel]) -> str:
    """Return the kernels as JSON, in order of execution, with the columns that say what each number is."""
    columns = ["operator", "work [flop]", "depth [steps]", "waits for [kernel numbers]"]
    rows = [[k.name, k.work, k.depth, list(k.waits)] for k in kernels]
    return json.dumps({"columns": columns, "kernels": rows}, separators=(",", ":"))
