"""Wall time of one call, in seconds (measure.md 3(a)): forward, forward and backward, or one step after a context."""

from __future__ import annotations

import gc
import math
import time
from collections.abc import Callable
from typing import ClassVar

from seqscale.probes.base import AbstractProbe, AbstractTrial, Reading, Tell, silent
from seqscale.probes.device import require_cores, waiting
from seqscale.probes.subject import context_of, fast_twin, input_of, layer_of, step_of, stepping
from seqscale.records import Cell
from seqscale.tracing.calls import forward_call, training_call

SAMPLE_S = 2e-3  # a sample lasts at least this long: the clock's own cost stays under 0.1 %
SETTLED = 1.10  # warm when two successive calls differ by less than 10 %
WARM_UP_CALLS = 5  # at most
LONG_S = 0.1  # a call this long needs no warm-up beyond the first


class TimeProbe(AbstractProbe):
    """Times one call, k calls to a sample so that a sample lasts at least 2 ms."""

    name: ClassVar[str] = "time"
    repeats: ClassVar[bool] = True
    alone: ClassVar[bool] = False

    def preload(self) -> None:
        """Nothing beyond torch itself."""

    def prepare(self, cell: Cell, tell: Tell = silent) -> AbstractTrial:
        """Build the layer, its seeded input and, for decode, the state after `length` tokens."""
        require_cores(cell)
        return TimeTrial(_call(cell), waiting(cell.device))


class TimeTrial(AbstractTrial):
    """A call to be timed.

    Args:
        call: runs the layer once.
        barrier: returns when the device has finished.
    """

    def __init__(self, call: Callable[[], object], barrier: Callable[[], None]) -> None:
        self._call = call
        self._barrier = barrier
        self._calls = 1

    @property
    def note(self) -> str | None:
        """Nothing: a time is there or the call has failed."""
        return None

    @property
    def document(self) -> str | None:
        """Nothing: a time is a number."""
        return None

    def first(self) -> tuple[Reading, ...]:
        """Time the very first call, warm up, and choose how many calls make a sample."""
        first_s, _ = self._sample(1)
        last_s = first_s
        for _ in range(WARM_UP_CALLS):
            if last_s > LONG_S:
                break
            now_s, _ = self._sample(1)
            settled = max(now_s, last_s) < SETTLED * min(now_s, last_s)
            last_s = now_s
            if settled:
                break
        self._calls = max(1, math.ceil(SAMPLE_S / last_s))
        return (Reading(quantity="first_call_time", value=first_s),)

    def again(self) -> tuple[Reading, ...]:
        """Take one sample: seconds per call, wall and thread CPU."""
        wall_s, cpu_s = self._sample(self._calls)
        return (Reading(quantity="time", value=wall_s, cpu_s=cpu_s),)

    def _sample(self, calls: int) -> tuple[float, float]:
        """Return wall and thread-CPU seconds per call over `calls` calls, with the garbage collector off."""
        call = self._call
        gc.disable()
        try:
            self._barrier()
            cpu_0, wall_0 = time.thread_time_ns(), time.perf_counter_ns()
            for _ in range(calls):
                call()
            self._barrier()
            wall_1, cpu_1 = time.perf_counter_ns(), time.thread_time_ns()
        finally:
            gc.enable()
        return (wall_1 - wall_0) * 1e-9 / calls, (cpu_1 - cpu_0) * 1e-9 / calls


def _call(cell: Cell) -> Callable[[], object]:
    """Return the call that the cell's mode times, with everything that it needs made beforehand."""
    layer, x = layer_of(cell), input_of(cell)
    module = layer.module
    if cell.mode == "decode":
        state = context_of(layer, fast_twin(cell), x)
        return step_of(stepping(layer), x[:, -1].clone(), state)
    if cell.mode == "training":
        x.requires_grad_()
        return lambda: training_call(module, x)
    return lambda: forward_call(module, x)
