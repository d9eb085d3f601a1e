"""How well the mean over replicates is known.

A replicate is one draw of weights and data: what a sentence about a layer speaks of, so that only more draws narrow the
interval, not more sequences in each.

    one value a replicate -> mean_interval -> Interval
    a share of right answers a replicate -> share_interval -> Interval
    two such, replicate by replicate -> difference_interval, share_difference -> Interval

The levels, where a sentence speaks of several declared cells:

- the 90 % interval is of one cell alone. It supports: if the sentence is wrong of any cell, that cell's interval lies
  where the sentence says in at most 5 % of cases, and all must (intersection-union test, Berger 1982).
- the 95 % interval is simultaneous over all cells (Bonferroni): of M cells each has level 1 - 0.05/M. It contradicts:
  if the sentence is right of all, one of the M lies on the wrong side in at most 5 %, 2.5 % where one side is wrong.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence

from seqscale.fit.interval import Interval, student_quantile


def mean_interval(values: Sequence[float], cells: int = 1) -> Interval:
    """Return the mean over replicates with Student's t intervals.

    Args:
        values: one for each replicate.
        cells: M, how many declared cells the 95 % interval is simultaneous over; the 90 % interval is of this one.

    Raises:
        ValueError: fewer than two replicates, a value that is not finite, or no cell.
    """
    _check(values, cells)
    mean = math.fsum(values) / len(values)
    error = statistics.stdev(values) / math.sqrt(len(values))
    near, far = (student_quantile(level, len(values) - 1) * error for level in _levels(cells))
    return Interval(value=mean, low90=mean - near, high90=mean + near, low95=mean - far, high95=mean + far)


def difference_interval(first: Sequence[float], second: Sequence[float], cells: int = 1) -> Interval:
    """Return the mean of first - second, paired by replicate; see `mean_interval`.

    Raises:
        ValueError: as `mean_interval`, or another number of replicates.
    """
    return mean_interval([a - b for a, b in zip(first, second, strict=True)], cells)


def share_interval(shares: Sequence[float], scored: int, cells: int = 1, less: float = 0.0) -> Interval:
    """Return the mean share less a constant; of Student's t and the exact binomial interval the wider on each side.

    Where every replicate answers all rightly, or none, the replicates do not differ and their spread says nothing: the
    binomial interval of Clopper and Pearson (1934) over the sequences of all replicates then does.

    Args:
        shares: of right answers, one for each replicate.
        scored: sequences that each replicate was scored on; answers of one sequence depend on each other.
        cells: as in `mean_interval`.
        less: what is taken off, the share right by chance.

    Raises:
        ValueError: as `mean_interval`, a share outside 0..1, or no sequence scored.
    """
    return _wider(mean_interval(shares, cells), _pooled(shares, scored, _levels(cells)), less).within(-less, 1 - less)


def share_difference(first: Sequence[float], second: Sequence[float], scored: int, cells: int = 1) -> Interval:
    """Return the mean of first - second of two shares, paired by replicate; of two intervals the wider on each side.

    One is Student's t. The other is square-and-add of both binomial intervals (Newcombe 1998, method 10, here with
    those of Clopper and Pearson): close to 0 or 1 shares are skewed, and Student's t alone erred in 7.6 % of tables
    where it says 5 %.

    Args:
        first, second, scored, cells: as in `share_interval`.

    Raises:
        ValueError: as `share_interval`, or another number of replicates.
    """
    student, levels, bounds = difference_interval(first, second, cells), _levels(cells), []
    one, two = (math.fsum(shares) / len(shares) for shares in (first, second))
    for a, b in zip(_pooled(first, scored, levels), _pooled(second, scored, levels), strict=True):
        below, above = math.hypot(one - a[0], b[1] - two), math.hypot(a[1] - one, two - b[0])
        bounds.append((student.value - below, student.value + above))
    return _wider(student, bounds)


def _wider(student: Interval, bounds: Sequence[tuple[float, float]], less: float = 0.0) -> Interval:
    """Return the wider on each side of an interval and others at 90 and at 95 %, all less a constant."""
    (low90, high90), (low95, high95) = bounds
    return Interval(
        value=student.value - less,
        low90=min(student.low90, low90) - less,
        high90=max(student.high90, high90) - less,
        low95=min(student.low95, low95) - less,
        high95=max(student.high95, high95) - less,
    )


def _levels(cells: int) -> tuple[float, float]:
    return 0.90, 1 - 0.05 / cells


def _check(values: Sequence[float], cells: int) -> None:
    if len(values) < 2 or not all(map(math.isfinite, values)):
        raise ValueError(f"values {list(values)}: an interval needs at least two replicates, all finite")
    if cells < 1:
        raise ValueError(f"cells={cells}: must be at least 1")


def _pooled(shares: Sequence[float], scored: int, levels: Sequence[float]) -> list[tuple[float, float]]:
    """Return Clopper and Pearson's interval at each level, the sequences of all replicates taken together."""
    from scipy import special  # here, since importing scipy costs more than all verdicts

    if scored < 1 or not all(0 <= share <= 1 for share in shares):
        raise ValueError(f"shares {list(shares)} of {scored}: must be from 0 to 1, of at least one sequence")
    n = scored * len(shares)
    right = min(math.fsum(shares) * scored, n)
    bounds = []
    for level in levels:
        tail = (1 - level) / 2
        low = float(special.betaincinv(right, n - right + 1, tail)) if right > 0 else 0.0
        high = float(special.betaincinv(right + 1, n - right, 1 - tail)) if right < n else 1.0
        bounds.append((low, high))
    return bounds
