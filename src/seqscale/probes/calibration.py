"""What the instruments read of what is known (capacity.md E0): one check for each entry of information.CHECKS.

A check runs the very functions that a probe measures with, on layers and data whose answer is known, and lists what was
measured, what is known and how far they may be apart: four standard errors where chance has a hand, else a tolerance
that the check declares. Its error is the largest distance in units of what is allowed; up to 1 the instrument is
right. The seed is the cell's: it is fixed once, and no other is tried.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import ClassVar, final

from seqscale.probes import calibration_memory, calibration_recall, calibration_tokens, calibration_training
from seqscale.probes.base import AbstractProbe, AbstractTrial, Reading, Tell, silent
from seqscale.probes.calibration_base import Check, Comparison
from seqscale.profiles import written
from seqscale.records import Cell

_CHECKS: Mapping[str, Check] = {
    **calibration_memory.CHECKS,
    **calibration_tokens.CHECKS,
    **calibration_recall.CHECKS,
    **calibration_training.CHECKS,
}


@final
class CalibrationProbe(AbstractProbe):
    """Asks one instrument what is known; the cell's algorithm names the check."""

    name: ClassVar[str] = "calibration"
    repeats: ClassVar[bool] = False
    alone: ClassVar[bool] = False

    def preload(self) -> None:
        """Nothing beyond torch and numpy."""

    def prepare(self, cell: Cell, tell: Tell = silent) -> AbstractTrial:
        """Choose the check."""
        return CalibrationTrial(_CHECKS[cell.algorithm], cell)


@final
class CalibrationTrial(AbstractTrial):
    """One check."""

    def __init__(self, check: Check, cell: Cell) -> None:
        self._check = check
        self._cell = cell
        self._found: Sequence[Comparison] = ()

    @property
    def note(self) -> str | None:
        """The comparison that is furthest off."""
        worst = max(self._found, key=lambda c: c.error)
        return f"{worst.what}: measured {worst.measured:.6g}, known {worst.known:.6g}, {worst.allowed:.2g} allowed"

    @property
    def document(self) -> str | None:
        """Every comparison: what, measured, known, allowed."""
        return written((), {"comparisons": [dataclasses.asdict(comparison) for comparison in self._found]})

    def first(self) -> tuple[Reading, ...]:
        """Return nothing: a check has no first call."""
        return ()

    def again(self) -> tuple[Reading, ...]:
        """Run the check."""
        self._found = self._check(self._cell)
        return (Reading(quantity="calibration_error", value=max(c.error for c in self._found)),)
