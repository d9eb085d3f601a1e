"""What an exact law is: its value, its growth, where it holds, its text. `exact.py` finds it."""

from __future__ import annotations

import itertools
import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from seqscale.fit.basis import ONE, Atom, Expansion, Growth, Kind, Monomial, Part, product

Powers = tuple[int, ...]  # one exponent for each atom of the law
Terms = tuple[tuple[Powers, Fraction], ...]

_OUTER = ("B", "T")  # terms are printed in groups of equal powers of these


@dataclass(frozen=True, slots=True, kw_only=True)
class ExactLaw:
    """A sum of products of functions of the sizes, with rational coefficients, that reproduces samples exactly.

    Attributes:
        atoms: the functions that it consists of, those of B and T first.
        terms: (exponents in the order of atoms, coefficient), highest powers first; no coefficient is zero.
        verified_at: the sizes of the samples that it predicts without having been solved from them.
        holds_for: the smallest and the largest of each size among the samples that it reproduces.
        since: the smallest T that it reproduces, where shorter samples were left out because it fails there.
    """

    atoms: tuple[Atom, ...]
    terms: Terms
    verified_at: tuple[Mapping[str, int], ...]
    holds_for: Mapping[str, tuple[int, int]]
    since: int | None

    @property
    def names(self) -> tuple[str, ...]:
        """The sizes that it depends on, B and T first."""
        return tuple(dict.fromkeys(atom.name for atom in self.atoms))

    def value(self, **dims: int) -> int | Fraction:
        """Return the law's value; a whole number is an int. Sizes that the law does not depend on may be given too.

        Outside of `holds_for` it is an extrapolation: see `extrapolates`.

        Raises:
            ValueError: a size that the law depends on is missing.
        """
        missing = [name for name in self.names if name not in dims]
        if missing:
            raise ValueError(f"the law {self.text()} needs {', '.join(missing)}")
        at = [atom.at(dims[atom.name]) for atom in self.atoms]
        total = sum(
            (c * math.prod(x**e for x, e in zip(at, powers, strict=True)) for powers, c in self.terms), Fraction()
        )
        return int(total) if total.denominator == 1 else total

    def extrapolates(self, **dims: int) -> bool:
        """Whether one of these sizes lies outside of what the law reproduces."""
        return any(not low <= dims[name] <= high for name, (low, high) in self.holds_for.items() if name in dims)

    def reach(self, name: str) -> tuple[int, int]:
        """Return the smallest and the largest size that the law reproduces.

        Raises:
            KeyError: no sample named that size.
        """
        return self.holds_for[name]

    def growth(self, name: str) -> Growth:
        """Return how fast the law grows with one size, the others fixed; a number of chunks grows like the size.

        Leading parts that cancel, as in 64*ceil(T/64) - T, do not count.
        """
        parts: dict[tuple[Part, Powers], Fraction] = defaultdict(Fraction)
        for powers, coefficient in self.terms:
            own, others = ONE, []
            for atom, power in zip(self.atoms, powers, strict=True):
                if atom.name == name:
                    own = _power(own, atom, power)
                else:
                    others.append(power)
            for part, factor in own.items():
                parts[part, tuple(others)] += coefficient * factor
        return max((growth for ((growth, _), _), c in parts.items() if c), default=Growth(0, 0))

    def exponent(self, name: str) -> int:
        """Return the power of one size that the law grows with, logarithms aside; 0 if it does not depend on it."""
        return self.growth(name).power

    def text(self, unit: str = "") -> str:
        """Return the law as a readable product or sum of groups, and from where it holds if not everywhere.

        `4*B*T*(6*d + 1) + 8*d`, `3*T + 3 for T >= 3`; with a unit, `4*T*d B`.
        """
        return " ".join(
            part for part in (self.formula(), unit, "" if self.since is None else f"for T >= {self.since}") if part
        )

    def formula(self) -> str:
        """Return the law as a readable product or sum of groups."""
        if not self.terms:
            return "0"
        length = Atom("T", Kind.size)
        if length in self.atoms and _common_powers(self.terms)[self.atoms.index(length)] > 0:
            return self._group(self.terms)
        logs = (Kind.log, Kind.log_chunks)
        outer = [i for i, atom in enumerate(self.atoms) if atom.name in _OUTER and atom.kind not in logs]
        groups = itertools.groupby(self.terms, key=lambda term: [term[0][i] for i in outer])
        return _signed([self._group(tuple(group)) for _, group in groups])

    def record(self) -> dict[str, Any]:
        """Return the law as a mapping: its text, that it is exact, where it was verified and holds, how it grows."""
        return {
            "law": self.text(),
            "exact": True,
            "verified_at": [dict(dims) for dims in self.verified_at],
            "holds_for": {name: [low, high] for name, (low, high) in self.holds_for.items()},
            "growth": {
                name: self.growth(name).text(name) for name, (low, high) in self.holds_for.items() if low < high
            },
        }

    def _group(self, terms: Terms) -> str:
        """Return terms with their common factor in front; where only a number is common, as they are."""
        shared = _common_powers(terms)
        if len(terms) == 1 or not any(shared):
            return _signed([self._term(powers, c) for powers, c in terms])
        content = Fraction(math.gcd(*(c.numerator for _, c in terms)), math.lcm(*(c.denominator for _, c in terms))) * (
            1 if terms[0][1] > 0 else -1
        )
        inner = [
            self._term(tuple(e - s for e, s in zip(powers, shared, strict=True)), c / content) for powers, c in terms
        ]
        return f"{self._term(shared, content)}*({_signed(inner)})"

    def _term(self, powers: Powers, coefficient: Fraction) -> str:
        factors = [
            atom.text() if e == 1 else f"{atom.text()}^{e}" for atom, e in zip(self.atoms, powers, strict=True) if e > 0
        ]
        if not factors:
            return str(coefficient)
        if abs(coefficient) == 1:
            return ("-" if coefficient < 0 else "") + "*".join(factors)
        return "*".join([str(coefficient), *factors])


def law_of(
    found: Mapping[Monomial, Fraction],
    verified_at: Sequence[Mapping[str, int]],
    holds_for: Mapping[str, tuple[int, int]],
    since: int | None,
) -> ExactLaw:
    """Return the law with these coefficients; those of zero are left out."""
    kept = {monomial: c for monomial, c in found.items() if c}
    atoms = sorted(
        {atom for monomial in kept for atom, _ in monomial},
        key=lambda atom: (atom.name not in _OUTER, atom),
    )
    terms = [(tuple(dict(monomial).get(atom, 0) for atom in atoms), c) for monomial, c in kept.items()]
    return ExactLaw(
        atoms=tuple(atoms),
        terms=tuple(sorted(terms, reverse=True)),
        verified_at=tuple(verified_at),
        holds_for=holds_for,
        since=since,
    )


def _power(expansion: Expansion, atom: Atom, power: int) -> Expansion:
    for _ in range(power):
        expansion = product(expansion, atom.expansion())
    return expansion


def _common_powers(terms: Terms) -> Powers:
    return tuple(min(powers) for powers in zip(*(powers for powers, _ in terms), strict=True))


def _signed(parts: Sequence[str]) -> str:
    """Join terms with + and -."""
    first, *rest = parts
    return first + "".join(f" - {p[1:]}" if p.startswith("-") else f" + {p}" for p in rest)
