"""What a lesson asks before it measures, and whether the prediction was right."""

from __future__ import annotations

import abc
import math
from dataclasses import dataclass
from typing import Any, final

from seqscale.errors import UsageError


@dataclass(frozen=True, slots=True, kw_only=True)
class Prediction:
    """What a person expects: the question, the value (a number, or the letter of a choice), and how it is written."""

    question: str
    value: float | str
    unit: str
    text: str

    def record(self) -> dict[str, Any]:
        """Return the prediction JSON-ready."""
        return {"question": self.question, "value": self.value, "unit": self.unit, "text": self.text}


class AbstractQuestion(abc.ABC):
    """A question with a limited set of answers; `text` is the question, `allowed` what may be written."""

    text: str

    @property
    @abc.abstractmethod
    def allowed(self) -> str:
        """What may be written."""

    @abc.abstractmethod
    def options(self) -> tuple[str, ...]:
        """Return the lines to show under the question."""

    @abc.abstractmethod
    def read(self, written: str) -> Prediction:
        """Return what was written as a prediction; UsageError says what is allowed."""


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class NumberQuestion(AbstractQuestion):
    """A question for a number from `low` to `high`, in `unit`."""

    text: str
    unit: str
    low: float
    high: float

    @property
    def allowed(self) -> str:
        """What may be written."""
        return f"a number from {self.low:g} to {self.high:g}"

    def options(self) -> tuple[str, ...]:
        """Return nothing: a number has no list."""
        return ()

    def read(self, written: str) -> Prediction:
        """Read a number."""
        try:
            value = float(written)
        except ValueError:
            value = math.nan
        if not self.low <= value <= self.high:
            raise UsageError(f"prediction '{_printable(written)}': write {self.allowed}.")
        return Prediction(question=self.text, value=value, unit=self.unit, text=f"{value:g} {self.unit}")


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class ChoiceQuestion(AbstractQuestion):
    """A question with a few answers, each with its letter: (("a", "the first"), ("b", "the last"))."""

    text: str
    choices: tuple[tuple[str, str], ...]

    @property
    def allowed(self) -> str:
        """What may be written."""
        *first, last = (letter for letter, _ in self.choices)
        return f"{', '.join(first)} or {last}"

    def options(self) -> tuple[str, ...]:
        """Return a line for each choice."""
        return tuple(f"{letter}) {meaning}" for letter, meaning in self.choices)

    def read(self, written: str) -> Prediction:
        """Read a letter, or the whole answer."""
        said = written.strip().strip(")").casefold()
        for letter, meaning in self.choices:
            if said in (letter, meaning.casefold()):
                return Prediction(question=self.text, value=letter, unit="choice", text=f"{letter}) {meaning}")
        raise UsageError(f"prediction '{_printable(written)}': write {self.allowed}.")


class AbstractAnswer(abc.ABC):
    """What was measured, as the answer to the question."""

    text: str

    @abc.abstractmethod
    def right(self, prediction: Prediction) -> bool | None:
        """Whether a prediction was right; None where the measurement does not decide."""

    def record(self, prediction: Prediction) -> dict[str, Any]:
        """Return the answer to a prediction JSON-ready."""
        return {"right": self.right(prediction), "measured": self.text}


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class NumberAnswer(AbstractAnswer):
    """Numbers from `low` to `high` are right: the interval of what was measured, or what is close enough to it."""

    text: str
    low: float
    high: float

    def right(self, prediction: Prediction) -> bool | None:
        """Whether the number lies inside."""
        assert isinstance(prediction.value, float)
        return self.low <= prediction.value <= self.high


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class ChoiceAnswer(AbstractAnswer):
    """The letter that is right; None: the measurement does not decide."""

    text: str
    letter: str | None

    def right(self, prediction: Prediction) -> bool | None:
        """Whether it is this letter."""
        return None if self.letter is None else prediction.value == self.letter


def _printable(written: str) -> str:
    """Return what was written, short and without control characters, so that it can be shown."""
    return "".join(c if c.isprintable() else "?" for c in written)[:30]
