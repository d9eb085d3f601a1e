"""Curves that one cell measures (bits by distance, accuracy by pairs), as the document that its probe writes.

A profile keeps every replicate's values, so that a claim forms its own intervals. Imports neither torch nor numpy.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from seqscale.units import quantity


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """One quantity against what x counts.

    Attributes:
        name: unique in its document ("bits", "closed form").
        quantity: registered quantity of the values.
        by: what x counts: "lag", "distance", "tokens", "pairs", "learning rate" ...
        x: rising.
        values: for each x the value of every replicate, in their order; one value each for what is computed.
        exact: whether the values are computed (a closed form, a bound), not measured.
    """

    name: str
    quantity: str
    by: str
    x: tuple[float, ...]
    values: tuple[tuple[float, ...], ...]
    exact: bool = False

    def __post_init__(self) -> None:
        check = quantity(self.quantity).check
        if not self.x or list(self.x) != sorted(set(self.x)):
            raise ValueError(f"profile {self.name}: x must rise, and hold at least one value")
        if len(self.values) != len(self.x) or len({len(row) for row in self.values}) != 1 or not self.values[0]:
            raise ValueError(f"profile {self.name}: it needs the same number of values for every x")
        for row in self.values:
            for value in row:
                check(value)

    def replicate(self, number: int) -> tuple[float, ...]:
        """Return the curve of one replicate."""
        return tuple(row[number] for row in self.values)

    @property
    def replicates(self) -> int:
        """How many replicates each x has."""
        return len(self.values[0])

    def means(self) -> tuple[float, ...]:
        """Return the mean over replicates at each x."""
        return tuple(math.fsum(row) / len(row) for row in self.values)


@dataclass(frozen=True, slots=True, kw_only=True)
class Profiles:
    """What a cell's document holds: curves by name, and facts about how they were measured (JSON-ready)."""

    curves: Mapping[str, Profile]
    facts: Mapping[str, Any]


def written(curves: Iterable[Profile], facts: Mapping[str, Any]) -> str:
    """Return the document of a cell."""
    found = [
        {"name": c.name, "quantity": c.quantity, "unit": quantity(c.quantity).unit, "by": c.by, "exact": c.exact}
        | {"x": c.x, "values": c.values}
        for c in curves
    ]
    return json.dumps({"curves": found, "facts": dict(facts)}, separators=(",", ":"), allow_nan=False)


def read(document: str) -> Profiles:
    """Rebuild what `written` wrote; ValueError or KeyError for another text."""
    record = json.loads(document)
    curves = (
        Profile(
            name=c["name"],
            quantity=c["quantity"],
            by=c["by"],
            x=tuple(c["x"]),
            values=tuple(tuple(row) for row in c["values"]),
            exact=c["exact"],
        )
        for c in record["curves"]
    )
    return Profiles(curves={curve.name: curve for curve in curves}, facts=record["facts"])
