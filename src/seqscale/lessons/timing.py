"""Lesson 1: how the time of one pass grows with the length; the kata's stopwatch beside repeated, interleaved times."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import ClassVar, final

from seqscale.errors import UsageError
from seqscale.fit.interval import Interval, median_ratio_interval
from seqscale.fit.points import Points
from seqscale.fit.slope import Slope, local_slope
from seqscale.fit.verdict import Decision, equivalence
from seqscale.kata.constants import written
from seqscale.kata.network import build
from seqscale.kata.sections import ForwardRow, forward
from seqscale.lessons.base import AbstractLesson, Comparison, Finding, Line, Number, Watch, times
from seqscale.lessons.bench import Looked, cell, gap, looked_at, measured
from seqscale.lessons.charts import Bars, Series
from seqscale.lessons.constants import LessonConstants
from seqscale.lessons.question import ChoiceAnswer, NumberAnswer, NumberQuestion
from seqscale.records import Effort
from seqscale.rows import Row
from seqscale.verdicts.time import LinearForward

CLOSE = LinearForward.delta  # so near to proportional is proportional, and to the measured factor a prediction right
CELL_S = 6.0  # seconds for one length: all lengths of a layer take about twice that
NAMES = {"library": "one torch call", "reference": "a Python loop", "fused": "one compiled loop"}


@final
class Timing(AbstractLesson):
    """Time against length."""

    number = 1
    title = "time against length"
    about = (
        "A recurrent network reads a sequence one token at a time. Reading one token is always the same work. So what "
        "happens to the time when the sequence gets longer?"
    )
    layers: ClassVar[tuple[str, ...]] = ("elman",)

    def question(self, constants: LessonConstants) -> NumberQuestion:
        """Ask for the factor of a doubling."""
        self._layer(constants)
        lengths = constants.kata.lengths
        if len(lengths) < 2:
            raise UsageError(f"--lengths {written(lengths)}: give at least two lengths, so that growth can be seen.")
        return NumberQuestion(
            text=(
                f"Of two sequences of up to {lengths[-1]:,} tokens one is twice as long. How many times as long does "
                "it take?"
            ),
            unit="times",
            low=0.1,
            high=100,
        )

    def learn(self, constants: LessonConstants, watch: Watch) -> Finding:
        """Run the kata's timing, and time one layer by each of its algorithms."""
        self.question(constants)
        layer = self._layer(constants)
        kata = forward(constants.kata, build(constants.kata))
        lengths = constants.kata.lengths
        cells = {
            algorithm: [cell("time", layer, constants, length, algorithm) for length in lengths]
            for algorithm in layer.spec.algorithms
        }
        effort = Effort(min_rounds=constants.rounds, max_rounds=max(30, constants.rounds), cell_s=CELL_S, call_s=60.0)
        table = measured([one for run in cells.values() for one in run], effort, watch)
        return conclude(layer.label, kata, {name: table.rows_of(run) for name, run in cells.items()}, constants.rounds)

    def _layer(self, constants: LessonConstants) -> Looked:
        layer, *others = looked_at(constants, self.layers)
        if others:
            raise UsageError(f"--layer {others[0].label}: lesson 1 looks at one layer, {layer.label} already.")
        return layer


def conclude(label: str, kata: Sequence[ForwardRow], rows: Mapping[str, Sequence[Row]], rounds: int) -> Finding:
    """Say what the times give.

    Args:
        label: the layer's name.
        kata: the kata's own times.
        rows: algorithm -> one row for each of the same lengths; the first algorithm is the one that is judged.
        rounds: how often each time was taken, at least.
    """
    first, *others = rows
    slopes = {name: _slope(found) for name, found in rows.items()}
    growths = {name: None if slope is None else _growth(name, slope) for name, slope in slopes.items()}
    per_token = {name: tuple(_per_token(name, row) for row in found) for name, found in rows.items()}
    kata_per_token = tuple(
        Number(name=f"kata, time per token of {row.length:,}", unit="s", value=row.seconds_per_step) for row in kata
    )
    lines = [Line(source="kata", label="kata, one run each", numbers=(_kata_growth(kata), kata_per_token[-1]))]
    lines += [
        Line(source="instrument", label=_label(label, name), numbers=(growths[name], per_token[name][-1]))
        for name in rows
    ]
    series = [Series(source="kata", name="kata, one run", numbers=kata_per_token)]
    series += [Series(source="instrument", name=NAMES.get(n, n), numbers=numbers) for n, numbers in per_token.items()]
    columns = ("twice the tokens take [times]", f"one token of {kata[-1].length:,} takes")
    return Finding(
        how=(
            f"Each length is timed at least {rounds} times, all lengths in random order, so that a busy moment of the "
            "machine does not hit one length alone. Brackets are 95 % intervals. A torch call hands the whole sequence "
            "to torch at once, a compiled loop to a kernel of this project; a Python loop calls torch for each token."
        ),
        tables=(Comparison(title="How time grows, over the longest lengths", columns=columns, lines=tuple(lines)),),
        charts=(_chart(series, tuple(f"{row.length:,}" for row in kata)),),
        answer=_answer(growths[first]),
        sentence=sentence(label, slopes[first], [(name, _cost(rows[first], rows[name])) for name in others]),
        claims=(LinearForward.id,),
        gaps=tuple(gap(row) for found in rows.values() for row in found if not row.ok),
    )


def sentence(label: str, slope: Slope | None, costs: Sequence[tuple[str, Interval | None]]) -> str:
    """Return the sentence that follows.

    Args:
        label: the layer's name.
        slope: of log time over log length; None where too little was measured.
        costs: (algorithm, natural logarithm of its time over that of the first one at the longest length).
    """
    if slope is None:
        return f"Too few lengths of {label} could be timed, so nothing follows about its growth."
    judged = equivalence(slope.low90, slope.high90, slope.low95, slope.high95, 1.0, CLOSE)
    if judged is Decision.supported:
        reading = "so the time is proportional to the length, and a token costs no more in a longer sequence"
    elif judged is Decision.undecided:
        reading = "and that is too uncertain to tell whether the time is proportional to the length"
    elif slope.value > 1:
        reading = "more than proportional, so a token costs more in a longer sequence"
    else:
        reading = (
            "less than proportional, so at these lengths longer sequences share a cost that does not grow with them"
        )
    growth = _growth("", slope)
    return f"Twice the tokens take {growth.text()} as long, {reading}{''.join(map(_cost_text, costs))}."


def _cost_text(cost: tuple[str, Interval | None]) -> str:
    name, ratio = cost
    if ratio is None:
        return ""
    who = NAMES.get(name, name)
    if ratio.low95 <= 0 <= ratio.high95:
        return f"; {who} takes about as long"
    return f"; {who} over the same steps takes {times('', ratio.value, ratio.low95, ratio.high95).text()} as long"


def _slope(rows: Sequence[Row]) -> Slope | None:
    """Return the slope over the last two octaves, or over the last two lengths where they lie further apart."""
    seen = [row for row in rows if row.ok]
    if len(seen) < 2:
        return None
    points = Points.of((row.cell.length, row.observations["time"]) for row in seen)
    return local_slope(points, max(2.0, math.log2(points.x[-1] / points.x[-2])))


def _cost(first: Sequence[Row], other: Sequence[Row]) -> Interval | None:
    """Return the logarithm of how many times as long `other` takes at the longest length that both were timed at."""
    both = [(a, b) for a, b in zip(first, other, strict=True) if a.ok and b.ok]
    if not both:
        return None
    points = [Points.of([(1, row.observations["time"])]) for row in both[-1]]
    return median_ratio_interval(points[1].rounds[0], points[0].rounds[0])


def _growth(name: str, slope: Slope) -> Number:
    """Return what a doubling of the length multiplies the time by."""
    two = math.log(2)
    return times(f"{name}, time for twice the tokens", slope.value * two, slope.low95 * two, slope.high95 * two)


def _kata_growth(kata: Sequence[ForwardRow]) -> Number:
    """Return the same from the kata's two longest lengths, which are one run each and give no interval."""
    a, b = kata[-2:]
    power = math.log(b.seconds / a.seconds) / math.log(b.length / a.length)
    return Number(name="kata, time for twice the tokens", unit="times", value=2**power)


def _per_token(name: str, row: Row) -> Number | None:
    seen = row.observations.get("time")
    if not row.ok or seen is None:
        return None
    value, low, high = (time / row.cell.length for time in (seen.value, seen.low, seen.high))
    return Number(name=f"{name}, time per token of {row.cell.length:,}", unit="s", value=value, low=low, high=high)


def _chart(series: Sequence[Series], rows: tuple[str, ...]) -> Bars:
    """Draw the time per token, each series on its own scale: bars of one length mean a time proportional to length."""
    shown = [one for one in series if any(one.numbers)]
    return Bars(
        title="Time per token (bars that stay the same: the time is proportional to the length)",
        row_name="tokens",
        rows=rows,
        ends=tuple((0.0, max(n.value for n in one.numbers if n is not None and n.value)) for one in shown),
        series=tuple(shown),
    )


def _answer(growth: Number | None) -> NumberAnswer | ChoiceAnswer:
    """Return the factor of a doubling; what is close to it is right, as is what lies in its interval."""
    if growth is None or growth.value is None or growth.low is None or growth.high is None:
        return ChoiceAnswer(text="too little could be timed", letter=None)
    return NumberAnswer(
        text=growth.text(),
        low=min(growth.low, growth.value * (1 - CLOSE)),
        high=max(growth.high, growth.value * (1 + CLOSE)),
    )


def _label(layer: str, algorithm: str) -> str:
    return f"{layer}, {NAMES.get(algorithm, algorithm)}"
