"""Which of two layers is faster, measured: the ratio of their forward times in the same rounds, length by length."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from seqscale.records import Question
from seqscale.reporting.model import Page, layer_names
from seqscale.rows import Observation, Row, median_interval


@dataclass(frozen=True, slots=True)
class Ratio:
    """Time of the rival over time of attention at one length: median and 95 % interval over rounds."""

    length: int
    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Rivalry:
    """Attention against one rival; a ratio above 1 means that attention is the faster."""

    attention: str
    rival: str
    ratios: tuple[Ratio, ...]
    noise_floor: float = 0.0

    def winner(self, ratio: Ratio) -> str:
        """Name the faster at that length; `tie` when the interval includes 1, or under the session's noise floor."""
        if abs(math.log(ratio.value)) <= self.noise_floor:
            return "tie"
        return self.attention if ratio.low > 1 else self.rival if ratio.high < 1 else "tie"

    def factor(self, ratio: Ratio) -> str:
        """Write the faster layer and how many times faster it is, with the interval."""
        winner = self.winner(ratio)
        value, low, high = ratio.value, ratio.low, ratio.high
        if winner == self.rival:
            value, low, high = 1 / value, 1 / high, 1 / low
        return f"{winner.rsplit('/', 1)[0]} {value:.3g}x [{low:.3g}, {high:.3g}]"

    @property
    def crossover(self) -> str:
        """Where the faster one changes, as a bracket of measured lengths; never a point between them."""
        if len(self.ratios) == 1:
            return "one length measured"
        clear = [(r.length, self.winner(r)) for r in self.ratios if self.winner(r) != "tie"]
        whole = f"{self.ratios[0].length}..{self.ratios[-1].length}"
        if not clear:
            return f"tie throughout {whole}"
        changes = [f"{a[0]} and {b[0]}" for a, b in pairwise(clear) if a[1] != b[1]]
        if changes:
            return f"between T={', '.join(changes)}"
        last = clear[-1][0]
        return f"none in {whole}" if last == self.ratios[-1].length else f"none up to {last}, then a tie"


def rivalries(page: Page) -> tuple[Rivalry, ...]:
    """Compare the first attention layer with every other layer of the page at the page's smallest width.

    Each layer is taken with the algorithm that it names first and that has forward times.
    """
    found = timed(page, "forward")
    attention = next((one for one in found if one.family == "attention"), None)
    if attention is None:
        return ()
    rivals = [one for one in found if one.family != "attention"]
    ratios = ((rival.name, _ratios(attention.rows, rival.rows)) for rival in rivals)
    return tuple(Rivalry(attention.name, name, found, page.noise_floor) for name, found in ratios if found)


@dataclass(frozen=True, slots=True)
class Timed:
    """A layer with its times in one mode, by length, computed by the first of its algorithms that has any."""

    family: str
    layer: str  # display name
    name: str  # with the algorithm
    rows: Mapping[int, Row]


def timed(page: Page, mode: str) -> tuple[Timed, ...]:
    """Return the layers that were timed in that mode, at the smallest width asked, in the order asked."""
    names = layer_names(page)
    measured: dict[tuple[str, str], list[Row]] = {}
    for row in page.table:
        if row.ok and (row.cell.probe, row.cell.mode) == ("time", mode):
            measured.setdefault((row.cell.layer, row.cell.algorithm), []).append(row)
    found: dict[str, Timed] = {}
    for question in sorted(page.questions, key=lambda q: q.scope.width):
        layer = question.layer
        for algorithm in layer.algorithms:
            if layer.name in found:
                break
            rows = in_scope(measured.get((layer.name, algorithm), ()), question)
            if rows:
                shown = names[layer.name]
                found[layer.name] = Timed(layer.family, shown, f"{shown}/{algorithm}", rows)
    return tuple(found.values())


def in_scope(rows: Iterable[Row], question: Question) -> dict[int, Row]:
    """Return length -> row for the rows that were measured in the question's scope."""
    scope = question.scope
    same = ("width", "batch", "dtype", "device", "threads", "seed", "launcher", "machine", "torch", "options")
    return {r.cell.length: r for r in rows if all(getattr(r.cell, name) == getattr(scope, name) for name in same)}


def _ratios(attention: Mapping[int, Row], rival: Mapping[int, Row]) -> tuple[Ratio, ...]:
    common = sorted(attention.keys() & rival.keys())
    return tuple(ratio(n, attention[n].observations["time"], rival[n].observations["time"]) for n in common)


def ratio(length: int, attention: Observation, rival: Observation) -> Ratio:
    """Return the time of the second over that of the first at a length.

    The two are paired within each round they share, so that what disturbs a round disturbs both; else by their ends.
    """
    mine, theirs = ({(s.launch, s.round): s.value for s in o.samples} for o in (attention, rival))
    shared: Sequence[float] = [theirs[key] / mine[key] for key in sorted(mine.keys() & theirs.keys())]
    if shared:
        low, high = median_interval(shared)
        return Ratio(length, statistics.median(shared), low, high)
    return Ratio(length, rival.value / attention.value, rival.low / attention.high, rival.high / attention.low)
