"""What the probes of what a state remembers found, as plain values: all that page, figures and files read off the rows.

A cell holds several replicates, each with weights and data of its own. A point of a curve is their mean with Student's
95 % interval; of a quantity that falls by decades (a norm), mean and interval of its logarithm.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from seqscale.fit.replicates import mean_interval
from seqscale.profiles import Profile, Profiles, read
from seqscale.records import Cell, Option
from seqscale.reporting.axes import logarithmic
from seqscale.reporting.model import Page, layer_names, printable
from seqscale.rows import Row
from seqscale.units import quantity
from seqscale.verdicts.base import CurvePoint

NONE = Profiles(curves={}, facts={})


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Kept:
    """A measured cell of one of these probes.

    Attributes:
        layer: the display name.
        family: of the layer; None of a control that was not asked about.
        row: what was observed.
        profiles: what its document holds.
    """

    layer: str
    family: str | None
    row: Row
    profiles: Profiles

    @property
    def cell(self) -> Cell:
        """What was measured."""
        return self.row.cell

    @property
    def conditions(self) -> Mapping[str, Option]:
        """What the probe fixed."""
        return dict(self.row.cell.conditions)

    def points(self, name: str) -> tuple[CurvePoint, ...]:
        """Return a curve of the document; none where it has no such curve."""
        profile = self.profiles.curves.get(name)
        return () if profile is None else curve_points(profile)

    def point(self, name: str, x: float) -> CurvePoint | None:
        """Return an observed quantity at x: the mean over replicates; None where it was not observed."""
        seen = self.row.observations.get(name)
        return None if seen is None else mean_point(name, x, [sample.value for sample in seen.samples])


def kept(page: Page, probe: str, **conditions: Option) -> tuple[Kept, ...]:
    """Return the layers' measured cells of a probe under these conditions: layers as asked, then sizes rising."""
    found = [
        one for one in every_kept(page) if one.cell.probe == probe and conditions.items() <= one.conditions.items()
    ]
    order = {name: place for place, name in enumerate(layer_names(page).values())}

    def rank(one: Kept) -> tuple[float, ...]:
        numbers = one.row.observations.get("state_numbers")
        size = 0.0 if numbers is None else numbers.value
        return (order.get(one.layer, len(order)), one.cell.width, size, one.cell.length)

    return tuple(sorted(found, key=rank))


def every_kept(page: Page) -> tuple[Kept, ...]:
    """Return the measured cells of all probes that measure replicates of layers, in the order of the page's rows."""
    names = layer_names(page)
    families = {q.layer.name: q.layer.family for q in page.questions}
    return tuple(
        Kept(
            layer=names.get(row.cell.layer) or printable(row.cell.layer.rsplit("/", 1)[-1]),
            family=families.get(row.cell.layer),
            row=row,
            profiles=profiles_of(row),
        )
        for row in page.table
        if row.ok and row.cell.of_layer and "replicates" in dict(row.cell.conditions)
    )


def profiles_of(row: Row) -> Profiles:
    """Return what a row's document holds; nothing where there is none, or one that cannot be read."""
    return NONE if row.document is None else _read(row.document)


@lru_cache(maxsize=512)  # one page reads a document for several figures
def _read(document: str) -> Profiles:
    try:
        return read(document)
    except (ValueError, KeyError, TypeError):
        return NONE


def curve_points(profile: Profile) -> tuple[CurvePoint, ...]:
    """Return a profile as points; a single value has no interval."""
    return tuple(mean_point(profile.quantity, x, values) for x, values in zip(profile.x, profile.values, strict=True))


def mean_point(name: str, x: float, values: Sequence[float]) -> CurvePoint:
    """Return the mean of a quantity over replicates with its 95 % interval, kept to what the quantity can be."""
    if len(set(values)) == 1:
        return CurvePoint(x=x, y=values[0], low=values[0], high=values[0])
    logs = logarithmic(name) and min(values) > 0
    seen = [math.log(value) for value in values] if logs else list(values)
    middle = math.fsum(seen) / len(seen)
    interval = mean_interval(seen)
    low, high = interval.low95, interval.high95
    if logs:
        middle, low, high = math.exp(middle), math.exp(low), math.exp(high)
    registered = quantity(name)
    return CurvePoint(x=x, y=middle, low=max(low, registered.low), high=min(high, registered.high))


def usual_size(found: Iterable[Kept]) -> tuple[Kept, ...]:
    """Keep for each layer the size, its width and options, that was measured at the most lengths; the smallest of many.

    Args:
        found: sizes rising, as `kept` returns them.
    """
    sizes: dict[str, dict[object, list[Kept]]] = {}
    for one in found:
        sizes.setdefault(one.layer, {}).setdefault((one.cell.width, one.cell.options), []).append(one)
    chosen = (
        max(by_size.values(), key=lambda cells: len({c.cell.length for c in cells})) for by_size in sizes.values()
    )
    return tuple(one for cells in chosen for one in cells)


def longest(found: Iterable[Kept]) -> tuple[Kept, ...]:
    """Keep of each layer's every size the cell that reads most tokens, in the order found."""
    cells: dict[object, Kept] = {}
    for one in found:
        key = (one.layer, one.cell.width, one.cell.options)
        if key not in cells or cells[key].cell.length < one.cell.length:
            cells[key] = one
    return tuple(cells.values())


def shortest_by_pairs(found: Iterable[Kept]) -> dict[str, dict[int, Kept]]:
    """Return layer -> number of pairs -> the cell of recall that reads fewest tokens, pairs rising.

    It is the one that claims on few pairs judge; in longer ones more blanks part the pairs from their queries.
    """
    cells: dict[str, dict[int, Kept]] = {}
    for one in sorted(found, key=lambda one: (int(one.conditions["pairs"]), one.cell.length)):
        cells.setdefault(one.layer, {}).setdefault(int(one.conditions["pairs"]), one)
    return cells
