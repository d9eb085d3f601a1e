"""Figures of the counts: work W, span S and W/S against T, laws as lines and what was counted as points."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from seqscale.reporting.axes import Spec, log_axis
from seqscale.reporting.charts import Figure, by_layer, tips
from seqscale.reporting.model import Page
from seqscale.reporting.parallel import LARGEST, Counted, coloured, grid
from seqscale.units import format_value

LEGEND: Spec = {"title": None, "symbolOpacity": 1}
READING = (
    "Filled: the layer's default algorithm; hollow: its others. Points: counted. "
    "Dashed: the law; faint where it is extrapolated."
)
PER_OCTAVE = 1  # of the lines drawn: a law of these forms is smooth on log axes


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawn:
    """What one figure of the laws shows: a name, its words, and its value from the laws' values by quantity."""

    name: str
    title: str
    words: str
    unit: str
    needs: tuple[str, ...]

    def of(self, values: Mapping[str, float]) -> float:
        """Return the value on the y axis: the quantity itself, or the first over the second."""
        first, *second = (values[name] for name in self.needs)
        return first / second[0] if second else first


DRAWN = (
    Drawn(
        name="work",
        title="work W",
        words="Every addition, multiplication or function of one number counts 1. "
        "A line that gains two decades in work for one in length grows with T squared.",
        unit="flop",
        needs=("work",),
    ),
    Drawn(
        name="ideal_span",
        title="ideal span S",
        words="The longest chain of operations that wait for each other, each kernel at its logarithmic depth. "
        "No number of processors finishes sooner.",
        unit="steps",
        needs=("ideal_span",),
    ),
    Drawn(
        name="kernel_span",
        title="kernel span",
        words="The longest chain of kernels that wait for each other, however large each is. "
        "It is what a machine pays that takes long to start a kernel; a fused kernel counts 1.",
        unit="kernels",
        needs=("kernel_span",),
    ),
    Drawn(
        name="parallelism",
        title="parallelism W/S",
        words="How many operations could run at once on average: more processors than this cannot all be busy. "
        "Where S grows in proportion to W, a longer sequence does not raise it.",
        unit="flop/step",
        needs=("work", "ideal_span"),
    ),
)


def law_figures(page: Page, found: Sequence[Counted]) -> tuple[Figure, ...]:
    """Return one figure for each of W, the two spans and W/S, every layer and algorithm in it."""
    layers = coloured(page, found)
    figures = (_law_figure(layers, found, drawn) for drawn in DRAWN)
    return tuple(figure for figure in figures if figure is not None)


def _law_figure(layers: Sequence[str], found: Sequence[Counted], drawn: Drawn) -> Figure | None:
    rows = [row for one in found for row in _rows(one, drawn)]
    if not rows:
        return None
    ends = [row["y"] for row in rows]
    return Figure(
        name=f"processors.{drawn.name}",
        claim="processors",
        title=f"{drawn.title} against length",
        note=f"{drawn.words} {_coinciding(rows)}".rstrip(),
        rows=tuple(rows),
        main=_law_spec(by_layer(layers, rows, LEGEND), log_axis("y", drawn.title, drawn.unit, min(ends), max(ends))),
        residuals=None,
        reading=READING,
    )


def _rows(one: Counted, drawn: Drawn) -> list[dict[str, Any]]:
    """Return the rows of one line: `counted` ones are points, all others its law; none at zero."""
    base = {"layer": one.layer, "algorithm": one.algorithm, "default": one.default, "curve": one.name}
    laws = [one.laws[name] for name in drawn.needs if name in one.laws]
    line: list[tuple[int, dict[str, float], str]] = []
    text = "no exact law verifies"
    if len(laws) == len(drawn.needs):
        text = " over ".join(law.text() for law in laws)
        reach = min(law.reach("T")[1] for law in laws)
        # The end of what is verified belongs to both parts of the line, so that they meet.
        lengths = sorted({*grid(PER_OCTAVE), reach})
        line = [(n, {name: one.value(name, n) for name in drawn.needs}, part) for part, n in _parts(lengths, reach)]
    seen = [dict(one.points[name]) for name in drawn.needs]
    common = sorted(set.intersection(*(set(points) for points in seen)))
    line += [(n, {name: p[n] for name, p in zip(drawn.needs, seen, strict=True)}, "counted") for n in common]
    rows = []
    for length, values, part in line:
        y = drawn.of(values) if all(value > 0 for value in values.values()) else 0.0
        if y > 0:
            said = format_value(drawn.name, y) if len(drawn.needs) == 1 else f"{y:,.4g} flop/step"
            rows.append({**base, "x": length, "y": y, "part": part, "value": said, "law_text": text})
    return rows


def _parts(lengths: Iterable[int], reach: int) -> list[tuple[str, int]]:
    known = list(lengths)
    return [("law", n) for n in known if n <= reach] + [("beyond", n) for n in known if n >= reach]


def _coinciding(rows: Iterable[Mapping[str, Any]]) -> str:
    lines: dict[str, list[tuple[float, float]]] = {}
    for row in rows:
        if row["part"] != "counted":
            lines.setdefault(row["curve"], []).append((row["x"], row["y"]))
    same: dict[frozenset[tuple[float, float]], list[str]] = {}
    ends = set.intersection(*({x for x, _ in line} for line in lines.values())) if lines else set()
    for name, line in lines.items():
        same.setdefault(frozenset(p for p in line if p[0] in ends), []).append(name)
    groups = [", ".join(names) for names in same.values() if len(names) > 1]
    return f"Lines that coincide: {'; '.join(groups)}." if groups else ""


def _law_spec(look: tuple[Spec, Spec, Spec], y: Spec) -> Spec:
    colour, shape, fill = look
    axis = {
        "values": [2**k for k in range(0, LARGEST.bit_length(), 4)],
        "labelFlush": True,
        "labelExpr": "format(datum.value, ',')",
        "labelOverlap": "greedy",
        "title": "length T [tokens]",
        "grid": False,
    }
    scale = {"type": "log", "base": 2, "domain": [0.9, LARGEST * 1.15], "nice": False}
    x = {"field": "x", "type": "quantitative", "scale": scale, "axis": axis}
    tooltip = tips(("curve", "layer"), ("x", "T"), ("value", "value"), ("law_text", "law"))
    apart = [{"field": "curve"}]
    return {
        "data": {"name": "rows"},
        "height": 260,
        "encoding": {"x": x, "y": y, "color": colour},
        "layer": [
            {
                "transform": [{"filter": "datum.part == 'law'"}],
                "mark": {"type": "line", "strokeWidth": 1.7, "strokeDash": [6, 2]},
                "encoding": {"detail": apart},
            },
            {
                "transform": [{"filter": "datum.part == 'beyond'"}],
                "mark": {"type": "line", "strokeWidth": 1.2, "strokeDash": [2, 4], "opacity": 0.75},
                "encoding": {"detail": apart},
            },
            {
                "transform": [{"filter": "datum.part == 'counted'"}],
                "mark": {"type": "point", "size": 30, "strokeWidth": 1.4, "opacity": 1},
                "encoding": {"fill": fill, "shape": shape, "tooltip": tooltip},
            },
        ],
    }
