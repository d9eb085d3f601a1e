"""Where random numbers come from: one stream for each use of each replicate, all from one seed."""

from __future__ import annotations

import numpy as np

WEIGHTS, TRAIN, VALIDATION, TEST = range(4)  # what a stream is for


def stream(seed: int, replicate: int, use: int, step: int = 0) -> np.random.Generator:
    """Return the generator of one use, replicate and step; streams of different arguments are independent.

    Args:
        seed: of the whole experiment.
        replicate: which draw of weights and data, from 0.
        use: WEIGHTS, TRAIN, VALIDATION or TEST.
        step: which batch.
    """
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(replicate, use, step)))
