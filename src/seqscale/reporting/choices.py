"""Which layer? For each thing that is measured the best one, those that tie, or those between which nothing is decided.

At the smallest and the largest size that the layers share. The best has the best value; every other one is held
against it by an interval (times: the ratio within the rounds both ran in; accuracies: both intervals over replicates).
Those that differ by less than matters tie with it; those that differ by more, but not beyond the interval, leave it
undecided.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from seqscale.reporting.compare import ratio, timed
from seqscale.reporting.model import Page, layer_names
from seqscale.reporting.phrase import listed
from seqscale.reporting.remembered import kept, shortest_by_pairs, usual_size
from seqscale.rows import Row
from seqscale.units import format_value
from seqscale.verdicts.base import CurvePoint

SMALLEST_DIFFERENCE = 0.05  # of accuracies: what the claims on recall register as the smallest that matters


@dataclass(frozen=True, slots=True, kw_only=True)
class Best:
    """What was found at one size.

    Attributes:
        at: the size, in words.
        best: the layer with the best value.
        ties: those that differ from it by less than matters.
        open: those that may differ, or not.
        value: the best one's, in words.
    """

    at: str
    best: str
    ties: tuple[str, ...]
    open: tuple[str, ...]
    value: str

    def text(self) -> str:
        """Write what was found: `gru (1.2 ms)`, `tie of elman and gru (1.2 ms)`, `undecided between elman and gru`."""
        if self.open:
            return f"undecided between {listed((self.best, *self.ties, *self.open))}"
        who = f"tie of {listed((self.best, *self.ties))}" if self.ties else self.best
        return f"{who} ({self.value})"


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """One thing that a layer can be best at, at a small size and a large one, and how many layers were compared."""

    what: str
    found: tuple[Best, ...]
    among: int


def choices(page: Page) -> tuple[Choice, ...]:
    """Return the choices between at least two layers that the page's rows allow."""
    made = (
        _times(page, "forward time", "forward"),
        _times(page, "training time", "training"),
        _counts(page, "decoding: bytes carried to the next token", "decode", "state_bytes"),
        _counts(page, "training: bytes kept for the backward pass", "training", "saved_bytes"),
        _recall(page),
    )
    return tuple(choice for choice in made if choice is not None)


def _times(page: Page, what: str, mode: str) -> Choice | None:
    rows = {one.layer: one.rows for one in timed(page, mode)}

    def tells(length: int, best: str, other: str) -> str:
        seen = ratio(length, rows[best][length].observations["time"], rows[other][length].observations["time"])
        if abs(math.log(seen.value)) <= page.noise_floor:
            return "tie"
        return "worse" if seen.low > 1 else "open"

    values = {layer: {n: row.observations["time"].value for n, row in found.items()} for layer, found in rows.items()}
    return _choice(what, "time", "T = {}", values, tells)


def _counts(page: Page, what: str, mode: str, quantity: str) -> Choice | None:
    names = layer_names(page)
    first = {q.layer.name: q.layer.algorithms[0] for q in page.questions}
    found = [row for row in page.table if _holds(row, mode, quantity)]
    width = min((row.cell.width for row in found), default=0)
    values: dict[str, dict[int, float]] = {}
    for row in found:
        if (row.cell.width, row.cell.algorithm) == (width, first.get(row.cell.layer)):
            own = values.setdefault(names[row.cell.layer], {})
            own.setdefault(row.cell.length, row.observations[quantity].value)

    def tells(length: int, best: str, other: str) -> str:
        return "tie" if values[other][length] == values[best][length] else "worse"

    return _choice(what, quantity, "T = {}", values, tells)


def _holds(row: Row, mode: str, quantity: str) -> bool:
    return row.ok and row.cell.mode == mode and quantity in row.observations and not row.cell.conditions


def _recall(page: Page) -> Choice | None:
    points: dict[str, dict[int, CurvePoint]] = {}
    asked = [one for one in usual_size(kept(page, "recall", form="trained")) if one.family is not None]
    for layer, cells in shortest_by_pairs(asked).items():
        seen = {pairs: one.point("accuracy", 0.0) for pairs, one in cells.items()}
        points[layer] = {pairs: point for pairs, point in seen.items() if point is not None}

    def tells(pairs: int, best: str, other: str) -> str:
        first, second = points[best][pairs], points[other][pairs]
        if second.high < first.low:
            return "worse"
        return "tie" if first.y - second.y < SMALLEST_DIFFERENCE else "open"

    # the smallest is the best, as of all others
    values = {layer: {pairs: -point.y for pairs, point in found.items()} for layer, found in points.items()}
    return _choice("trained recall: share of right answers", "accuracy", "K = {} pairs", values, tells)


def _choice(
    what: str,
    quantity: str,
    at: str,
    values: Mapping[str, Mapping[int, float]],
    tells: Callable[[int, str, str], str],
) -> Choice | None:
    """Choose at the smallest and the largest size that all share.

    Args:
        what, quantity, at: of the choice; `at` takes the size.
        values: layer -> size -> value, of which the smallest is the best.
        tells: (size, best, other) -> "worse", "tie" or "open".
    """
    common = sorted(set.intersection(*(set(found) for found in values.values()))) if values else []
    if len(values) < 2 or not common:
        return None
    found = []
    for size in dict.fromkeys((common[0], common[-1])):
        best = min(values, key=lambda layer: values[layer][size])
        said: dict[str, list[str]] = {"worse": [], "tie": [], "open": []}
        for layer in values:
            if layer != best:
                said[tells(size, best, layer)].append(layer)
        found.append(_best(at.format(size), best, said["tie"], said["open"], quantity, abs(values[best][size])))
    return Choice(what=what, found=tuple(found), among=len(values))


def _best(at: str, best: str, ties: Sequence[str], between: Sequence[str], quantity: str, value: float) -> Best:
    return Best(at=at, best=best, ties=tuple(ties), open=tuple(between), value=format_value(quantity, value))
