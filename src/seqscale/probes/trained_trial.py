"""A cell whose replicates are trained all together: its readings, and its document."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, final

import numpy as np
import numpy.typing as npt

from seqscale.probes.base import AbstractTrial, Reading, Tell
from seqscale.profiles import Profile, written


def curve(
    name: str, quantity: str, by: str, x: Sequence[float], values: npt.ArrayLike, exact: bool = False
) -> list[Profile]:
    """Return the profile of values (x, replicates), in a list; none where x is empty."""
    if not len(x):
        return []
    rows = tuple(tuple(float(value) for value in row) for row in np.asarray(values))
    places = tuple(float(place) for place in x)
    return [Profile(name=name, quantity=quantity, by=by, x=places, values=rows, exact=exact)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """What a cell showed.

    Attributes:
        values: by quantity, of each replicate, None where it has none.
        curves: for the document.
        facts: for the document.
        missing: what could not be measured, and why.
    """

    values: dict[str, Sequence[float | None]]
    curves: Sequence[Profile]
    facts: Mapping[str, Any]
    missing: Sequence[str] = field(default_factory=tuple)


@final
class TrainedTrial(AbstractTrial):
    """A cell whose replicates are measured all together, once.

    Args:
        measure: does it, and says how far it is.
        tell: is told.
    """

    def __init__(self, measure: Callable[[Tell], Measured], tell: Tell) -> None:
        self._measure = measure
        self._tell = tell
        self._note: str | None = None
        self._document: str | None = None

    @property
    def note(self) -> str | None:
        """What is missing, and why."""
        return self._note

    @property
    def document(self) -> str | None:
        """The curves and facts (profiles.written)."""
        return self._document

    def first(self) -> tuple[Reading, ...]:
        """Return nothing: training has no first call."""
        return ()

    def again(self) -> tuple[Reading, ...]:
        """Train and measure."""
        found = self._measure(self._tell)
        self._note = "; ".join(found.missing) or None
        self._document = written(found.curves, found.facts)
        return tuple(
            Reading(quantity=quantity, value=value, replicate=r)
            for quantity, values in found.values.items()
            for r, value in enumerate(values)
            if value is not None
        )
