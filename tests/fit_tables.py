"""Synthetic tables with known truth: what the fits are judged by.

A table has sizes and rounds. Every sample is the truth times a cell's own noise, a noise that its whole round shares,
and in one of twenty cases a disturbance that makes it up to twice as large. Seeds are 0, 1, 2, ...; each table's stream
also depends on its name, so that no two tests share their luck.
"""

import zlib
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from seqscale.fit.points import Points

SHORT = tuple(2.0**k for k in range(5, 13))  # 32..4096
LONG = tuple(2.0**k for k in range(7, 15))  # 128..16384
NOISES = (0.01, 0.03, 0.10)
SEEDS = range(200)


@dataclass(frozen=True)
class Truth:
    law: Callable[[np.ndarray], np.ndarray]
    exponent: float | None = None  # of a + b T^p, where it is one
    word: str | None = None  # its growth class, where it has one


TRUTHS = {
    "1": Truth(lambda t: np.ones_like(t), word="constant"),
    "T": Truth(lambda t: t, 1.0, "linear"),
    "T log T": Truth(lambda t: t * np.log2(t), word="T log T"),
    "T^2": Truth(lambda t: t**2, 2.0, "quadratic"),
    "T^1.5": Truth(lambda t: t**1.5, 1.5),
    "a + T": Truth(lambda t: 512 + t, 1.0, "linear"),
    "a + T^2": Truth(lambda t: 512.0**2 + t**2, 2.0, "quadratic"),
    "T + T^2/2048": Truth(lambda t: t + t**2 / 2048, word="quadratic"),
    "cache step": Truth(lambda t: np.where(t >= 4096, 1.6, 1.0) * t),
    "a + cache step": Truth(lambda t: 512 + np.where(t >= 4096, 1.6, 1.0) * t),
}


def table(name, sizes, noise, seed, rounds=9, launches=1, shared=0.05):
    """Return Points of the named truth, in seconds."""
    rng = np.random.default_rng([seed, zlib.crc32(f"{name} {sizes} {noise} {rounds} {launches}".encode())])
    truth = 1e-6 * TRUTHS[name].law(np.array(sizes))
    shape = (len(sizes), rounds)
    samples = truth[:, None] * np.exp(rng.normal(0, noise, shape) + rng.normal(0, shared, rounds))
    samples *= np.where(rng.random(shape) < 0.05, rng.uniform(1.1, 2.0, shape), 1.0)
    return points(sizes, samples, launches)


def points(sizes, samples, launches=1):
    """Return Points of a (sizes, rounds) array."""
    keyed = tuple({(j % launches, j // launches): float(v) for j, v in enumerate(row)} for row in samples)
    return Points(tuple(map(float, sizes)), tuple(float(v) for v in np.median(samples, axis=1)), keyed)


def counts(sizes, law):
    """Return Points of exact counts."""
    values = [float(law(x)) for x in sizes]
    return Points(tuple(map(float, sizes)), tuple(values), tuple({(0, 0): v} for v in values))
