"""Curves survive their document, and cannot be wrong."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seqscale.profiles import Profile, read, written

numbers = st.floats(-1e6, 1e6)


@st.composite
def profiles(draw):
    x = sorted(draw(st.sets(st.integers(0, 999), min_size=1, max_size=9)))
    replicates = draw(st.integers(1, 4))
    values = [draw(st.lists(numbers, min_size=replicates, max_size=replicates)) for _ in x]
    return Profile(
        name=draw(st.text(max_size=9)), quantity="token_bits", by="distance", exact=draw(st.booleans()),
        x=tuple(map(float, x)), values=tuple(map(tuple, values)),
    )  # fmt: skip


@given(st.lists(profiles(), max_size=3, unique_by=lambda p: p.name), st.dictionaries(st.text(max_size=5), numbers))
def test_what_was_written_is_read(curves, facts):
    found = read(written(curves, facts))
    assert list(found.curves.values()) == curves
    assert found.facts == facts


@given(profiles())
def test_a_replicate_is_a_column_and_the_mean_goes_over_all(curve):
    columns = [curve.replicate(number) for number in range(curve.replicates)]
    assert tuple(zip(*columns, strict=True)) == curve.values
    assert curve.means() == pytest.approx([sum(row) / len(row) for row in curve.values])


def test_every_curve_in_a_document_has_its_unit():
    curve = Profile(name="bits", quantity="token_bits", by="distance", x=(0.0,), values=((1.0,),))
    assert json.loads(written([curve], {}))["curves"][0]["unit"] == "bit"


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({"x": (1.0, 1.0), "values": ((1.0,), (1.0,))}, "x must rise"),
        ({"x": (2.0, 1.0), "values": ((1.0,), (1.0,))}, "x must rise"),
        ({"x": (), "values": ()}, "at least one"),
        ({"values": ((1.0,), (1.0,))}, "same number of values"),
        ({"x": (1.0, 2.0), "values": ((1.0,), (1.0, 2.0))}, "same number of values"),
        ({"values": ((),)}, "same number of values"),
        ({"values": ((float("nan"),),)}, "token_bits=nan"),
        ({"quantity": "accuracy", "values": ((1.5,),)}, "accuracy=1.5: must be a number >= 0 and <= 1"),
    ],
)
def test_a_wrong_curve_cannot_be_made(fields, text):
    good = {"name": "bits", "quantity": "token_bits", "by": "distance", "x": (0.0,), "values": ((1.0,),)}
    with pytest.raises(ValueError, match=text):
        Profile(**(good | fields))
