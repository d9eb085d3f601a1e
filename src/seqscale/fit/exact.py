"""Find exact laws of counts: polynomials, trees and chunks in the sizes, solved in rational numbers and verified.

Bytes that autograd saves, or multiplications of a layer, are integers that follow from the sizes without noise. So
their law is not fitted: it is found, or there is none of this form.

    polynomials, then with logarithms, then in chunks; of each the smallest set of functions first
    modulo a prime   thousands of sets at once: is there any solution?
    rational         the few left: solve from the smallest samples, predict all others

A richer family fits more by accident, so it must show more: see `_verified`.
"""

from __future__ import annotations

import itertools
import math
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from fractions import Fraction
from functools import lru_cache

import numpy as np

from seqscale.fit.basis import Atom, Kind, Monomial, chunked, logarithmic, polynomial, trees_of_chunks
from seqscale.fit.law import ExactLaw, law_of
from seqscale.fit.rational import Integers, eliminate, residues, solve

__all__ = ["HELD_OUT", "SPECIAL_BELOW", "ExactLaw", "Sample", "exact_law", "extended", "late_law"]

Sample = tuple[Mapping[str, int], int]
Set = tuple[Monomial, ...]

HELD_OUT = 2
"""Samples, all of the largest T among them, that a law must predict without having been solved from them."""

SPECIAL_BELOW = 4
"""Samples of a smaller T may be left out, and the law then says from where it holds.

Trees of one to three leaves have at most two levels, dimensions of 1 are squeezed, and a span is the longest of several
chains, of which a short one may lead there.
"""

LATE_SAMPLES, LATE_RANGE = 6, 4
"""A law that begins at a later length must leave so many samples over so wide a range (see `late_law`)."""

CHUNKS = (8, 16, 32, 64, 128, 256, 512, 1024)

_DEGREE = {"B": 1}  # what a count can grow with: at most linear in the batch, quadratic in all else
_DEGREE_ELSE = 2
_OUTER = ("B", "T")
_MOST_LOGARITHMIC, _MOST_CHUNKED, _MOST_TREES = 5, 5, 6  # functions of one size in one law
_FEW = 2  # functions of one size that is nowhere varied alone


def exact_law(samples: Iterable[Sample]) -> ExactLaw | None:
    """Return the simplest law that reproduces every sample, or None if none of these forms does.

    Powers of the sizes that vary go up to 1 for B and up to 2 for any other; logarithms are of every size, chunks of T.
    Each set of functions is solved from the smallest samples that determine it and must then predict all others, at
    least two and all of the largest T among them. Sizes that do not vary are part of the coefficients; sizes that only
    vary together cannot be told apart, so vary them apart, and some of them together at several values.

    Args:
        samples: (sizes by name, count); all with the same names, sizes of 1 or more.

    Raises:
        ValueError: the samples do not have the same names, or there are none.
    """
    known = list(samples)
    if not known or any(set(dims) != set(known[0][0]) for dims, _ in known):
        raise ValueError("an exact law needs samples that all name the same sizes")
    every = _Samples(known)
    long = [(dims, value) for dims, value in known if dims.get("T", 1) >= SPECIAL_BELOW]
    some = _Samples(long) if HELD_OUT < len(long) < len(known) else None
    for family in (_polynomials, _with_logarithms, _in_chunks):
        for seen in (every, some):
            if seen is None:
                continue
            law = _smallest(family(seen), seen, every, rich=family is not _polynomials)
            if law is not None:
                return law
    return None


def late_law(samples: Iterable[Sample]) -> ExactLaw | None:
    """Return the polynomial in T alone that holds from some length on, and says from which; None where none does.

    For counts that are the larger of two: a peak is here what one product needs for itself, there what all steps keep.
    At least LATE_SAMPLES samples over a range of LATE_RANGE must obey it, the largest T among them.
    """
    every = _Samples(list(samples))
    samples = list(zip(every.dims, every.values, strict=True))
    for i, (dims, _) in enumerate(samples):
        seen = samples[i:]
        if len(seen) < LATE_SAMPLES or seen[-1][0]["T"] < LATE_RANGE * dims["T"]:
            return None
        rest = _Samples(seen)
        law = _smallest(_polynomials(rest), rest, every, rich=False)
        if law is not None:
            return law
    return None


def extended(samples: Iterable[Sample], law: ExactLaw, name: str) -> ExactLaw | None:
    """Return the law of the same terms as `law`, each in part constant and in part proportional to one more size.

    Nothing is searched: what was found at one value of that size says which terms there are. None where they do not
    reproduce every sample (those below `law.since` apart), at least HELD_OUT of them unseen.
    """
    known = [(dims, value) for dims, value in samples if law.since is None or dims.get("T", law.since) >= law.since]
    if not known or not law.terms:
        return None
    plain = [tuple((atom, e) for atom, e in zip(law.atoms, powers, strict=True) if e > 0) for powers, _ in law.terms]
    more = [tuple(sorted((*monomial, (Atom(name, Kind.size), 1)), key=_order)) for monomial in plain]
    monomials, seen = (*plain, *more), _Samples(known)
    rich = any(atom.kind is not Kind.size for atom in law.atoms)
    if not _enough(len(monomials), len(known), rich=False):
        return None
    found = _verified(monomials, seen, seen, rich=rich)
    return found if found is None or law.since is None else replace(found, since=law.since)


class _Samples:
    """Samples in the order of T, then of the other sizes.

    Attributes:
        dims, values: sizes and counts.
        names: the sizes that vary, B and T first.
        residues: the counts modulo the prime.
    """

    def __init__(self, samples: Sequence[Sample]) -> None:
        first = samples[0][0]
        names = sorted(first, key=lambda name: (name not in _OUTER, name))
        self.names = tuple(name for name in names if len({dims[name] for dims, _ in samples}) > 1)
        ordered = sorted(samples, key=lambda s: (s[0].get("T", 0), *(s[0][name] for name in self.names)))
        self.dims = [dict(dims) for dims, _ in ordered]
        self.values = [value for _, value in ordered]
        self.residues = residues(self.values)
        self._columns: dict[Monomial, Integers] = {}

    def column(self, monomial: Monomial) -> Integers:
        """Return a monomial at every sample, modulo the prime."""
        if monomial not in self._columns:
            self._columns[monomial] = residues([_at(monomial, dims) for dims in self.dims])
        return self._columns[monomial]

    def passing(self, sets: Sequence[Set]) -> list[Set]:
        """Return those of sets of equal size that determine their coefficients and reproduce the samples."""
        monomials = list(dict.fromkeys(itertools.chain.from_iterable(sets)))
        index = {monomial: i for i, monomial in enumerate(monomials)}
        columns = np.stack([self.column(monomial) for monomial in monomials])
        chosen = np.array([[index[monomial] for monomial in each] for each in sets], dtype=np.intp)
        independent, consistent = eliminate(columns, chosen, self.residues)
        return [each for each, good in zip(sets, independent & consistent, strict=True) if good]

    def slices(self, name: str) -> list[list[int]]:
        """Return the samples in groups that differ in one size only."""
        groups: dict[object, list[int]] = defaultdict(list)
        for i, dims in enumerate(self.dims):
            groups[tuple(dims[other] for other in self.names if other != name)].append(i)
        return list(groups.values())

    def ladders(self, name: str, features: Sequence[Monomial], sets: Mapping[int, Integers], few: int) -> list[Set]:
        """Return the smallest sets of functions of one size that reproduce every slice along it.

        Args:
            features: functions of that size.
            sets: size -> sets of that size, as indices of features.
            few: functions in a set that is returned though no slice is long enough to test it.
        """
        columns = np.stack([self.column(feature) for feature in features])
        slices = self.slices(name)
        found: list[int] = []  # as bits
        ladders = []
        for size, chosen in sorted(sets.items()):
            good, tested = np.ones(len(chosen), dtype=bool), np.zeros(len(chosen), dtype=bool)
            for rows in slices:
                if len(rows) > size:
                    left = np.flatnonzero(good)
                    independent, good[left] = eliminate(columns[:, rows], chosen[left], self.residues[rows])
                    tested[left] |= independent
            for i in np.flatnonzero(good & (tested | (size <= few))):
                mask = sum(1 << int(j) for j in chosen[i])
                if any(mask & smaller == smaller for smaller in found):
                    continue
                if tested[i]:
                    found.append(mask)
                ladders.append(tuple(features[j] for j in chosen[i]))
        return ladders


def _polynomials(seen: _Samples) -> Iterator[Set]:
    """Yield boxes of powers, each between a least and a highest one in each size, up to a total degree."""
    return _boxes([_spans(name) for name in seen.names])


def _with_logarithms(seen: _Samples) -> Iterator[Set]:
    """Yield boxes with logarithms of any size."""
    return _boxes([_choices(seen, name) for name in seen.names])


def _choices(seen: _Samples, name: str) -> list[Set]:
    """Return sets of powers and logarithms of one size; of B, which seldom has logarithms, only where they show."""
    features = (*polynomial(name, _DEGREE.get(name, _DEGREE_ELSE)), *logarithmic(name))
    most = min(_MOST_LOGARITHMIC, len(features))
    sets = {size: _combinations(len(features), size, 0) for size in range(1, most + 1)}
    found = seen.ladders(name, features, sets, 1 if name == "B" else _FEW)
    return list(dict.fromkeys([*found, *(span for span in _spans(name) if len(found) != 1)]))


def _in_chunks(seen: _Samples) -> Iterator[Set]:
    """Yield boxes with chunks of T, of one size of chunk, and powers of the other sizes."""
    if "T" not in seen.names:
        return
    lengths = {dims["T"] for dims in seen.dims}
    plain = (*polynomial("T", _DEGREE_ELSE), ((Atom("T", Kind.log), 1),))
    others = [_spans(name) for name in seen.names if name != "T"]
    for chunk in CHUNKS:
        if len({-(-t // chunk) for t in lengths}) > HELD_OUT:  # so two boundaries were seen
            families = ((plain, chunked("T", chunk), _MOST_CHUNKED), (*trees_of_chunks("T", chunk), _MOST_TREES))
            for known, own, most in families:
                features = (*known, *own)
                sets = {size: _combinations(len(features), size, len(known)) for size in range(1, most + 1)}
                yield from _boxes([seen.ladders("T", features, sets, 0), *others])


def _spans(name: str) -> list[Set]:
    powers = polynomial(name, _DEGREE.get(name, _DEGREE_ELSE))
    return [powers[low : high + 1] for high in range(len(powers)) for low in range(high + 1)]


def _boxes(ladders: Sequence[Sequence[Set]]) -> Iterator[Set]:
    """Yield the products of one ladder for each size, whole and cut at each total degree."""
    for box in itertools.product(*ladders):
        members = [tuple(itertools.chain.from_iterable(parts)) for parts in itertools.product(*box)]
        degrees = [sum(e for _, e in monomial) for monomial in members]
        for total in set(degrees):
            yield tuple(m for m, degree in zip(members, degrees, strict=True) if degree <= total)


@lru_cache(maxsize=64)
def _combinations(count: int, size: int, known: int) -> Integers:
    """Return the sets of `size` out of `count`, with one at least not among the first `known`."""
    sets = [each for each in itertools.combinations(range(count), size) if each[-1] >= known]
    return np.array(sets, dtype=np.int64).reshape(len(sets), size)


def _smallest(sets: Iterable[Set], seen: _Samples, every: _Samples, *, rich: bool) -> ExactLaw | None:
    """Return the law of the smallest set that verifies; None where rich ones of one size contradict each other."""
    sized = defaultdict(list)
    for each in dict.fromkeys(sets):
        if _enough(len(each), len(seen.dims), rich=rich):
            sized[len(each)].append(each)
    refused: list[set[Monomial]] = []
    for size in sorted(sized):
        ordered = sorted(sized[size], key=lambda s: (sum(e for m in s for _, e in m), s))
        # a set that holds one refused has the same solution, and no more evidence
        passing = [each for each in seen.passing(ordered) if not any(one <= set(each) for one in refused)]
        laws = [law for each in passing if (law := _verified(each, seen, every, rich=rich))]
        refused += [set(each) for each in passing]
        if laws:
            return laws[0] if not rich or all(_same(laws[0], law) for law in laws[1:]) else None
    return None


def _enough(unknowns: int, samples: int, *, rich: bool) -> bool:
    """Whether samples are left to verify at; where hundreds of sets are tried, one for each unknown besides."""
    return samples >= unknowns * (2 if rich else 1) + HELD_OUT


def _verified(monomials: Set, seen: _Samples, every: _Samples, *, rich: bool) -> ExactLaw | None:
    """Solve a set from the smallest samples of `seen`; return the law if the others are evidence for it.

    1. It predicts all of `seen`, those of the largest T without being solved from them.
    2. Each size took more values than the law has functions of it: any function of three sizes is a parabola.
    3. Each step function of T (a logarithm, a number of chunks) took two values that the law was not solved from:
       within a step there is nothing new.
    4. With a constant beside it, it is determined without any one length too: the difference of two step functions
       may be a spike at one length, and would take up whatever is wrong there.
    5. Where it is a sum over two sizes, the samples could have shown their product: one size varied at a time cannot.
    """
    lengths = {dims["T"] for dims in seen.dims} if "T" in seen.names else set()
    usable = [i for i, dims in enumerate(seen.dims) if not lengths or dims["T"] < max(lengths)]
    usable = usable if lengths else usable[:-1]
    design = [[Fraction(_at(m, seen.dims[i])) for m in monomials] for i in usable]
    solved = solve(design, [Fraction(seen.values[i]) for i in usable])
    if solved is None:
        return None
    coefficients, rows = solved
    found = {m: c for m, c in zip(monomials, coefficients, strict=True) if c}
    held = _held(found, every)
    if len(held) < len(seen.dims):
        return None
    used = [seen.dims[usable[i]] for i in rows]
    held_out = [dims for dims in held if dims not in used]
    if rich and not (_new_steps(found, used, held_out) and _without_any_length(monomials, seen)):
        return None
    if not (_more_values(found, held) and _products_seen(found, monomials, seen) and _boundaries_seen(found, held)):
        return None
    since = held[0]["T"] if len(held) < len(every.dims) else None
    holds_for = {name: (min(d[name] for d in held), max(d[name] for d in held)) for name in held[0]}
    return law_of(found, held_out, holds_for, since)


def _held(found: Mapping[Monomial, Fraction], every: _Samples) -> list[dict[str, int]]:
    """Return the sizes of the samples that a law reproduces, from the largest T down to where it first fails."""
    held = len(every.dims)
    for dims, value in zip(reversed(every.dims), reversed(every.values), strict=True):
        if sum((c * _at(m, dims) for m, c in found.items()), Fraction()) != value:
            return [kept for kept in every.dims[held:] if kept["T"] > dims["T"]] if "T" in dims else every.dims[held:]
        held -= 1
    return every.dims


def _new_steps(
    found: Iterable[Monomial], used: Sequence[Mapping[str, int]], held_out: Sequence[Mapping[str, int]]
) -> bool:
    for atom in {atom for m in found for atom, _ in m if atom.name == "T"}:
        new = {atom.step(dims["T"]) for dims in held_out} - {atom.step(dims["T"]) for dims in used}
        if len(new) < HELD_OUT:
            return False
    return True


def _without_any_length(monomials: Set, seen: _Samples) -> bool:
    chosen = tuple(dict.fromkeys((*monomials, ())))
    columns, every = np.stack([seen.column(m) for m in chosen]), np.arange(len(chosen))[None, :]
    lengths = np.array([dims.get("T", 0) for dims in seen.dims])
    parts = [lengths != length for length in sorted({*lengths.tolist()})]
    if len(parts) == 1 or not eliminate(columns, every, seen.residues)[0][0]:
        return True
    return all(eliminate(columns[:, rows], every, seen.residues[rows])[0][0] for rows in parts)


def _boundaries_seen(found: Iterable[Monomial], held: Sequence[Mapping[str, int]]) -> bool:
    """Whether at two boundaries of the chunk the lengths just before, at and after it were seen, or there is none.

    Steps at 500 and 1000 look like steps at 512 and 1024 wherever nobody looks in between.
    """
    lengths = {dims.get("T", 0) for dims in held}
    for chunk in {atom.chunk for m in found for atom, _ in m if atom.chunk}:
        edges = [t for t in lengths if t % chunk == 0 and {t - 1, t + 1} <= lengths]
        if len(edges) < HELD_OUT:
            return False
    return True


def _more_values(found: Iterable[Monomial], seen: Sequence[Mapping[str, int]]) -> bool:
    for name in {atom.name for m in found for atom, _ in m}:
        parts = {_part(m, name) for m in found}
        values = {tuple(_at(part, dims) for part in parts) for dims in seen}
        if len(values) <= len(parts):
            return False
    return True


def _products_seen(found: Iterable[Monomial], monomials: Set, seen: _Samples) -> bool:
    names = sorted({atom.name for m in found for atom, _ in m})
    for one, other in itertools.combinations(names, 2):
        pairs = itertools.product({_part(m, one) for m in found} - {()}, {_part(m, other) for m in found} - {()})
        products = [tuple(sorted(a + b, key=_order)) for a, b in pairs]
        unseen = [m for m in products if m not in {tuple(sorted(each, key=_order)) for each in monomials}]
        for monomial in unseen:
            columns = np.stack([seen.column(m) for m in (*monomials, monomial)])
            independent, _ = eliminate(columns, np.arange(len(columns))[None, :], seen.residues)
            if not independent[0]:
                return False
    return True


def _part(monomial: Monomial, name: str) -> Monomial:
    """Return the factors that are functions of one size."""
    return tuple((atom, e) for atom, e in monomial if atom.name == name)


def _order(factor: tuple[Atom, int]) -> Atom:
    return factor[0]


def _same(first: ExactLaw, second: ExactLaw) -> bool:
    """Whether two laws agree at lengths between and beyond those that both reproduce."""
    low, high = first.reach("T")
    sizes = {name: least for name, (least, _) in first.holds_for.items()}
    beyond = (*range(low, low + 2 * CHUNKS[-1]), high - 1, 2 * high, 3 * high + 1)
    return all(first.value(**sizes | {"T": t}) == second.value(**sizes | {"T": t}) for t in beyond)


def _at(monomial: Monomial, dims: Mapping[str, int]) -> int:
    return math.prod(atom.at(dims[atom.name]) ** e for atom, e in monomial)
