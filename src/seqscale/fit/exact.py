"""Exact laws of counts: a polynomial in the sizes, solved in rational numbers and verified on samples it has not seen.

Bytes that autograd saves, or multiplications of a layer, are integers that follow from the sizes without noise. So
their law is not fitted: it is found, or there is none of this form.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache

import numpy as np

Sample = tuple[Mapping[str, int], int]
Powers = tuple[int, ...]  # one exponent for each name of the law
Row = list[Fraction]

HELD_OUT = 2
"""Samples, the largest T among them, that a law must predict without having been solved from them."""

_DEGREE = {"B": 1}  # what a count can grow with: at most linear in the batch, quadratic in all else
_DEGREE_ELSE = 2
_ROUND_OFF = 1e-10  # of the largest count, in the floating-point screen
_OUTER = ("B", "T")  # terms are printed in groups of equal powers of these


@dataclass(frozen=True, slots=True, kw_only=True)
class ExactLaw:
    """A polynomial with rational coefficients that reproduces every sample exactly.

    Attributes:
        names: the sizes that it depends on, B and T first.
        terms: (exponents in the order of names, coefficient), highest powers first; no coefficient is zero.
        verified_at: the sizes of the samples that it predicts without having been solved from them.
    """

    names: tuple[str, ...]
    terms: tuple[tuple[Powers, Fraction], ...]
    verified_at: tuple[Mapping[str, int], ...]

    def value(self, **dims: int) -> int | Fraction:
        """Return the law's value; a whole number is an int. Sizes that the law does not depend on may be given too.

        Raises:
            ValueError: a size that the law depends on is missing.
        """
        missing = [name for name in self.names if name not in dims]
        if missing:
            raise ValueError(f"the law {self.text()} needs {', '.join(missing)}")
        at = [dims[name] for name in self.names]
        total = sum(
            (c * math.prod(x**e for x, e in zip(at, powers, strict=True)) for powers, c in self.terms), Fraction()
        )
        return int(total) if total.denominator == 1 else total

    def exponent(self, name: str) -> int:
        """Return the degree in one size; 0 if the law does not depend on it."""
        if name not in self.names:
            return 0
        which = self.names.index(name)
        return max((powers[which] for powers, _ in self.terms), default=0)

    def text(self) -> str:
        """Return the law as a readable product or sum of groups: `4*B*T*(6*d + 1) + 8*d`."""
        if not self.terms:
            return "0"
        if "T" in self.names and _common_powers(self.terms)[self.names.index("T")] > 0:
            return self._group(self.terms)
        outer = [i for i, name in enumerate(self.names) if name in _OUTER]
        groups = itertools.groupby(self.terms, key=lambda term: [term[0][i] for i in outer])
        return _signed([self._group(tuple(group)) for _, group in groups])

    def _group(self, terms: tuple[tuple[Powers, Fraction], ...]) -> str:
        """Return terms with their common factor in front."""
        shared = _common_powers(terms)
        content = Fraction(math.gcd(*(c.numerator for _, c in terms)), math.lcm(*(c.denominator for _, c in terms))) * (
            1 if terms[0][1] > 0 else -1
        )
        if len(terms) == 1:
            return self._term(shared, content)
        inner = [
            self._term(tuple(e - s for e, s in zip(powers, shared, strict=True)), c / content) for powers, c in terms
        ]
        if content == 1 and not any(shared):
            return _signed(inner)
        front = self._term(shared, content)
        return f"{'-' if front == '-1' else front + '*'}({_signed(inner)})"

    def _term(self, powers: Powers, coefficient: Fraction) -> str:
        factors = [name if e == 1 else f"{name}^{e}" for name, e in zip(self.names, powers, strict=True) if e > 0]
        if not factors:
            return str(coefficient)
        if abs(coefficient) == 1:
            return ("-" if coefficient < 0 else "") + "*".join(factors)
        return "*".join([str(coefficient), *factors])


def exact_law(samples: Iterable[Sample]) -> ExactLaw | None:
    """Return the simplest polynomial that reproduces every sample, or None if none of this form does.

    Monomials are products of powers of the sizes that vary: of B up to 1, of any other up to 2. Sets of them are tried
    from the smallest; each is solved from the smallest samples that determine it and must then predict all others,
    at least two and the largest T among them. Sizes that do not vary are part of the coefficients; sizes that only
    vary together cannot be told apart, so vary them apart.

    Args:
        samples: (sizes by name, count); all with the same names.

    Raises:
        ValueError: the samples do not have the same names, or there are none.
    """
    known = list(samples)
    if not known or any(set(dims) != set(known[0][0]) for dims, _ in known):
        raise ValueError("an exact law needs samples that all name the same sizes")
    names = sorted(known[0][0], key=lambda name: (name not in _OUTER, name))
    names = [name for name in names if len({dims[name] for dims, _ in known}) > 1]
    known.sort(key=lambda sample: (sample[0].get("T", 0), *(sample[0][name] for name in names)))
    rows = [tuple(dims[name] for name in names) for dims, _ in known]
    values = [Fraction(value) for _, value in known]
    screen = _Screen(rows, [value for _, value in known])
    sets = _monomial_sets(tuple(names))
    if not screen.passes(max(sets, key=len)):
        return None  # it holds every other set
    for monomials in sets:
        if len(monomials) > len(known) - HELD_OUT or not screen.passes(monomials):
            continue
        design = [[Fraction(math.prod(x**e for x, e in zip(row, m, strict=True))) for m in monomials] for row in rows]
        solved = _solve(design[:-1], values[:-1])
        if solved is None or not _reproduces(solved[0], design, values):
            continue
        coefficients, used = solved
        terms = [(m, c) for m, c in zip(monomials, coefficients, strict=True) if c != 0]
        held_out = tuple(dict(dims) for i, (dims, _) in enumerate(known) if i not in used)
        return ExactLaw(names=tuple(names), terms=tuple(sorted(terms, reverse=True)), verified_at=held_out)
    return None


@lru_cache(maxsize=64)
def _monomial_sets(names: tuple[str, ...]) -> tuple[tuple[Powers, ...], ...]:
    """Return the sets of monomials to try, smallest and lowest first.

    A set holds every product of powers between a least and a highest one in each size, up to a total degree.
    """
    highest = [_DEGREE.get(name, _DEGREE_ELSE) for name in names]
    spans = [[range(low, high + 1) for high in range(h + 1) for low in range(high + 1)] for h in highest]
    sets = set()
    for box in itertools.product(*spans):
        members = list(itertools.product(*box))
        for total in {sum(m) for m in members}:
            sets.add(tuple(m for m in members if sum(m) <= total))
    return tuple(sorted(sets, key=lambda s: (len(s), sum(sum(m) for m in s), s)))


class _Screen:
    """Tells in floating point, before rational numbers are spent on it, that a set of monomials cannot fit."""

    def __init__(self, rows: Sequence[Sequence[int]], values: Sequence[int]) -> None:
        sizes = np.array(rows, dtype=np.float64)
        self._sizes = sizes / np.abs(sizes).max(axis=0, initial=1.0)
        found = np.array([float(value) for value in values])
        self._values = found / max(1.0, float(np.abs(found).max()))

    def passes(self, monomials: Sequence[Powers]) -> bool:
        """Return False only where the best coefficients leave more than round-off."""
        columns = np.prod(self._sizes[:, None, :] ** np.array(monomials, dtype=np.float64)[None, :, :], axis=2)
        solution, *_ = np.linalg.lstsq(columns, self._values, rcond=None)
        return bool(np.abs(self._values - columns @ solution).max() < _ROUND_OFF)


def _reproduces(coefficients: Row, design: Sequence[Row], values: Sequence[Fraction]) -> bool:
    return all(
        sum(c * x for c, x in zip(coefficients, row, strict=True)) == value
        for row, value in zip(design, values, strict=True)
    )


def _solve(design: Sequence[Row], values: Sequence[Fraction]) -> tuple[Row, set[int]] | None:
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


def _common_powers(terms: Sequence[tuple[Powers, Fraction]]) -> Powers:
    return tuple(min(powers) for powers in zip(*(powers for powers, _ in terms), strict=True))


def _signed(parts: Sequence[str]) -> str:
    """Join terms with + and -."""
    first, *rest = parts
    return first + "".join(f" - {p[1:]}" if p.startswith("-") else f" + {p}" for p in rest)
