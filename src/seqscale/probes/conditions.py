"""What a probe fixes beside the layer and the sizes of a cell (noise, lag, pairs ...), checked before anything runs."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from seqscale.errors import UnknownNameError, UsageError
from seqscale.records import Option

Conditions = tuple[tuple[str, Option], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """One condition of a probe; the type of `default` is its type.

    Attributes:
        name: as in `--condition name=value`.
        default: an int, a float, or a word: one of `choices`; where there are none, numbers with commas ("0.001,0.01").
        low, high: the smallest and the largest number allowed, ends included.
        choices: the words allowed.
        meaning: one line for `seqscale list probes`, with the unit.
    """

    name: str
    default: Option
    meaning: str
    low: float = -math.inf
    high: float = math.inf
    choices: tuple[str, ...] = ()

    def read(self, value: Option) -> Option:
        """Return the value as this condition's type; UsageError names what was written and what is allowed."""
        if self.choices:
            if value not in self.choices:
                raise UsageError(f"{self.name}={value}: must be one of {', '.join(self.choices)}.")
            return value
        if isinstance(self.default, str):
            return ",".join(f"{number:g}" for number in self.numbers(value))
        return self._number(value, whole=isinstance(self.default, int))

    def numbers(self, value: Option) -> tuple[float, ...]:
        """Return a value of a condition that holds numbers with commas as these numbers."""
        return tuple(float(self._number(part, whole=False)) for part in str(value).split(","))

    def _number(self, value: Option, *, whole: bool) -> int | float:
        kind = "a whole number" if whole else "a number"
        try:
            number = float(value)
        except ValueError:
            number = math.nan
        if isinstance(value, bool) or not self.low <= number <= self.high or (whole and number != int(number)):
            raise UsageError(f"{self.name}={value}: must be {kind} {self._range()}.")
        return int(number) if whole else number

    def text(self) -> str:
        """Write the condition for `seqscale list probes`: name, default, meaning, what is allowed."""
        allowed = ", ".join(self.choices) or self._range()
        return f"{self.name}={self.default} ({self.meaning}; {allowed})"

    def _range(self) -> str:
        if math.isinf(self.high):
            return f">= {self.low:g}" if not math.isinf(self.low) else "that is finite"
        return f"from {self.low:g} to {self.high:g}"


def settle(probe: str, known: tuple[Condition, ...], given: Mapping[str, Option]) -> Conditions:
    """Return every condition of a probe, sorted by name: what was given, checked, and the defaults of the others."""
    names = {condition.name for condition in known}
    for name in given:
        if name not in names:
            raise UnknownNameError(f"condition of {probe}", name, names or ["none, it has no conditions"])
    return tuple(sorted((c.name, c.read(given.get(c.name, c.default))) for c in known))
