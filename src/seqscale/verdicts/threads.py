"""Measured times of one and of two threads beside what the counts allow: point by point, in words and numbers.

    T_P lies between max(W/P, S) and W/P + S

once with kernels as units, which binds a scheduler that never splits a kernel, and once with single steps as units (the
ideal span), which binds threads inside a kernel too; that one is widened by what starting a kernel on P threads costs.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from seqscale.fit.processors import Bounds, bounds, interval_of_threads
from seqscale.rows import Observation, Row
from seqscale.units import format_count, format_seconds

PROCESSORS = 2
GRAIN = 32_768  # numbers; torch splits no pointwise kernel below it (at::internal::GRAIN_SIZE, ATen/Parallel.h)

_BYTES = {"float32": 4, "float64": 8, "bfloat16": 2}


@dataclass(frozen=True, slots=True, kw_only=True)
class Threaded:
    """One batch size timed with one and with two threads.

    Attributes:
        batch: sequences.
        one, two: the times of one and of two threads.
        barrier_s: what it costs that the threads meet once [s]; paid by every kernel at most.
        steps: the interval of T_2 with single steps as units [s].
        kernels: the interval of T_2 with kernels as units [s].
        numbers: how many numbers a kernel reads and writes, on average.
    """

    batch: int
    one: Observation
    two: Observation
    barrier_s: float
    steps: Bounds
    kernels: Bounds
    numbers: float

    def text(self) -> str:
        """Say where the measured time lies and, where it leaves an interval, why."""
        return (
            f"at batch {self.batch}, {PROCESSORS} threads take {format_seconds(self.two.value)} and 1 takes "
            f"{format_seconds(self.one.value)}: {_place(self.two, self.steps)} the {_written(self.steps)} that the "
            f"ideal span and a barrier of {format_seconds(self.barrier_s)} a kernel allow{self._why()}, "
            f"{_place(self.two, self.kernels)} the {_written(self.kernels)} of whole kernels{self._split()}"
        )

    def record(self) -> dict[str, Any]:
        """Return the numbers, JSON-ready."""
        return {
            "batch": {"value": self.batch, "unit": "sequences"},
            "time_1": {"value": self.one.value, "low": self.one.low, "high": self.one.high, "unit": "s"},
            f"time_{PROCESSORS}": {"value": self.two.value, "low": self.two.low, "high": self.two.high, "unit": "s"},
            "steps_as_units": {"low": self.steps.low, "high": self.steps.high, "unit": "s"},
            "barrier": {"value": self.barrier_s, "unit": "s"},
            "kernels_as_units": {"low": self.kernels.low, "high": self.kernels.high, "unit": "s"},
            "numbers_a_kernel": {"value": self.numbers, "unit": "numbers"},
        }

    def _why(self) -> str:
        """Say why the second thread gains nothing, or less than the ideal span allows."""
        gains = self.two.high < self.one.low
        if gains and _place(self.two, self.steps) != "above":
            return ""
        if self.two.low > self.one.high:
            return " (slower than one thread: what it costs that they meet is more than what they share)"
        size = f"{'less than allowed' if gains else 'no gain'}: a kernel moves {format_count(self.numbers)} numbers"
        if self.numbers < GRAIN:
            return f" ({size} on average, torch splits none below {GRAIN:,})"
        return f" ({size} on average, enough to be split; memory's bandwidth is shared, or a library does not split)"

    def _split(self) -> str:
        """Say what a scheduler of whole kernels does not do or pay."""
        return {
            "below": " (threads share kernels)",
            "within": "",
            "above": " (which leaves out what it costs that threads meet)",
        }[_place(self.two, self.kernels)]


def threaded(count: Row, one: Observation, two: Observation, step_s: float, barrier_s: float, floor: float) -> Threaded:
    """Hold the time of two threads against both intervals.

    Args:
        count: the counts of the call: kernels, both spans, traffic.
        one, two: times with one and with two threads.
        step_s, barrier_s: the machine's cost of a dependent step, and of sharing a kernel between two threads [s].
        floor: the session's noise floor, relative.
    """
    seen = {name: found.value for name, found in count.observations.items()}
    kernels = seen["kernels"]
    steps = interval_of_threads(
        one.value, PROCESSORS, span=seen["ideal_span"], step_s=step_s, kernels=kernels, barrier_s=barrier_s, noise=floor
    )
    chain = bounds(one.value, one.value * seen["kernel_span"] / kernels, PROCESSORS)
    return Threaded(
        batch=count.cell.batch,
        one=one,
        two=two,
        barrier_s=barrier_s,
        steps=steps,
        kernels=Bounds(low=chain.low * math.exp(-floor), high=chain.high * math.exp(floor)),
        numbers=seen["traffic_bytes"] / kernels / _BYTES[count.cell.dtype],
    )


def _place(seen: Observation, allowed: Bounds) -> str:
    """Say on which side of the interval the measured one lies: only where it leaves it wholly."""
    if seen.low > allowed.high:
        return "above"
    return "below" if seen.high < allowed.low else "within"


def _written(interval: Bounds) -> str:
    return f"{format_seconds(interval.low)}..{format_seconds(interval.high)}"
