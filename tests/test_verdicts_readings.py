"""What a claim reads off a row: a mean and its interval, no further than the quantity can be."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from information_cells import cell

from seqscale.fit.replicates import mean_interval
from seqscale.rows import Observation, Outcome, OutcomeKind, Row, Sample
from seqscale.verdicts.readings import mean_seen


def row(name, values):
    asked = cell("recall", "gru", 8, 16, conditions={"pairs": 2, "replicates": len(values)})
    seen = {name: Observation.of(name, [Sample(value=value, round=r) for r, value in enumerate(values)])}
    return Row(asked, Outcome(kind=OutcomeKind.ok), seen)


@given(st.lists(st.floats(0, 1), min_size=2, max_size=8))
def test_the_interval_of_a_share_is_students_between_0_and_1(values):
    found, student = mean_seen(row("accuracy", values), "accuracy"), mean_interval(values)
    for name in ("low90", "low95", "high90", "high95"):
        assert getattr(found, name) == min(1.0, max(0.0, getattr(student, name)))
    assert found.value == student.value


@given(st.lists(st.floats(-50, 50), min_size=2, max_size=8))
def test_bits_may_come_out_below_zero(values):
    assert mean_seen(row("token_bits", values), "token_bits") == mean_interval(values)
