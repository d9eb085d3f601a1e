"""Functions of one size that an exact law may consist of, and how each grows.

    T    2^ceil(log2 T)    ceil(log2 T)    ceil(T/C)    floor(T/C)    (T mod C)
    2^ceil(log2 ceil(T/C))    ceil(log2 ceil(T/C))    ceil(log2 (T mod C))

Trees have the logarithms: over T leaves ceil(log2 T) levels, and the sum of those levels over every prefix of T leaves
is T*L - 2^L + 1 with L = ceil(log2 T). Algorithms in chunks of C have the rest, the last chunk being ragged: trees over
all chunks, or over the tokens of the last one (none for a rest of 0).
"""

from __future__ import annotations

import enum
import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction


@dataclass(frozen=True, slots=True, order=True)
class Growth:
    """How fast a law grows: with x^power * log(x)^log. A faster one is greater."""

    power: int
    log: int

    def text(self, name: str = "T") -> str:
        """Return the growth in a size: "constant", "log T", "T", "T log T", "T^2"."""
        parts = [f"{name}^{self.power}" if self.power > 1 else name] if self.power else []
        parts += [f"log^{self.log} {name}" if self.log > 1 else f"log {name}"] if self.log else []
        return " ".join(parts) or "constant"


class Kind(enum.IntEnum):
    """Which function of the size; terms of a law are ordered by it."""

    size = 0
    power_of_two = 1
    chunks = 2
    full_chunks = 3
    rest = 4
    power_of_two_chunks = 5
    log_chunks = 6
    log_rest = 7
    log = 8


@dataclass(frozen=True, slots=True, order=True)
class Atom:
    """One function of one size.

    Attributes:
        name: of the size.
        kind: which function.
        chunk: the chunk's size C, a power of two; 0 for functions without chunks.
    """

    name: str
    kind: Kind
    chunk: int = 0

    def at(self, x: int) -> int:
        """Return the value at a size of 1 or more."""
        match self.kind:
            case Kind.size:
                return x
            case Kind.power_of_two:
                return 1 << _levels(x)
            case Kind.chunks:
                return -(-x // self.chunk)
            case Kind.full_chunks:
                return x // self.chunk
            case Kind.rest:
                return x % self.chunk
            case Kind.power_of_two_chunks:
                return 1 << _levels(-(-x // self.chunk))
            case Kind.log_chunks:
                return _levels(-(-x // self.chunk))
            case Kind.log_rest:
                return _levels(x % self.chunk)
            case Kind.log:
                return _levels(x)

    def text(self) -> str:
        """Return the function as it stands in a product."""
        match self.kind:
            case Kind.size:
                return self.name
            case Kind.power_of_two:
                return f"2^ceil(log2 {self.name})"
            case Kind.chunks:
                return f"ceil({self.name}/{self.chunk})"
            case Kind.full_chunks:
                return f"floor({self.name}/{self.chunk})"
            case Kind.rest:
                return f"({self.name} mod {self.chunk})"
            case Kind.power_of_two_chunks:
                return f"2^ceil(log2 ceil({self.name}/{self.chunk}))"
            case Kind.log_chunks:
                return f"ceil(log2 ceil({self.name}/{self.chunk}))"
            case Kind.log_rest:
                return f"ceil(log2 ({self.name} mod {self.chunk}))"
            case Kind.log:
                return f"ceil(log2 {self.name})"

    def step(self, x: int) -> int:
        """Return on which step of the function a size lies: within one, it tells nothing new. A size has no steps."""
        if self.kind is Kind.size:
            return x
        return -(-x // self.chunk) if self.kind in (Kind.rest, Kind.log_rest) else self.at(x)

    def expansion(self) -> Expansion:
        """Return the function as x^power * log^log parts times factors that stay within bounds.

        A power of two and the size keep within a factor 2 of each other and never cancel; a number of chunks and the
        size over C differ by less than 1, and a logarithm of chunks by exactly log2 C: those can cancel.
        """
        one, each = Fraction(1), Fraction(1, self.chunk or 1)
        linear: Part = (Growth(1, 0), ())
        logarithm: Part = (Growth(0, 1), ())
        rest, padding = (_FLAT, (f"rest {self.chunk}",)), (_FLAT, (f"padding {self.chunk}",))
        match self.kind:
            case Kind.size:
                return {linear: one}
            case Kind.power_of_two:
                return {(Growth(1, 0), ("2^log",)): one}
            case Kind.chunks:
                return {linear: each, padding: each}
            case Kind.full_chunks:
                return {linear: each, rest: -each}
            case Kind.rest:
                return {rest: one}
            case Kind.power_of_two_chunks:
                return {(Growth(1, 0), (f"2^log chunks {self.chunk}",)): each}
            case Kind.log_rest:
                return {(_FLAT, (f"log rest {self.chunk}",)): one}
            case Kind.log_chunks:
                return {logarithm: one, (_FLAT, ()): Fraction(-_levels(self.chunk))}
            case Kind.log:
                return {logarithm: one}


_FLAT = Growth(0, 0)
Part = tuple[Growth, tuple[str, ...]]  # growth, and the bounded factors beside it, sorted
Expansion = Mapping[Part, Fraction]

ONE: Expansion = {(_FLAT, ()): Fraction(1)}


def product(first: Expansion, second: Expansion) -> Expansion:
    """Multiply two expansions."""
    result: dict[Part, Fraction] = {}
    for ((g, s), c), ((h, t), d) in itertools.product(first.items(), second.items()):
        key = (Growth(g.power + h.power, g.log + h.log), tuple(sorted(s + t)))
        result[key] = result.get(key, Fraction()) + c * d
    return result


Monomial = tuple[tuple[Atom, int], ...]
"""Atoms with their positive exponents; () is 1."""


def polynomial(name: str, degree: int) -> tuple[Monomial, ...]:
    """Return 1, x, ..., x^degree."""
    return ((), *(((Atom(name, Kind.size), e),) for e in range(1, degree + 1)))


def logarithmic(name: str) -> tuple[Monomial, ...]:
    """Return the functions beyond a polynomial that trees over a size have."""
    x, log, power = (Atom(name, kind) for kind in (Kind.size, Kind.log, Kind.power_of_two))
    trees: tuple[Monomial, ...] = (((log, 1),), ((x, 1), (log, 1)))
    if name != "T":
        return trees
    return (*trees, ((power, 1),), ((log, 2),), ((x, 1), (log, 2)), ((power, 1), (log, 1)))


def chunked(name: str, chunk: int) -> tuple[Monomial, ...]:
    """Return the functions beyond a polynomial that an algorithm in chunks has."""
    x = Atom(name, Kind.size)
    n, full, rest, log = (
        Atom(name, kind, chunk) for kind in (Kind.chunks, Kind.full_chunks, Kind.rest, Kind.log_chunks)
    )
    one: tuple[Monomial, ...] = tuple(((atom, 1),) for atom in (n, log, full, rest))
    return (*one, ((x, 1), (n, 1)), ((n, 2),), ((rest, 2),), ((n, 1), (rest, 1)))


def trees_of_chunks(name: str, chunk: int) -> tuple[tuple[Monomial, ...], tuple[Monomial, ...]]:
    """Return the functions that trees over chunks, or over the tokens of the last one, have: beside others, and alone.

    They stand apart from `chunked`: sets of all these functions together would be thousands.
    """
    kinds = (Kind.chunks, Kind.full_chunks, Kind.rest, Kind.log_chunks)
    beside = tuple(((Atom(name, kind, chunk), 1),) for kind in kinds)
    n, log = Atom(name, Kind.chunks, chunk), Atom(name, Kind.log_chunks, chunk)
    power, log_rest = (Atom(name, kind, chunk) for kind in (Kind.power_of_two_chunks, Kind.log_rest))
    return (*polynomial(name, 1), *beside), (((power, 1),), ((log_rest, 1),), ((n, 1), (log, 1)))


def _levels(x: int) -> int:
    """Return ceil(log2 x); 0 for x <= 1."""
    return max(0, x - 1).bit_length()
