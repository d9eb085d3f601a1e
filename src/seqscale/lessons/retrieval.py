"""Lesson 3: retrieving early tokens; the kata's cosines beside bits by distance, and networks trained to retrieve."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import ClassVar, final

from seqscale.errors import UsageError
from seqscale.fit.interval import Interval
from seqscale.fit.verdict import Decision, average, equivalence
from seqscale.kata.findings import DECIMALS
from seqscale.kata.network import build
from seqscale.kata.sections import RetrievalRow, retrieval
from seqscale.lessons.base import AbstractLesson, Comparison, Finding, Line, Number, Watch
from seqscale.lessons.bench import KATA_NETWORK, ONCE, Looked, looked_at, measured
from seqscale.lessons.charts import Bars, Series
from seqscale.lessons.constants import LessonConstants
from seqscale.lessons.decoding import Curves, bits, bits_cell, check_symbols, curve, how, number, refused
from seqscale.lessons.question import ChoiceAnswer, ChoiceQuestion
from seqscale.lessons.recalling import Recall, how_trained, phrase, recall_cells, table_of
from seqscale.rows import Row
from seqscale.verdicts.information import FirstTokenFades, RecentDominates
from seqscale.verdicts.readings import paired
from seqscale.verdicts.retrieval import CannotRetrieve, EarlyDegrades

CLAIMS = (RecentDominates.id, EarlyDegrades.id, CannotRetrieve.id)
APART = FirstTokenFades.delta  # bits by which newest and oldest must differ
NEWEST, OLDEST, ALIKE = "a", "b", "c"


@final
class Retrieval(AbstractLesson):
    """Retrieval of early tokens."""

    number = 3
    title = "retrieving early tokens"
    about = (
        "A network that has read a sequence is asked for one of its tokens. Can it still say which token stood at an "
        "early place? First its state is only looked at; then networks are trained to answer."
    )
    layers: ClassVar[tuple[str, ...]] = (KATA_NETWORK, "elman", "gru", "attention")

    def question(self, constants: LessonConstants) -> ChoiceQuestion:
        """Ask which token can be read best."""
        length, looked = constants.kata.retrieval_length, looked_at(constants, self.layers)
        if length < 2:
            raise UsageError(f"--retrieval-length {length}: give at least 2 tokens, an early and a late one.")
        check_symbols(constants)
        recall_cells(looked[0], constants)
        return ChoiceQuestion(
            text=(
                f"The state of {looked[0].label} is looked at after {length:,} tokens. Which of them can be read "
                "best from it?"
            ),
            choices=((NEWEST, "the newest"), (OLDEST, "the oldest"), (ALIKE, "both equally well")),
        )

    def learn(self, constants: LessonConstants, watch: Watch) -> Finding:
        """Run the kata's retrieval, decode the states of all layers, and train those that can be trained."""
        self.question(constants)
        looked = looked_at(constants, self.layers)
        decoded = [bits_cell(layer, constants, constants.kata.retrieval_length) for layer in looked]
        # the kata's weights are what is looked at in its network: trained, it would be another
        trained = [(layer, recall_cells(layer, constants)) for layer in looked if layer.spec.target != KATA_NETWORK]
        table = measured([*decoded, *(one for _, cells in trained for one in cells)], ONCE, watch)
        recalls = [Recall.of(layer, constants, table.rows_of(cells)) for layer, cells in trained]
        return conclude(constants, looked, table.rows_of(decoded), recalls)


def conclude(
    constants: LessonConstants, looked: Sequence[Looked], rows: Sequence[Row], recalls: Sequence[Recall]
) -> Finding:
    """Say what the states hold, and what trained networks retrieve.

    Args:
        constants: of the lesson.
        looked: the layers whose states are decoded; the first is the one that is judged.
        rows: of the probe `token-bits`, one for each of them.
        recalls: what trained networks retrieve.
    """
    kata, first = constants.kata, looked[0].label
    most, last = math.log2(kata.input_size), kata.retrieval_length - 1
    own = {row.distance: row for row in retrieval(kata, build(kata))}
    curves = {layer.label: curve(row, "bits") for layer, row in zip(looked, rows, strict=True)}
    shown = sorted({0, 1, 2, last, *(last - position for position in kata.positions)} & own.keys())
    cosines = {distance: _cosine(row) for distance, row in own.items()}
    lines = [Line(source="kata", label="the kata's cosine", numbers=(cosines[0], cosines[last]))]
    lines += [
        Line(source="instrument", label=label, numbers=(_bits(label, found, 0), _bits(label, found, last)))
        for label, found in curves.items()
    ]
    series = [Series(source="kata", name="the kata's cosine", numbers=tuple(cosines[d] for d in shown))]
    series += [
        Series(source="instrument", name=label, numbers=tuple(_bits(label, found, d) for d in shown))
        for label, found in curves.items()
        if found
    ]
    apart = paired(curves[first][0], curves[first][last]) if curves[first] else None
    reasons = [*map(refused, rows), *(why for found in recalls for why in found.gaps)]
    return Finding(
        how=f"{how(constants)} {how_trained(constants)}",
        tables=(
            Comparison(
                title=f"What the state tells [bit, of {most:.3g} for a token; the kata: a cosine, from -1 to 1]",
                columns=("of the newest token", f"of the oldest of {last + 1:,}"),
                lines=tuple(lines),
            ),
            *table_of(recalls, constants),
        ),
        charts=(
            Bars(
                title="What the state tells of a token, by how long ago it was read [bit; the kata: cosine]",
                row_name="tokens ago",
                rows=tuple(f"{d:,}" for d in shown),
                ends=((-1.0, 1.0), *[(0.0, most)] * (len(series) - 1)),
                series=tuple(series),
            ),
        ),
        answer=_answer(apart),
        sentence=sentence(first, lines[1].numbers, apart, _rank(list(own.values())), phrase(recalls, constants)),
        claims=CLAIMS,
        gaps=tuple(why for why in reasons if why is not None),
    )


def sentence(
    label: str,
    ends: Sequence[Number | None],
    apart: Interval | None,
    rank: tuple[int, int],
    trained: str,
) -> str:
    """Return the sentence that follows.

    Args:
        label: of the layer that is judged.
        ends: bits of the newest and of the oldest token that its state tells.
        apart: their difference.
        rank: the place of the newest token's cosine among all places, largest first, and how many there are.
        trained: what follows from trained networks; empty where nothing does.
    """
    newest, oldest = ends
    if newest is None or oldest is None or apart is None:
        read = f"The state of {label} could not be read, so nothing follows about what it tells"
    else:
        reading = {
            NEWEST: "so recent tokens can be read better",
            OLDEST: "so old tokens can be read better",
            ALIKE: "so age makes no difference",
            None: "which leaves open whether age makes a difference",
        }[_best(apart)]
        place, count = rank
        read = (
            f"The state of {label} tells {newest.cell()} bits of the newest token and {oldest.cell()} of the oldest, "
            f"{reading} (by the kata's cosine the newest is in place {place} of {count})"
        )
    return "; ".join(part for part in (read, trained) if part) + "."


def _best(apart: Interval) -> str | None:
    """Return the letter of what can be read best, by the difference of newest and oldest; None: left open."""
    if average(apart.low95, apart.high95, APART) is Decision.supported:
        return NEWEST
    if average(-apart.high95, -apart.low95, APART) is Decision.supported:
        return OLDEST
    alike = equivalence(apart.low90, apart.high90, apart.low95, apart.high95, 0.0, APART)
    return ALIKE if alike is Decision.supported else None


def _answer(apart: Interval | None) -> ChoiceAnswer:
    letter = None if apart is None else _best(apart)
    if apart is None or letter is None:
        return ChoiceAnswer(text="left open", letter=None)
    words = {NEWEST: "the newest", OLDEST: "the oldest", ALIKE: "both equally well"}
    difference = number("", "bit", apart).text()
    return ChoiceAnswer(text=f"{words[letter]} (newest less oldest: {difference})", letter=letter)


def _bits(label: str, found: Curves, distance: int) -> Number | None:
    return bits(f"{label}, bits of the token {distance:,} tokens ago", found.get(distance))


def _cosine(row: RetrievalRow) -> Number:
    return Number(
        name=f"kata, similarity to the token {row.distance:,} tokens ago", unit="cosine", value=row.similarity
    )


def _rank(rows: Sequence[RetrievalRow]) -> tuple[int, int]:
    """Return the place of the newest token's similarity among all, largest first, and their number."""
    newest = next(row.similarity for row in rows if row.distance == 0)
    return 1 + sum(round(row.similarity - newest, DECIMALS) > 0 for row in rows), len(rows)
