"""What a probe fixes is complete, of its type and in its range before a cell exists; else one line says what is."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seqscale.errors import UnknownNameError, UsageError
from seqscale.probes.catalogue import PROBES
from seqscale.probes.conditions import Condition, settle

WITH = sorted(name for name, probe in PROBES.items() if probe.conditions)
LENGTH, WIDTH = 512, 64


@pytest.mark.parametrize("name", WITH)
def test_defaults_are_allowed_and_settling_twice_changes_nothing(name):
    settled = PROBES[name].settle({}, LENGTH, WIDTH)
    assert [key for key, _ in settled] == sorted(c.name for c in PROBES[name].conditions)
    assert PROBES[name].settle(dict(settled), LENGTH, WIDTH) == settled


@pytest.mark.parametrize("name", WITH)
def test_every_condition_refuses_what_it_cannot_be_and_says_what_it_can(name):
    for condition in PROBES[name].conditions:
        for bad in ("many", True, condition.low - 1):
            if bad == float("-inf"):
                continue
            with pytest.raises(UsageError, match=f"^{condition.name}={re.escape(str(bad))}: must be "):
                PROBES[name].settle({condition.name: bad}, LENGTH, WIDTH)


@given(value=st.integers(-50, 50))
def test_a_whole_number_is_taken_exactly_within_its_range(value):
    known = (Condition(name="lag", default=3, low=-20, high=20, meaning="lag"),)
    if -20 <= value <= 20:
        assert settle("delay", known, {"lag": value}) == (("lag", value),)
        assert settle("delay", known, {"lag": float(value)}) == (("lag", value),)
    else:
        with pytest.raises(UsageError, match="must be a whole number from -20 to 20"):
            settle("delay", known, {"lag": value})


def test_numbers_with_commas_have_one_way_to_be_written():
    rates = Condition(name="rates", default="0.001,0.01", low=1e-7, high=10.0, meaning="rates")
    assert rates.read("1e-3,0.010") == rates.read("0.001,0.01") == "0.001,0.01"
    assert rates.read(0.01) == "0.01"
    assert rates.numbers("0.001,0.01") == (0.001, 0.01)
    with pytest.raises(UsageError, match="rates=fast: must be a number from 1e-07 to 10"):
        rates.read("0.1,fast")


def test_an_unknown_condition_is_named_with_the_near_ones():
    with pytest.raises(UnknownNameError, match=r"unknown condition of token-bits 'symbol': did you mean symbols\?"):
        PROBES["token-bits"].settle({"symbol": 3}, LENGTH, WIDTH)
    with pytest.raises(UnknownNameError, match=r"unknown condition of time 'lag': known: none, it has no conditions"):
        PROBES["time"].settle({"lag": 3}, LENGTH, WIDTH)


@pytest.mark.parametrize(
    ("probe", "given_", "length", "width", "text"),
    [
        ("memory-curve", {"lags": 65}, 64, 8, "lags=65: must be from 1 to the length, 64"),
        ("token-bits", {"symbols": 9}, 64, 8, "symbols=9: must be from 2 to the width, 8"),
        ("segments", {}, 1, 8, "length 1: must be at least 2"),
        ("recall", {"pairs": 9, "keys": 8}, 64, 16, "pairs=9: must be from 1 to the number of keys, 8"),
        ("recall", {"pairs": 9}, 17, 16, "length 17: 9 pairs and their queries need at least 18 tokens"),
        ("recall", {"pairs": 9, "packing": "apart"}, 26, 16, "need at least 27 tokens"),
        ("recall", {"pairs": 9, "symbols": 8, "gaps": "power"}, 64, 16, "symbols=8: must be at least pairs=9"),
        ("recall", {"pairs": 9, "form": "constructed"}, 8, 16, "length 8: 9 pairs need at least 9 tokens"),
        ("truncation", {"window": 0}, 64, 8, "window=0: must be a whole number from 1 to 65536"),
        ("truncation", {"lag": 64}, 64, 8, "length 64: must be at least 68 for lag=64 and window=4"),
        ("copy-memory", {}, 20, 8, "length 20: must be at least 21, to read and repeat 10 symbols"),
        ("adding", {}, 1, 8, "length 1: must be at least 2, as a number is marked in each half"),
    ],
)
def test_sizes_that_cannot_be_are_refused_with_the_allowed_range(probe, given_, length, width, text):
    with pytest.raises(UsageError, match=re.escape(text)):
        PROBES[probe].settle(given_, length, width)
