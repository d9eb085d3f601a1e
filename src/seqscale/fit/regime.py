"""Whether any smooth law fits at all, and if none does, where the curve changes its regime.

A working set that leaves a cache multiplies the time from one size on. Folded into one exponent it would be called
growth; so the misfit is tested first, against what the replicates say of the noise.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass

import numpy as np

from seqscale.fit.classes import ClassSet
from seqscale.fit.interval import Floats, Levels, levels
from seqscale.fit.points import Points
from seqscale.fit.power import PowerFit

SURE = 0.01
"""A law is rejected where its chi-square is less probable than this,"""

LIKELY = 0.05
"""or less probable than this while the signs of its residuals also come in fewer runs than this probability."""

SIDE = 3
"""Sizes that each of two regimes needs."""

_OVERHEADS = np.append(0.0, 1 - np.geomspace(0.98, 0.005, 100))  # shares of the least value


@dataclass(frozen=True, slots=True, kw_only=True)
class RegimeChange:
    """Where one regime ends: `at` is the first size of the next.

    The slopes, before it and from it on, are exponents of what grows above the overhead that both regimes share.
    """

    at: float
    slope_before: float
    slope_after: float


@dataclass(frozen=True, slots=True, kw_only=True)
class LackOfFit:
    """Whether the best of the smooth laws leaves more than noise.

    Attributes:
        chi2: weighted sum of squared residuals of the best law, in units of replicate variance with 1 % floor.
        df: sizes less parameters of that law.
        p_value: probability of a larger chi2 if the law holds (F, since replicates are few).
        p_runs: probability of as few runs of residual signs, or fewer, in random order.
        rejected: no smooth law fits.
        change: the two regimes that fit better, or None: not rejected, or no two regimes explain it either.
    """

    chi2: float
    df: int
    p_value: float
    p_runs: float
    rejected: bool
    change: RegimeChange | None


def lack_of_fit(points: Points, power: PowerFit, classes: ClassSet) -> LackOfFit:
    """Test the laws fitted to `points`, and look for two regimes where all of them are rejected.

    Two regimes are two power laws of at least three sizes each, over one overhead, if they are not rejected too and
    their BIC is below that of the best law.

    Args:
        points: values at least five rising sizes.
        power: `fit_power(points)`.
        classes: `growth_classes(points)`.
    """
    found = levels(points)
    n = len(points.x)
    laws = [(power.predict, 1 + 2 * (power.b > 0) - (power.a == 0))]
    laws += [(model.predict, sum(c > 0 for c in model.coefficients)) for model in classes.members]
    tests = []
    for predict, parameters in laws:
        rest = found.log_y - np.log(np.array([predict(x) for x in points.x]))
        chi2 = float(((rest / found.sigma) ** 2).sum())
        tests.append((_tail(chi2, n - parameters, found.df), chi2, parameters, rest))
    p_value, chi2, parameters, rest = max(tests, key=lambda test: test[0])
    p_runs = runs_probability([bool(r > 0) for r in rest])
    rejected = p_value < SURE or (p_value < LIKELY and p_runs < LIKELY)
    change = _two_regimes(points.x, found, chi2 + parameters * math.log(n)) if rejected else None
    return LackOfFit(chi2=chi2, df=n - parameters, p_value=p_value, p_runs=p_runs, rejected=rejected, change=change)


def runs_probability(signs: list[bool]) -> float:
    """Return the probability of as few runs of equal signs, or fewer, in random order (Wald and Wolfowitz 1940)."""
    up, down = sum(signs), len(signs) - sum(signs)
    if up == 0 or down == 0:
        return 1.0
    runs = 1 + sum(a != b for a, b in itertools.pairwise(signs))

    def ways(count: int) -> int:
        half, odd = divmod(count, 2)
        one, other = math.comb(up - 1, half - 1), math.comb(down - 1, half - 1)
        return one * math.comb(down - 1, half) + math.comb(up - 1, half) * other if odd else 2 * one * other

    return sum(ways(count) for count in range(2, runs + 1)) / math.comb(up + down, up)


def _two_regimes(x: tuple[float, ...], measured: Levels, one_bic: float) -> RegimeChange | None:
    """Return the best two power laws over a common overhead, if they hold and their BIC is below that of one law."""
    log_x, n = np.log(np.array(x)), len(x)
    y = np.exp(measured.log_y)
    growing = y - _OVERHEADS[:, None] * y.min()  # one row for each overhead tried
    log_growing, sigma = np.log(growing), measured.sigma * y / growing
    found: RegimeChange | None = None
    for split in range(SIDE, n - SIDE + 1):
        before, chi2_before = _lines(log_x[:split], log_growing[:, :split], sigma[:, :split])
        after, chi2_after = _lines(log_x[split:], log_growing[:, split:], sigma[:, split:])
        chi2 = chi2_before + chi2_after
        for row, parameters in ((0, 4), (int(chi2.argmin()), 5)):  # row 0: no overhead
            bic = float(chi2[row]) + (parameters + 1) * math.log(n)  # the place of the change is one more
            if bic < one_bic and _tail(float(chi2[row]), n - parameters, measured.df) >= SURE:
                found = RegimeChange(at=x[split], slope_before=float(before[row]), slope_after=float(after[row]))
                one_bic = bic
    return found


def _lines(log_x: Floats, log_y: Floats, sigma: Floats) -> tuple[Floats, Floats]:
    """Return slope and chi-square of the weighted straight line through each row: (rows, sizes) -> 2 x (rows,)."""
    weight = sigma**-2
    total = weight.sum(axis=1, keepdims=True)
    dx = log_x - (weight * log_x).sum(axis=1, keepdims=True) / total
    dy = log_y - (weight * log_y).sum(axis=1, keepdims=True) / total
    slope = (weight * dx * dy).sum(axis=1) / (weight * dx * dx).sum(axis=1)
    return slope, (weight * (dy - slope[:, None] * dx) ** 2).sum(axis=1)


def _tail(chi2: float, df: int, noise_df: float) -> float:
    """Return the probability of a larger chi2, its noise having been estimated with `noise_df` degrees of freedom."""
    from scipy import special  # here, since importing scipy costs more than most fits

    if math.isinf(noise_df):
        return float(special.chdtrc(df, chi2))
    return float(special.fdtrc(df, noise_df, chi2 / df))
