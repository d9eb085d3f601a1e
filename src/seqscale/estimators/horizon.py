"""How far a norm reaches back: its half-life, and its rate of decay per step."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from seqscale.theory.checks import above, within

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Decay:
    """A straight line through ln G(k).

    Attributes:
        slope: of ln G [nats per step].
        first, last: the distances it was fitted over, both included.
    """

    slope: float
    first: int
    last: int


def half_life(norms: Floats) -> float | None:
    """Return the smallest distance at which G(k) is at most G(0)/2, between two steps on a line in ln G; else None.

    Args:
        norms: G(0), G(1), ..., (K,): None says only that it is more than K - 1.

    Raises:
        ValueError: a norm that is negative or not finite, or G(0) = 0.
    """
    ratio = _relative(norms)
    below = np.flatnonzero(ratio <= 0.5)
    if not below.size:
        return None
    k = int(below[0])
    before, at = math.log(2 * ratio[k - 1]), math.log(2 * max(ratio[k], math.ulp(0.0)))
    return k - 1 + before / (before - at)


def decay(norms: Floats, first: int, least: float) -> Decay:
    """Return the least-squares slope of ln G(k) from `first` to the last distance before G falls below least * G(0).

    Args:
        norms: G(0), G(1), ..., (K,).
        first: where to begin, so that a transient is left out.
        least: what is still told from rounding, relative to G(0).

    Raises:
        ValueError: as `half_life`; `least` is not positive; fewer than 2 distances remain.
    """
    above("least", least, 0)
    ratio = _relative(norms)
    lost = np.flatnonzero(ratio < least)
    last = (int(lost[0]) if lost.size else len(ratio)) - 1
    if not 0 <= first < last:
        raise ValueError(
            f"first={first}: must be at least 0 and below {last}, the last before G falls below {least:g} G(0)"
        )
    k = np.arange(first, last + 1) - (first + last) / 2
    return Decay(slope=float(k @ np.log(ratio[first : last + 1]) / (k @ k)), first=first, last=last)


def _relative(norms: Floats) -> Floats:
    within("norms", norms, 0, np.finfo(np.float64).max)
    above("norms: G(0)", norms[0], 0)
    ratio: Floats = norms / norms[0]
    return ratio
