"""Lyapunov exponents of a sequence of Jacobians, by repeated QR factorisation (Benettin et al. 1980)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from seqscale.theory.checks import within

Floats = npt.NDArray[np.float64]

BLOCKS = 10


@dataclass(frozen=True, slots=True, eq=False)
class Exponents:
    """Leading Lyapunov exponents [nats per step], largest first.

    Attributes:
        values: (count,).
        standard_errors: from the means of 10 blocks of successive steps, which forget each other, (count,).
    """

    values: Floats
    standard_errors: Floats


def lyapunov_exponents(jacobians: Iterable[Floats], count: int, burn_in: int, rng: np.random.Generator) -> Exponents:
    """Return the leading exponents of the product ... J_2 J_1.

    Args:
        jacobians: d h_t / d h_{t-1} in the order of time, (T, N, N) or a generator of (N, N).
        count: how many exponents.
        burn_in: steps in which the directions align, not counted.
        rng: draws the first directions.

    Raises:
        ValueError: count outside 1..N, a negative burn-in, fewer than 20 steps after it, or a Jacobian that is not
            finite.
    """
    within("burn_in", burn_in, 0)
    growth, directions = [], None
    for step, jacobian in enumerate(jacobians):
        if not np.isfinite(jacobian).all():
            raise ValueError(f"jacobians: the one of step {step} must be finite")
        if directions is None:
            within("count", count, 1, len(jacobian))
            directions = np.linalg.qr(rng.standard_normal((len(jacobian), count)))[0]
        directions, r = np.linalg.qr(jacobian @ directions)
        if step >= burn_in:
            growth.append(np.abs(np.diag(r)))
    within("jacobians: steps after burn_in", len(growth), 2 * BLOCKS)
    # a direction that is lost altogether shrinks by what float64 can say, so that no mean is taken of infinities
    logs = np.log(np.maximum(growth, np.finfo(np.float64).tiny))
    means = np.array([block.mean(axis=0) for block in np.array_split(logs, BLOCKS)])
    return Exponents(values=logs.mean(axis=0), standard_errors=means.std(axis=0, ddof=1) / BLOCKS**0.5)
