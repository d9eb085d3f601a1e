"""What the rounds of a block are decided by: what a cell will cost, when it is known well enough, which have a twin."""

from __future__ import annotations

import itertools
import math
import random
from collections.abc import Iterable, Sequence

from seqscale.records import Cell, Effort
from seqscale.rows import Observation, Outcome, OutcomeKind, Sample

LINEAR, STEEPEST = 2.0, 4.0  # growth per doubling: assumed before any was seen, and the steepest law we expect
TWIN_SHARE = 10  # one cell in this many is measured twice per round
TWIN_BLOCK = 4  # a block this large has at least one twin
FEW = 6  # under six samples no interval of order statistics has 95 % coverage


class Forecast:
    """Predicts a call's seconds from shorter cells of the same series, to skip what the budget cannot pay.

    A series is every cell that differs in length alone; growth is per doubling of the length, the worst seen so far.
    """

    def __init__(self) -> None:
        self._seen: dict[Cell, list[tuple[int, float]]] = {}

    def saw(self, cell: Cell, seconds: float) -> None:
        """Remember what one call of `cell` took."""
        self._seen.setdefault(_series(cell), []).append((cell.length, seconds))

    def predict(self, cell: Cell) -> float | None:
        """Return the seconds that one call of `cell` is predicted to take; None when nothing shorter was seen."""
        seen = [point for point in sorted(self._seen.get(_series(cell), ())) if point[0] < cell.length]
        if not seen:
            return None
        rates = [
            math.log2(after / before) / math.log2(longer / shorter)
            for (shorter, before), (longer, after) in itertools.combinations(seen, 2)
            if longer >= 2 * shorter  # between near lengths the ratio is noise
        ]
        rate = min(max(rates, default=math.log2(LINEAR)), 2 * math.log2(STEEPEST))
        length, seconds = seen[-1]
        return float(seconds * (cell.length / length) ** max(rate, 0.0))


def _series(cell: Cell) -> Cell:
    record = cell.record() | {"length": 1}
    return Cell.from_record(record)


def over_budget(call_s: float | None, rounds: int, effort: Effort) -> Outcome | None:
    """Return `skipped` when `rounds` calls of `call_s` seconds exceed what the effort allows a cell, else None."""
    if call_s is None or call_s * rounds <= effort.cell_s:
        return None
    needed_s = call_s * rounds
    reason = f"{rounds} x {call_s:.3g} s predicted, {effort.cell_s:g} s allowed"
    return Outcome(kind=OutcomeKind.skipped, reason=reason, needed_s=needed_s)


def rounds_of_launch(effort: Effort) -> tuple[int, int]:
    """Return the least and the most rounds of one launch: the launches share the effort's rounds."""
    return -(-effort.min_rounds // effort.launches), -(-effort.max_rounds // effort.launches)


def settled(quantity: str, samples: Sequence[Sample], effort: Effort) -> bool:
    """Whether this launch's samples know the median as well as the effort asks.

    Half the log of (high / low) of the median's 95 % interval; L launches together know it sqrt(L) times better.
    """
    if len(samples) < min(FEW, rounds_of_launch(effort)[0]):
        return False
    seen = Observation.of(quantity, samples)
    return seen.low > 0 and math.log(seen.high / seen.low) / 2 <= effort.half_width * math.sqrt(effort.launches)


def twins_of(cells: Sequence[Cell]) -> frozenset[str]:
    """Return the ids of the cells that are measured a second time per round, the same ones for the same block."""
    if len(cells) < TWIN_BLOCK:
        return frozenset()
    ids = sorted(cell.id for cell in cells)
    return frozenset(seeded(ids).sample(ids, max(1, len(ids) // TWIN_SHARE)))


def seeded(words: Iterable[object]) -> random.Random:
    """Return a generator that depends on nothing but `words`."""
    return random.Random("/".join(map(str, words)))
