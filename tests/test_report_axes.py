"""Every axis shows all values it is drawn around, with round ticks, on the scale that suits the quantity."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seqscale.reporting.axes import X, logarithmic, ticks, title_of, x_axis, y_axis
from seqscale.units import QUANTITIES, quantity

SCALES = {
    "time": True, "saved_bytes": True, "gradient_norm": True, "learning_rate": True, "work": True,
    "token_bits": False, "bound_bits": False, "r2": False, "accuracy": False, "first_token_bits": False,
    "gradient_slope": False,
}  # fmt: skip


@pytest.mark.parametrize(("name", "logs"), SCALES.items())
def test_what_may_be_zero_or_has_a_largest_value_is_linear(name: str, logs: bool) -> None:
    assert logarithmic(name) is logs


finite = st.floats(-1e3, 1e3)


@pytest.mark.parametrize("name", QUANTITIES)
@given(values=st.lists(st.tuples(finite, st.floats(0, 1e3), st.floats(0, 1e3)), min_size=1, max_size=8))
def test_every_value_is_inside_its_axis(name: str, values: list[tuple[float, float, float]]) -> None:
    known = quantity(name)
    floor = 1e-9 if logarithmic(name) else max(known.low, -1e9)
    rows = []
    for y, below, above in values:
        y = min(max(y, floor), known.high)
        rows.append({"y": y, "low": max(y - below, floor), "high": min(y + above, known.high), "law": None})
    axis = y_axis(name, rows)
    low, high = axis["scale"]["domain"]
    assert low < high
    assert all(low <= row["y"] <= high for row in rows)
    assert axis["scale"]["type"] == ("log" if logarithmic(name) else "linear")
    assert axis["scale"]["clamp"]  # intervals that reach further are drawn to the edge


def test_a_wide_interval_does_not_squash_the_values() -> None:
    rows = [{"y": 0.2, "low": -40.0, "high": 1.0, "law": None}, {"y": 0.9, "low": 0.8, "high": 1.0, "law": None}]
    low, high = y_axis("r2", rows)["scale"]["domain"]
    assert high == 1.0 and -0.5 < low < 0
    rows = [{"y": 1e-3, "low": 1e-5, "high": 1e40, "law": None}]
    assert y_axis("gradient_norm", rows)["scale"]["domain"][1] < 1


@given(st.sampled_from(sorted(X)), st.lists(st.floats(1e-6, 1e6), min_size=1, max_size=9))
def test_an_x_axis_shows_every_value(name: str, values: list[float]) -> None:
    axis = x_axis(name, values)
    low, high = axis["scale"]["domain"]
    assert low < min(values) and max(values) < high
    if axis["scale"]["type"] == "log":
        assert axis["axis"]["values"] == sorted(set(values)) and low > 0


def test_an_unknown_x_is_linear_and_named_as_it_is() -> None:
    axis = x_axis("number", [0.0, 3.0])
    assert axis["scale"]["type"] == "linear" and axis["axis"]["title"] == "number"


def test_a_title_has_its_unit_unless_it_is_one() -> None:
    row = {"y": 1.0, "low": 1.0, "high": 1.0, "law": None}
    assert y_axis("token_bits", [row])["axis"]["title"] == "bits found [bit]"
    assert y_axis("accuracy", [row])["axis"]["title"] == "accuracy"
    assert title_of("half_life") == "half life"


@pytest.mark.parametrize("low", [1.0, 3.7e-6, 9.9e8])
@pytest.mark.parametrize("span", [1.0, 1.01, 1.7, 9.0, 80.0, 3e4, 1e9])
def test_ticks_are_few_round_and_inside(low: float, span: float) -> None:
    found = ticks(low, low * span)
    assert len(found) <= 8
    assert all(low / 1.2 <= tick <= low * span * 1.2 for tick in found)
    assert all(float(f"{tick:.1e}") == tick for tick in found)  # two digits at most
    assert len(found) >= 2
