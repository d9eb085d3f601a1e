"""The map of truncation: what was learned of an input L tokens ago with gradients that go back k tokens."""

from __future__ import annotations

from typing import Any

from seqscale.reporting.charts import Figure, tips
from seqscale.reporting.model import Page
from seqscale.reporting.panels import faceted
from seqscale.reporting.remembered import kept
from seqscale.units import format_value
from seqscale.verdicts.base import CurvePoint

LAW = "law, at most"
BOUNDARIES = {"carry": "state carried", "reset": "state reset"}
TRAINED = {"readout": "readout trained", "all": "all trained"}


def truncation(page: Page) -> Figure | None:
    """Return R^2 by window, layer and arm, the law of reset windows beside; None where nothing was truncated.

    Of a layer measured at several sizes under the same conditions the smallest is shown.
    """
    arms: dict[str, tuple[int, str, str]] = {}
    tiles: dict[tuple[str, str, int], dict[str, Any]] = {}
    for one in kept(page, "truncation"):
        boundary, trained = str(one.conditions["boundary"]), str(one.conditions["trained"])
        lag, window = int(one.conditions["lag"]), int(one.conditions["window"])
        point = one.point("r2", float(window))
        if point is None:
            continue
        arm = f"{BOUNDARIES[boundary]}, {TRAINED[trained]}, L = {lag}"
        arms[arm] = (lag, boundary, trained)
        interval = f"{format_value('r2', point.low)} to {format_value('r2', point.high)}"
        tile = _tile(one.layer, arm, lag, point, interval, len(one.row.observations["r2"].samples))
        tiles.setdefault((one.layer, arm, window), tile)
        if boundary == "reset":
            most = max(0.0, 1 - lag / window)
            law = CurvePoint(x=window, y=most, low=most, high=most)
            tiles[LAW, arm, window] = _tile(LAW, arm, lag, law, "computed", 1)
    if not tiles:
        return None
    rows = list(tiles.values())
    layers = [*dict.fromkeys(row["layer"] for row in rows if row["layer"] != LAW)]
    order = [LAW, *layers] if any(row["layer"] == LAW for row in rows) else layers
    return Figure(
        name="information.truncation",
        claim="information",
        title="what truncated gradients learn of an input L tokens ago",
        note="R^2 of the target, the input L tokens ago, when gradients go back k tokens: 1 is learned, 0 is not. "
        "Where the state is reset at each window the law max(0, 1 - L/k) is the most there is; where it is carried, "
        "a state that tells of the input anyway needs no gradient to be read.",
        rows=tuple(rows),
        main=_spec(order, sorted(arms, key=lambda arm: arms[arm])),
        residuals=None,
        reading="The darker, the more is learned.",
    )


def _tile(layer: str, arm: str, lag: int, point: CurvePoint, interval: str, n: int) -> dict[str, Any]:
    return {
        "layer": layer,
        "curve": arm,
        "x": int(point.x),
        "y": point.y,
        "shown": f"{point.y:.2f}".replace("-0.00", "0.00"),
        "strength": min(max(point.y, 0.0), 1.0),
        "value": format_value("r2", point.y),
        "interval": interval,
        "n": n,
        "reach": "within the window" if point.x > lag else "beyond the window",
    }


def _spec(order: list[str], arms: list[str]) -> dict[str, Any]:
    tooltip = tips(
        ("layer", "layer"), ("curve", "arm"), ("x", "window k"), ("reach", "the lag lies"), ("value", "R^2"),
        ("interval", "95 % interval"), ("n", "replicates"),
    )  # fmt: skip
    x = {"field": "x", "type": "ordinal", "axis": {"title": "window k [tokens]", "labelAngle": 0, "grid": False}}
    y = {"field": "layer", "type": "nominal", "sort": order, "axis": {"title": None, "grid": False, "ticks": False}}
    shades = {"domain": [0, 1], "range": [0, 0.75]}
    strength = {"field": "strength", "type": "quantitative", "scale": shades, "legend": None}
    inner = {
        "encoding": {"x": x, "y": y},
        "layer": [
            {
                "mark": {"type": "rect", "fill": "var(--series-0)", "stroke": "var(--line)"},
                "encoding": {"fillOpacity": strength, "tooltip": tooltip},
            },
            {
                "mark": {"type": "text", "fontSize": 11, "color": "var(--text)"},
                "encoding": {"text": {"field": "shown", "type": "nominal"}},
            },
        ],
    }  # fmt: skip
    # each arm has windows of its own
    return {**faceted("curve", arms, 20 * len(order), inner, 120, 120), "resolve": {"scale": {"x": "independent"}}}
