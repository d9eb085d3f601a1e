"""Lesson 4: serial against parallel; the kata's step model beside counted work and span, and bounds on P cores."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, final

from seqscale.errors import UsageError
from seqscale.fit.processors import Crossing, Model, crossing
from seqscale.kata.constants import KataConstants
from seqscale.kata.sections import ParallelRow, parallel, step_products
from seqscale.kata.text import counted
from seqscale.lessons.base import AbstractLesson, Comparison, Finding, Line, Number, Watch
from seqscale.lessons.bench import ONCE, Looked, asked, gap, looked_at, measured
from seqscale.lessons.charts import Ranges, Series
from seqscale.lessons.constants import LessonConstants
from seqscale.lessons.question import ChoiceAnswer, ChoiceQuestion
from seqscale.records import Question
from seqscale.rows import Table
from seqscale.verdicts.counts import count_laws, law_cells
from seqscale.verdicts.crossover import LENGTHS, CrossoverOnProcessors
from seqscale.verdicts.parallel import AttentionSpanFlat, SpanGrows

CLAIMS = (SpanGrows.id, AttentionSpanFlat.id, CrossoverOnProcessors.id)


@final
class Waiting(AbstractLesson):
    """Serial against parallel."""

    number = 4
    title = "serial against parallel"
    about = (
        "In a recurrent network every step waits for the step before it. Attention compares all pairs of tokens: more "
        "work, but nearly all of it can be done at once. Which one is done first when many cores help?"
    )
    layers: ClassVar[tuple[str, ...]] = ("elman", "attention")

    def question(self, constants: LessonConstants) -> ChoiceQuestion:
        """Ask who finishes the longest sequence first."""
        first, second = self._both(constants)
        kata = constants.kata
        longest = counted(kata.parallel_lengths[-1], "token")
        return ChoiceQuestion(
            text=f"{counted(kata.cores, 'core')}, {longest}: which one finishes first?",
            choices=(("a", first.label), ("b", second.label), ("c", "neither for sure")),
        )

    def learn(self, constants: LessonConstants, watch: Watch) -> Finding:
        """Count both layers, nothing executed, and bound their times on the kata's number of cores."""
        both = self._both(constants)
        lengths = constants.kata.parallel_lengths
        questions = [asked(CrossoverOnProcessors.id, layer, constants, lengths) for layer in both]
        table = measured([cell for question in questions for cell in law_cells(question)], ONCE, watch)
        models = [model_of(layer.label, question, table) for layer, question in zip(both, questions, strict=True)]
        return conclude(constants.kata, models)

    def _both(self, constants: LessonConstants) -> tuple[Looked, Looked]:
        found = looked_at(constants, self.layers)
        if len(found) != 2:
            names = " and ".join(layer.label for layer in found)
            raise UsageError(f"--layer: lesson 4 compares two layers, not {names} alone; name two.")
        return found[0], found[1]


def model_of(label: str, question: Question, table: Table) -> Model:
    """Return a layer by its exact laws of work and span; UsageError where one of them has none."""
    laws = count_laws(question, table)
    why = next((gap(row) for row in table.rows_of(law_cells(question)) if not row.ok), None)
    if laws is not None:
        why = laws.uncounted or why
        if laws.uncounted is None and laws.work is not None and laws.ideal_span is not None:
            return Model(label=label, work=laws.work, span=laws.ideal_span)
    raise UsageError(
        f"--layer {label}: its work and span have no exact law ({why or 'none was found'}), so nothing follows about "
        "many cores; name another layer."
    )


def conclude(kata: KataConstants, models: Sequence[Model]) -> Finding:
    """Say what the kata's model and the counted laws give, for two layers."""
    first, second = models
    own = parallel(kata)
    lengths, cores = kata.parallel_lengths, kata.cores
    found = crossing(first, second, cores, tuple(sorted({*LENGTHS, *lengths})))
    last = crossing(first, second, cores, lengths[-1:]).throughout
    reach = min(law.reach("T")[1] for model in models for law in (model.work, model.span))
    ends = [own[i] for i in sorted({0, len(own) - 1})]
    return Finding(
        how=(
            "The operations of both layers are counted exactly, and the longest chain in which one waits for another; "
            f"a core does one in a step. On {counted(cores, 'core')} a layer can be no faster than its work shared "
            "out, or its chain; nor need it be slower than both together. Real machines add costs of their own. "
            f"Counted up to {counted(reach, 'token')}, beyond that by the law found. The width decides who is first "
            f"where: here it is {kata.input_size} (--input-size), and another width can turn the answer round."
        ),
        tables=(_factors(ends, models, cores), _busy(ends, models, cores)),
        charts=(_chart(own, models, cores),),
        answer=_answer(last, models),
        sentence=sentence(found, kata),
        claims=CLAIMS,
    )


def sentence(found: Crossing, kata: KataConstants) -> str:
    """Return the sentence that follows from who is surely first where, beside what the kata's model says."""
    products = step_products(kata.hidden_size, kata.input_size)
    own = (
        f"the kata's model, which takes the {products:,} products of a recurrent step as one step of one core, "
        f"says that attention is last from {counted(kata.cores, 'token')} on"
    )
    return f"On {counted(found.processors, 'core')} {_who(found)}; {own}."


def _who(found: Crossing) -> str:
    longest = found.runs[-1][2]
    reach = f"at every length up to {counted(longest, 'token')}"
    if not found.sure:
        return f"the exact counts leave open which one is first, {reach}"
    if found.throughout is not None:
        return f"{found.throughout} is surely first {reach}"
    said = [f"{who} is surely first {_span(start, end, found.runs[0][1], longest)}" for who, start, end in found.sure]
    if found.sure != found.runs:
        said.append("elsewhere the counts leave it open")
    return f"{', '.join(said[:-1])}, and {said[-1]}"


def _span(start: int, end: int, shortest: int, longest: int) -> str:
    if start == shortest:
        return f"up to {counted(end, 'token')}"
    if end == longest:
        return f"from {counted(start, 'token')} on"
    return f"from {start:,} to {counted(end, 'token')}"


def _factors(rows: Sequence[ParallelRow], models: Sequence[Model], cores: int) -> Comparison:
    first, second = models
    ends = []
    for row in rows:
        a, b = (model.bounds(row.length, cores) for model in models)
        ends.append((a.low / b.high, a.high / b.low))
    kata = _own("recurrent steps over attention's", "times", rows, [row.factor for row in rows])
    exact = _bounded(f"steps of {first.label} over steps of {second.label}", "times", rows, ends)
    return Comparison(
        title=(
            f"Steps of {first.label} over steps of {second.label}, on {counted(cores, 'core')} [times; the kata: "
            "recurrence over attention]"
        ),
        columns=_columns(rows),
        lines=(
            Line(source="kata", label="kata's model", numbers=kata),
            Line(source="instrument", label="exact counts, bounds", numbers=exact),
        ),
    )


def _busy(rows: Sequence[ParallelRow], models: Sequence[Model], cores: int) -> Comparison:
    """Return how many cores have something to do, on average: work over time."""
    lines = []
    for name, busy in (("recurrence", [1.0 for _ in rows]), ("attention", [row.busy_cores for row in rows])):
        numbers = _own(f"cores that {name} keeps busy", "cores", rows, busy)
        lines.append(Line(source="kata", label=f"kata's model, {name}", numbers=numbers))
    for model in models:
        found = [(model.at(row.length)[0], model.bounds(row.length, cores)) for row in rows]
        ends = [(work / bounds.high, work / bounds.low) for work, bounds in found]
        numbers = _bounded(f"cores that {model.label} keeps busy", "cores", rows, ends)
        lines.append(Line(source="instrument", label=f"exact counts, {model.label}", numbers=numbers))
    return Comparison(
        title=f"Busy cores of {cores:,}, on average [cores]",
        columns=_columns(rows),
        lines=tuple(lines),
    )


def _chart(rows: Sequence[ParallelRow], models: Sequence[Model], cores: int) -> Ranges:
    """Draw the steps of both, by the kata's model and between their exact bounds."""
    series = []
    for name, steps in (
        ("recurrence", [row.rnn_steps for row in rows]),
        ("attention", [row.attention_steps for row in rows]),
    ):
        numbers = _own(f"steps of {name}", "steps", rows, steps)
        series.append(Series(source="kata", name=f"kata {name}", numbers=numbers))
    for model in models:
        found = [model.bounds(row.length, cores) for row in rows]
        numbers = _bounded(f"steps of {model.label}", "steps", rows, [(bounds.low, bounds.high) for bounds in found])
        series.append(Series(source="instrument", name=model.label, numbers=numbers))
    return Ranges(
        title=f"Steps on {counted(cores, 'core')} [steps, each mark of the axis is ten times the one before]",
        row_name="tokens",
        rows=tuple(f"{row.length:,}" for row in rows),
        series=tuple(series),
    )


def _columns(rows: Sequence[ParallelRow]) -> tuple[str, ...]:
    return tuple(counted(row.length, "token") for row in rows)


def _own(what: str, unit: str, rows: Sequence[ParallelRow], values: Sequence[float]) -> tuple[Number, ...]:
    """Return the kata's numbers, one for each row."""
    named = zip(_columns(rows), values, strict=True)
    return tuple(Number(name=f"kata, {what}, {name}", unit=unit, value=value) for name, value in named)


def _bounded(
    what: str, unit: str, rows: Sequence[ParallelRow], ends: Sequence[tuple[float, float]]
) -> tuple[Number, ...]:
    """Return exact bounds, one pair for each row."""
    return tuple(
        Number(name=f"{what}, {name}", unit=unit, value=None, low=low, high=high)
        for name, (low, high) in zip(_columns(rows), ends, strict=True)
    )


def _answer(last: str | None, models: Sequence[Model]) -> ChoiceAnswer:
    first, second = (model.label for model in models)
    letters = {first: "a", second: "b"}
    if last is None:
        return ChoiceAnswer(text="the exact counts do not say which one is first", letter="c")
    return ChoiceAnswer(text=f"{last} is surely first", letter=letters[last])
