"""What stands in brackets beside a median says what it is."""

from __future__ import annotations

import pytest
from information_cells import cell
from scipy import stats

from seqscale.api import row_text
from seqscale.rows import Observation, Outcome, OutcomeKind, Row, Sample


@pytest.mark.parametrize("n", range(2, 31))
def test_an_interval_is_called_one_where_it_covers_the_median_with_95_percent(n):
    seen = Observation.of("time", [Sample(value=float(k + 1)) for k in range(n)])
    outside = stats.binom.cdf(int(seen.low) - 1, n, 0.5)  # fewer samples than that below the true median
    covers = 1 - 2 * outside >= 0.95
    assert covers == (seen.interval == "95 % interval of the median")
    assert covers or (seen.low, seen.high, seen.interval) == (1, n, f"smallest and largest of {n}")
    assert seen.record()["interval"] == seen.interval


@pytest.mark.parametrize(("n", "said"), [(3, "smallest and largest of 3"), (8, "95 % interval of the median")])
def test_a_printed_cell_says_it_under_its_numbers(n, said):
    seen = {"time": Observation.of("time", [Sample(value=float(k + 1)) for k in range(n)])}
    row = Row(cell("time", "gru", 64, 8), Outcome(kind=OutcomeKind.ok), seen)
    assert row_text(row).splitlines()[-1] == f"  [ ] is the {said}"
    alike = {"time": Observation.of("time", [Sample(value=1.0)] * n)}
    assert "[ ]" not in row_text(Row(row.cell, row.outcome, alike))
