"""What a probe is: cell -> trial -> readings, and a document for what is no number.

`prepare` builds everything that a cell needs; the trial then answers as often as it is asked. `execute.py` asks in the
order of the protocol, and knows nothing of what is measured. A trial that takes long says now and then how far it is.
"""

from __future__ import annotations

import abc
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

from seqscale.records import Cell
from seqscale.units import quantity

Tell = Callable[[str], None]


def silent(text: str) -> None:
    """Tell nobody."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """One value of one registered quantity, as it was read.

    Attributes:
        quantity: name in units.QUANTITIES, which fixes the unit.
        value: the number.
        cpu_s: thread CPU seconds per call, where the quantity is a wall time.
        replicate: which draw of weights and data it is of, from 0, where one cell holds several of them; it is kept as
            the sample's round.
    """

    quantity: str
    value: float
    cpu_s: float | None = None
    replicate: int = 0

    def __post_init__(self) -> None:
        quantity(self.quantity).check(self.value)


class AbstractTrial(abc.ABC):
    """A cell, ready to be measured."""

    @property
    @abc.abstractmethod
    def note(self) -> str | None:
        """What of the cell could not be measured, and why, once it has been; None when nothing is missing."""

    @property
    @abc.abstractmethod
    def document(self) -> str | None:
        """The text to be kept beside the numbers, once the cell has been measured; None where there is none."""

    @abc.abstractmethod
    def first(self) -> tuple[Reading, ...]:
        """Make the first call and whatever the later ones need; return what only the first call can tell."""

    @abc.abstractmethod
    def again(self) -> tuple[Reading, ...]:
        """Measure once; what the rounds repeat."""


class AbstractProbe(abc.ABC):
    """A way to measure a layer.

    Attributes:
        name: its name in the catalogue.
        repeats: whether a second round tells more than the first; an exact count does not repeat.
        alone: whether a cell needs a process that has measured nothing else.
    """

    name: ClassVar[str]
    repeats: ClassVar[bool]
    alone: ClassVar[bool]

    @abc.abstractmethod
    def preload(self) -> None:
        """Import what `prepare` and its trial will need; called once, in the process that forks, so runs no kernel."""

    @abc.abstractmethod
    def prepare(self, cell: Cell, tell: Tell = silent) -> AbstractTrial:
        """Build the layer and its input, on the cell's device; UnsupportedError where the layer cannot run the cell.

        Args:
            cell: what is measured.
            tell: takes a few words on how far a long trial is; the engine shows them, and waits on.
        """
