"""What stands in brackets beside a median says what it is."""

from __future__ import annotations

import pytest
from scipy import stats

from seqscale.rows import Observation, Sample


@pytest.mark.parametrize("n", range(2, 31))
def test_an_interval_is_called_one_where_it_covers_the_median_with_95_percent(n):
    seen = Observation.of("time", [Sample(value=float(k + 1)) for k in range(n)])
    outside = stats.binom.cdf(int(seen.low) - 1, n, 0.5)  # fewer samples than that below the true median
    covers = 1 - 2 * outside >= 0.95
    assert covers == (seen.interval == "95 % interval of the median")
    assert covers or (seen.low, seen.high, seen.interval) == (1, n, f"smallest and largest of {n}")
    assert seen.record()["interval"] == seen.interval
