"""Charts for a terminal, in plain ASCII: bars side by side, and ranges on a logarithmic axis."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from seqscale.lessons.base import Number, Source
from seqscale.units import format_count

WIDEST_BAR = 40
NARROWEST_BAR = 8
GAP = 2
NAMES = 16  # places that a series' name gets beside a range


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """What one bar or range of each row shows: whose numbers, their name, one for each row (None: nothing there)."""

    source: Source
    name: str
    numbers: tuple[Number | None, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Bars:
    """Bars from zero, a row for each x, the series side by side.

    Attributes:
        title: what a bar's length means, with its unit.
        row_name: what the rows count, with its unit.
        rows: their labels.
        ends: the smallest and the largest value of each series' scale; below zero where bars may go to the left.
        series: what is drawn.
    """

    title: str
    row_name: str
    rows: tuple[str, ...]
    ends: tuple[tuple[float, float], ...]
    series: tuple[Series, ...]

    def __post_init__(self) -> None:
        _check(self.title, self.rows, self.series)
        if len(self.ends) != len(self.series) or any(not low <= 0 < high for low, high in self.ends):
            raise ValueError(f"chart '{self.title}': every series needs a scale that holds zero and goes above it")

    def lines(self, columns: int) -> list[str]:
        """Return what is below the title, in `columns` places; series that do not fit beside others stand below."""
        label = max(len(self.row_name), *map(len, self.rows)) + GAP
        text = max(len(_short(number)) for one in self.series for number in one.numbers)
        least = max(NARROWEST_BAR + 1 + text, *(len(one.name) for one in self.series))
        fitting = max(1, (columns - label + GAP) // (least + GAP))
        blocks = -(-len(self.series) // fitting)
        beside = -(-len(self.series) // blocks)
        bar = max(NARROWEST_BAR, min(WIDEST_BAR, (columns - label + GAP) // beside - GAP - 1 - text))
        lines: list[str] = []
        for start in range(0, len(self.series), beside):
            lines += [""] if start else []
            lines += self._block(range(start, min(start + beside, len(self.series))), label, bar, text)
        return lines

    def _block(self, shown: range, label: int, bar: int, text: int) -> list[str]:
        wide, between = bar + 1 + text, " " * GAP
        heads = between.join(f"{_cut(self.series[i].name, wide):<{wide}}" for i in shown)
        scales = between.join(f"{self._scale(i, bar):<{wide}}" for i in shown)
        lines = [f"{self.row_name:>{label - GAP}}{between}{heads}", f"{'':{label}}{scales}"]
        for row, name in enumerate(self.rows):
            numbers = {i: self.series[i].numbers[row] for i in shown}
            drawn = {
                i: " " * bar if n is None else bar_of(n.value or 0.0, self.ends[i], bar) for i, n in numbers.items()
            }
            cells = between.join(f"{drawn[i]} {_short(number):>{text}}" for i, number in numbers.items())
            lines.append(f"{name:>{label - GAP}}{between}{cells}")
        return [line.rstrip() for line in lines]

    def _scale(self, i: int, wide: int) -> str:
        """Write the two ends of a scale above its bars."""
        timed = any(number is not None and number.unit == "s" for number in self.series[i].numbers)
        low, high = (
            Number(name="", unit="s", value=end).short() if timed and end else f"{end:.3g}" for end in self.ends[i]
        )
        return f"{low}{high:>{wide - len(low)}}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Ranges:
    """Ranges [low, high] on a logarithmic axis, a group of lines for each x, one line for each series.

    Attributes:
        title: what the axis measures, with its unit.
        row_name: what the rows count, with its unit.
        rows: their labels.
        series: what is drawn; every number has bounds above zero, or a value.
    """

    title: str
    row_name: str
    rows: tuple[str, ...]
    series: tuple[Series, ...]

    def __post_init__(self) -> None:
        _check(self.title, self.rows, self.series)
        if any(low <= 0 for one in self.series for number in one.numbers if number for low, _ in [_ends(number)]):
            raise ValueError(f"chart '{self.title}': a logarithmic axis holds only what is above zero")

    def lines(self, columns: int) -> list[str]:
        """Return what is below the title, in `columns` places."""
        ends = [_ends(number) for one in self.series for number in one.numbers if number is not None]
        first = math.floor(math.log10(min(low for low, _ in ends)))
        last = max(first + 1, math.ceil(math.log10(max(high for _, high in ends))))
        label = max(len(self.row_name), *map(len, self.rows))
        names = min(NAMES, max(len(one.name) for one in self.series))
        wide = columns - label - names - 2 * GAP - len(_power(last))
        ticks = [(power, round((power - first) * wide / (last - first))) for power in range(first, last + 1)]
        before = f"{self.row_name:>{label}}{'':{names + 2 * GAP}}"
        lines = [before + _tick_labels(ticks)]
        for row, name in enumerate(self.rows):
            for i, one in enumerate(self.series):
                number = one.numbers[row]
                places = [" "] * (wide + 1)
                for _, at in ticks:
                    places[at] = "."
                if number is not None:
                    low, high = (round((math.log10(end) - first) * wide / (last - first)) for end in _ends(number))
                    places[low : high + 1] = "#" * (high + 1 - low)
                head = f"{name if i == 0 else '':>{label}}  {_cut(one.name, names):<{names}}  "
                lines.append(f"{head}{''.join(places)}".rstrip())
        return lines


def bar_of(value: float, ends: tuple[float, float], wide: int) -> str:
    """Draw a value as a bar from zero on a scale of `wide` places; what lies beyond an end is cut off there.

    Where the scale goes below zero, `|` marks zero. A bar of any length above half a place is seen.
    """
    low, high = ends
    value = max(value, low)
    zero = round((wide - 1) * -low / (high - low)) if low < 0 else -1
    room = wide - 1 - zero if value >= 0 else zero
    share = min(1.0, value / high) if value >= 0 else min(1.0, value / low)
    long = math.floor(room * share + 0.5)
    places = [" "] * wide
    if value >= 0:
        places[zero + 1 : zero + 1 + long] = "#" * long
    else:
        places[zero - long : zero] = "#" * long
    if low < 0:
        places[zero] = "|"
    return "".join(places)


def _check(title: str, rows: Sequence[str], series: Sequence[Series]) -> None:
    if not rows or not series:
        raise ValueError(f"chart '{title}': it needs at least one row and one series")
    if any(len(one.numbers) != len(rows) for one in series):
        raise ValueError(f"chart '{title}': each series needs a number or None for every row")


def _ends(number: Number) -> tuple[float, float]:
    """Return the bounds of a number; its value twice where it has none."""
    if number.low is None or number.high is None:
        assert number.value is not None
        return number.value, number.value
    return number.low, number.high


def _short(number: Number | None) -> str:
    return "-" if number is None else number.short()


def _tick_labels(ticks: Sequence[tuple[int, int]]) -> str:
    """Write 1, 10, 100 ... each from its place on; one that would touch the one before is left out."""
    line = ""
    for power, at in ticks:
        if at > len(line) or not line:
            line = f"{line:<{at}}{_power(power)}"
    return line


def _power(power: int) -> str:
    """Write a power of ten: 0.01, 1, 1,000, 1e+07."""
    return f"{10.0**power:g}" if power < 0 else format_count(10.0**power)


def _cut(text: str, wide: int) -> str:
    return text if len(text) <= wide else text[: wide - 1] + "~"
