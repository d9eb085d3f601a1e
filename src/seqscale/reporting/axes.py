"""The axes of every figure: what x counts and which quantity is measured decide title, unit and scale.

A quantity that is positive and has no largest value (times, bytes, norms) stands on a logarithmic axis, where a power
of a length is a straight line. What may be zero or below, or has a largest value (R^2, accuracy), stands on a linear
one, and so do bits, which add up.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from seqscale.units import quantity

Spec = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Count:
    """What an x axis counts: its title, and the base of its logarithm (None: linear)."""

    title: str
    base: int | None = None


X = {
    "length": Count("length T [tokens]", 2),
    "hidden": Count("hidden units h", 2),
    "width": Count("width d of the stream", 2),
    "batch": Count("batch [sequences]", 2),
    "pairs": Count("pairs K", 2),
    "numbers": Count("numbers in the state", 2),
    "learning rate": Count("learning rate", 10),
    "distance": Count("distance [tokens]"),
    "lag": Count("lag [tokens]"),
    "tokens": Count("tokens read"),
    "window": Count("window k [tokens]"),
    "bits": Count("bits of each number"),
}
TITLES = {
    "time": "time of one call",
    "saved_bytes": "kept for the backward pass",
    "predicted_peak_bytes": "predicted peak",
    "measured_peak_bytes": "measured peak",
    "state_elements": "state",
    "state_bytes": "state",
    "token_bits": "bits found",
    "first_token_bits": "bits about the first token",
    "r2": "R^2, held out",
    "gradient_norm": "norm of the derivative",
}
# Quantities that are drawn on the axis of another: the bound of what is found, the chance of being right.
TOGETHER = {
    "bound_bits": "token_bits",
    "source_bits": "token_bits",
    "accuracy_ceiling": "accuracy",
    "chance": "accuracy",
}
TICKS = 6  # of a linear axis, about
# How far an interval may stretch an axis; what reaches further is drawn to the edge.
REACH = 0.3  # of the values' own span, a linear axis
DECADES = 100.0  # times the outermost value, a logarithmic one


def title_of(name: str) -> str:
    """Return what a figure calls the quantity."""
    return TITLES.get(name, name.replace("_", " "))


def logarithmic(name: str) -> bool:
    """Whether the quantity stands on a logarithmic axis."""
    asked = quantity(name)
    return asked.low >= 0 and math.isinf(asked.high) and asked.unit not in ("bit", "nat")


def x_axis(name: str, values: Iterable[float]) -> Spec:
    """Return the encoding of an x axis around measured values, which are its ticks where it is logarithmic."""
    count, ordered = X.get(name, Count(name)), sorted(set(values))
    axis: Spec = {"title": count.title, "labelOverlap": "greedy", "grid": False}
    scale: Spec
    if count.base is None:
        pad = 0.02 * (ordered[-1] - ordered[0]) or 1.0
        scale = {"type": "linear", "domain": [ordered[0] - pad, ordered[-1] + pad], "nice": False}
        axis |= {"tickMinStep": 1, "tickCount": TICKS}
    else:
        scale = {"type": "log", "base": count.base, "domain": [ordered[0] / 1.15, ordered[-1] * 1.15], "nice": False}
        axis |= {"values": ordered, "format": "d" if count.base == 2 else "~g"}
    return {"field": "x", "type": "quantitative", "scale": scale, "axis": axis}


def y_axis(name: str, rows: Iterable[Mapping[str, Any]]) -> Spec:
    """Return the encoding of the quantity's axis around rows that have `y`, `low`, `high` and `law` (or None)."""
    known = [(row["y"], row["low"], row["high"], row["law"]) for row in rows]
    laws = [law for *_, law in known if law is not None]
    low, high = min([low for _, low, *_ in known] + laws), max([high for _, _, high, _ in known] + laws)
    unit = quantity(name).unit
    values = [y for y, *_ in known] + laws
    if logarithmic(name):
        low, high = max(low, min(values) / DECADES), min(high, max(values) * DECADES)
        return log_axis("y", title_of(name), unit, low, high)
    return linear_axis("y", title_of(name), unit, (low, high), (min(values), max(values)), quantity(name).high)


def log_axis(field: str, title: str, unit: str, low: float, high: float) -> Spec:
    """Return the encoding of a logarithmic axis around two positive values, its ticks round and with their unit."""
    axis = {"values": ticks(low, high), "labelExpr": _labels(unit), "title": _titled(title, unit)}
    scale = {"type": "log", "domain": [low / 1.2, high * 1.2], "nice": False, "clamp": True}
    return {"field": field, "type": "quantitative", "scale": scale, "axis": axis}


def linear_axis(
    field: str, title: str, unit: str, reached: tuple[float, float], values: tuple[float, float], most: float
) -> Spec:
    """Return the encoding of a linear axis from zero, or the least value, to the largest that there is or can be.

    Args:
        field, title, unit: what is drawn.
        reached: the lowest and the highest end of an interval; what leaves the axis is drawn at its edge.
        values: the smallest and the largest value.
        most: the largest value that can be; infinite where there is none.
    """
    bottom, top = min(0.0, values[0]), max(0.0, values[1])
    reach = REACH * (top - bottom)
    low = max(min(0.0, reached[0]), bottom - reach)
    high = most if math.isfinite(most) else min(max(reached[1], top), top + reach)
    if low == high:
        high = low + 1.0
    scale = {"type": "linear", "domain": [low, high], "nice": False, "clamp": True}
    axis = {"title": _titled(title, unit), "tickCount": TICKS}
    return {"field": field, "type": "quantitative", "scale": scale, "axis": axis}


def _titled(title: str, unit: str) -> str:
    return title if unit == "1" else f"{title} [{unit}]"


def ticks(low: float, high: float) -> list[float]:
    """Return at most eight round values around two positive ones: the finest round steps that are not too many."""
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    tenths, fifths, halves = ([f"{n / 10:.1f}" for n in range(10, 100, step)] for step in (1, 2, 5))
    for steps in (tenths, fifths, halves, list("123456789"), ["1", "2", "5"], ["1", "3"], ["1"]):
        found = [float(f"{step}e{decade}") for decade in decades for step in steps]
        inside = [value for value in found if low / 1.2 <= value <= high * 1.2]
        if len(inside) <= 7:
            return inside
    return inside[:: math.ceil(len(inside) / 7)]


def _labels(unit: str) -> str:
    """Return the Vega expression that writes a tick with its own unit: `10 us`, `2 MB`."""
    scales = {
        "s": ((1, "s"), (1e-3, "ms"), (1e-6, "us"), (1e-9, "ns")),
        "B": ((1e9, "GB"), (1e6, "MB"), (1e3, "kB"), (1, "B")),
        "flop/s": ((1e12, "TFLOP/s"), (1e9, "GFLOP/s"), (1e6, "MFLOP/s"), (1, "FLOP/s")),
    }
    if unit not in scales:
        return "format(datum.value, datum.value < 1e6 ? ',.6~g' : '.3~g')"
    *most, (last, last_unit) = scales[unit]
    text = f"format(datum.value / {last:g}, '.3~g') + ' {last_unit}'"
    for size, name in reversed(most):
        # Just under the size: 0.001 read from JSON may miss 1e-3 by its last bit.
        text = f"datum.value >= {size * 0.999:.6g} ? format(datum.value / {size:g}, '.3~g') + ' {name}' : {text}"
    return text
