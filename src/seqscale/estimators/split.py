"""Sequences to fit to, to choose by, and to score on."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from seqscale.theory.checks import within

Indices = npt.NDArray[np.int64]

TRAIN, VALIDATION = 0.70, 0.15  # the rest is for scoring


@dataclass(frozen=True, slots=True, eq=False)
class Split:
    """Indices of whole sequences, each in one part: windows of one sequence overlap, so that steps cannot be split.

    Attributes:
        train: what is fitted to, 70 %.
        validation: what penalties and temperatures are chosen by, 15 %.
        test: what is scored, 15 %.
    """

    train: Indices
    validation: Indices
    test: Indices


def split_sequences(sequences: int, seed: int) -> Split:
    """Return a random split of sequences 0..n-1.

    Raises:
        ValueError: fewer than 10 sequences.
    """
    order = np.random.default_rng(seed).permutation(int(within("sequences", sequences, 10)))
    first, second = round(TRAIN * sequences), round((TRAIN + VALIDATION) * sequences)
    return Split(train=order[:first], validation=order[first:second], test=order[second:])
