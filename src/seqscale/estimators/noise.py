"""The precision a state is read with: without a floor, a real number holds any number of bits."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from seqscale.theory.checks import within

Floats = npt.NDArray[np.float64]


def read_noise_variance(states: Floats, relative: float) -> float:
    """Return (relative * sd)^2, sd the root mean square over units of each unit's standard deviation.

    One variance for all units, so that a unit which hardly moves is drowned, as in a machine of fixed precision.

    Args:
        states: (n, N), one sequence a row.
        relative: noise per unit of signal.

    Raises:
        ValueError: a negative `relative`, fewer than 2 states.
    """
    within("states: rows", len(states), 2)
    return float(within("relative", relative, 0)) ** 2 * float(states.var(axis=0, dtype=np.float64).mean())


def read_with_noise(states: Floats, relative: float, rng: np.random.Generator) -> Floats:
    """Return states + normal noise of `read_noise_variance`, (n, N) float64.

    Raises:
        ValueError: as `read_noise_variance`.
    """
    sd = read_noise_variance(states, relative) ** 0.5
    noise: Floats = sd * rng.standard_normal(states.shape)
    return states + noise


def quantise(states: Floats, bits: int, low: float, high: float) -> Floats:
    """Return states rounded to the middles of 2^bits equal cells of low..high; what lies outside goes to the last cell.

    Raises:
        ValueError: fewer than 1 or more than 32 bits, high not above low.
    """
    cells = 2.0 ** int(within("bits", bits, 1, 32))
    if not low < high:
        raise ValueError(f"low={low:g}, high={high:g}: high must be above low")
    width = (high - low) / cells
    return low + width * (np.clip(np.floor((states - low) / width), 0, cells - 1) + 0.5)
