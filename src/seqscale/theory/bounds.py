"""How many bits a state can hold, what an error rate proves that it held, and how well a given number of bits copies.

A token is one of V symbols, uniform and independent of the others. Arguments and results of one shape, or scalars.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from seqscale.theory.checks import above, within

Floats = npt.NDArray[np.float64]

_HALVINGS = 60  # of an interval of length below 1: to the last digit


def source_bits(tokens: npt.ArrayLike, symbols: npt.ArrayLike) -> Floats:
    """Return n log2 V, the bits in n tokens.

    Raises:
        ValueError: a negative number of tokens, fewer than 2 symbols.
    """
    return within("tokens", tokens, 0) * np.log2(within("symbols", symbols, 2))


def quantised_bits(numbers: npt.ArrayLike, bits_each: npt.ArrayLike) -> Floats:
    """Return N b, the most bits that N numbers of b bits each can hold.

    Raises:
        ValueError: either is negative.
    """
    return within("numbers", numbers, 0) * within("bits_each", bits_each, 0)


def log_det_bits(covariance: Floats, noise_variance: float) -> float:
    """Return 1/2 log2 det(I + C / s2), the most bits that a state of covariance C tells through noise s2 per number.

    Derived: of all states with this covariance the normal one tells most (maximum entropy; Cover and Thomas 2006,
    theorem 8.6.5).

    Args:
        covariance: C, (N, N).
        noise_variance: s2, of independent normal noise added to each number.

    Raises:
        ValueError: C is not a symmetric square matrix, the noise is not positive.
    """
    above("noise_variance", noise_variance, 0)
    if covariance.ndim != 2 or not np.allclose(covariance, covariance.T):
        raise ValueError(f"covariance {covariance.shape}: must be a symmetric (N, N)")
    spread = np.maximum(np.linalg.eigvalsh(covariance), 0)  # rounding may leave one just below zero
    return float(np.log1p(spread / noise_variance).sum() / (2 * np.log(2)))


def bits_that_fit(
    tokens: npt.ArrayLike,
    symbols: npt.ArrayLike,
    numbers: npt.ArrayLike,
    bits_each: npt.ArrayLike,
    through_noise: npt.ArrayLike = np.inf,
) -> Floats:
    """Return the most bits about n tokens that a state can hold: the least of what there is and what fits.

    Args:
        tokens, symbols: n and V, of the source (`source_bits`).
        numbers, bits_each: N and b, of the state (`quantised_bits`).
        through_noise: what its covariance lets through (`log_det_bits`), where known.

    Raises:
        ValueError: as the three bounds.
    """
    held = np.minimum(quantised_bits(numbers, bits_each), within("through_noise", through_noise, 0))
    return np.minimum(source_bits(tokens, symbols), held)


def linear_capacity_depth(numbers: npt.ArrayLike, symbols: npt.ArrayLike) -> Floats:
    """Return N / (V - 1): how many one-hot tokens back linear readouts of N numbers can reach, each found whole.

    Derived: a token is V - 1 orthonormal contrasts, and the capacities of all readouts sum to at most N (Dambre et al.
    2012, "Information processing capacity of dynamical systems").

    Raises:
        ValueError: a negative number of numbers, fewer than 2 symbols.
    """
    return within("numbers", numbers, 0) / (within("symbols", symbols, 2) - 1)


def fano_bits(error: npt.ArrayLike, symbols: npt.ArrayLike) -> Floats:
    """Return log2 V - h(e) - e log2(V - 1), the least information about a token that guessing with error e proves.

    Fano's inequality (Cover and Thomas 2006, theorem 2.10.1). An error rate counted on n guesses at chance level gives
    about 1/(2 n ln 2) bits too many.

    Args:
        error: e, the share of wrong guesses.
        symbols: V.

    Raises:
        ValueError: an error outside 0..1, fewer than 2 symbols.
    """
    e, v = within("error", error, 0, 1), within("symbols", symbols, 2)
    entropy = -_times_log2(e, e) - _times_log2(1 - e, 1 - e)
    return np.log2(v) - entropy - e * np.log2(v - 1)


def copy_ceiling(bits: npt.ArrayLike, tokens: npt.ArrayLike, symbols: npt.ArrayLike) -> Floats:
    """Return the largest share p of n tokens that a state of B bits lets one copy, token by token.

    The largest p with n [log2 V - h(1-p) - (1-p) log2(V-1)] <= B: derived from Fano's inequality for each token; it is
    convex in the error, so the mean error over positions obeys it too. Found by bisection, broadcast over all three.

    Args:
        bits: B, what the state holds.
        tokens: n.
        symbols: V.

    Raises:
        ValueError: negative bits, fewer than 1 token or 2 symbols.
    """
    b, n, v = np.broadcast_arrays(within("bits", bits, 0), within("tokens", tokens, 1), within("symbols", symbols, 2))
    low, high = 1 / v, np.ones(v.shape)
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        fits = n * fano_bits(1 - middle, v) <= b
        low, high = np.where(fits, middle, low), np.where(fits, high, middle)
    return np.where(b >= source_bits(n, v), 1.0, low)


def exact_copy_ceiling(bits: npt.ArrayLike, tokens: npt.ArrayLike, symbols: npt.ArrayLike) -> Floats:
    """Return min(1, 2^B / V^n), the largest chance that all of n tokens are copied from a state of B bits.

    Derived by counting: 2^B states name at most 2^B of the V^n equally likely texts (so too Jelassi et al. 2024,
    "Repeat after me", arXiv 2402.01032).

    Raises:
        ValueError: negative bits, fewer than 1 token or 2 symbols.
    """
    excess = within("bits", bits, 0) - source_bits(within("tokens", tokens, 1), symbols)
    return 2.0 ** np.minimum(excess, 0)


def _times_log2(x: npt.NDArray[np.float64], y: npt.NDArray[np.float64]) -> Floats:
    return x * np.log2(np.where(y > 0, y, 1))
