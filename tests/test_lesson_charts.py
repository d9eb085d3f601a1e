"""Charts fit their columns, are plain ASCII, and their marks are as long as the numbers say."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seqscale.lessons.base import Number
from seqscale.lessons.charts import NARROWEST_BAR, Bars, Ranges, Series, bar_of
from seqscale.lessons.text import FEWEST, MOST

COLUMNS = st.integers(FEWEST, MOST)
NAMES = st.sampled_from(["a", "elman", "elman-orthogonal", "a layer with a name that is much too long for a head"])
LABELS = st.lists(st.integers(0, 10**6), min_size=1, max_size=8, unique=True).map(lambda n: tuple(map(str, sorted(n))))


def number(value, low=None, high=None, unit="bit"):
    return Number(name="", unit=unit, value=value, low=low, high=high)


@st.composite
def bars(draw):
    rows = draw(LABELS)
    signed = draw(st.booleans())
    values = st.floats(-1 if signed else 0, 1).map(number) | st.none()
    series = draw(
        st.lists(
            st.builds(
                lambda name, numbers: Series(source="kata", name=name, numbers=tuple(numbers)),
                NAMES,
                st.lists(values, min_size=len(rows), max_size=len(rows)),
            ),
            min_size=1,
            max_size=6,
        )
    )
    return Bars(
        title="a title [bit]",
        row_name="tokens",
        rows=rows,
        ends=((-1.0 if signed else 0.0, 1.0),) * len(series),
        series=tuple(series),
    )


@given(bars(), COLUMNS)
def test_bars_fit_their_columns_and_show_every_row_of_every_series(chart, columns):
    lines = chart.lines(columns)
    assert all(len(line) <= columns and line.isascii() and line == line.rstrip() for line in lines)
    text = "\n".join(lines)
    assert "tokens" in text
    shown = [n.short() for one in chart.series for n in one.numbers if n is not None]
    words = text.split()
    assert all(words.count(value) >= shown.count(value) for value in shown)
    blocks = text.count("tokens")
    for row in chart.rows:
        assert sum(line.split()[:1] == [row] for line in lines) >= blocks


@given(st.floats(-1, 1), st.floats(0.1, 3), st.booleans(), st.integers(NARROWEST_BAR, 40))
def test_a_bar_is_as_long_as_its_share_of_the_scale(share, high, signed, wide):
    low = -high if signed else 0.0
    value = share * high
    drawn = bar_of(max(value, low), (low, high), wide)
    assert len(drawn) == wide
    zero = drawn.index("|") if signed else -1
    room = (wide - 1 - zero) if value >= 0 else zero
    assert drawn.count("#") == pytest.approx(max(0, abs(share) * room if value >= 0 or signed else 0), abs=0.5 + 1e-9)
    marks = [i for i, c in enumerate(drawn) if c == "#"]
    assert all(i > zero for i in marks) if value >= 0 else all(i < zero for i in marks)


@given(st.floats(0, 1), st.floats(0, 1), st.integers(NARROWEST_BAR, 40))
def test_a_larger_number_never_has_a_shorter_bar(a, b, wide):
    small, large = (bar_of(value, (0.0, 1.0), wide).count("#") for value in sorted((a, b)))
    assert small <= large


def test_what_lies_beyond_a_scale_is_cut_off_at_its_end():
    assert bar_of(7.0, (0.0, 1.0), 8) == "########"
    assert bar_of(-7.0, (-1.0, 1.0), 9) == "####|    "
    assert bar_of(0.0, (0.0, 1.0), 8) == bar_of(-0.001, (0.0, 1.0), 8) == " " * 8


POSITIVE = st.floats(0.01, 1e9)
BOUNDED = st.tuples(POSITIVE, POSITIVE).map(sorted).map(lambda ends: number(None, *ends, unit="steps"))


@st.composite
def ranges(draw):
    rows = draw(LABELS)
    series = draw(
        st.lists(
            st.builds(
                lambda name, numbers: Series(source="instrument", name=name, numbers=tuple(numbers)),
                NAMES,
                st.lists(
                    BOUNDED | POSITIVE.map(lambda v: number(v, unit="steps")), min_size=len(rows), max_size=len(rows)
                ),
            ),
            min_size=1,
            max_size=4,
        )
    )
    return Ranges(title="steps", row_name="tokens", rows=rows, series=tuple(series))


@given(ranges(), COLUMNS)
def test_ranges_fit_their_columns_and_lie_between_the_right_powers_of_ten(chart, columns):
    axis, *lines = chart.lines(columns)
    assert len(lines) == len(chart.rows) * len(chart.series)
    assert all(len(line) <= columns and line.isascii() for line in (axis, *lines))
    lows, highs = [], []
    for i, line in enumerate(lines):
        one = chart.series[i % len(chart.series)].numbers[i // len(chart.series)]
        marks = [at for at, c in enumerate(line) if c == "#"]
        assert marks == list(range(marks[0], marks[-1] + 1)), "a range is one piece"
        low, high = (one.low, one.high) if one.value is None else (one.value, one.value)
        lows.append((low, marks[0]))
        highs.append((high, marks[-1]))
    for ends in (lows, highs):
        places = [place for _, place in sorted(ends)]
        assert places == sorted(places), "a larger end never lies further left"


def test_a_mark_at_a_power_of_ten_stands_on_its_tick():
    numbers = tuple(number(value, unit="steps") for value in (1, 10, 1000))
    chart = Ranges(
        title="t",
        row_name="r",
        rows=("a", "b", "c"),
        series=(Series(source="kata", name="s", numbers=numbers),),
    )
    axis, *lines = chart.lines(70)
    ticks = {found.group(): found.start() for found in re.finditer(r"\S+", axis)}
    assert [line.index("#") for line in lines] == [ticks["1"], ticks["10"], ticks["1,000"]]


def test_a_chart_refuses_what_it_cannot_draw():
    one = Series(source="kata", name="a", numbers=(number(1.0),))
    for build in (
        lambda: Bars(title="t", row_name="r", rows=("1", "2"), ends=((0.0, 1.0),), series=(one,)),
        lambda: Bars(title="t", row_name="r", rows=("1",), ends=((0.5, 1.0),), series=(one,)),
        lambda: Bars(title="t", row_name="r", rows=(), ends=(), series=()),
        lambda: Ranges(
            title="t", row_name="r", rows=("1",), series=(Series(source="kata", name="a", numbers=(number(0.0),)),)
        ),
    ):
        with pytest.raises(ValueError, match="chart 't'"):
            build()
