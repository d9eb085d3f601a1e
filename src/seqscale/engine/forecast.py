"""How long a cell is likely to take: from what is already measured, else from a rough first guess."""

from __future__ import annotations

import statistics
from collections.abc import Iterable

from seqscale.records import Cell, Effort
from seqscale.rows import Sample

# First guesses before anything is measured, in seconds per step of one sequence of width 64; only ever used for the
# time left on the progress line and for what an undecided claim would cost, never for a verdict.
_STEP_S = {"forward": 2e-5, "decode": 2e-5, "training": 1e-4}
_LOOP = 5.0  # a Python loop over `step` against a library call
_FIXED_S = {"count": 0.1, "schedule": 0.5, "ceiling": 1.0, "memory": 0.5, "time": 0.05}
_INFORMATION_S = 1.0  # a cell of any other probe
START_S = 5.0  # a worker imports torch, and the gate
_SAMPLE_S = 2e-3  # the shortest sample of the time probe


class Forecast:
    """Learns seconds per call as samples arrive, by layer, algorithm, mode and width."""

    def __init__(self) -> None:
        self._seen: dict[tuple[object, ...], dict[int, list[float]]] = {}

    def learn(self, cell: Cell, sample: Sample) -> None:
        """Take in one sample of the quantity `time`."""
        self._seen.setdefault(_series(cell), {}).setdefault(cell.length, []).append(sample.value)

    def seconds(self, cell: Cell, effort: Effort) -> float:
        """Return the seconds that the rounds still to come of `cell` will take, worker overhead included."""
        if cell.probe != "time":
            return _FIXED_S.get(cell.probe, _INFORMATION_S) + (self._call(cell) if cell.probe == "memory" else 0.0)
        seen = len(self._seen.get(_series(cell), {}).get(cell.length, ()))
        if seen:
            return max(1, effort.min_rounds - seen) * max(_SAMPLE_S, self._call(cell))
        rounds = effort.min_rounds + 3 * effort.launches  # first call, warm-up and calibration
        return _FIXED_S["time"] * effort.launches + rounds * max(_SAMPLE_S, self._call(cell))

    def total(self, cells: Iterable[Cell], effort: Effort) -> float:
        """Return the seconds of all `cells` together."""
        return sum(self.seconds(cell, effort) for cell in cells)

    def _call(self, cell: Cell) -> float:
        seen = self._seen.get(_series(cell))
        if not seen:
            loop = _LOOP if cell.algorithm == "reference" and cell.mode != "decode" else 1.0
            steps = 1 if cell.mode == "decode" else cell.length
            return _STEP_S[cell.mode] * loop * steps * cell.width / 64 * cell.batch
        nearest = min(seen, key=lambda length: abs(length - cell.length))
        return statistics.median(seen[nearest]) * (1.0 if cell.mode == "decode" else cell.length / nearest)


def _series(cell: Cell) -> tuple[object, ...]:
    return (cell.layer, cell.options, cell.algorithm, cell.mode, cell.width, cell.batch, cell.dtype, cell.device)
