"""Linear systems solved exactly: in rational numbers one by one, and many at once modulo a prime.

Modulo a prime there is no round-off and no tolerance. A system with a rational solution has one modulo every prime
that divides none of its denominators; so what has none modulo 2^31 - 1 has no solution that a law could have.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

PRIME = 2**31 - 1
"""A product of two numbers below it fits 64 bits."""

_BATCH = 2**20  # numbers worked on at once: they stay in the cache

Integers = NDArray[np.int64]
Flags = NDArray[np.bool_]
Row = list[Fraction]


def residues(values: Sequence[int]) -> Integers:
    """Return integers of any size modulo the prime."""
    return np.array([value % PRIME for value in values], dtype=np.int64)


def eliminate(columns: Integers, sets: Integers, values: Integers) -> tuple[Flags, Flags]:
    """Tell for each set of columns whether it is independent, and whether some combination of it gives the values.

    Args:
        columns: (features, rows), modulo the prime.
        sets: (sets, size) indices of columns.
        values: (rows,), modulo the prime.

    Returns:
        independent and consistent, (sets,) each; inconsistent ones are not looked at for independence.
    """
    count, size = sets.shape
    some = np.unique(np.linspace(0, len(values) - 1, size + 3).astype(np.intp))  # enough to refuse nearly all
    _, consistent = _in_batches(columns[:, some], sets, values[some])
    independent, left = np.zeros(count, dtype=bool), np.flatnonzero(consistent)
    independent[left], consistent[left] = _in_batches(columns, sets[left], values)
    return independent, consistent


def _in_batches(columns: Integers, sets: Integers, values: Integers) -> tuple[Flags, Flags]:
    each = max(1, _BATCH // ((sets.shape[1] + 1) * len(values)))
    parts = [_eliminate(columns, sets[i : i + each], values) for i in range(0, max(1, len(sets)), each)]
    return np.concatenate([p[0] for p in parts]), np.concatenate([p[1] for p in parts])


def _eliminate(columns: Integers, sets: Integers, values: Integers) -> tuple[Flags, Flags]:
    """Eliminate column by column (Gauss), all sets at once: (size + 1, sets, rows)."""
    count, size = sets.shape
    table = np.empty((size + 1, count, len(values)), dtype=np.int64)
    table[:size] = columns[sets.T]
    table[size] = values
    every, free = np.arange(count), np.ones((count, len(values)), dtype=bool)
    independent = np.ones(count, dtype=bool)
    for j in range(size):
        usable = (table[j] != 0) & free
        row = usable.argmax(axis=1)
        found = usable[every, row]
        independent &= found
        factor = table[j] * np.where(found, _inverse(table[j, every, row]), 0)[:, None] % PRIME
        free[every, row] &= ~found
        later = table[j + 1 :]
        later -= factor * later[:, every, row][:, :, None] % PRIME
        later %= PRIME
    return independent, ~((table[size] != 0) & free).any(axis=1)


def _inverse(values: Integers) -> Integers:
    """Return the inverses modulo the prime, by Fermat's little theorem; 0 for 0."""
    result, power = np.ones_like(values), values.copy()
    for bit in range((PRIME - 2).bit_length()):
        if (PRIME - 2) >> bit & 1:
            result = result * power % PRIME
        power = power * power % PRIME
    return result


def solve(design: Sequence[Row], values: Sequence[Fraction]) -> tuple[Row, set[int]] | None:
    """Solve from the first rows that determine all unknowns (Gauss and Jordan), or return None if none do.

    Returns the solution and the indices of those rows.
    """
    pivots: list[tuple[int, Row]] = []  # (pivot column, reduced row with its value at the end)
    used = set()
    for index, (row, value) in enumerate(zip(design, values, strict=True)):
        rest = [*row, value]
        for column, pivot in pivots:
            if factor := rest[column]:
                rest = [r - factor * p for r, p in zip(rest, pivot, strict=True)]
        lead = next((i for i, r in enumerate(rest[:-1]) if r != 0), None)
        if lead is None:
            continue  # says nothing new
        rest = [r / rest[lead] for r in rest]
        pivots = [(column, [p - pivot[lead] * r for p, r in zip(pivot, rest, strict=True)]) for column, pivot in pivots]
        pivots.append((lead, rest))
        used.add(index)
        if len(pivots) == len(row):
            return [reduced[-1] for _, reduced in sorted(pivots, key=lambda pivot: pivot[0])], used
    return None
