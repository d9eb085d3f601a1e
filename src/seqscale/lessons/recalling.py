"""What networks trained on associative recall retrieve of the oldest pair, by the probe `recall` and its claim."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from seqscale.fit.replicates import share_interval
from seqscale.fit.verdict import Decision
from seqscale.lessons.base import Comparison, Line, Number
from seqscale.lessons.bench import Looked, asked, cell, gap
from seqscale.lessons.constants import LessonConstants
from seqscale.records import Cell
from seqscale.rows import Row
from seqscale.verdicts.readings import UnreadError, scored_of, values_of
from seqscale.verdicts.retrieval import EarlyDegrades

OLDEST = "early_accuracy"
UNCOMPARED = "not compared"
BATCH = 32  # sequences in a training step
READINGS = {
    Decision.supported: "worse",
    Decision.contradicted: "no worse",
    Decision.undecided: "left open whether worse",
}


def recall_cells(layer: Looked, constants: LessonConstants) -> tuple[Cell, ...]:
    """Return the cells of networks trained to recall pairs, one for each length that they are trained at."""
    return tuple(
        cell(
            "recall", layer, constants, length, form="trained", pairs=constants.pairs, keys=constants.keys,
            symbols=constants.keys, steps=constants.steps, rates=",".join(f"{rate:g}" for rate in constants.rates),
            replicates=constants.models, sequences=BATCH,
        )
        for length in constants.recalled
    )  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Recall:
    """What networks of one layer retrieve.

    Attributes:
        label: of the layer.
        oldest: share of right answers about the oldest quarter of the pairs, at least one, by length.
        every: share of right answers about all of them, in the shortest sequence.
        keyless: what is right there for who remembers which values came, and not with which key.
        reading: what the claim says of the layer.
        gaps: why numbers are missing.
    """

    label: str
    oldest: tuple[Number | None, ...]
    every: Number | None
    keyless: Number | None
    reading: str
    gaps: tuple[str, ...]

    @classmethod
    def of(cls, layer: Looked, constants: LessonConstants, rows: Sequence[Row]) -> Recall:
        """Read the rows of one layer, one for each length."""
        gaps, reading, keyless = [gap(row) for row in rows if not row.ok], UNCOMPARED, None
        if not gaps:
            try:
                reading, keyless = _reading(layer, constants, rows), _keyless(rows[0], constants.pairs)
            except UnreadError as error:
                gaps.append(error.said)
        right = f"{layer.label}, right about"
        return cls(
            label=layer.label,
            oldest=tuple(
                _share(f"{right} the oldest of {constants.pairs} pairs in {row.cell.length} tokens", row, OLDEST)
                for row in rows
            ),
            every=_share(f"{right} all {constants.pairs} pairs in {rows[0].cell.length} tokens", rows[0], "accuracy"),
            keyless=keyless,
            reading=reading,
            gaps=tuple(gaps),
        )


def _reading(layer: Looked, constants: LessonConstants, rows: Sequence[Row]) -> str:
    """Say what the claim finds; what was not learned in a short sequence cannot get worse in a longer one."""
    found = EarlyDegrades().find(asked(EarlyDegrades.id, layer, constants, constants.recalled), tuple(rows), ())
    return READINGS[found.decision] if found.fault is None else f"not learned in {constants.steps:,} steps"


def _share(name: str, row: Row, quantity: str) -> Number | None:
    """Return a share with its interval, which ends at 0 and 1; None where it was not measured."""
    if not row.ok:
        return None
    try:
        found = share_interval(values_of(row, quantity), scored_of(row))
    except UnreadError:
        return None
    low, high = max(0.0, found.low95), min(1.0, found.high95)
    return Number(name=name, unit="share", value=found.value, low=low, high=high)


def _keyless(row: Row, pairs: int) -> Number:
    (value, *_) = values_of(row, "keyless_accuracy")
    return Number(name=f"right about {pairs} pairs, values known and keys not", unit="share", value=value)


def phrase(recalls: Sequence[Recall], constants: LessonConstants) -> str:
    """Return what follows from trained networks; empty where none could be scored."""
    said = []
    for found in recalls:
        if any(found.oldest):
            shares = " and ".join("-" if share is None else share.short() for share in found.oldest)
            said.append(f"{shares} for {found.label} ({found.reading})")
    lengths = " and in ".join(f"{length:,}" for length in constants.recalled)
    asked_for = f"trained to answer about the oldest of {constants.pairs} pairs, the share right in {lengths} tokens is"
    return f"{asked_for} {', '.join(said)}" if said else ""


def table_of(recalls: Sequence[Recall], constants: LessonConstants) -> list[Comparison]:
    """Return the table of trained networks; none where none could be scored."""
    if not any(any(found.oldest) for found in recalls):
        return []
    lines = [Line(source="instrument", label=found.label, numbers=(*found.oldest, found.every)) for found in recalls]
    keyless = next((found.keyless for found in recalls if found.keyless), None)
    blind = (*(None for _ in constants.recalled), keyless)
    return [
        Comparison(
            title=(
                f"Trained to answer: the share of right answers about the oldest of {constants.pairs} pairs, and about "
                "all of them (the kata trains nothing)"
            ),
            columns=(
                *(f"oldest, {n:,} tokens" for n in constants.recalled),
                f"all, {constants.recalled[0]:,} tokens",
            ),
            lines=(*lines, Line(source="instrument", label="without the keys", numbers=blind)),
        )
    ]


def how_trained(constants: LessonConstants) -> str:
    """Say how networks are trained."""
    rates = " or ".join(f"{rate:g}" for rate in constants.rates)
    return (
        f"The trained networks read {constants.pairs} pairs of a key and a value, {constants.keys} kinds of each, then "
        "each key again, and answer with its value; a longer sequence has blanks in between. There are "
        f"{constants.models} networks for each length, trained in {constants.steps:,} steps at learning rate {rates}. "
        "The oldest are a quarter of the pairs, at least one."
    )
