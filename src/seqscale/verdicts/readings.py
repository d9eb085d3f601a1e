"""What a claim reads off the rows of a probe of information: values by replicate, curves, and how they are written."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any

from seqscale.fit.interval import Interval
from seqscale.fit.replicates import difference_interval, mean_interval
from seqscale.profiles import Profile, Profiles, read
from seqscale.records import Option, Question
from seqscale.rows import Row
from seqscale.units import quantity
from seqscale.verdicts.base import Curve, CurvePoint, Reason

Values = tuple[float, ...]

# How a condition is named where a judgement says its scope, in this order; those of the layer's own size come first.
_CONDITIONS = {
    "symbols": "V = {}",
    "noise": "noise {}",
    "pairs": "K = {}",
    "logit": "logit {}",
    "lag": "L = {}",
    "window": "k = {}",
    "steps": "{} steps",
    "rates": "rates {}",
    "replicates": "{} replicates",
}
# Conditions that say nothing of a cell unless its form, or what it trains, is this.
_ONLY = {"steps": ("trained", "all"), "rates": ("trained", "all"), "logit": ("constructed", "all")}


class UnreadError(Exception):
    """A row does not hold what its probe writes; says why, and for which reason nothing is judged."""

    def __init__(self, reason: Reason, said: str) -> None:
        super().__init__(said)
        self.reason = reason
        self.said = said


def values_of(row: Row, name: str) -> Values:
    """Return a quantity of each replicate, in their order.

    Raises:
        UnreadError: the probe left it out, or some replicates lack it; its note says why.
    """
    seen = {} if name not in row.observations else {s.round: s.value for s in row.observations[name].samples}
    if len(seen) != _replicates(row):
        note = row.outcome.reason if row.outcome is not None and row.outcome.reason else "its probe does not say why"
        said = f"{row.cell.label()} has {name} of {len(seen)} of {_replicates(row)} replicates: {note}"
        raise UnreadError(Reason.unanswerable, said)
    return tuple(seen[replicate] for replicate in sorted(seen))


def curve_of(row: Row, name: str) -> Profile:
    """Return a curve of the row's document.

    Raises:
        UnreadError: there is no such document, no such curve in it, or some replicates lack it.
    """
    found = _document(row).curves.get(name)
    if found is None or found.replicates not in ((1, _replicates(row)) if found.exact else (_replicates(row),)):
        raise UnreadError(Reason.instrument, f"the document of {row.cell.label()} has no whole curve '{name}'")
    return found


def figure_of(question: Question, row: Row, name: str, suffix: str) -> tuple[Curve, ...]:
    """Return a curve that only a figure needs, none where the probe left it out.

    Raises:
        UnreadError: there is no document that can be read, or some replicates lack the curve.
    """
    return (drawn(question, curve_of(row, name), suffix),) if name in _document(row).curves else ()


def _replicates(row: Row) -> int:
    count = dict(row.cell.conditions).get("replicates")
    assert isinstance(count, int)
    return count


def scored_of(row: Row) -> int:
    """Return the least number of sequences that a replicate of a row was scored on.

    Raises:
        UnreadError: its document does not say.
    """
    said = _document(row).facts.get("test")
    scored = [n for n in (said if isinstance(said, list) else [said]) if isinstance(n, int) and n > 0]
    if not scored:
        raise UnreadError(Reason.instrument, f"the document of {row.cell.label()} does not say what was scored")
    return min(scored)


def at(row: Row, profile: Profile, x: float) -> Values:
    """Return the values of a curve at one x, by replicate; a computed one may have one value for all.

    Raises:
        UnreadError: the curve does not have that x.
    """
    if x not in profile.x:
        raise UnreadError(
            Reason.instrument, f"the curve '{profile.name}' of {row.cell.label()} has no {profile.by} {x:g}"
        )
    found = profile.values[profile.x.index(x)]
    return found if len(found) > 1 else found * _replicates(row)


def paired(first: Sequence[float], second: Sequence[float], cells: int = 1) -> Interval:
    """Return the interval of first - second, replicate by replicate.

    Raises:
        UnreadError: the rows have other replicates, or only one.
    """
    return interval_of(difference_interval, first, second, cells)


def mean_of(values: Sequence[float], cells: int = 1) -> Interval:
    """Return the interval of the mean over replicates.

    Raises:
        UnreadError: there is only one.
    """
    return interval_of(mean_interval, values, cells)


def mean_seen(row: Row, name: str, cells: int = 1) -> Interval:
    """Return the interval of a quantity's mean over replicates, as far as the quantity can be.

    Raises:
        UnreadError: as `values_of` and `mean_of`.
    """
    registered = quantity(name)
    return mean_of(values_of(row, name), cells).within(registered.low, registered.high)


def interval_of(make: Callable[..., Interval], *arguments: Any) -> Interval:
    """Return the interval that a function of fit/replicates.py makes of its arguments.

    Raises:
        UnreadError: what it is made of does not go together.
    """
    try:
        return make(*arguments)
    except ValueError as error:
        raise UnreadError(Reason.instrument, str(error)) from error


@lru_cache(maxsize=512)  # one document answers several claims, and is judged anew after every block
def _read(document: str) -> Profiles | None:
    try:
        found = read(document)
    except (ValueError, KeyError, TypeError):
        return None
    return found if isinstance(found.facts, dict) else None


def _document(row: Row) -> Profiles:
    found = _read(row.document) if row.document is not None else None
    if found is None:
        raise UnreadError(Reason.instrument, f"{row.cell.label()}: its document cannot be read")
    return found


def drawn(question: Question, profile: Profile, suffix: str, *, logarithmic: bool = False) -> Curve:
    """Return a curve for a figure: mean over replicates with its 95 % interval at each x; computed ones without.

    Args:
        question: what the curve is of.
        profile: of at least two replicates, or exact.
        suffix: what tells it from the layer's other curves.
        logarithmic: whether mean and interval are of the logarithm: the quantity is positive and falls by decades.
    """
    registered = quantity(profile.quantity)
    points = []
    for x, row in zip(profile.x, profile.values, strict=True):
        logs = logarithmic and min(row) > 0
        seen = tuple(map(math.log, row)) if logs else row
        if profile.exact or len(row) < 2:
            mean = math.fsum(seen) / len(seen)
            found = (mean, mean, mean)
        else:
            interval = mean_interval(seen)
            found = (interval.value, interval.low95, interval.high95)
        y, low, high = map(math.exp, found) if logs else found
        points.append(CurvePoint(x=x, y=y, low=max(low, registered.low), high=min(high, registered.high)))
    return Curve(
        label=f"{question.layer.name}/{question.algorithm} {suffix}",
        quantity=profile.quantity,
        x_name=profile.by,
        points=tuple(points),
        law=(),
        law_text=f"{profile.name}, computed" if profile.exact else "no law fitted",
        exact=profile.exact,
    )


def text(interval: Interval, unit: str = "") -> str:
    """Write an interval for a person: `2.85 [2.8, 2.9] bit`, by its 95 % interval."""
    return f"{interval.value:.3g} [{interval.low95:.3g}, {interval.high95:.3g}] {unit}".rstrip()


def record(interval: Interval, unit: str) -> dict[str, Any]:
    """Return an interval as JSON-ready data."""
    return {
        "value": interval.value, "low": interval.low95, "high": interval.high95,
        "low90": interval.low90, "high90": interval.high90, "unit": unit,
    }  # fmt: skip


def scope_text(rows: Sequence[Row]) -> str:
    """Say where a judgement of these rows holds: numbers of the state, T, and what the probes fixed."""
    parts = []
    numbers = [row.observations["state_numbers"].value for row in rows if "state_numbers" in row.observations]
    if numbers:
        parts.append(f"state of {_all(f'{n:g}' for n in numbers)} numbers")
    parts.append(f"T = {_all(str(row.cell.length) for row in rows)}")
    for name, words in _CONDITIONS.items():
        given = [dict(row.cell.conditions) for row in rows]
        found = [str(g[name]) for g in given if name in g and _ONLY.get(name, _form(g)) == _form(g)]
        if found:
            parts.append(words.format(_all(found, " and " if name == "rates" else ", ")))
    return ", ".join(parts)


def _form(given: Mapping[str, Option]) -> tuple[Option, Option]:
    return given.get("form", "trained"), given.get("trained", "all")


def _all(words: Iterable[str], between: str = ", ") -> str:
    return between.join(dict.fromkeys(words))
