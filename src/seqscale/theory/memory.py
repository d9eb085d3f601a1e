"""How much of its past input a linear recurrence h_t = W h_{t-1} + w u_t holds, lag by lag.

    memory curve   share of Var u_{t-k} that a linear readout of h_t finds, noise added where the state is read
    Fisher curve   what h_t tells of u_{t-k} where noise enters at every step, inside the recurrence

Lags count from 0, the newest input; inputs are independent, of mean 0 and variance 1.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from seqscale.theory.checks import above, within

Floats = npt.NDArray[np.float64]

_SURE = 100  # least eigenvalue of a covariance, its diagonal scaled to 1, over what float64 may have got wrong in it


def linear_memory_curve(
    w_h: Floats, w_in: Floats, lags: int, noise_variance: float, length: int | None = None
) -> Floats:
    """Return R^2 of the best linear readout of u_{t-k} from h_t + noise, k = 0..lags-1, (lags,).

    R^2_k = w' W'^k (P + s2 I)^-1 W^k w with P = sum over j of W^j w w' W'^j: derived, as the squared multiple
    correlation of u_{t-k} and a state whose covariance is P + s2 I. The sum over all lags is at most N (Jaeger 2001,
    "Short term memory in echo state networks"), and N where P is regular and there is no noise.

    Args:
        w_h: W, (N, N).
        w_in: w, (N,).
        lags: how many.
        noise_variance: s2, of the noise added to each number read.
        length: steps since a state of zeros; None for the stationary state.

    Raises:
        ValueError: the shapes disagree, a size is below 1, the noise is negative; W grows (no stationary state, or
            beyond float64); or the state's covariance is singular to float64, where only noise gives the curve a value.
    """
    within("lags", lags, 1)
    within("noise_variance", noise_variance, 0)
    steps = lags if length is None else int(within("length", length, 1))
    columns = _columns(w_h, w_in, max(lags, steps))
    if length is None:
        covariance, error = _stationary(w_h, np.outer(w_in, w_in))
    else:
        reached = columns[:, :steps]
        covariance, error = reached @ reached.T, np.zeros_like(w_h)
    covariance = covariance + noise_variance * np.eye(len(w_in))
    cure = f"noise_variance={noise_variance:g}: needs to be larger"
    curve = _squared_norms(covariance, error, columns[:, :lags], cure)
    return np.where(np.arange(lags) < steps, curve, 0.0) if length is not None else curve


def cyclic_staircase(n: int, radius: float, lags: int) -> Floats:
    """Return the memory curve of n units in a ring, each handing radius times its value on; no noise; (lags,).

    R^2_k = radius^(2mn) (1 - radius^(2n)) with m = floor(k / n); derived: one unit holds the lags k, k + n, ..., whose
    shares of its variance are a geometric series. The sum over all lags is n.

    Raises:
        ValueError: n or lags below 1, a radius outside 0..1.
    """
    within("n", n, 1)
    within("radius", radius, 0, 1)
    turns = np.arange(int(within("lags", lags, 1))) // n
    curve: Floats = float(radius) ** (2.0 * n * turns) * (1 - radius ** (2.0 * n))
    return curve


def expected_held_out(r2: npt.ArrayLike, numbers: int, train: int) -> Floats:
    """Return what a least-squares readout with intercept is expected to score on fresh sequences, shape of r2.

    1 - (1 - R^2)(1 + 1/n)(n - 2)/(n - N - 2), about R^2 - (1 - R^2) N/n; derived for jointly normal states and inputs:
    the coefficients' errors, weighted by the covariance of the N numbers, are chi^2_N / chi^2_{n-N} of the residual
    variance. A penalty chosen on validation scores between this and R^2 on average.

    Args:
        r2: squared multiple correlations in the population, 0..1.
        numbers: N, the numbers read.
        train: n, the sequences fitted to.

    Raises:
        ValueError: r2 outside 0..1, no number, fewer than N + 3 sequences.
    """
    n = within("train", train, float(within("numbers", numbers, 1)) + 3)
    return 1 - (1 - within("r2", r2, 0, 1)) * (1 + 1 / n) * (n - 2) / (n - numbers - 2)


def held_out_sd(r2: npt.ArrayLike, numbers: int, train: int, test: int) -> Floats:
    """Return the standard deviation of a held-out R^2 over fresh training and test sequences, shape of r2.

    Derived, jointly normal: the test sequences give 4 q (q - (1 - R^2)^2) / n_test to first order (delta method on the
    ratio of residual to total mean square), q = 1 - expected R^2; the coefficients give (1 - R^2)^2 Var(chi^2_N /
    chi^2_{n-N}) exactly. Tails are a little heavier than normal, most with few numbers: of 6,142 lags of 250 random
    recurrences of 2 to 32 units, 0.44 % lay beyond 3 standard deviations and two beyond 4.

    Args:
        r2: squared multiple correlations in the population, 0..1.
        numbers: N, the numbers read.
        train, test: sequences fitted to, and scored.

    Raises:
        ValueError: r2 outside 0..1, no number, fewer than N + 5 training or 2 test sequences.
    """
    n = within("train", train, float(within("numbers", numbers, 1)) + 5)
    residual = 1 - within("r2", r2, 0, 1)
    scored = 1 - expected_held_out(r2, numbers, train)
    df = n - numbers
    of_coefficients = residual**2 * 2 * numbers * (n - 2) / ((df - 2) ** 2 * (df - 4))
    of_test = 4 * scored * (scored - residual**2) / within("test", test, 2)
    return np.sqrt(of_test + of_coefficients)


def fisher_curve(w_h: Floats, w_in: Floats, noise_variance: float, lags: int) -> Floats:
    """Return J(k) = w' W'^k C^-1 W^k w, C = eps sum over j of W^j W'^j, for k = 0..lags-1, (lags,) [1/variance of u].

    Ganguli, Huh and Sompolinsky 2008, "Memory traces in dynamical systems", PNAS 105(48): with eps = 1 and
    |w| = 1 the sum over all lags is 1 for a normal W, and at most N for any.

    Args:
        w_h: W, (N, N).
        w_in: w, (N,).
        noise_variance: eps, of the noise that enters each number at every step.
        lags: how many.

    Raises:
        ValueError: the shapes disagree, a size is below 1, the noise is not positive, W has no stationary state, or is
            so far from normal that float64 cannot tell.
    """
    within("lags", lags, 1)
    above("noise_variance", noise_variance, 0)
    columns = _columns(w_h, w_in, lags)
    spread, error = _stationary(w_h, np.eye(len(w_in)))
    return _squared_norms(spread, error, columns, "w_h: needs to be nearer to normal") / noise_variance


def delay_line_fisher(n: int, gain: float) -> Floats:
    """Return J(k) of n units in a line, each handing gain times its value on; input to the first, eps = 1; (n,).

    J(k) = 1 / sum over j = 0..k of gain^(-2j): derived, C being diagonal. Gain 1 gives 1/(k + 1), so a total of the
    harmonic number; above 1 it is (1 - gain^-2)/(1 - gain^(-2(k + 1))), with a total of almost n (1 - gain^-2).

    Raises:
        ValueError: n below 1, a gain that is not positive.
    """
    above("gain", gain, 0)
    k = np.arange(int(within("n", n, 1)))
    square = float(gain) ** 2
    if square < 1:  # the same, multiplied by gain^(2k), so that nothing overflows
        return square**k / np.cumsum(square**k)
    return 1 / np.cumsum((1 / square) ** k)


def harmonic(n: int) -> float:
    """Return 1 + 1/2 + ... + 1/n.

    Raises:
        ValueError: n below 1.
    """
    return float((1 / np.arange(1, int(within("n", n, 1)) + 1)).sum())


def _columns(w_h: Floats, w_in: Floats, steps: int) -> Floats:
    """Return w, W w, W^2 w, ..., (N, steps)."""
    if w_in.ndim != 1 or w_h.shape != (w_in.size, w_in.size):
        raise ValueError(f"w_h {w_h.shape} and w_in {w_in.shape}: must be (N, N) and (N,)")
    columns = np.empty((w_in.size, steps))
    column = np.asarray(w_in, dtype=np.float64)
    with np.errstate(over="ignore", invalid="ignore"):
        for step in range(steps):
            columns[:, step] = column
            column = w_h @ column
        if not np.isfinite(np.square(columns).sum()):
            raise ValueError(f"w_h: its powers leave float64 within {steps} steps; the growth must be smaller")
    return columns


def _stationary(w_h: Floats, entering: Floats) -> tuple[Floats, Floats]:
    """Return P = W P W' + entering, by doubling (Smith 1968: 2^i terms after i rounds), and the equation's residual."""
    radius = float(np.abs(np.linalg.eigvals(w_h)).max())
    if radius >= 1:
        raise ValueError(f"w_h of spectral radius {radius:.6g}: must be below 1 for a stationary state")
    power, total = np.asarray(w_h, dtype=np.float64), np.asarray(entering, dtype=np.float64)
    with np.errstate(over="ignore", invalid="ignore"):
        for _ in range(64):
            more = power @ total @ power.T
            if not np.isfinite(more).all():
                break
            if (np.diag(more) <= np.finfo(np.float64).eps / 4 * np.diag(total)).all():
                total = (total + total.T) / 2
                return total, w_h @ total @ w_h.T + entering - total
            total, power = total + more, power @ power
    raise ValueError(
        f"w_h of spectral radius {radius:.6g}: needs to be nearer to normal, or to decay faster, for float64"
    )


def _squared_norms(covariance: Floats, error: Floats, columns: Floats, cure: str) -> Floats:
    """Return c' covariance^-1 c of each column c, (N, N) and (N, k) -> (k,), if the covariance is known well enough."""
    scale = np.sqrt(np.diag(covariance))
    if scale.all():
        # sums of positive terms err in proportion to the diagonal, so what matters is the scaled matrix
        scales = np.outer(scale, scale)
        unsure = _SURE * len(scale) * max(np.finfo(np.float64).eps, float(np.abs(error / scales).max()))
        if np.linalg.eigvalsh(covariance / scales)[0] >= unsure:
            root = np.linalg.cholesky(covariance / scales)
            norms: Floats = np.square(np.linalg.solve(root, columns / scale[:, None])).sum(axis=0)
            return norms
    raise ValueError(f"{cure}: float64 cannot tell the covariance of the state from a singular one")
