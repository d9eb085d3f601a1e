"""One wording for arguments out of range: what was given, and what is allowed."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]


def within(name: str, value: npt.ArrayLike, low: float, high: float = np.inf) -> Floats:
    """Return the value as float64, every element of which lies in low..high, both included.

    Raises:
        ValueError: an element does not, NaN among them; the text names the argument, the element and the range.
    """
    given = np.asarray(value, dtype=np.float64)
    allowed = f"at least {low:g}" if high == np.inf else f"between {low:g} and {high:g}"
    return _require(name, given, (given >= low) & (given <= high), allowed)


def above(name: str, value: npt.ArrayLike, low: float, high: float = np.inf) -> Floats:
    """Return the value as float64, every element of which lies between low and high, neither included.

    Raises:
        ValueError: as `within`.
    """
    given = np.asarray(value, dtype=np.float64)
    allowed = f"above {low:g}" + ("" if high == np.inf else f" and below {high:g}")
    return _require(name, given, (given > low) & (given < high), allowed)


def _require(name: str, given: Floats, good: npt.NDArray[np.bool_], allowed: str) -> Floats:
    if not good.all():
        raise ValueError(f"{name}={given[~good].flat[0]:g}: must be {allowed}")
    return given
