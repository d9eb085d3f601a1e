"""The roofline of this machine with the layers below it.

A kernel that does I operations for each byte it moves reaches at most min(peak, bandwidth * I) operations per second
(Williams, Waterman and Patterson, Communications of the ACM 52(4), 2009). The bytes are counted as what each kernel
reads and writes, and the bandwidth is main memory's: a layer whose numbers stay in a cache may lie above the slope.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from seqscale.reporting.axes import Spec, log_axis
from seqscale.reporting.charts import Figure, by_layer, tips
from seqscale.reporting.model import Page, entries, layer_names, lengths_text
from seqscale.units import format_bandwidth, format_flop_rate

CLAIM = "parallel.idle-hardware"
READING = (
    "Grey: the peak of a large matrix product and main memory's bandwidth; above the slope a layer works from its "
    "cache. Points: the layers, one for each batch, with the 95 % interval; "
    "filled: the layer's default algorithm, hollow: its others."
)
BELOW = 3.0  # how far the axes go on beyond the outermost point


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """A layer at one batch: how much it computes per byte and how fast, with the 95 % interval of the rate."""

    name: str
    layer: str
    algorithm: str
    default: bool
    batch: int
    length: int
    intensity: float  # flop/B
    rate: float  # flop/s
    low: float
    high: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Roofline:
    """What this machine was measured to reach with a number of threads, and the layers below it."""

    threads: int
    peak: float  # flop/s
    bandwidth: float  # B/s
    points: tuple[Point, ...]

    @property
    def ridge(self) -> float:
        """Operations per byte from which on arithmetic is the limit, no longer the memory [flop/B]."""
        return self.peak / self.bandwidth

    def roof(self, intensity: float) -> float:
        """Return the most that a kernel of this intensity can reach from main memory [flop/s]."""
        return min(self.peak, self.bandwidth * intensity)


def rooflines(page: Page) -> tuple[Roofline, ...]:
    """Return a roofline for each number of threads that the page has ceilings of."""
    found: dict[tuple[int, float, float], list[Point]] = {}
    for entry in entries(page).get(CLAIM, ()):
        stored = entry.judgement.evidence.get("roofline")
        if stored is None:
            continue
        key = (stored["threads"], stored["peak"], stored["bandwidth"])
        algorithm = entry.question.algorithm
        found.setdefault(key, []).extend(
            Point(
                name=entry.subject,
                layer=entry.layer,
                algorithm=algorithm,
                default=algorithm == entry.question.layer.algorithms[0],
                **{name: point[name] for name in ("batch", "length", "intensity", "rate", "low", "high")},
            )
            for point in stored["points"]
        )
    return tuple(
        Roofline(threads=threads, peak=peak, bandwidth=bandwidth, points=tuple(points))
        for (threads, peak, bandwidth), points in found.items()
        if points
    )


def roofline_figures(page: Page) -> tuple[Figure, ...]:
    """Return one figure for each roofline."""
    layers = tuple(layer_names(page).values())
    return tuple(_figure(layers, found) for found in rooflines(page))


def _figure(layers: Sequence[str], found: Roofline) -> Figure:
    rows = [_row(point, found) for point in found.points]
    left = min(*(p.intensity for p in found.points), found.ridge) / BELOW
    right = max(*(p.intensity for p in found.points), found.ridge) * BELOW
    corners = [{"part": "roof", "layer": None, "x": x, "y": found.roof(x)} for x in (left, found.ridge, right)]
    bottom = min(*(p.low for p in found.points), found.roof(left))
    threads = f"{found.threads} thread{'' if found.threads == 1 else 's'}"
    corner = {"part": "ridge", "layer": None, "x": found.ridge, "y": found.peak, "bottom": bottom / 1.2}
    corner["text"] = f"ridge: {found.ridge:.3g} flop/B"
    batches = lengths_text(p.batch for p in found.points)
    x = log_axis("x", "operations per byte moved", "flop/B", left, right)
    x["scale"]["domain"] = [left, right]
    return Figure(
        name=f"processors.roofline.{found.threads}",
        claim="processors",
        title=f"roofline, {threads}: {format_flop_rate(found.peak)}, {format_bandwidth(found.bandwidth)}",
        note=f"The number at a point is its batch ({batches}); the length is in its tooltip.",
        rows=(*corners, corner, *rows),
        main=_spec(
            by_layer(layers, rows, {"title": None, "symbolOpacity": 1}),
            x,
            log_axis("y", "operations per second", "flop/s", bottom, found.peak),
        ),
        residuals=None,
        reading=READING,
    )


def _row(point: Point, found: Roofline) -> Mapping[str, Any]:
    return {
        "part": "layer",
        "layer": point.layer,
        "algorithm": point.algorithm,
        "default": point.default,
        "curve": point.name,
        "x": point.intensity,
        "y": point.rate,
        "low": max(point.low, point.rate / 100),  # a log axis has no zero
        "high": point.high,
        "batch": point.batch,
        "length": point.length,
        "value": format_flop_rate(point.rate),
        "interval": f"{format_flop_rate(point.low)} to {format_flop_rate(point.high)}",
        "share": f"{100 * point.rate / found.peak:.2g} % of the peak, "
        f"{100 * point.rate / found.roof(point.intensity):.2g} % of the roof at its intensity",
    }


def _spec(look: tuple[Spec, Spec, Spec], x: Spec, y: Spec) -> Spec:
    colour, shape, fill = look
    tooltip = tips(
        ("curve", "layer"), ("batch", "batch"), ("length", "T"), ("value", "rate"), ("interval", "95 % interval"),
        ("share", "share"),
    )  # fmt: skip
    layers_only = [{"filter": "datum.part == 'layer'"}]
    apart = [{"field": "curve"}]
    return {
        "data": {"name": "rows"},
        "height": 340,
        "encoding": {"x": x, "y": y},
        "layer": [
            {
                "transform": [{"filter": "datum.part == 'roof'"}],
                "mark": {"type": "line", "strokeWidth": 2.5, "color": "var(--muted)"},
            },
            {
                "transform": [{"filter": "datum.part == 'ridge'"}],
                "mark": {"type": "rule", "strokeDash": [3, 3]},
                "encoding": {"y2": {"field": "bottom"}},
            },
            {
                "transform": [{"filter": "datum.part == 'ridge'"}],
                "mark": {"type": "text", "align": "right", "dx": -8, "dy": -8, "color": "var(--muted)"},
                "encoding": {"text": {"field": "text"}},
            },
            {
                "transform": layers_only,
                "mark": {"type": "line", "strokeWidth": 1.2, "opacity": 0.5},
                "encoding": {"color": colour, "detail": apart, "order": {"field": "batch", "type": "quantitative"}},
            },
            {
                "transform": layers_only,
                "mark": {"type": "rule", "strokeWidth": 1.4},
                "encoding": {"y": {**y, "field": "low"}, "y2": {"field": "high"}, "color": colour},
            },
            {
                "transform": layers_only,
                "mark": {"type": "point", "size": 46, "strokeWidth": 1.6, "opacity": 1},
                "encoding": {"color": colour, "fill": fill, "shape": shape, "tooltip": tooltip},
            },
            {
                "transform": layers_only,
                "mark": {"type": "text", "align": "left", "dx": 7, "dy": -5, "fontSize": 10, "color": "var(--muted)"},
                "encoding": {"text": {"field": "batch"}},
            },
        ],
    }
