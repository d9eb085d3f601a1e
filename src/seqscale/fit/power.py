"""The law a + b x^p: an overhead, and a part that grows as a power.

Relative weights; a, b >= 0; the exponent is profiled (variable projection, Golub and Pereyra 1973): for each p the best
a and b have a closed form, so that the whole profile is one array expression.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from seqscale.fit.interval import Floats, levels
from seqscale.fit.points import Points

P_MAX = 4.0
"""Largest exponent considered; an interval that reaches it is open above."""

_GRID = np.linspace(0.0, P_MAX, 201)
_AROUND = np.linspace(-1.0, 1.0, 129)
_BETWEEN = np.linspace(0.0, 1.0, 65)
_ROUND_OFF = 1e-13  # relative error of double arithmetic in one residual; keeps the interval of an exact count honest


@dataclass(frozen=True, slots=True, kw_only=True)
class PowerFit:
    """A fitted a + b x^p.

    Attributes:
        a: overhead, in the unit of y; >= 0.
        b: coefficient, in the unit of y per x^p; >= 0.
        p: exponent, in 0..P_MAX.
        p_low, p_high: 95 % interval of p; 0..P_MAX where the points do not tell it.
        p_low90, p_high90: 90 % interval of p.
        x_max: the largest size fitted.
        residuals: relative residuals y / law - 1 at the fitted sizes.
    """

    a: float
    b: float
    p: float
    p_low: float
    p_high: float
    p_low90: float
    p_high90: float
    x_max: float
    residuals: tuple[float, ...]

    @property
    def overhead_share(self) -> float:
        """The overhead's share of the law at the largest size, 0..1."""
        return self.a / self.predict(self.x_max)

    def predict(self, x: float) -> float:
        """Return the law's value at size x > 0."""
        return float(self.a + self.b * x**self.p)

    def text(self, symbol: str = "T") -> str:
        """Return the law in words: `8.1e-05 + 1.6e-05 T^1.00 [0.98, 1.02]`, numbers in the unit of y."""
        if self.b == 0:
            return f"{self.a:.3g}"
        overhead = f"{self.a:.3g} + " if self.overhead_share > 1e-6 else ""  # else it is round-off
        return f"{overhead}{self.b:.3g} {symbol}^{self.p:.2f} [{self.p_low:.2f}, {self.p_high:.2f}]"


def fit_power(points: Points) -> PowerFit:
    """Fit a + b x^p to at least three sizes.

    The interval of p holds every exponent whose residual sum of squares is within the F threshold of the least, with
    the residual variance estimated from the fit (Bates and Watts 1988, section 6.1): it covers whatever the noise is,
    and it is wide when the sizes are few. Three sizes leave nothing to estimate it from: 0..P_MAX.

    Raises:
        ValueError: fewer than three sizes, or a value that is not positive.
    """
    n = len(points.x)
    if n < 3:
        raise ValueError(f"{n} sizes: a + b x^p needs at least 3")
    found = levels(points)
    y = np.exp(found.log_y)
    profile = _Profile(np.log(np.array(points.x) / points.x[-1]), y / y[-1], 1 / found.sigma)
    on_grid = profile.ssr(_GRID)
    p = _minimum(profile, on_grid)
    a, share, ssr = profile.solve(np.array([p]))
    least = float(ssr[0]) + n * float((profile.weight**2).max()) * _ROUND_OFF**2
    if n == 3:
        low, high, low90, high90 = 0.0, P_MAX, 0.0, P_MAX
    else:
        f95, f90 = (least * (1 + _f_quantile(level, n - 3) / (n - 3)) for level in (0.95, 0.90))
        low, high, low90, high90 = _edges(profile, on_grid, p, np.array([f95, f95, f90, f90])).tolist()
    b = float(share[0] * y[-1] / points.x[-1] ** p)
    law = a[0] + share[0] * np.exp(p * profile.log_x)
    return PowerFit(
        a=float(a[0] * y[-1]),
        b=b,
        p=p,
        p_low=low,
        p_high=high,
        p_low90=low90,
        p_high90=high90,
        x_max=points.x[-1],
        residuals=tuple(float(r) for r in profile.y / law - 1),
    )


@dataclass(frozen=True, slots=True, eq=False)
class _Profile:
    """Relative weighted residuals of a + b x^p with x and y scaled to 1 at the largest size."""

    log_x: Floats
    y: Floats
    weight: Floats

    def solve(self, p: Floats) -> tuple[Floats, Floats, Floats]:
        """Return the best a >= 0, b >= 0 and their weighted sum of squares for each exponent: (k,) -> 3 x (k,)."""
        z = self.weight  # the weighted data: y times its weight
        w = z / self.y
        grown = w * np.exp(p[:, None] * self.log_x)
        one_one, one_z = w @ w, w @ z
        slant = grown - (grown @ w / one_one)[:, None] * w  # what x^p adds to a constant
        size = np.einsum("ij,ij->i", slant, slant)
        b = np.divide(slant @ z, size, out=np.zeros_like(size), where=size > 1e-20 * one_one)
        b = np.maximum(b, 0.0)
        a = (one_z - b * (grown @ w)) / one_one
        through_zero = a < 0
        b = np.where(through_zero, grown @ z / np.einsum("ij,ij->i", grown, grown), b)
        a = np.where(through_zero, 0.0, a)
        rest = z - a[:, None] * w - b[:, None] * grown
        return a, b, np.einsum("ij,ij->i", rest, rest)

    def ssr(self, p: Floats) -> Floats:
        """Return the weighted sum of squares for exponents of any shape."""
        return self.solve(p.ravel())[2].reshape(p.shape)


def _minimum(profile: _Profile, on_grid: Floats) -> float:
    """Return the exponent of the least sum of squares: the neighbourhood of the grid's best point, refined."""
    best, step = float(_GRID[int(on_grid.argmin())]), float(_GRID[1])
    for _ in range(4):  # to 0.02 / 48^4 = 4e-9; trials are step / 64 apart, so that step / 48 overlaps
        near = np.clip(best + step * _AROUND, 0.0, P_MAX)
        best, step = float(near[int(profile.ssr(near).argmin())]), step / 48
    return best


def _edges(profile: _Profile, on_grid: Floats, p: float, bounds: Floats) -> Floats:
    """Return low95, high95, low90, high90: where the profile last leaves `bounds` (95, 95, 90, 90), outwards."""
    inside, outside = np.empty(4), np.empty(4)
    for i, bound in enumerate(bounds):
        within = np.append(_GRID[on_grid <= bound], p)
        if i % 2 == 0:
            inside[i] = within.min()
            outside[i] = _GRID[inside[i] > _GRID].max(initial=0.0)
        else:
            inside[i] = within.max()
            outside[i] = _GRID[inside[i] < _GRID].min(initial=P_MAX)
    rows = np.arange(4)
    for _ in range(3):  # to 0.02 / 64^3 = 8e-8
        trial = inside[:, None] + (outside - inside)[:, None] * _BETWEEN
        within_bound = profile.ssr(trial) <= bounds[:, None]
        within_bound[:, 0] = True
        last = np.where(within_bound.all(axis=1), _BETWEEN.size - 1, within_bound.argmin(axis=1) - 1)
        inside, outside = trial[rows, last], trial[rows, np.minimum(last + 1, _BETWEEN.size - 1)]
    return outside


@lru_cache(maxsize=256)
def _f_quantile(level: float, df: int) -> float:
    from scipy import special  # here, since importing scipy costs more than most fits

    return float(special.fdtri(1, df, level))
