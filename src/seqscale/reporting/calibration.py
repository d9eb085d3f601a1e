"""What the instruments read of what is known: each check of the calibration, passed, failed or not measured."""

from __future__ import annotations

from dataclasses import dataclass

from seqscale.reporting.model import Page, in_words
from seqscale.reporting.remembered import profiles_of
from seqscale.rows import Row
from seqscale.verdicts.calibration import LARGEST_ERROR


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """One number that an instrument measured, and what it must be, give or take what is allowed."""

    what: str
    measured: float
    known: float
    allowed: float

    @property
    def error(self) -> float:
        """The distance over what is allowed."""
        return abs(self.measured - self.known) / self.allowed

    def text(self) -> str:
        """Write the comparison in one line."""
        return f"{self.what}: {self.measured:.5g}, known {self.known:.5g}, {self.allowed:.2g} allowed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One check of one instrument.

    Attributes:
        name: its name.
        error: largest distance from what is known, over what is allowed; None where there is none.
        outcome: what became of it, in words, with the reason where it was not measured.
        comparisons: what it compares, the furthest off first.
    """

    name: str
    error: float | None
    outcome: str
    comparisons: tuple[Comparison, ...]

    @property
    def passed(self) -> bool:
        """Whether everything that it compares lies within what is allowed."""
        return self.error is not None and self.error <= LARGEST_ERROR


def checks(page: Page) -> tuple[Check, ...]:
    """Return the checks that the page's claims rest on, in the order of its rows."""
    found = []
    for row in page.table:
        if row.cell.probe == "calibration":
            seen = row.observations.get("calibration_error")
            error = None if seen is None else seen.value
            found.append(
                Check(name=row.cell.algorithm, error=error, outcome=_outcome(row), comparisons=_comparisons(row))
            )
    return tuple(found)


def calibration_line(found: tuple[Check, ...]) -> str:
    """Write how many checks passed, and name those that did not."""
    bad = [
        f"{c.name} ({c.outcome if c.error is None else f'{c.error:.3g} times what is allowed'})"
        for c in found
        if not c.passed
    ]
    return f"{len(found) - len(bad)} of {len(found)} checks passed" + (f"; not: {', '.join(bad)}" if bad else "")


def _outcome(row: Row) -> str:
    if row.outcome is None:
        return "left"
    return in_words(row.outcome.kind) + ("" if row.ok else f": {row.outcome.reason}")


def _comparisons(row: Row) -> tuple[Comparison, ...]:
    found = (Comparison(**comparison) for comparison in profiles_of(row).facts.get("comparisons", ()))
    return tuple(sorted(found, key=lambda c: -c.error))
