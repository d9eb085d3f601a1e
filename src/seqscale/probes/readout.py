"""A state as a decoder gets it: with noise, and without the directions in which it never moves.

The noise is the same in all directions. Where the states do not move it is independent of everything, so it tells
nothing and is left out: a state of thousands of numbers that differ in hundreds of directions (keys and values of a few
symbols) is decoded in hundreds of numbers.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from seqscale.errors import SeqscaleError
from seqscale.estimators.noise import read_noise_variance
from seqscale.layers.build import DTYPES
from seqscale.theory.bounds import bits_that_fit, log_det_bits

Floats = npt.NDArray[np.float64]
States = npt.NDArray[np.floating[Any]]

SEVERAL = 256  # numbers from which on directions are looked for: fewer are decoded in no time
LOST = 1e-6  # of the noise's variance: what may lie outside the directions that are found


@dataclass(frozen=True, slots=True, eq=False)
class Readout:
    """States that were read.

    Attributes:
        numbers: N, of the state.
        variance: of the noise in each number.
        clean: the states without noise, (n, r), r <= N.
        noisy: with it, (n, r).
    """

    numbers: int
    variance: float
    clean: Floats
    noisy: Floats

    def bound(self, tokens: int, symbols: int, dtype: str) -> float:
        """Return the most bits about tokens of V symbols that the states, of numbers in `dtype`, can tell.

        The least of what was read, of what the numbers hold, and of what the noise, if there is any, lets through.
        """
        r, through = self.clean.shape[1], np.inf
        if self.variance > 0:
            through = log_det_bits(np.cov(self.clean.T).reshape(r, r), self.variance)
        return float(bits_that_fit(tokens, symbols, self.numbers, torch.finfo(DTYPES[dtype]).bits, through))


def read_out(states: States, relative: float, rng: np.random.Generator) -> Readout:
    """Read states (n, N) with noise, `relative` to the root mean square of their numbers' standard deviations.

    Raises:
        SeqscaleError: all states are the same.
    """
    if (states == states[0]).all():
        raise SeqscaleError("the state is the same whatever is read, so there is nothing to decode.")
    numbers = states.shape[1]
    clean = _moving(states, LOST * relative**2)
    variance = read_noise_variance(clean, relative) * clean.shape[1] / numbers  # the mean over all N is meant
    noisy = clean + variance**0.5 * rng.standard_normal(clean.shape)
    return Readout(numbers=numbers, variance=variance, clean=clean, noisy=noisy)


def _moving(states: States, lost: float) -> Floats:
    """Return the states less their mean, in an orthonormal basis of the directions in which they differ, (n, r).

    The basis is that of the first states, as many as are needed for the next ones to lie in it but for `lost`, a share
    of their variance; all N directions are kept where half of the states do not suffice.
    """
    n, numbers = states.shape
    centred = states - states.mean(axis=0, dtype=np.float64).astype(states.dtype)
    tried = SEVERAL
    while tried < min(numbers, n // 2):
        basis, r = np.linalg.qr(centred[:tried].T)
        following = centred[tried : tried + SEVERAL // 2]
        least = lost * float(np.square(following).mean())
        basis = basis[:, np.square(np.diag(r)) > least]  # a state that those before it span adds no direction
        left = following - (following @ basis) @ basis.T
        if float(np.square(left).mean()) <= least:
            return np.asarray(centred @ basis, dtype=np.float64)
        tried *= 2
    return np.asarray(centred, dtype=np.float64)
