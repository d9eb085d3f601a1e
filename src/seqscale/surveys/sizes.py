"""At which sizes a layer is counted, so that its laws can be solved and then tried where they were not."""

from __future__ import annotations

import itertools
from dataclasses import replace

from seqscale.surveys.counting import Size, Subject

# Short lengths on both sides of the powers of two, where trees grow by a level, and of 64, a common chunk.
SHORT = (1, 2, 3, 4, 5, 7, 8, 9, 12, 16, 17, 24, 31, 33, 48, 64, 65)
# Both sides of chunk boundaries up to 256; only where no law was found on the short ones and the held-out ones.
BOUNDARIES = (
    96,
    127,
    128,
    129,
    160,
    191,
    192,
    193,
    255,
    256,
    257,
    300,
    383,
    385,
    448,
    511,
    512,
    513,
    1023,
    1024,
    1025,
    2047,
    2048,
    2049,
)
# Held out: primes above 512, then as long as time allows; where the number of kernels does not grow, up to 2^20.
HELD_OUT = (521, 1031, 2053, 4099, 8209, 32771, 131101, 2**20)
SHORT_HELD_OUT = (131, 257)  # where 521 costs too much

LAW_LENGTHS = (2, 3, 5)
LAW_BATCHES = (1, 2, 3)
LARGEST_BATCH = 5
TREE_LENGTHS = (7, 12, 24)  # so that a law over batches has seen trees of several levels


def over_sizes(subject: Subject, asked: Size) -> tuple[Size, ...]:
    """Return the small sizes from which a law over width, state and batch is solved.

    Every shape at the asked batch and at three lengths; every shape at two other batches and one length each; the
    largest shape at a larger batch and longer.
    """
    shapes = _shapes(subject, asked)
    others = [batch for batch in LAW_BATCHES if batch != asked.batch]
    sizes = [Size(t, asked.batch, d, h) for t, (d, h) in itertools.product(LAW_LENGTHS, shapes)]
    for i, (d, h) in enumerate(shapes):
        sizes += [Size(LAW_LENGTHS[(i + j) % 3], batch, d, h) for j, batch in enumerate(others)]
    for batch in (*others, LARGEST_BATCH):
        sizes += [Size(t, batch, *shapes[-1]) for t in (*LAW_LENGTHS, *TREE_LENGTHS)]
    return tuple(dict.fromkeys(sizes))


def _shapes(subject: Subject, asked: Size) -> list[tuple[int, int]]:
    """Return (width, hidden) pairs: rising, with several powers of two between them.

    A state as wide as the stream takes paths of its own (nothing is cut off its outputs), so it is only mixed with its
    like; a wider one is varied apart from the stream.
    """
    if not subject.varies:
        return [(asked.width, asked.hidden)]
    d = asked.width
    # ceil(log2 3d) and ceil(log2 d) + 2 part between 2^k and 2^k * 4/3: widths lie on both sides
    eighths = (2, 4, 5, 6, 7, 8) if d % 32 == 0 else (8, 16, 20, 24, 28, 32) if d % 2 == 0 else (8, 16, 24, 32, 40)
    widths = tuple(n * d // 8 for n in eighths)
    if asked.hidden == asked.width:
        return [(w, w) for w in widths]
    return [(w, times * w) for w in widths for times in (2, 3)]


def at_length(asked: Size, length: int) -> Size:
    """Return the asked size at another length."""
    return replace(asked, length=length)
