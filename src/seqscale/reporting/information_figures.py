"""Figures of what a state remembers, each with two sentences for a reader; absent where the table lacks its cells."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from seqscale.reporting.axes import Spec, linear_axis, x_axis
from seqscale.reporting.charts import Figure, by_layer, tips
from seqscale.reporting.heat import truncation
from seqscale.reporting.hourglass import BITS_EACH
from seqscale.reporting.model import Page, conditions_text, layer_names, varying
from seqscale.reporting.panels import Line, panels
from seqscale.reporting.phrase import listed
from seqscale.reporting.remembered import Kept, kept, longest, shortest_by_pairs, usual_size
from seqscale.units import format_value

WITHOUT_KEYS = "best without keys"
BLIND = f"{WITHOUT_KEYS}: the share that is right for who knows which values came, and not with which key."
SIDE = 0.1  # octaves between markers of one number of the state,
ASIDE = 0.8  # and from the first of them to the last, at most
CAPACITY = ("state_numbers", "token_bits", "bound_bits", "source_bits")
# Conditions that say how much was measured, not of what.
EFFORT = ("batch", "rates", "replicates", "sequences", "steps")


def information_figures(page: Page) -> tuple[Figure, ...]:
    """Return the figures that the page's table has cells for, in the order in which they are read."""
    drawn: tuple[Callable[[Page], Figure | None], ...] = (
        bits_by_distance, capacity, memory_curve, recall_by_pairs, recall_by_rate, gradient_by_distance, truncation,
    )  # fmt: skip
    return tuple(figure for draw in drawn if (figure := draw(page)) is not None)


def coloured(page: Page, found: Iterable[Kept]) -> tuple[str, ...]:
    """Return the layers in the order of their colours: those asked, then controls that were not."""
    return tuple(dict.fromkeys((*layer_names(page).values(), *(one.layer for one in found))))


def bits_by_distance(page: Page) -> Figure | None:
    """Return bits about a token against its distance from the end, a line for each length."""
    # the longest first, so that where lengths agree the shorter line is seen on the longer one
    found = sorted(usual_size(kept(page, "token-bits")), key=lambda one: -one.cell.length)
    lines = []
    for one, label in zip(found, told_apart(found, "noise", "symbols"), strict=True):
        fano = {point.x: format_value("fano_bits", point.y) for point in one.points("fano")}
        lines += _line(one, "bits", ", ".join(filter(None, (f"T = {one.cell.length}", label))), fano)
    return panels(
        "information.bits",
        "bits about a token against how long ago it was read",
        "How much of one token a decoder finds in the last state, by how many tokens were read after it: log2 V bits "
        "is all of it. A line at zero: nothing is found of what lies so far back; a flat one tells of all alike.",
        lines,
        "distance",
        "token_bits",
        coloured(page, found),
    )


def capacity(page: Page) -> Figure | None:
    """Return all bits found against the numbers of the state, every layer and size, with what fits above each."""
    found = longest(one for one in kept(page, "token-bits") if set(CAPACITY) <= one.row.observations.keys())
    if not found:
        return None
    layers = coloured(page, found)
    rows = _side_by_side([_capacity_row(one) for one in found], layers)
    (length, _), *others = Counter(one.cell.length for one in found).most_common()
    source = next(row["source"] for row, one in zip(rows, found, strict=True) if one.cell.length == length)
    return Figure(
        name="information.capacity",
        claim="information",
        title="bits found against numbers in the state",
        note=f"What a decoder finds in the last state after {length} tokens, which carry {source:,.0f} bits (dashed); "
        f"the tick above is the most that a state of this spread lets through the noise. {_float_bound(rows)} "
        "States of as many numbers stand side by side."
        + (f" Points after {listed(str(n) for n, _ in others)} tokens say so." if others else ""),
        rows=tuple(rows),
        main=_capacity_spec(layers, rows, source),
        residuals=None,
        reading="Point: mean over replicates with its 95 % interval; tick: its upper bound; dashed: all that was read.",
    )


def _capacity_row(one: Kept) -> dict[str, Any]:
    given = {name: one.point(name, 0.0) for name in CAPACITY}
    numbers, found, bound, source = (point for point in given.values() if point is not None)
    size = " ".join(f"{key}={value}" for key, value in one.cell.options) or f"width={one.cell.width}"
    return {
        "layer": one.layer,
        "curve": f"{size}, T = {one.cell.length}",
        "default": True,
        "x": numbers.y,
        "y": found.y,
        "low": found.low,
        "high": found.high,
        "bound": bound.y,
        "source": source.y,
        "precision": BITS_EACH[one.cell.dtype] * numbers.y,
        "value": format_value("token_bits", found.y),
        "interval": f"{format_value('token_bits', found.low)} to {format_value('token_bits', found.high)}",
        "fits": format_value("bound_bits", bound.y),
        "n": len(one.row.observations["token_bits"].samples),
    }


def _side_by_side(rows: Sequence[dict[str, Any]], layers: Sequence[str]) -> list[dict[str, Any]]:
    """Return the rows with the place `at` which each is drawn: those of one number stand beside each other."""
    placed = []
    for row in rows:
        kin = sorted({other["layer"] for other in rows if other["x"] == row["x"]}, key=layers.index)
        step = min(SIDE, ASIDE / max(len(kin) - 1, 1))
        placed.append({**row, "at": row["x"] * 2 ** (step * (kin.index(row["layer"]) - (len(kin) - 1) / 2))})
    return placed


def _float_bound(rows: Sequence[Mapping[str, Any]]) -> str:
    """Say what the numbers' own precision bounds: nothing where they could hold more than there was."""
    bound = sum(row["precision"] < row["source"] for row in rows)
    if not bound:
        return "In floating point the numbers could hold more than was read: that bound says nothing."
    return f"In floating point the numbers hold less than was read for {bound} of the points."


def _capacity_spec(layers: Sequence[str], rows: Sequence[Mapping[str, Any]], source: float) -> Spec:
    values = (min(row["y"] for row in rows), max(*(row["y"] for row in rows), source))
    reached = (min(row["low"] for row in rows), max(*(row["high"] for row in rows), source))
    y = linear_axis("y", "bits found", "bit", reached, values, math.inf)
    colour, shape, _ = by_layer(layers, rows, {"title": None, "symbolOpacity": 1})
    tooltip = tips(
        ("layer", "layer"), ("curve", "size"), ("x", "numbers"), ("value", "found"), ("interval", "95 % interval"),
        ("fits", "fits at most"), ("n", "replicates"),
    )  # fmt: skip
    x = x_axis("numbers", [row["x"] for row in rows])
    drawn = [row["at"] for row in rows]
    x |= {"field": "at", "scale": {**x["scale"], "domain": [min(drawn) / 1.15, max(drawn) * 1.15]}}
    return {
        "data": {"name": "rows"},
        "height": 320,
        "encoding": {"x": x},
        "layer": [
            {
                "data": {"values": [{"y": source}]},
                "mark": {"type": "rule", "strokeDash": [6, 4]},
                "encoding": {"x": {"value": 0}, "x2": {"value": "width"}, "y": y},
            },
            {
                "mark": {"type": "rule", "strokeWidth": 1, "opacity": 0.35},
                "encoding": {"y": y, "y2": {"field": "bound"}, "color": colour},
            },
            {
                "mark": {"type": "tick", "orient": "horizontal", "thickness": 2, "size": 14, "opacity": 1},
                "encoding": {"y": {**y, "field": "bound"}, "color": colour},
            },
            {
                "mark": {"type": "rule", "strokeWidth": 3, "opacity": 0.6},
                "encoding": {"y": {**y, "field": "low"}, "y2": {"field": "high"}, "color": colour},
            },
            {
                "mark": {"type": "point", "filled": True, "size": 60, "opacity": 1},
                "encoding": {"y": y, "color": colour, "shape": shape, "tooltip": tooltip},
            },
        ],
    }


def memory_curve(page: Page) -> Figure | None:
    """Return R^2 of a past input against its lag, closed forms beside what was measured."""
    found = usual_size(kept(page, "memory-curve"))
    lines = []
    for one, label in zip(found, told_apart(found, "length", "noise", "scale"), strict=True):
        lines += _line(one, "r2", label or "measured")
        lines += _line(one, "closed form", "closed form")
    return panels(
        "information.memory",
        "how well a past number is read off the state",
        "The share of a past input's variance that a linear readout of the last state recovers, by how many inputs "
        "came after it. Dotted is the closed form of the same weights, which the measured line has to meet.",
        lines,
        "lag",
        "r2",
        coloured(page, found),
    )


def recall_by_pairs(page: Page) -> Figure | None:
    """Return accuracy against the pairs to be kept: constructed layers with their closed form, and trained ones."""
    given = _most_pairs(kept(page, "recall", form="constructed"))
    lines = []
    for one, label in zip(given, told_apart(given, "geometry", "keys", "logit", "symbols"), strict=True):
        lines += _line(one, "accuracy", ", ".join(filter(None, ("keys given", label))))
        lines += _line(one, "closed form", ", ".join(filter(None, ("closed form", label))))
    trained = usual_size(kept(page, "recall", form="trained"))
    shortest = shortest_by_pairs(trained)
    for layer, cells in shortest.items():
        answered = [one for one in cells.values() if "accuracy" in one.row.observations]
        n = min((len(one.row.observations["accuracy"].samples) for one in answered), default=0)
        for label, name, computed in (("trained", "accuracy", False), (WITHOUT_KEYS, "keyless_accuracy", True)):
            known = [point for pairs, one in cells.items() if (point := one.point(name, float(pairs))) is not None]
            if known:
                lines.append(
                    Line(layer=layer, label=label, quantity="accuracy", points=known, replicates=n, computed=computed)
                )
    at = dict.fromkeys(f"T = {one.cell.length} for K = {k}" for cells in shortest.values() for k, one in cells.items())
    return panels(
        "information.pairs",
        "recall against the number of pairs to be kept",
        "A layer reads K pairs of key and value, then is asked for values by their keys: the share of right answers. "
        "Keys given: what its own rule gives back."
        + (
            " Trained: what was also learned with the study's few steps, of lengths measured the shortest, which "
            f"retrieval.recurrence-cannot judges: {listed(at)}; {BLIND}"
            if at
            else ""
        ),
        lines,
        "pairs",
        "accuracy",
        coloured(page, (*given, *trained)),
    )


def recall_by_rate(page: Page) -> Figure | None:
    """Return accuracy of trained recall against the learning rate, a line for each number of pairs and length."""
    found, lines, blind = usual_size(kept(page, "recall", form="trained")), [], {}
    for one, more in zip(found, told_apart(found, "keys", "symbols"), strict=True):
        pairs = f"K = {one.conditions['pairs']}"
        measured = _line(one, "accuracy by rate", ", ".join(filter(None, (pairs, f"T = {one.cell.length}", more))))
        lines += measured
        label = ", ".join(filter(None, (WITHOUT_KEYS, pairs, more)))
        for line in measured:
            flat = [point for x in line.points if (point := one.point("keyless_accuracy", x.x)) is not None]
            blind[one.layer, label] = replace(line, label=label, points=flat, computed=True)
    return panels(
        "information.rates",
        "trained recall against the learning rate",
        "The same training at each learning rate, scored on fresh sequences: a line for each number of pairs K and "
        "length T; the longer, the more blanks between pairs and queries. Where one rate is far better than its "
        f"neighbours, a layer that failed may only have been trained at the wrong one; {BLIND}",
        [*lines, *blind.values()],
        "learning rate",
        "accuracy",
        coloured(page, found),
    )


def gradient_by_distance(page: Page) -> Figure | None:
    """Return the norm of the derivative by a past input against its distance."""
    found, lines = usual_size(kept(page, "gradient-horizon")), []
    for one in found:
        lines += _line(one, "gradient", "of the last output")
        lines += _line(one, "state gradient", "of the last state")
    return panels(
        "information.gradient",
        "how far back a gradient reaches",
        "How much the last output, and the last state, change with an input so many tokens ago, before any training. A "
        "straight fall on this logarithmic axis is the vanishing gradient; a flat line reaches every token alike.",
        lines,
        "distance",
        "gradient_norm",
        coloured(page, found),
    )


def told_apart(found: Sequence[Kept], *names: str) -> list[str]:
    """Return for each cell the words that tell it from the other cells of its layer; of conditions only `names`."""
    words = []
    for one in found:
        kin = [other.row for other in found if other.layer == one.layer]
        apart = {probe: [n for n in differing if n in names] for probe, differing in varying(kin).items()}
        lengths = {row.cell.length for row in kin}
        at = [f"T = {one.cell.length}"] if "length" in names and len(lengths) > 1 else []
        words.append(", ".join([*at, *conditions_text(one.cell, apart)]))
    return words


def _line(one: Kept, name: str, label: str, fano: dict[float, str] | None = None) -> list[Line]:
    profile = one.profiles.curves.get(name)
    if profile is None:
        return []
    return [
        Line(
            layer=one.layer,
            label=label,
            quantity=profile.quantity,
            points=one.points(name),
            replicates=profile.replicates,
            computed=profile.exact,
            fano=fano or {},
        )
    ]


def _most_pairs(found: Sequence[Kept]) -> list[Kept]:
    """Keep of cells that differ in how many pairs they go up to only the one that goes furthest."""
    furthest: dict[tuple[Any, ...], Kept] = {}
    for one in sorted(found, key=lambda one: int(one.conditions["pairs"])):
        rest = tuple((name, value) for name, value in one.cell.conditions if name not in ("pairs", *EFFORT))
        furthest[one.layer, one.cell.width, rest] = one
    return list(furthest.values())
