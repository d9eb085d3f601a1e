"""What each algorithm of a layer costs at one length: is the recurrence slow, or this way to compute it?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from seqscale.reporting.compare import Ratio, in_scope, ratio
from seqscale.reporting.model import Page, layer_names
from seqscale.rows import Row

MODES = ("forward", "training")


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """One algorithm of a layer.

    Attributes:
        algorithm: its name.
        rows: mode -> the row of its time, where it was measured.
        over_least: mode -> its time over that of the layer's fastest algorithm; that one itself has none.
    """

    algorithm: str
    rows: Mapping[str, Row]
    over_least: Mapping[str, Ratio]


@dataclass(frozen=True, slots=True, kw_only=True)
class Costs:
    """The algorithms of one layer, in the order of the catalogue, at the longest length that all were timed at."""

    layer: str
    length: int
    costs: tuple[Cost, ...]


def costs(page: Page) -> tuple[Costs, ...]:
    """Return the layers of which at least two algorithms were timed at one length, at the smallest width asked."""
    names = layer_names(page)
    asked = {q.layer.name: q for q in sorted(page.questions, key=lambda q: q.scope.width, reverse=True)}
    timed: dict[tuple[str, str, str], list[Row]] = {}
    for row in page.table:
        if row.ok and row.cell.probe == "time":
            timed.setdefault((row.cell.layer, row.cell.mode, row.cell.algorithm), []).append(row)
    found = []
    for layer, shown in names.items():
        question = asked[layer]
        forward = {
            algorithm: rows
            for algorithm in question.layer.algorithms
            if (rows := in_scope(timed.get((layer, MODES[0], algorithm), ()), question))
        }
        common = set.intersection(*(set(rows) for rows in forward.values())) if len(forward) > 1 else set()
        if common:
            length = max(common)
            by_mode = {
                mode: {
                    algorithm: rows[length]
                    for algorithm in forward
                    if length in (rows := in_scope(timed.get((layer, mode, algorithm), ()), question))
                }
                for mode in MODES
            }
            found.append(Costs(layer=shown, length=length, costs=_costs(tuple(forward), by_mode)))
    return tuple(found)


def _costs(algorithms: tuple[str, ...], by_mode: Mapping[str, Mapping[str, Row]]) -> tuple[Cost, ...]:
    over: dict[str, dict[str, Ratio]] = {algorithm: {} for algorithm in algorithms}
    for mode, rows in by_mode.items():
        if rows:
            least = min(rows, key=lambda algorithm: rows[algorithm].observations["time"].value)
            for algorithm, row in rows.items():
                if algorithm != least:
                    seen = (rows[least].observations["time"], row.observations["time"])
                    over[algorithm][mode] = ratio(row.cell.length, *seen)
    return tuple(
        Cost(
            algorithm=algorithm,
            rows={mode: rows[algorithm] for mode, rows in by_mode.items() if algorithm in rows},
            over_least=over[algorithm],
        )
        for algorithm in algorithms
    )
