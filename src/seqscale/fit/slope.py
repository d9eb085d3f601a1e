"""The local slope d log y / d log x at the largest sizes: what the curve does there, whatever law it follows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from seqscale.fit.interval import combination_interval
from seqscale.fit.points import Points


@dataclass(frozen=True, slots=True, kw_only=True)
class Slope:
    """A local slope with its 90 % and 95 % intervals.

    Attributes:
        value: regression slope of log y on log x over `sizes`.
        low90, high90, low95, high95: intervals, with the systematic floor of each cell; of a count, the value.
        sizes: the sizes it was taken over, rising.
    """

    value: float
    low90: float
    high90: float
    low95: float
    high95: float
    sizes: tuple[float, ...]


def local_slope(points: Points, octaves: float = 2) -> Slope:
    """Return the slope over the last `octaves` doublings of x.

    The slope is taken within each common (launch, round) and its median over rounds is judged, so that what disturbs a
    whole round cancels. Each measured size carries an independent systematic error of 1 % besides (`interval`).

    Raises:
        ValueError: fewer than two sizes in the last octaves, or a value that is not positive.
    """
    kept = [i for i, x in enumerate(points.x) if x * 2**octaves >= points.x[-1] * (1 - 1e-9)]
    if len(kept) < 2:
        raise ValueError(f"x={points.x}: a slope over {octaves} octaves needs two sizes in them")
    sizes = tuple(points.x[i] for i in kept)
    centred = np.log(np.array(sizes)) - np.log(np.array(sizes)).mean()
    weights = (centred / (centred @ centred)).tolist()
    found = combination_interval([points.rounds[i] for i in kept], weights)
    return Slope(
        value=found.value,
        low90=found.low90,
        high90=found.high90,
        low95=found.low95,
        high95=found.high95,
        sizes=sizes,
    )
