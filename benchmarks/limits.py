"""What this machine can do at best, as calls for the same rounds: products, reading a cache, copying memory."""

from __future__ import annotations

import threading

import numba
import numpy as np
import torch
from torch import Tensor

from benchmarks.rounds import Timer, clock_of, timer

SQUARE = 1536  # rows of the matrices whose product is the ceiling of products
READ_BYTES = 2**31  # of one sample of reading, at the least: small arrays are read often


def products(flops: float) -> Timer:
    """Return what times so many floating-point operations at the rate of a product of two large matrices.

    By torch's library or numpy's, whichever is faster: on an AMD EPYC numpy's took 0.85 of the time of torch's. No
    library reaches all that a processor can do, so a share may exceed 1.
    """
    square = torch.randn(SQUARE, SQUARE)
    array = square.numpy()
    libraries = timer(lambda: square @ square), timer(lambda: array @ array)
    # one product whatever the number of calls that it stands for: each takes tens of milliseconds
    return lambda times: min(timed(1) for timed in libraries) * times * flops / (2 * SQUARE**3)


def reading(size: int, steps: int) -> Timer:
    """Return what times reading an array of `size` bytes `steps` times, from the cache that it fits in.

    Each of torch's threads reads its part of the array.
    """
    threads = torch.get_num_threads()
    parts = np.array_split(np.zeros(size // 4, np.float32), threads)
    _total(parts[0], 1)

    def timed(times: int) -> float:
        clock, reads = clock_of(threads), max(steps * times, READ_BYTES // size)
        others = [threading.Thread(target=_total, args=(part, reads)) for part in parts[1:]]
        start = clock()
        for other in others:
            other.start()
        _total(parts[0], reads)
        for other in others:
            other.join()
        return (clock() - start) * steps * times / reads

    return timed


def copying(like: Tensor, copies: float) -> Timer:
    """Return what times so many copies of a tensor into memory that is there."""
    into = torch.empty_like(like)
    timed = timer(lambda: into.copy_(like))
    return lambda times: copies * timed(times)


# a sum in any order fills whole registers, several at once: 64 bytes a cycle from the first cache
@numba.njit(nogil=True, fastmath={"reassoc", "nsz"})
def _total(array: np.ndarray, times: int) -> float:
    total = np.float32(0)
    for _ in range(times):
        for i in range(array.size):
            total += array[i]
    return total
