"""Figures as Vega-Lite: interval bands, the fitted law dashed, what is computed dotted, residuals apart.

The specs are written as plain data: building them through altair was measured at 61 ms a figure and 0.3 s of import,
and says nothing that these dictionaries do not. A spec names its colours as CSS variables (`var(--layer-0)`), so that a
figure drawn once follows light, dark and print; `in_light` puts the light values in for files.
"""

from __future__ import annotations

import json
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from seqscale.reporting.axes import TOGETHER, Spec, logarithmic, title_of, x_axis, y_axis
from seqscale.reporting.model import Entry, Page, defaults, entries, layer_names, widths
from seqscale.units import format_value, quantity
from seqscale.verdicts.base import Curve

# Colours that colour-blind readers can tell apart (after Okabe and Ito, and Tol), one per layer in order of appearance;
# neighbours among the last four lean on their shape. Layers beyond the last share them again.
LIGHT = (
    "#c2540a", "#0068a8", "#00805c", "#a83a8f", "#8a6d00", "#4b5563", "#7a2e1d", "#3f51b5", "#d6336c", "#0b7a8a",
    "#5c7a00", "#8b5cf6",
)  # fmt: skip
DARK = (
    "#ff9a52", "#5ab4f0", "#3fcf9f", "#ec8fd3", "#e3c34b", "#aab4c2", "#e58a76", "#9aa7f5", "#ff7fa8", "#4fd3e3",
    "#b5d34a", "#c4a7ff",
)  # fmt: skip
INK = {
    "text": "#1d2433",
    "muted": "#5b6472",
    "line": "#dfe3e8",
    "ground": "#ffffff",
    "series-0": "#2f6fb0",
    "series-1": "#c2540a",
    "series-2": "#8a55b8",
    "series-3": "#1d8f7a",
    "series-4": "#8a6d00",
    "series-5": "#4b5563",
    "series-6": "#7a2e1d",
    "series-7": "#d6336c",
    "series-8": "#0b7a8a",
}  # of exported files; the page's own are in style.css
SHAPES = ("circle", "square", "triangle-up", "diamond", "cross", "triangle-down", "triangle-right", "triangle-left")
FILLED = (
    "Filled: the layer's default algorithm; hollow: its others. Dashed: the fitted law. Band: 95 % interval. "
    "Dotted, without points: a closed form or a bound."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One figure: the curves of one claim that share both axes and a width of the stream.

    Attributes:
        name: unique in the page; an element's id and a file's stem.
        claim: whose figure it is.
        title, note: for a person; the note says which lines coincide and what a log axis cannot show.
        rows: what both specs draw, one row for each point; the specs name it as the data set `rows`.
        main, residuals: Vega-Lite specs; residuals None where no law was fitted.
        reading: what its marks mean; under an exported figure, where no page stands around it.
    """

    name: str
    claim: str
    title: str
    note: str
    rows: tuple[Mapping[str, Any], ...]
    main: Spec
    residuals: Spec | None
    reading: str = FILLED


def figures(page: Page) -> dict[str, tuple[Figure, ...]]:
    """Return claim id -> its figures, every algorithm shown."""
    layers = tuple(layer_names(page).values())
    legend = {"title": None, "symbolOpacity": 1}
    return {claim: _figures(page, claim, asked, layers, legend) for claim, asked in entries(page).items()}


def overview(page: Page, claims: Sequence[str]) -> dict[str, Figure]:
    """Return the first figure of each of the claims, with each layer's default algorithm only."""
    # Without a legend: the page itself shows once, above all of them, which colour is which layer.
    layers, asked = tuple(layer_names(page).values()), entries(page)
    found = {c: _figures(page, c, defaults(asked[c]), layers, None) for c in claims if c in asked}
    return {claim: _small(drawn[0]) for claim, drawn in found.items() if drawn}


def _small(figure: Figure) -> Figure:
    return replace(figure, name=f"overview.{figure.name}", main={**figure.main, "height": 210}, residuals=None)


def config() -> Spec:
    """Return the look that every figure shares, in CSS variables."""
    text, muted, line = "var(--text)", "var(--muted)", "var(--line)"
    font = "system-ui, -apple-system, 'Segoe UI', 'Liberation Sans', Arial, sans-serif"
    return {
        "font": font,
        "background": "transparent",
        "view": {"stroke": None},
        "axis": {
            "domainColor": line, "tickColor": line, "gridColor": line, "labelColor": muted, "titleColor": muted,
            "titleFontWeight": "normal", "labelFontSize": 11, "titleFontSize": 11, "tickSize": 4, "titlePadding": 8,
        },
        "legend": {
            "labelColor": text, "labelFontSize": 12, "orient": "top", "symbolSize": 70, "columns": 4,
            "symbolStrokeColor": muted, "symbolBaseStrokeColor": muted, "symbolBaseFillColor": muted, "offset": 4,
        },
        "rule": {"color": muted},
        "title": {"color": text, "subtitleColor": muted, "fontSize": 14, "subtitleFontSize": 11, "offset": 10},
    }  # fmt: skip


def in_light(figure: Figure, spec: Spec) -> Spec:
    """Return one of the figure's specs with its data and look, CSS variables replaced by light colours; for files."""
    look = {**config(), "background": "white", "font": "Liberation Sans, Arial, sans-serif"}
    under = [line for text in (figure.note, figure.reading) for line in textwrap.wrap(text, 130)]
    title = {"text": f"{figure.claim}: {figure.title}", "subtitle": under, "anchor": "start"}
    width = {} if "facet" in spec else {"width": 720}
    text = json.dumps({**spec, "title": title, "datasets": {"rows": figure.rows}, "config": look, **width})
    for name, colour in {**{f"layer-{i}": c for i, c in enumerate(LIGHT)}, **INK}.items():
        text = text.replace(f"var(--{name})", colour)
    light: Spec = json.loads(text)
    return light


def _figures(
    page: Page, claim: str, asked: Sequence[Entry], layers: Sequence[str], legend: Spec | None
) -> tuple[Figure, ...]:
    groups: dict[tuple[str, str, int], list[tuple[Entry, Curve]]] = {}
    for entry in asked:
        for curve in entry.judgement.curves:
            name = TOGETHER.get(curve.quantity, curve.quantity)
            groups.setdefault((name, curve.x_name, entry.question.scope.width), []).append((entry, curve))
    several = len(widths(page)) > 1
    usual = {entry.layer: entry.question.algorithm for entry in defaults(asked)}
    found = []
    for (name, x_name, width), curves in groups.items():
        rows = [row for entry, curve in curves for row in _rows(entry, curve, usual[entry.layer])]
        drawn = [row for row in rows if row["y"] > 0] if logarithmic(name) else rows
        if not drawn:
            continue
        at = f", d={width}" if several else ""
        x, y = x_axis(x_name, [row["x"] for row in drawn]), y_axis(name, drawn)
        fitted = [row for row in drawn if row["law"] is not None]
        found.append(
            Figure(
                name=f"{claim}.{name}.{x_name.replace(' ', '-')}.{width}",
                claim=claim,
                title=f"{title_of(name)} against {x_name}{at}",
                note=_note(curves, len(rows) - len(drawn)),
                rows=tuple(drawn),
                main=_main(by_layer(layers, drawn, legend), x, y),
                residuals=_residuals(by_layer(layers, fitted, legend), x) if fitted else None,
            )
        )
    return tuple(found)


def _rows(entry: Entry, curve: Curve, usual: str) -> list[dict[str, Any]]:
    law, positive = dict(curve.law), logarithmic(curve.quantity)
    rows = []
    for point in curve.points:
        fitted = law.get(point.x)
        said = format_value(curve.quantity, point.y)
        ends = f"{format_value(curve.quantity, point.low)} to {format_value(curve.quantity, point.high)}"
        rows.append(
            {
                "layer": entry.layer,
                "algorithm": entry.question.algorithm,
                "default": entry.question.algorithm == usual,
                "curve": curve.label,
                "computed": _computed(curve),
                "x": point.x,
                "y": point.y,
                # A log axis has no zero: an interval that reaches it is drawn to a hundredth of the value.
                "low": max(point.low, point.y / 100) if positive else point.low,
                "high": point.high,
                "law": None if fitted is None or (positive and fitted <= 0) else fitted,
                "residual": 100 * (point.y / fitted - 1) if fitted else None,
                "value": said,
                "interval": "exact" if curve.exact else ends,
                "law_text": curve.law_text,
            }
        )
    return rows


def _computed(curve: Curve) -> bool:
    """Whether a curve is a closed form or a bound; an exact count is measured."""
    return curve.exact and not quantity(curve.quantity).whole


def _note(curves: Sequence[tuple[Entry, Curve]], dropped: int) -> str:
    same: dict[tuple[tuple[float, float], ...], list[str]] = {}
    for entry, curve in curves:
        if not _computed(curve):
            points = tuple((p.x, p.y) for p in curve.points)
            same.setdefault(points, []).append(f"{entry.layer}/{entry.question.algorithm}")
    found = [", ".join(dict.fromkeys(names)) for names in same.values() if len(set(names)) > 1]
    notes = [f"Lines that coincide: {'; '.join(found)}."] if found else []
    if dropped:
        notes.append(f"{dropped} points at or below zero cannot be drawn on a log axis; the table has them.")
    return " ".join(notes)


def by_layer(layers: Sequence[str], rows: Sequence[Mapping[str, Any]], legend: Spec | None) -> tuple[Spec, Spec, Spec]:
    """Return the encodings of colour, shape and fill: each layer keeps its own over all figures of the page."""
    shown = [name for name in layers if any(row["layer"] == name for row in rows)]
    places = [layers.index(name) for name in shown]
    colours = {"domain": shown, "range": [f"var(--layer-{place % len(LIGHT)})" for place in places]}
    shapes = {"domain": shown, "range": [SHAPES[(p + p // len(LIGHT)) % len(SHAPES)] for p in places]}
    colour = {"field": "layer", "type": "nominal", "scale": colours, "legend": legend}
    shape = {"field": "layer", "type": "nominal", "scale": shapes, "legend": legend}
    # The legend belongs to colour and shape: filled means default algorithm, and the caption says so.
    fill = {"condition": {**colour, "test": "datum.default"}, "value": "var(--ground)"}
    return colour, shape, fill


def tips(*pairs: tuple[str, str]) -> list[Spec]:
    """Return the encoding of a tooltip from (field, title) pairs."""
    return [{"field": field, "title": title} for field, title in pairs]


def _main(look: tuple[Spec, Spec, Spec], x: Spec, y: Spec) -> Spec:
    colour, shape, fill = look
    apart = [{"field": "curve"}, {"field": "algorithm"}]
    tooltip = tips(
        ("curve", "curve"), ("x", "at"), ("value", "value"), ("interval", "95 % interval"), ("law_text", "law")
    )
    layer: list[Spec] = [
        {
            "mark": {"type": "area", "opacity": 0.18},
            "encoding": {"y": {**y, "field": "low"}, "y2": {"field": "high"}, "color": colour, "detail": apart},
        },
        {
            "transform": [{"filter": "!datum.computed"}],
            "mark": {"type": "line", "strokeWidth": 1.2, "opacity": 0.45},
            "encoding": {"y": y, "color": colour, "detail": apart},
        },
        {
            "transform": [{"filter": "datum.computed"}],
            "mark": {"type": "line", "strokeWidth": 1.6, "strokeDash": [2, 3]},
            "encoding": {"y": y, "color": colour, "detail": apart},
        },
        {
            "transform": [{"filter": "isValid(datum.law)"}],
            "mark": {"type": "line", "strokeWidth": 1.6, "strokeDash": [5, 3]},
            "encoding": {"y": {**y, "field": "law"}, "color": colour, "detail": apart},
        },
        {
            "transform": [{"filter": "!datum.computed"}],
            "mark": {"type": "point", "size": 42, "strokeWidth": 1.6, "opacity": 1},
            "encoding": {
                "y": y,
                "color": colour,
                "fill": fill,
                "shape": shape,
                "tooltip": tooltip,
            },
        },
    ]
    return {"data": {"name": "rows"}, "height": 300, "encoding": {"x": x}, "layer": layer}


def _residuals(look: tuple[Spec, Spec, Spec], x: Spec) -> Spec:
    colour, shape, fill = look
    y = {"field": "residual", "type": "quantitative", "axis": {"title": "measured over law - 1 [%]", "tickCount": 5}}
    tooltip = tips(("curve", "curve"), ("x", "at"), ("value", "value"), ("residual", "residual [%]"))
    tooltip[-1]["format"] = ".2f"
    return {
        "data": {"name": "rows"},
        "height": 160,
        "layer": [
            {"data": {"values": [{}]}, "mark": {"type": "rule", "strokeDash": [2, 2]}, "encoding": {"y": {"datum": 0}}},
            {
                "mark": {"type": "line", "strokeWidth": 1, "opacity": 0.5},
                "encoding": {
                    "x": x, "y": y, "color": colour,
                    "detail": [{"field": "curve"}, {"field": "algorithm"}],
                },
            },
            {
                "mark": {"type": "point", "size": 36, "strokeWidth": 1.6, "opacity": 1},
                "encoding": {
                    "x": x, "y": y, "color": colour, "fill": fill, "shape": shape,
                    "tooltip": tooltip,
                },
            },
        ],
    }  # fmt: skip
