"""Which growth class a curve has: every sum of 1, T, T log T, T^2 that the points do not rule out.

One best model is not an answer when eight points leave several as good; so the answer is the set of all of them, and a
class is named only when the whole set agrees.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from seqscale.fit.interval import Floats, levels
from seqscale.fit.points import Points

Indices = npt.NDArray[np.intp]

TERMS = ("1", "T", "T log T", "T^2")
"""The terms in order of growth."""

WORDS = ("constant", "linear", "T log T", "quadratic")
"""The class that each term names when it is the largest that counts."""

NEGLIGIBLE = 0.05
"""Share of the total at the largest size below which growth does not count (or the noise floor, if that is larger)."""

WITHIN = 4.0
"""Models whose AICc is within this of the least are not ruled out (Burnham and Anderson 2002, section 2.6)."""

ENOUGH = 8
"""Sizes from which the residual variance is estimated; with fewer, AICc charges up to 20 a term and misses them."""

_SUBSETS = {size: np.array(list(itertools.combinations(range(4), size))) for size in (1, 2, 3, 4)}
_RESOLUTION = 1e-4  # standard errors: residuals below it do not rank models (exact counts fit to round-off)


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """A sum of terms with positive coefficients.

    Attributes:
        coefficients: of 1, T, T log2 T, T^2, in the unit of y; 0 for a term that is not in the model.
        shares: of the total at the largest size; they sum to 1.
        score: Akaike's criterion; only differences mean something.
        growth: one of WORDS.
    """

    coefficients: tuple[float, float, float, float]
    shares: tuple[float, float, float, float]
    score: float
    growth: str

    def predict(self, x: float) -> float:
        """Return the model's value at size x >= 1."""
        return sum(c * t for c, t in zip(self.coefficients, (1.0, x, x * math.log2(x), x * x), strict=True))


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassSet:
    """The models that the points do not rule out, best first.

    Attributes:
        members: at least one.
        word: one of WORDS if all members agree, else `not told apart: linear, T log T`.
    """

    members: tuple[Model, ...]
    word: str

    @property
    def classes(self) -> tuple[str, ...]:
        """The growth classes of the members, slowest first."""
        found = {m.growth for m in self.members}
        return tuple(word for word in WORDS if word in found)


def growth_classes(points: Points, noise_floor: float = 0.0) -> ClassSet:
    """Return the class set of at least five sizes >= 1.

    Every subset of TERMS is fitted by relative weighted least squares; a subset that needs a negative coefficient
    equals a smaller one and drops out. A model is `constant` where all that grows is under `noise_floor` or 5 % of the
    total at the largest size, and else has the class of its fastest growth that is not under it.

    Args:
        points: values at rising sizes.
        noise_floor: relative difference that the instrument cannot tell from none.

    Raises:
        ValueError: fewer than five sizes, a size below 1, or a value that is not positive.
    """
    n = len(points.x)
    if n < 5 or points.x[0] < 1:
        raise ValueError(f"x={points.x}: growth classes need at least 5 sizes, all >= 1")
    found = levels(points)
    y = np.exp(found.log_y)
    x_max, y_max = points.x[-1], float(y[-1])
    x = np.array(points.x) / x_max
    # scaled so that every column is 1 at the largest size: coefficients are shares
    columns = np.stack([np.ones(n), x, x * np.log(np.array(points.x)) / math.log(x_max), x * x], axis=1)
    weight = 1 / found.sigma
    scale = np.array([1.0, x_max, x_max * math.log2(x_max), x_max**2]) / y_max
    negligible = max(NEGLIGIBLE, noise_floor)
    fits = _candidates(columns * (weight * y_max / y)[:, None], weight)
    criterion = _aicc if found.exact or n >= ENOUGH else _aic
    scores = [criterion(ssr, n, len(terms)) for terms, _, ssr in fits]
    members = tuple(
        _model(terms, coefficients, scale, score, negligible)
        for score, (terms, coefficients, _) in sorted(zip(scores, fits, strict=True), key=lambda pair: pair[0])
        if score <= min(scores) + WITHIN
    )
    named = {m.growth for m in members}
    classes = [word for word in WORDS if word in named]
    return ClassSet(members=members, word=classes[0] if len(classes) == 1 else f"not told apart: {', '.join(classes)}")


def _candidates(design: Floats, target: Floats) -> list[tuple[Indices, Floats, float]]:
    """Return (terms, coefficients, sum of squares) of each subset whose least-squares solution is positive throughout.

    These are the distinct solutions of the non-negative problems: where a coefficient would be negative, the
    non-negative optimum lies on the boundary, which is a smaller subset.
    """
    n = design.shape[0]
    found = []
    for size in range(1, min(len(TERMS), n - 3) + 1):  # AICc counts the variance too, and needs two points more
        subsets = _SUBSETS[size]
        stack = np.moveaxis(design[:, subsets], 1, 0)
        q, r = np.linalg.qr(stack)
        solution = np.linalg.solve(r, (target @ q)[..., None])[..., 0]
        rest = target - (stack @ solution[..., None])[..., 0]
        ssr = (rest**2).sum(axis=1)
        positive = (solution > 1e-12).all(axis=1)
        found += [(subsets[i], solution[i], float(ssr[i])) for i in np.flatnonzero(positive)]
    return found


def _model(terms: Indices, coefficients: Floats, scale: Floats, score: float, negligible: float) -> Model:
    full = np.zeros(len(TERMS))
    full[terms] = coefficients
    shares = full / full.sum()
    from_here = np.cumsum(shares[::-1])[::-1]  # share of a class and all faster ones
    growth = WORDS[max(i for i in range(len(TERMS)) if i == 0 or from_here[i] >= negligible)]
    return Model(coefficients=_four(full / scale), shares=_four(shares), score=score, growth=growth)


def _aicc(ssr: float, n: int, terms: int) -> float:
    """Return AICc with the residual variance estimated from the fit, so that noise the replicates hide counts."""
    k = terms + 1  # the variance is a parameter too
    return n * math.log(ssr / n + _RESOLUTION**2) + 2 * k + 2 * k * (k + 1) / (n - k - 1)


def _aic(ssr: float, n: int, terms: int) -> float:
    """Return AIC with the variance known from the replicates and the systematic floor."""
    return ssr + 2 * terms


def _four(values: Floats) -> tuple[float, float, float, float]:
    return float(values[0]), float(values[1]), float(values[2]), float(values[3])
