"""How a lesson prints: plain ASCII, in the width of the terminal, at most 100 columns."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence

from seqscale.lessons.base import AbstractLesson, Comparison, Finding
from seqscale.lessons.bench import legend, looked_at
from seqscale.lessons.constants import LessonConstants
from seqscale.lessons.question import Prediction

FEWEST, MOST = 60, 100  # columns


def columns_of(terminal: int) -> int:
    """Return how wide to print in a terminal of so many columns."""
    return max(FEWEST, min(MOST, terminal))


def heading(lesson: AbstractLesson, constants: LessonConstants, columns: int) -> str:
    """Return the title of a lesson, what it is about, and what it looks at."""
    title = f"Lesson {lesson.number}: {lesson.title}"
    lines = [title, "=" * len(title), *_wrapped(lesson.about, columns)]
    for line in legend(looked_at(constants, lesson.layers)):
        lines += _wrapped(line, columns, "    ", "  ")
    return "\n".join(lines)


def filled(text: str, columns: int) -> str:
    """Return a line of text in so many columns."""
    return "\n".join(_wrapped(text, columns, "  "))


def render(finding: Finding, prediction: Prediction | None, columns: int) -> str:
    """Return what was measured: tables, charts, whether the prediction was right, the sentence that follows."""
    lines: list[str] = []
    for table in finding.tables:
        lines += ["", *_table(table, columns)]
    lines += ["", *_wrapped(finding.how, columns)]
    for chart in finding.charts:
        lines += ["", *_wrapped(chart.title, columns), *chart.lines(columns)]
    lines += [line for gap in finding.gaps for line in _wrapped(f"! not measured: {gap}", columns, "  ")]
    if prediction is not None:
        lines += ["", *_wrapped(_judged(finding, prediction), columns)]
    lines += ["", *_wrapped(f"=> {finding.sentence}", columns, "   ")]
    claims = f"-> Asked of every layer, with a verdict, by `seqscale run`: {', '.join(finding.claims)}."
    return "\n".join([*lines, *_wrapped(claims, columns, "   ")])


def _judged(finding: Finding, prediction: Prediction) -> str:
    word = {True: "Right", False: "Not so", None: "Left open"}[finding.answer.right(prediction)]
    return f"Your prediction: {prediction.text}. Measured: {finding.answer.text}. {word}."


def _table(table: Comparison, columns: int) -> Iterator[str]:
    """Write a table; where it is too wide, each line's numbers go below its label."""
    texts = [[("-" if n is None else n.cell()) for n in line.numbers] for line in table.lines]
    label = max(len(line.label) for line in table.lines)
    widths = [max(len(cell) for cell in column) for column in zip(table.columns, *texts, strict=True)]
    yield from _wrapped(table.title, columns)
    if 2 + label + sum(2 + wide for wide in widths) <= columns:
        yield _row("", label, table.columns, widths)
        for line, cells in zip(table.lines, texts, strict=True):
            yield _row(line.label, label, cells, widths)
        return
    for line, cells in zip(table.lines, texts, strict=True):
        yield f"  {line.label}"
        named = (f"{name}: {cell}" for name, cell in zip(table.columns, cells, strict=True))
        yield from _wrapped("; ".join(named), columns, "    ", "    ")


def _row(label: str, wide: int, cells: Sequence[str], widths: Sequence[int]) -> str:
    return f"  {label:<{wide}}{''.join(f'  {cell:>{w}}' for cell, w in zip(cells, widths, strict=True))}".rstrip()


def _wrapped(text: str, columns: int, after: str = "", first: str = "") -> list[str]:
    return textwrap.wrap(text, columns, initial_indent=first, subsequent_indent=after, break_on_hyphens=False)
