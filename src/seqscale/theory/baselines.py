"""What is scored without memory, and the most that a truncated window lets one score."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from seqscale.theory.checks import within

Floats = npt.NDArray[np.float64]

ADDING_BASELINE = 1 / 6
"""Mean squared error of always answering 1 in the adding problem: the variance of a sum of two U(0, 1), derived.

(0.1767, printed in a widely used benchmark's README, is not this variance.)
"""


def copy_memory_baseline(memorised: int, symbols: int, delay: int) -> float:
    """Return m ln V / (T + 2m) [nats per step]: the mean cross-entropy of copy-memory without memory.

    Arjovsky, Shah and Bengio 2016, "Unitary evolution recurrent neural networks", section 4.1, where m = 10, V = 8:
    blanks are predicted surely, the m answers with all symbols equally likely. On the answers alone it is ln V.

    Args:
        memorised: m, tokens to copy.
        symbols: V, that each is one of.
        delay: T, steps between their end and the answers' begin; a sequence has T + 2m.

    Raises:
        ValueError: fewer than 1 token, 2 symbols or a negative delay.
    """
    within("delay", delay, 0)
    return float(within("memorised", memorised, 1) * math.log(within("symbols", symbols, 2)) / (delay + 2 * memorised))


def truncation_ceiling(lag: npt.ArrayLike, window: npt.ArrayLike) -> Floats:
    """Return max(0, 1 - L/k), the most R^2 of a delay of L steps if the state is reset every k steps.

    Derived: of the k targets in a window, L have their source before it, and of those nothing better than the mean can
    be said.

    Args:
        lag: L, steps between source and target.
        window: k, steps between resets.

    Raises:
        ValueError: a negative lag, a window below 1.
    """
    return np.maximum(0.0, 1 - within("lag", lag, 0) / within("window", window, 1))
