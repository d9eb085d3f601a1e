"""Small multiples: one panel for each layer, all on the same axes, so that shapes are compared at a glance.

The page chooses how many panels stand side by side (app.js), a file has three.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from seqscale.reporting.axes import Spec, logarithmic, x_axis, y_axis
from seqscale.reporting.charts import Figure, tips
from seqscale.units import format_value
from seqscale.verdicts.base import CurvePoint

MOST = 320  # pixels of a panel at most
MARKED = 32  # points of a line that are drawn as points, at most; the line goes through all
SERIES = 9  # colours of lines that are no layers, var(--series-0) ...
READING = (
    "One panel a layer. Line: mean over replicates; band: its 95 % interval. Dotted, or a tick: computed, not measured."
)
TOOLTIP = (
    ("layer", "layer"), ("curve", "curve"), ("x", "at"), ("value", "value"), ("interval", "95 % interval"),
    ("n", "replicates"),
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One curve of one layer.

    Attributes:
        layer: whose panel it is in.
        label: what tells it from the panel's other lines; the same label has the same colour in every panel.
        quantity: of its values.
        points: x rising.
        replicates: behind each point.
        computed: whether it is a closed form or a bound.
        fano: x -> bits by Fano's inequality in words, where the curve has them.
    """

    layer: str
    label: str
    quantity: str
    points: Sequence[CurvePoint]
    replicates: int
    computed: bool = False
    fano: Mapping[float, str] = field(default_factory=dict)


def rows_of_lines(lines: Sequence[Line]) -> tuple[dict[str, Any], ...]:
    """Return the lines as rows of a figure's data; on a logarithmic axis without what is not positive."""
    rows = []
    for line in lines:
        positive = logarithmic(line.quantity)
        marked = math.ceil(len(line.points) / MARKED)
        for place, point in enumerate(line.points):
            if positive and point.y <= 0:
                continue
            ends = f"{format_value(line.quantity, point.low)} to {format_value(line.quantity, point.high)}"
            row: dict[str, Any] = {
                "layer": line.layer,
                "curve": line.label,
                "x": point.x,
                "y": _short(point.y),
                "low": _short(max(point.low, point.y / 100) if positive else point.low),
                "high": _short(point.high),
                "law": None,
                "value": format_value(line.quantity, point.y),
                "interval": "computed" if line.computed else ends if line.replicates > 1 else "one replicate",
                "n": line.replicates,
                "computed": line.computed,
                "marked": place % marked == 0,
                "alone": len(line.points) == 1,
            }
            if line.fano:
                row["fano"] = line.fano.get(point.x, "")
            rows.append(row)
    return tuple(rows)


def _short(value: float) -> float:
    """Return a value to six digits, more than a figure shows: the rows are most of the page."""
    return float(f"{value:.6g}")


def panels(
    name: str,
    title: str,
    words: str,
    lines: Sequence[Line],
    x_name: str,
    quantity: str,
    layers: Sequence[str],
) -> Figure | None:
    """Return a figure with a panel for each layer, or None where no line has a point.

    Args:
        name, title, words: as Figure's name, title and note.
        lines: a label's colour is that of its place; of lines that meet the last is on top.
        x_name, quantity: of the axes.
        layers: in the order of the panels; those without a line have none.
    """
    rows = rows_of_lines(lines)
    if not rows:
        return None
    x, y = x_axis(x_name, [row["x"] for row in rows]), y_axis(quantity, rows)
    labels = list(dict.fromkeys(row["curve"] for row in rows))
    colours = [f"var(--series-{place % SERIES})" for place in range(len(labels))]
    legend = {"title": None, "symbolType": "stroke", "symbolStrokeWidth": 3, "symbolOpacity": 1}
    colour = {
        "field": "curve", "type": "nominal", "scale": {"domain": labels, "range": colours},
        "legend": legend if len(labels) > 1 else None,
    }  # fmt: skip
    dotted = {row["curve"] for row in rows if row["computed"]}
    dashes = [[2, 3] if label in dotted else [1, 0] for label in labels]
    dash = {**colour, "scale": {"domain": labels, "range": dashes}}
    tooltip = tips(*TOOLTIP, *([("fano", "by Fano")] if any(line.fano for line in lines) else []))
    measured, computed = [{"filter": "!datum.computed"}], [{"filter": "datum.computed"}]
    layer: list[Spec] = [
        {
            "transform": measured,
            "mark": {"type": "area", "opacity": 0.2},
            "encoding": {"y": {**y, "field": "low"}, "y2": {"field": "high"}, "color": colour},
        },
        {
            "transform": measured,
            "mark": {"type": "line", "strokeWidth": 1.6},
            "encoding": {"y": y, "color": colour, "strokeDash": dash},
        },
        # of one computed point there is no line to draw
        {
            "transform": [*computed, {"filter": "datum.alone"}],
            "mark": {"type": "tick", "orient": "horizontal", "size": 26, "thickness": 2, "opacity": 1},
            "encoding": {"y": y, "color": colour, "tooltip": tooltip},
        },
        {
            "transform": [*measured, {"filter": "datum.marked"}],
            "mark": {"type": "point", "filled": True, "size": 14, "opacity": 1},
            "encoding": {"y": y, "color": colour, "tooltip": tooltip},
        },
        # above the measured lines, which may reach just that
        {
            "transform": computed,
            "mark": {"type": "line", "strokeWidth": 1.8},
            "encoding": {"y": y, "color": colour, "strokeDash": dash},
        },
    ]
    shown = {row["layer"] for row in rows}
    return Figure(
        name=name,
        claim="information",
        title=title,
        note=words,
        rows=rows,
        main=faceted("layer", [n for n in layers if n in shown], 120, {"encoding": {"x": x}, "layer": layer}),
        residuals=None,
        reading=READING,
    )


def faceted(field: str, order: Sequence[str], height: int, inner: Spec, axis: int = 60, least: int = 130) -> Spec:
    """Return a spec that draws `inner` once for each value of the field, in wrapped rows.

    Args:
        field: of the rows.
        order: its values.
        height: of a panel.
        inner: what a panel shows.
        axis, least: pixels left of the first panel, and of a panel at least, for the page's script.
    """
    header = {
        "title": None,
        "labelAnchor": "start",
        "labelFontSize": 12,
        "labelColor": "var(--text)",
        "labelPadding": 4,
    }
    return {
        "data": {"name": "rows"},
        "facet": {"field": field, "type": "nominal", "sort": list(order), "header": header},
        "columns": 3,
        "spacing": {"row": 14, "column": 18},
        "usermeta": {"axis": axis, "least": least, "most": MOST},
        "spec": {"width": 200, "height": height, **inner},
    }
