"""What networks trained on associative recall retrieve of the oldest pairs, by the probe `recall`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from seqscale.fit.interval import Interval
from seqscale.fit.replicates import share_difference, share_interval
from seqscale.fit.verdict import Decision, average
from seqscale.lessons.base import Comparison, Line, Number
from seqscale.lessons.bench import Looked, cell, gap
from seqscale.lessons.constants import LessonConstants
from seqscale.records import Cell
from seqscale.rows import Row
from seqscale.verdicts.readings import UnreadError, at, curve_of, scored_of, values_of
from seqscale.verdicts.retrieval import EarlyDegrades, above_keyless

WORSE = EarlyDegrades.delta  # share of answers by which those about more pairs must be worse

Trained = Mapping[int, Row]  # pairs -> what became of the networks trained to recall them


def recall_cell(layer: Looked, constants: LessonConstants, pairs: int) -> Cell:
    """Return the cell of networks trained to recall `pairs` pairs, each one token, and each asked for in a token."""
    return cell(
        "recall", layer, constants, 2 * pairs, form="trained", pairs=pairs, keys=constants.keys, symbols=constants.keys,
        steps=constants.steps, rates=",".join(f"{rate:g}" for rate in constants.rates), replicates=constants.models,
    )  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Recall:
    """What networks of one layer retrieve of the oldest quarter of the pairs.

    Attributes:
        label: of the layer.
        early: pairs -> share of right answers about the oldest quarter of them.
        learned: how much larger it is with the fewest pairs than what knows the values but not the keys reaches.
        fall: how much smaller it is with the most pairs; None where one of both was not measured.
        gaps: why some numbers of pairs have no share.
    """

    label: str
    early: Mapping[int, Number]
    learned: Interval | None
    fall: Interval | None
    gaps: tuple[str, ...]

    @classmethod
    def of(cls, label: str, rows: Trained) -> Recall:
        """Read the rows of one layer."""
        shares: dict[int, tuple[tuple[float, ...], int]] = {}
        gaps, learned, fall = [], None, None
        few, many = min(rows), max(rows)
        for pairs, row in rows.items():
            if not row.ok:
                gaps.append(gap(row))
                continue
            try:
                shares[pairs] = values_of(row, "early_accuracy"), scored_of(row)
                learned = above_keyless(row, "early_accuracy") if pairs == few else learned
            except UnreadError as error:
                gaps.append(error.said)
        if few < many and {few, many} <= shares.keys():
            (first, scored), (last, others) = shares[few], shares[many]
            fall = share_difference(first, last, min(scored, others))
        early = {pairs: _share(label, pairs, *seen) for pairs, seen in shares.items()}
        return cls(label=label, early=early, learned=learned, fall=fall, gaps=tuple(gaps))


def _share(label: str, pairs: int, shares: Sequence[float], scored: int) -> Number:
    """Return a share with its interval, which ends at 0 and 1."""
    found = share_interval(shares, scored)
    return Number(
        name=f"{label}, right about the oldest of {pairs} pairs",
        unit="share",
        value=found.value,
        low=max(0.0, found.low95),
        high=min(1.0, found.high95),
    )


def phrase(recalls: Sequence[Recall]) -> str:
    """Return what follows from trained networks, those of one reading together; empty where none could be scored."""
    readings: dict[str, list[str]] = {}
    for found in recalls:
        if found.early:
            rights = ", ".join(f"{share.short()} with {pairs} pairs" for pairs, share in found.early.items())
            readings.setdefault(_reading(found), []).append(f"{found.label} (right: {rights})")
    said = "; ".join(f"for {' and '.join(names)} {reading}" for reading, names in readings.items())
    return f"trained to answer about the oldest, {said}" if said else ""


def _reading(found: Recall) -> str:
    """Return what one layer's networks say; what was not learned with few pairs cannot get worse with more."""
    if found.fall is None or found.learned is None:
        return "nothing can be compared"
    judged = average(found.fall.low95, found.fall.high95, WORSE)
    if judged is Decision.supported:
        return "more pairs make it harder"
    if found.learned.low95 <= WORSE:
        return "too little is learned to say more"
    if judged is Decision.undecided:
        return "it stays open whether more pairs make it harder"
    return "more pairs make it no harder"


def table_of(recalls: Sequence[Recall], trained: Mapping[str, Trained], pairs: Sequence[int]) -> list[Comparison]:
    """Return the table of trained networks; none where none could be scored."""
    if not any(found.early for found in recalls):
        return []
    blind = {n: row for rows in trained.values() for n, row in rows.items() if row.ok}
    lines = [Line(source="instrument", label=f.label, numbers=tuple(f.early.get(n) for n in pairs)) for f in recalls]
    keyless = tuple(_keyless(n, blind[n]) if n in blind else None for n in pairs)
    return [
        Comparison(
            title=(
                "Trained to answer: the share of right answers about the oldest quarter of the pairs (the kata trains "
                "nothing)"
            ),
            columns=tuple(f"{n:,} pairs" for n in pairs),
            lines=(*lines, Line(source="instrument", label="values known, keys not", numbers=keyless)),
        )
    ]


def _keyless(pairs: int, row: Row) -> Number:
    """Return the share that is right for what remembers which values came, and not with which key."""
    (value, *_) = at(row, curve_of(row, "keyless"), pairs)
    return Number(name=f"right about {pairs} pairs, values known and keys not", unit="share", value=value)


def how_trained(constants: LessonConstants) -> str:
    """Say how networks are trained."""
    rates = " or ".join(f"{rate:g}" for rate in constants.rates)
    return (
        f"The trained networks read pairs of a key and a value, {constants.keys} kinds of each, then the keys again, "
        f"and answer with the values: {constants.models} networks for each number of pairs, {constants.steps:,} "
        f"training steps, learning rate {rates}."
    )
