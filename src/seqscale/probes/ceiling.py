"""What this machine can do at best: kernels of known cost, timed (roofline: Williams, Waterman and Patterson 2009).

    product    torch.mm of two n x n float32 matrices: 2 n^3 flop. 256, 512 and 1024 gave the same rate within the noise
               of a two-core machine; 512 is long enough to be shared by more cores and short enough for every round
    stream     torch.add(b, c, alpha=3, out=a) over arrays larger than the caches: STREAM's triad (McCalpin 1995). Its
               12 bytes per element are those read and written; that the cache reads `a` before writing is not counted
    dispatch   x.add_(y) on one number, from Python, no gradient, nothing allocated: the least that a kernel costs
    step       torch.cumsum over one row: on a CPU one chain of additions, each waiting for the one before, inside one
               kernel (0.54 ns a step where a chain of `addsd` in assembler took 0.50 ns). An addition is the fastest
               step there is, so that a bound made of it stays a lower bound; the chains of numpy (2.1 ns) and of
               logcumsumexp (24 ns) have more in each step
    barrier    x.add on P grains of 32768 numbers, which torch shares between P threads, less the time of one grain
               alone: what it costs to wake the others and to wait for them

A sample lasts SAMPLE_S at least, after one call that is not timed: other kernels have left their data in the caches.
Where other processes take the cores, a ceiling comes out too low, and steadily so (two threads that shared one core had
a sixth of the rate of one). The processor time that the threads were given tells, and the outcome then says it. On
CUDA, product, stream and dispatch are written for and have not been run.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import ClassVar

import torch

from seqscale.errors import UnsupportedError
from seqscale.probes.base import AbstractProbe, AbstractTrial, Reading, Tell, silent
from seqscale.probes.device import require_cores, waiting
from seqscale.records import Cell

SAMPLE_S = 4e-3
PRODUCT_SIZES = {"cpu": 512, "cuda": 4096}  # n; at most a few milliseconds
SMALLEST_STREAM, LARGEST_STREAM = 48 << 20, 192 << 20  # bytes of the three arrays together
CACHES = 12  # the three arrays together against the last-level cache: each four times as large, as STREAM asks
CHAIN = 1000  # kernels to one call of `dispatch`: their own Python loop adds some 3 %
ROW = 1 << 17  # steps of `step`: its two rows fit a level-2 cache, and its dispatch is under 2 % of it
UNDISTURBED = 0.9  # share of the processor time wanted, above which nothing is said
GRAIN = 32768  # at::internal::GRAIN_SIZE: the numbers below which torch does not share a pointwise kernel

Kernel = Callable[[], object]


class CeilingProbe(AbstractProbe):
    """Measures the machine; the algorithm of the cell says which ceiling."""

    name: ClassVar[str] = "ceiling"
    repeats: ClassVar[bool] = True
    alone: ClassVar[bool] = False

    def preload(self) -> None:
        """Nothing beyond torch itself."""

    def prepare(self, cell: Cell, tell: Tell = silent) -> AbstractTrial:
        """Make the kernel's operands; UnsupportedError where the machine has no such ceiling."""
        require_cores(cell)
        device, threads = cell.device, cell.threads
        on_gpu = torch.device(device).type == "cuda"
        wait = waiting(device)
        every, one = (0, 0) if on_gpu else (threads, 1)  # how many threads the kernel keeps busy
        match cell.algorithm:
            case "product":
                n = product_size(device)
                return CeilingTrial("flop_rate", [(product(device), every)], lambda s: 2 * n**3 / s[0], wait=wait)
            case "stream":
                n = stream_bytes(last_level_cache()) // 12
                return CeilingTrial("bandwidth", [(stream(n, device), every)], lambda s: 12 * n / s[0], wait=wait)
            case "dispatch":
                return CeilingTrial("dispatch_time", [(dispatch(device), one)], lambda s: s[0] / CHAIN, wait=wait)
            case "step" if on_gpu:
                raise UnsupportedError("a cumulative sum on a GPU is a tree, not a chain of steps.")
            case "step":
                return CeilingTrial("dependent_step_time", [(row(ROW), one)], lambda s: s[0] / ROW, wait=wait)
            case "barrier" if on_gpu or threads == 1:
                raise UnsupportedError("a kernel is shared by two CPU threads or more.")
            case "barrier":
                both = [(shared(threads * GRAIN), every), (shared(GRAIN - 1), one)]
                return CeilingTrial("barrier_time", both, excess, wait=wait)
        raise UnsupportedError(f"the machine has no ceiling '{cell.algorithm}'.")


class CeilingTrial(AbstractTrial):
    """Kernels of known cost, to be timed.

    Args:
        quantity: what the trial yields.
        kernels: timed one after another in each sample, each with the number of threads that it keeps busy.
        value: seconds per call of each kernel -> the quantity.
        wait: returns when the device has finished.
        clock, cpu_clock: seconds of the world, and of the processors that this process had.
    """

    def __init__(
        self,
        quantity: str,
        kernels: Sequence[tuple[Kernel, int]],
        value: Callable[[Sequence[float]], float],
        *,
        wait: Callable[[], None],
        clock: Callable[[], float] = time.perf_counter,
        cpu_clock: Callable[[], float] = time.process_time,
    ) -> None:
        self._quantity = quantity
        self._kernels = tuple(kernels)
        self._value = value
        self._wait = wait
        self._clock = clock
        self._cpu_clock = cpu_clock
        self._calls = [1] * len(self._kernels)
        self._wanted_s = self._had_s = 0.0  # of processor time, in all samples

    @property
    def note(self) -> str | None:
        """That the threads did not have the cores to themselves, so that the machine can do better than this."""
        if self._had_s >= UNDISTURBED * self._wanted_s:
            return None
        return (
            f"other processes were at work: its threads had {self._had_s / self._wanted_s:.0%} of the processor time "
            "they asked for, so this is no ceiling"
        )

    @property
    def document(self) -> str | None:
        """Nothing: a ceiling is a number."""
        return None

    def first(self) -> tuple[Reading, ...]:
        """Warm up, and choose how many calls of each kernel make a sample."""
        for i, kernel in enumerate(self._kernels):
            once_s = min(self._seconds(*kernel, calls=1) for _ in range(3))
            self._calls[i] = max(1, math.ceil(SAMPLE_S / once_s)) if once_s > 0 else CHAIN
        self._wanted_s = self._had_s = 0.0
        return ()

    def again(self) -> tuple[Reading, ...]:
        """Take one sample."""
        seconds = [
            self._seconds(*kernel, calls=calls) for kernel, calls in zip(self._kernels, self._calls, strict=True)
        ]
        return (Reading(quantity=self._quantity, value=self._value(seconds)),)

    def _seconds(self, kernel: Kernel, busy: int, calls: int) -> float:
        """Return the seconds of one call over `calls` calls, after one that is not timed."""
        with torch.no_grad():
            kernel()
            self._wait()
            cpu, start = self._cpu_clock(), self._clock()
            for _ in range(calls):
                kernel()
            self._wait()
            wall_s = self._clock() - start
        self._had_s += self._cpu_clock() - cpu if busy else 0.0
        self._wanted_s += wall_s * busy
        return wall_s / calls


def reference_s(device: str) -> float:
    """Time the product once, in seconds: the reference kernel that says how fast the machine was in a round."""
    kernel, wait = product(device), waiting(device)
    kernel()
    wait()
    start = time.perf_counter()
    kernel()
    wait()
    return time.perf_counter() - start


def product_size(device: str) -> int:
    """Return n of the n x n x n product."""
    return PRODUCT_SIZES[torch.device(device).type]


def product(device: str) -> Kernel:
    """Return the product of two matrices of ones."""
    n = product_size(device)
    a, b, out = (torch.ones(n, n, device=device) for _ in range(3))
    return lambda: torch.mm(a, b, out=out)


def stream(n: int, device: str) -> Kernel:
    """Return the triad a = b + 3 c over n numbers each."""
    a, b, c = (torch.ones(n, device=device) for _ in range(3))
    return lambda: torch.add(b, c, alpha=3, out=a)


def stream_bytes(cache: int | None) -> int:
    """Return the bytes of the triad's three arrays: CACHES times the last-level cache (bytes), within limits.

    A virtual machine may show the cache of its host, larger than any array that we want to allocate: the bandwidth is
    then that of arrays of LARGEST_STREAM, part of which may stay in that cache.
    """
    return LARGEST_STREAM if cache is None else min(LARGEST_STREAM, max(SMALLEST_STREAM, CACHES * cache))


def last_level_cache(folder: Path = Path("/sys/devices/system/cpu/cpu0/cache")) -> int | None:
    """Return the bytes of the largest cache that Linux lists; None where it lists none."""
    sizes = [file.read_text().strip() for file in folder.glob("index*/size")]
    scales = {"K": 1 << 10, "M": 1 << 20, "G": 1 << 30}
    found = [int(size[:-1]) * scales[size[-1]] for size in sizes if size[:-1].isdecimal() and size[-1] in scales]
    return max(found, default=None)


def dispatch(device: str) -> Kernel:
    """Return CHAIN kernels on one number."""
    x, y = torch.zeros(1, device=device), torch.ones(1, device=device)

    def chain() -> None:
        for _ in range(CHAIN):
            x.add_(y)

    return chain


def row(n: int) -> Kernel:
    """Return a chain of n additions inside one kernel."""
    x, sums = torch.full((n,), 1e-3), torch.empty(n)
    return lambda: torch.cumsum(x, 0, out=sums)


def shared(n: int) -> Kernel:
    """Return a pointwise kernel over n numbers."""
    x, y, out = torch.ones(n), torch.ones(n), torch.empty(n)
    return lambda: torch.add(x, y, out=out)


def excess(seconds: Sequence[float]) -> float:
    """Return how much longer the shared kernel took than one thread's share of it; at least nothing."""
    together, alone = seconds
    return max(0.0, together - alone)
