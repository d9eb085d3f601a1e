"""Calls timed in interleaved rounds, and the ratio of two of them with its interval.

Every call is timed once a round, in turn, so that what else the machine does in that minute falls on all of them, and
only ratios within a round are looked at. The clock is the wall's; with one thread it is the processor's time of the
process, which waiting for a core does not stretch.
"""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch

from seqscale.fit.interval import Interval, median_ratio_interval

FEWEST = 6  # rounds of any figure, however slow: from six on a median has an interval whatever the distribution
LONGEST_S = 3.0  # of all rounds of one figure: beyond FEWEST, slow calls get no more of them
SHORTEST_S = 0.01  # of one sample: shorter calls are repeated
MOST_REPEATS = 100
REST_S = 0.01  # before each sample: threads of the call before spin for some milliseconds before they sleep

Call = Callable[[], object]
Timer = Callable[[int], float]  # how many times -> seconds of so many calls, one after another


@dataclass(frozen=True, slots=True)
class Rounds:
    """Seconds of one call of each name, (rounds,)."""

    seconds: Mapping[str, tuple[float, ...]]

    @property
    def count(self) -> int:
        """How many rounds there were."""
        return len(next(iter(self.seconds.values())))

    def median(self, name: str) -> float:
        """Return the median seconds of a call."""
        return statistics.median(self.seconds[name])

    def ratio(self, over: str, under: str) -> tuple[float, float, float]:
        """Return the median ratio of two calls of one round, and the ends of its 95 % interval.

        The interval is the product's own (`seqscale.fit.interval`): order statistics of the rounds, and
        besides 1 % for each call that its rounds do not show.
        """
        pairs = ({(0, i): s for i, s in enumerate(self.seconds[name])} for name in (over, under))
        found: Interval = median_ratio_interval(*pairs)
        return math.exp(found.value), math.exp(found.low95), math.exp(found.high95)


def timer(call: Call) -> Timer:
    """Return what times a call of this process."""

    def timed(times: int) -> float:
        clock = clock_of(torch.get_num_threads())
        start = clock()
        for _ in range(times):
            call()
        return clock() - start

    return timed


def clock_of(threads: int) -> Callable[[], float]:
    """Return the clock for so many threads."""
    return time.process_time if threads == 1 else time.perf_counter


def interleaved(timers: Mapping[str, Timer], wanted: int, rest_s: float = REST_S) -> Rounds:
    """Time calls, each of which has been made before (what it compiles is there), once a round, in turn."""
    repeats = {name: min(MOST_REPEATS, math.ceil(SHORTEST_S / max(timed(1), 1e-9))) for name, timed in timers.items()}
    seconds: dict[str, list[float]] = {name: [] for name in timers}
    began = time.perf_counter()
    done = 0
    while done < FEWEST or (done < wanted and time.perf_counter() - began < LONGEST_S):
        for name, timed in timers.items():
            time.sleep(rest_s)
            if repeats[name] > 1:
                timed(1)  # what it reads is in the caches again
            seconds[name].append(timed(repeats[name]) / repeats[name])
        done += 1
    return Rounds({name: tuple(spent) for name, spent in seconds.items()})
