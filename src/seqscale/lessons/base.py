"""What a lesson shows: numbers with unit and interval, tables of them, charts, and the sentence that they give."""

from __future__ import annotations

import abc
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from seqscale.kata.replay import UNITS as KATA_UNITS
from seqscale.lessons.constants import USES, LessonConstants
from seqscale.lessons.question import AbstractAnswer, AbstractQuestion, Prediction
from seqscale.units import format_count

if TYPE_CHECKING:  # imported where it is used, so that listing the lessons stays instant
    from seqscale.engine.local import Progress
    from seqscale.lessons.charts import Bars, Ranges

Watch = Callable[["Progress"], None]
Source = Literal["kata", "instrument"]  # whose number it is

UNITS = KATA_UNITS | {
    "layer": "name",
    "seed": "1",
    "rounds": "rounds",
    "sequences": "sequences",
    "replicates": "draws",
    "noise": "1",
    "keys": "kinds",
    "pairs": "pairs",
    "recalled": "tokens",
    "steps": "steps",
    "rates": "1",
    "models": "networks",
}

_DECIMALS = {"bit": ".2f", "cosine": "+.4f", "share": ".2f"}
_SCALES = (("s", 1.0), ("ms", 1e-3), ("us", 1e-6), ("ns", 1e-9))


@dataclass(frozen=True, slots=True, kw_only=True)
class Number:
    """One number that a lesson shows.

    Attributes:
        name: what it is, unique in its lesson.
        unit: as in `units`; "cosine" for the kata's similarity, "times" for a ratio, "share" for a part of 1.
        value: None where only bounds are known.
        low, high: its 95 % interval, or exact bounds; None where there is none, as for a single run.
    """

    name: str
    unit: str
    value: float | None
    low: float | None = None
    high: float | None = None

    def short(self) -> str:
        """Write the value alone, or the bounds where there is no value; only a time carries its unit."""
        if self.value is None:
            return self.cell()
        return f"{self._written(self.value)}{self._scaled_unit()}"

    def cell(self) -> str:
        """Write value and interval, for a table whose heads say the unit: `2.96 [2.95, 2.97]`."""
        ends = [self._written(end) for end in (self.low, self.high) if end is not None]
        if self.value is None:
            return f"{' to '.join(dict.fromkeys(ends))}{self._scaled_unit()}"
        spread = f" [{', '.join(ends)}]" if ends else ""
        return f"{self._written(self.value)}{spread}{self._scaled_unit()}"

    def text(self) -> str:
        """Write value, interval and unit: `2.96 [2.95, 2.97] bit`."""
        return self.cell() if self.unit in ("s", "1", "share", "cosine") else f"{self.cell()} {self.unit}"

    def record(self) -> dict[str, Any]:
        """Return the number JSON-ready."""
        return {"name": self.name, "value": self.value, "unit": self.unit, "low": self.low, "high": self.high}

    def _scale(self) -> tuple[str, float]:
        """Return the unit of time in which the value is written, so that its interval shares it."""
        size = abs(self.value if self.value is not None else self.high or 0.0)
        return next((pair for pair in _SCALES if size >= pair[1]), _SCALES[-1])

    def _scaled_unit(self) -> str:
        return f" {self._scale()[0]}" if self.unit == "s" else ""

    def _written(self, value: float) -> str:
        if self.unit == "s":
            value /= self._scale()[1]
        if self.unit in _DECIMALS:
            form = _DECIMALS[self.unit]
            return format(round(value, int(form[-2])) + 0.0, form)  # + 0.0: no minus sign before a zero
        return format_count(value) if abs(value) >= 1000 else f"{value:#.3g}".rstrip(".")


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A line of a table: whose numbers they are, what they say, one for each column (None: there is none)."""

    source: Source
    label: str
    numbers: tuple[Number | None, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """A table: the kata's numbers above, the instrument's below, in the same columns."""

    title: str
    columns: tuple[str, ...]
    lines: tuple[Line, ...]

    def __post_init__(self) -> None:
        if any(len(line.numbers) != len(self.columns) for line in self.lines):
            raise ValueError(f"table '{self.title}': each line needs a number or None for every column")


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What a lesson has measured.

    Attributes:
        how: how the instrument measures, in plain words.
        tables, charts: what is shown.
        answer: what a prediction is held against.
        sentence: the one sentence that follows from the numbers.
        claims: ids of the claims that ask the same of every layer.
        gaps: what could not be measured, and why.
    """

    how: str
    tables: tuple[Comparison, ...]
    charts: tuple[Bars | Ranges, ...]
    answer: AbstractAnswer
    sentence: str
    claims: tuple[str, ...]
    gaps: tuple[str, ...] = ()

    def numbers(self, source: Source) -> tuple[Number, ...]:
        """Return the numbers of the kata or of the instrument, in tables and charts, each once."""
        return tuple(dict.fromkeys(self._all(source)))

    def _all(self, source: Source) -> Iterator[Number]:
        lines = [(line.source, line.numbers) for table in self.tables for line in table.lines]
        series = [(one.source, one.numbers) for chart in self.charts for one in chart.series]
        for whose, numbers in (*lines, *series):
            if whose == source:
                yield from (number for number in numbers if number is not None)


class AbstractLesson(abc.ABC):
    """One exercise of the teaching program.

    Class attributes: `number` (1..4), `title`, `about` (what it is about, for a newcomer), `layers` (those that it
    looks at when none is named). The constants that it reads are in `constants.USES`.
    """

    number: ClassVar[int]
    title: ClassVar[str]
    about: ClassVar[str]
    layers: ClassVar[tuple[str, ...]]

    @abc.abstractmethod
    def question(self, constants: LessonConstants) -> AbstractQuestion:
        """Return what a person is asked to predict; UsageError for constants that the lesson cannot work with."""

    @abc.abstractmethod
    def learn(self, constants: LessonConstants, watch: Watch) -> Finding:
        """Measure, and say what follows.

        Args:
            constants: of the lesson.
            watch: called with progress.

        Raises:
            UsageError: a layer or a number that cannot be.
        """


def record(
    lesson: AbstractLesson, constants: LessonConstants, prediction: Prediction | None, finding: Finding
) -> dict[str, Any]:
    """Return a lesson JSON-ready, a unit beside every number; `prediction` is null where none was asked for."""
    return {
        "lesson": lesson.number,
        "title": lesson.title,
        "constants": {name: {"value": constants.value(name), "unit": UNITS[name]} for name in USES[lesson.number]}
        | {"layer": {"value": list(constants.layer or lesson.layers), "unit": UNITS["layer"]}},
        "kata": [number.record() for number in finding.numbers("kata")],
        "instrument": [number.record() for number in finding.numbers("instrument")],
        "prediction": None if prediction is None else prediction.record() | finding.answer.record(prediction),
        "sentence": finding.sentence,
        "claims": list(finding.claims),
        "not_measured": list(finding.gaps),
    }


def times(name: str, value: float, low: float, high: float) -> Number:
    """Return a ratio; the arguments are its natural logarithm and the ends of its interval."""
    return Number(name=name, unit="times", value=math.exp(value), low=math.exp(low), high=math.exp(high))
