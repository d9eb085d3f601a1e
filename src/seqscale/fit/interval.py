"""How well a measured value is known: intervals of medians and paired ratios, and the levels that laws are fitted to.

All arithmetic is on natural logarithms, so that an error is relative and a ratio is a difference.

    values by (launch, round) -> median_interval -> Interval
    two sizes, paired by round -> median_ratio_interval -> Interval of log(numerator / denominator)
    Points -> levels -> log value and relative standard error of each size
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from seqscale.fit.points import Points

Floats = npt.NDArray[np.float64]
Replicates = Mapping[tuple[int, int], float]

SYSTEMATIC = 0.01
"""Relative error of a measured cell that its replicates do not show (alignment, placement): one standard deviation."""

MIN_LAUNCHES = 3  # from here on the launch is the replicate (Kalibera and Jones 2013), not the round
_MIN_ROUNDS = 6  # fewer values have no distribution-free 95 % interval of their median
_PRIOR_DF = 8.0  # weight, in degrees of freedom, of the spread of all sizes in the spread of one size
_MEDIAN_SE = math.sqrt(math.pi / 2)  # standard error of a median over that of a mean, normal errors


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """A value with its two-sided 90 % and 95 % intervals (90 % is what an equivalence test at level 5 % needs)."""

    value: float
    low90: float
    high90: float
    low95: float
    high95: float

    def within(self, low: float, high: float) -> Interval:
        """Return the part of the intervals that can be: Student's leave the range of a share near its ends."""
        return Interval(
            value=self.value,
            low90=max(low, self.low90),
            high90=min(high, self.high90),
            low95=max(low, self.low95),
            high95=min(high, self.high95),
        )

    def widened(self, error: float) -> Interval:
        """Return the interval with a further independent error of that standard deviation, added in quadrature."""

        def side(distance: float, level: float) -> float:
            return math.hypot(distance, normal_quantile(level) * error)

        return Interval(
            value=self.value,
            low90=self.value - side(self.value - self.low90, 0.90),
            high90=self.value + side(self.high90 - self.value, 0.90),
            low95=self.value - side(self.value - self.low95, 0.95),
            high95=self.value + side(self.high95 - self.value, 0.95),
        )


@dataclass(frozen=True, slots=True)
class Levels:
    """What a law is fitted to.

    Attributes:
        log_y: logarithm of the level of each size, what whole rounds had in common taken out (n,).
        se: relative standard error of each level from the replicates alone (n,); zeros for exact counts.
        df: degrees of freedom behind `se`, all sizes together; infinite for exact counts.
        exact: every size has one sample: counts, without noise.
    """

    log_y: Floats
    se: Floats
    df: float
    exact: bool

    @property
    def sigma(self) -> Floats:
        """Relative standard error with the systematic floor, (n,): sqrt(se^2 + (1 %)^2)."""
        return np.sqrt(self.se**2 + SYSTEMATIC**2)


def median_interval(values: Replicates) -> Interval:
    """Return the median of values keyed by (launch, round), with intervals.

    One value is exact. Under three launches: interpolated order statistics (Hettmansperger and Sheather 1986), or
    Student's t where there are fewer than six values. From three launches on: mean and Student's t of the launches'
    medians, since rounds of one launch share its luck.
    """
    data = np.array([list(values.values())], dtype=np.float64)
    if data.shape[1] == 1:
        only = float(data[0, 0])
        return Interval(value=only, low90=only, high90=only, low95=only, high95=only)
    launches = [launch for launch, _ in values]
    if len(set(launches)) >= MIN_LAUNCHES:
        medians = _launch_medians(data, launches)
        return _student(float(medians.mean()), _sd(medians)[0] / math.sqrt(medians.shape[1]), medians.shape[1] - 1)
    n = data.shape[1]
    if n < _MIN_ROUNDS:
        return _student(float(np.median(data)), _MEDIAN_SE * _sd(data)[0] / math.sqrt(n), n - 1)
    low90, high90 = (float(bound[0]) for bound in _order_interval(data, 0.90))
    low95, high95 = (float(bound[0]) for bound in _order_interval(data, 0.95))
    return Interval(value=float(np.median(data)), low90=low90, high90=high90, low95=low95, high95=high95)


def median_ratio_interval(numerator: Replicates, denominator: Replicates) -> Interval:
    """Return the natural logarithm of numerator / denominator, with intervals."""
    return combination_interval((numerator, denominator), (1.0, -1.0))


def combination_interval(values: Sequence[Replicates], weights: Sequence[float]) -> Interval:
    """Return sum of weight * log(value) with intervals: a log ratio (1, -1), or a slope.

    The sum is taken within each common (launch, round), so that what disturbs a whole round cancels; where hardly any
    key is common to all, from their medians. Measured values carry the systematic floor besides; exact counts, one
    sample each, carry nothing.

    Raises:
        ValueError: a value is not positive, or there is none.
    """
    if not all(values) or any(v <= 0 for replicates in values for v in replicates.values()):
        raise ValueError("ratios are taken of logarithms: every size needs values, all positive")
    if all(len(replicates) == 1 for replicates in values):
        only = [next(iter(replicates.values())) for replicates in values]
        return median_interval({(0, 0): sum(w * math.log(v) for w, v in zip(weights, only, strict=True))})
    floor = SYSTEMATIC * math.hypot(*weights)
    common = _common(values)
    if common:
        sums = {key: sum(w * math.log(r[key]) for w, r in zip(weights, values, strict=True)) for key in common}
        return median_interval(sums).widened(floor)
    apart = [median_interval({key: math.log(v) for key, v in replicates.items()}) for replicates in values]
    value = sum(w * i.value for w, i in zip(weights, apart, strict=True))
    errors = [(i.high95 - i.low95) / 2 / normal_quantile(0.95) for i in apart]
    # one sample among measured sizes is not exact: it scatters as one sample of the widest other size would
    one = max(errors) * math.sqrt(max(len(replicates) for replicates in values))
    errors = [error if len(replicates) > 1 else one for error, replicates in zip(errors, values, strict=True)]
    se = math.hypot(*(w * error for w, error in zip(weights, errors, strict=True)))
    sure = Interval(value=value, low90=value, high90=value, low95=value, high95=value)
    return sure.widened(math.hypot(se, floor))


def levels(points: Points) -> Levels:
    """Return the level of each size and its relative standard error.

    Where the sizes share their rounds, each round's common deviation (a drifting clock, a busy minute) is taken out
    first, if that narrows the spread. The spread of one size is shrunk towards that of all: nine rounds tell it badly.

    Raises:
        ValueError: a value is not positive.
    """
    if min(points.y) <= 0 or any(min(r.values(), default=1.0) <= 0 for r in points.rounds):
        raise ValueError("laws are fitted to relative errors: every value must be positive")
    if all(len(r) <= 1 for r in points.rounds):
        return Levels(np.log(np.array(points.y)), np.zeros(len(points.y)), math.inf, True)
    common = _common(points.rounds)
    if common:
        table = np.log(np.array([[r[key] for key in common] for r in points.rounds]))
        level, variance, df = _spread(_without_rounds(table), [launch for launch, _ in common])
    else:
        rows = [_spread(np.log(np.array([list(r.values())])), [launch for launch, _ in r]) for r in points.rounds]
        level, variance, df = (np.concatenate(part) for part in zip(*rows, strict=True))
    known = df > 0
    # the median over sizes, as one outlier may spoil the spread of one size, over the median of chi-square / df
    pooled = float(np.median(variance[known] / (1 - 2 / (9 * df[known])) ** 3))
    se = np.sqrt((df * variance + _PRIOR_DF * pooled) / (df + _PRIOR_DF))
    return Levels(level, se, float(df.sum()), False)


@lru_cache(maxsize=16)
def normal_quantile(level: float) -> float:
    """Return z such that a standard normal lies within -z..z with probability `level`."""
    from scipy import special  # here, since importing scipy costs more than most fits

    return float(special.ndtri(0.5 + level / 2))


@lru_cache(maxsize=256)
def student_quantile(level: float, df: int) -> float:
    """Return t such that Student's t with `df` degrees of freedom lies within -t..t with probability `level`."""
    from scipy import special

    return float(special.stdtrit(df, 0.5 + level / 2))


def _common(values: Sequence[Replicates]) -> list[tuple[int, int]]:
    """Return the keys that all have, if they are enough to pair: six, or all where one has fewer; else none."""
    common = [key for key in values[0] if all(key in r for r in values[1:])]
    enough = max(2, min(_MIN_ROUNDS, *(len(r) for r in values)))
    return common if len(common) >= enough else []


def _student(value: float, se: float, df: int) -> Interval:
    t90, t95 = student_quantile(0.90, df) * se, student_quantile(0.95, df) * se
    return Interval(value=value, low90=value - t90, high90=value + t90, low95=value - t95, high95=value + t95)


def _sd(data: Floats) -> Floats:
    return np.asarray(data.std(axis=1, ddof=1), dtype=np.float64)


def _medians(data: Floats) -> Floats:
    """Return the median of each row; numpy's own costs ten times this on tables of a hundred values."""
    ordered = np.sort(data, axis=1)
    n = ordered.shape[1]
    return np.asarray((ordered[:, (n - 1) // 2] + ordered[:, n // 2]) / 2, dtype=np.float64)


def _launch_medians(data: Floats, launches: Sequence[int]) -> Floats:
    """Return the median within each launch: (rows, values) -> (rows, launches)."""
    which = np.array(launches)
    return np.stack([_medians(data[:, which == launch]) for launch in sorted(set(launches))], axis=1)


def _without_rounds(table: Floats) -> Floats:
    """Return the (sizes, rounds) table of logs without each round's common deviation, if that narrows the spread."""
    deviation = table - _medians(table)[:, None]
    common = _medians(deviation.T)
    rest = deviation - common
    if np.abs(rest).mean() >= np.abs(deviation).mean():
        return table
    return table - (common - np.median(common))


def _spread(data: Floats, launches: Sequence[int]) -> tuple[Floats, Floats, Floats]:
    """Return level, squared standard error and its degrees of freedom of each row of (rows, values)."""
    rows, n = data.shape
    if len(set(launches)) >= MIN_LAUNCHES:
        medians = _launch_medians(data, launches)
        m = medians.shape[1]
        return medians.mean(axis=1), _sd(medians) ** 2 / m, np.full(rows, m - 1.0)
    level = _medians(data)
    if n == 1:
        return level, np.zeros(rows), np.zeros(rows)
    if n < _MIN_ROUNDS:
        return level, (_MEDIAN_SE * _sd(data)) ** 2 / n, np.full(rows, n - 1.0)
    low, high = _order_interval(data, 0.95)
    return level, ((high - low) / (2 * normal_quantile(0.95))) ** 2, np.full(rows, n - 1.0)


def _order_interval(data: Floats, coverage: float) -> tuple[Floats, Floats]:
    """Return the interval of each row's median from interpolated order statistics: (rows, values) -> 2 x (rows,)."""
    rank, share = _order_ranks(data.shape[1], coverage)
    ordered = np.sort(data, axis=1)
    low = ordered[:, rank] + share * (ordered[:, rank + 1] - ordered[:, rank])
    high = ordered[:, -1 - rank] + share * (ordered[:, -2 - rank] - ordered[:, -1 - rank])
    return low, high


@lru_cache(maxsize=256)
def _order_ranks(n: int, coverage: float) -> tuple[int, float]:
    """Return the rank from 0 of the outer order statistic and the share of the inner one (Hettmansperger, Sheather)."""
    tail = 0.5**n  # P(fewer than `d` of n lie below the median), d = 1
    d, outer = 1, 1 - 2 * tail
    while True:
        tail += math.comb(n, d) * 0.5**n
        inner = 1 - 2 * tail
        if inner < coverage:
            break
        d, outer = d + 1, inner
    part = (outer - coverage) / (outer - inner)
    return d - 1, (n - d) * part / (d + (n - 2 * d) * part)
