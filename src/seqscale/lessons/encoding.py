"""Lesson 2: encoding ever longer sequences into one state; the kata's cosine beside bits that a decoder finds."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from typing import ClassVar, final

from seqscale.errors import UsageError
from seqscale.fit.interval import Interval
from seqscale.fit.verdict import Decision, average
from seqscale.kata.constants import KataConstants, written
from seqscale.kata.network import build
from seqscale.kata.sections import BottleneckRow, bottleneck
from seqscale.lessons.base import AbstractLesson, Comparison, Finding, Line, Number, Watch
from seqscale.lessons.bench import KATA_NETWORK, ONCE, Looked, looked_at, measured
from seqscale.lessons.charts import Bars, Series
from seqscale.lessons.constants import LessonConstants
from seqscale.lessons.decoding import bits, bits_cell, check_symbols, curve, how, refused
from seqscale.lessons.question import ChoiceAnswer, NumberAnswer, NumberQuestion
from seqscale.rows import Row
from seqscale.verdicts.information import FirstTokenFades, StateIsBounded
from seqscale.verdicts.readings import paired

CLAIMS = (FirstTokenFades.id, StateIsBounded.id)
LOSS = FirstTokenFades.delta  # bits: the smallest loss that matters
START = 2  # tokens read where the comparison starts: the first one is no longer the last
CLOSE = 0.1  # share of a token's bits: so far from the measured number a prediction is still right


@final
class Encoding(AbstractLesson):
    """Ever longer sequences in one state."""

    number = 2
    title = "encoding ever longer sequences"
    about = (
        "After each token a recurrent network keeps only its state, a fixed number of numbers. Whatever it knows of "
        "the tokens must be in there. Attention keeps something of every token instead. What is left of the first "
        "token when more and more follow?"
    )
    layers: ClassVar[tuple[str, ...]] = (KATA_NETWORK, "elman", "elman-orthogonal", "attention")

    def question(self, constants: LessonConstants) -> NumberQuestion:
        """Ask for the bits of the first token that are left at the end."""
        kata, looked = constants.kata, looked_at(constants, self.layers)
        if kata.encoded[-1] <= START:
            wrote, cure = f"--encoded {written(kata.encoded)}", f"--encoded {START},{kata.token_count}"
            if kata.token_count <= START:  # the list has followed them
                wrote, cure = f"--tokens {kata.token_count}", f"--tokens {KataConstants().token_count}"
            raise UsageError(
                f"{wrote}: the lesson compares the state after {START} tokens with the one after the last; let that be "
                f"{START + 1} at least, as by {cure}."
            )
        check_symbols(constants)
        most = math.log2(kata.input_size)
        return NumberQuestion(
            text=(
                f"A token is one of {kata.input_size}: knowing which one is worth {most:.3g} bits. The state of "
                f"{looked[0].label} is looked at after {kata.encoded[-1]:,} tokens. How many bits of the first one can "
                "still be read from it?"
            ),
            unit="bit",
            low=0,
            high=most,
        )

    def learn(self, constants: LessonConstants, watch: Watch) -> Finding:
        """Run the kata's encoding at every length that the instrument looks at, and decode the states of all layers."""
        self.question(constants)
        looked, kata = looked_at(constants, self.layers), constants.kata
        cells = [bits_cell(layer, constants, kata.encoded[-1]) for layer in looked]
        table = measured(cells, ONCE, watch)
        return conclude(constants, looked, table.rows_of(cells))


def conclude(constants: LessonConstants, looked: Sequence[Looked], rows: Sequence[Row]) -> Finding:
    """Say what the states of these layers hold, one row for each; the first layer is the one that is judged."""
    kata, most = constants.kata, math.log2(constants.kata.input_size)
    curves = [curve(row, "first token") for row in rows]
    tokens = sorted({int(x) for found in curves for x in found}) or list(kata.encoded)
    own = bottleneck(_encoding(kata, tokens), build(kata))
    first, last = next(n for n in tokens if n >= START), tokens[-1]
    cosines = {row.encoded: _cosine(row) for row in own}
    named = [
        {n: bits(f"{layer.label}, bits of the first token after {n:,}", found.get(n)) for n in tokens}
        for layer, found in zip(looked, curves, strict=True)
    ]
    everything = [
        bits(f"{layer.label}, bits of all {last:,} tokens", curve(row, "found").get(last))
        for layer, row in zip(looked, rows, strict=True)
    ]
    lines = [Line(source="kata", label="the kata's cosine", numbers=(cosines[first], cosines[last], None))]
    lines += [
        Line(source="instrument", label=layer.label, numbers=(at[first], at[last], every))
        for layer, at, every in zip(looked, named, everything, strict=True)
    ]
    series = [Series(source="kata", name="the kata's cosine", numbers=tuple(cosines[n] for n in tokens))]
    series += [
        Series(source="instrument", name=layer.label, numbers=tuple(at[n] for n in tokens))
        for layer, at in zip(looked, named, strict=True)
        if any(at.values())
    ]
    lost = None
    if curves[0].get(first) and curves[0].get(last):
        lost = paired(curves[0][first], curves[0][last])
    return Finding(
        how=how(constants),
        tables=(
            Comparison(
                title=f"What the state tells [bit, of {most:.3g} for a token; the kata: a cosine, from -1 to 1]",
                columns=(f"first, after {first:,}", f"first, after {last:,}", f"all {last:,}, of {last * most:.3g}"),
                lines=tuple(lines),
            ),
        ),
        charts=(
            Bars(
                title="What the state tells of the first token, by tokens read [bit; the kata: cosine]",
                row_name="tokens read",
                rows=tuple(f"{n:,}" for n in tokens),
                ends=((-1.0, 1.0), *[(0.0, most)] * (len(series) - 1)),
                series=tuple(series),
            ),
        ),
        answer=_answer(named[0][last], most),
        sentence=sentence(
            [layer.label for layer in looked],
            [at[last] for at in named],
            lost,
            most,
            (own[tokens.index(first)], own[-1]),
        ),
        claims=CLAIMS,
        gaps=tuple(said for row in rows if (said := refused(row)) is not None),
    )


def sentence(
    labels: Sequence[str],
    last: Sequence[Number | None],
    lost: Interval | None,
    most: float,
    cosines: tuple[BottleneckRow, BottleneckRow],
) -> str:
    """Return the sentence that follows.

    Args:
        labels: of the layers; the first is the one that is judged.
        last: bits of the first token that each one's last state tells.
        lost: bits that the first one tells less than near the start.
        most: bits in a token.
        cosines: the kata's numbers at the same two places.
    """
    start, end = cosines
    if last[0] is None or lost is None:
        return f"The state of {labels[0]} could not be read, so nothing follows about what it holds."
    judged = average(lost.low95, lost.high95, LOSS)
    reading = {
        Decision.supported: f"{lost.value:.2f} fewer than after {start.encoded:,}, so the first token fades",
        Decision.contradicted: f"about as many as after {start.encoded:,}, so the first token does not fade",
        Decision.undecided: "which leaves open whether the first token fades",
    }[judged]
    others = ", ".join(
        f"{label} {found.short()}" for label, found in zip(labels[1:], last[1:], strict=True) if found is not None
    )
    beside = f" ({others})" if others else ""
    return (
        f"After {end.encoded:,} tokens the state of {labels[0]} tells {last[0].cell()} of the first token's {most:.3g} "
        f"bits{beside}, {reading}; {_cosine_says(start, end, judged)}."
    )


def _cosine_says(start: BottleneckRow, end: BottleneckRow, judged: Decision) -> str:
    change = round(end.first_similarity - start.first_similarity, 4)
    moves = "rises" if change > 0 else "falls" if change < 0 else "stays"
    said = f"the kata's cosine {moves} from {start.first_similarity:+.4f} to {end.first_similarity:+.4f}"
    if judged is Decision.undecided:
        return said
    agrees = (change < 0) == (judged is Decision.supported)
    return f"{said}, which says {'the same' if agrees else 'the opposite'}"


def _encoding(kata: KataConstants, tokens: Sequence[int]) -> KataConstants:
    """Return the kata's constants with the lengths that the instrument looks at."""
    return dataclasses.replace(kata, encoded=tuple(tokens), token_count=max(kata.token_count, tokens[-1]))


def _cosine(row: BottleneckRow) -> Number:
    name = f"kata, similarity to the first token after {row.encoded:,}"
    return Number(name=name, unit="cosine", value=row.first_similarity)


def _answer(last: Number | None, most: float) -> NumberAnswer | ChoiceAnswer:
    if last is None or last.value is None or last.low is None or last.high is None:
        return ChoiceAnswer(text="the state could not be read", letter=None)
    return NumberAnswer(
        text=last.text(), low=min(last.low, last.value - CLOSE * most), high=max(last.high, last.value + CLOSE * most)
    )
