"""The arithmetic of a verdict: an interval against the smallest effect that matters, three outcomes.

Failing to reject zero is never support: a sentence is supported only by an interval that lies where the sentence says.
"""

from __future__ import annotations

import enum
from collections.abc import Sequence


class Decision(enum.Enum):
    """What an interval says of a sentence."""

    supported = "the interval lies where the sentence says"
    contradicted = "the interval lies where the sentence says it cannot"
    undecided = "the interval straddles the bound"


def equivalence(low90: float, high90: float, low95: float, high95: float, target: float, delta: float) -> Decision:
    """Judge "it equals `target`, give or take `delta`".

    Supported if the 90 % interval lies within target +- delta (two one-sided tests at level 5 %, Schuirmann 1987);
    contradicted if the 95 % interval lies wholly outside.
    """
    _check(delta, (low90, high90), (low95, high95))
    if target - delta <= low90 and high90 <= target + delta:
        return Decision.supported
    if high95 < target - delta or low95 > target + delta:
        return Decision.contradicted
    return Decision.undecided


def average(low: float, high: float, delta: float) -> Decision:
    """Judge "the effect is there", signed so that positive means the sentence: 95 % interval against `delta`.

    Supported if it lies above delta; contradicted if it lies below (reversed where high < 0, else negligible).
    """
    _check(delta, (low, high))
    if low > delta:
        return Decision.supported
    if high < delta:
        return Decision.contradicted
    return Decision.undecided


def at_most(high90: float, low95: float, bound: float) -> Decision:
    """Judge "it never exceeds `bound`" of one cell: its 90 % interval supports, its 95 % interval contradicts."""
    if not low95 <= high90:
        raise ValueError(f"high90={high90}, low95={low95}: low must not exceed high")
    if high90 < bound:
        return Decision.supported
    if low95 > bound:
        return Decision.contradicted
    return Decision.undecided


def universal(cells: Sequence[Decision]) -> Decision:
    """Judge "always" or "never" from what each declared cell says of it.

    One cell contradicts (by an interval that is simultaneous over all); every cell must support, which says nothing of
    cells that were not declared. The levels are those of fit/replicates.py.
    """
    if not cells:
        raise ValueError("a universal sentence needs at least one cell")
    if Decision.contradicted in cells:
        return Decision.contradicted
    return Decision.supported if all(cell is Decision.supported for cell in cells) else Decision.undecided


def _check(delta: float, *intervals: tuple[float, float]) -> None:
    if not delta >= 0:
        raise ValueError(f"delta={delta}: the smallest effect must be zero or positive")
    if any(not low <= high for low, high in intervals):
        raise ValueError(f"intervals {intervals}: low must not exceed high")
