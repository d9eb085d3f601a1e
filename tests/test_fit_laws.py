"""Laws of trees and chunks: each comes back with its growth and text, and what is no law gives none."""

import itertools
import math
import random
import re
from fractions import Fraction

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from seqscale.fit.basis import Growth
from seqscale.fit.exact import exact_law, late_law

LENGTHS = (2, 3, 4, 5, 7, 8, 9, 12, 15, 16, 17, 24, 31, 32, 33, 63, 64, 65, 100, 127, 128, 129, 521, 4096)
LOOP_LENGTHS = (2, 3, 4, 5, 7, 8, 9, 16, 17, 33, 65, 521)
FRESH = (6, 10, 63, 66, 127, 129, 500, 1025, 1500, 2049)


def log(x):
    return max(0, x - 1).bit_length()


def up(x, chunk):
    return -(-x // chunk)


def over_t(law, lengths=LENGTHS):
    return exact_law([({"T": t}, law(t)) for t in lengths])


def evaluated(text, **dims):
    """Work out a printed law without the code that printed it."""
    code = re.sub(r"ceil\(log2 ([^()]+|(?:ceil)?\([^()]*\))\)", r"log(\1)", text)
    code = re.sub(r"ceil\((\w+)/(\d+)\)", r"up(\1, \2)", code)
    code = re.sub(r"floor\((\w+)/(\d+)\)", r"(\1 // \2)", code)
    return eval(code.replace("^", "**").replace(" mod ", " % "), {"log": log, "up": up}, dims)


TREES = [
    (lambda t: 3 * t + 3, "3*T + 3", (1, 0)),
    (lambda t: t * log(t), "T*ceil(log2 T)", (1, 1)),
    (lambda t: 3 * log(t) + 14, "3*ceil(log2 T) + 14", (0, 1)),
    (lambda t: sum(log(s) for s in range(1, t + 1)), "T*ceil(log2 T) - 2^ceil(log2 T) + 1", (1, 1)),
    (lambda t: 2 * 2 ** log(t) - 2, "2*2^ceil(log2 T) - 2", (1, 0)),
    (lambda t: log(t) * (log(t) + 1) // 2, "1/2*ceil(log2 T)*(ceil(log2 T) + 1)", (0, 2)),
    (lambda t: 9 * t * t - 2 * log(t), "9*T^2 - 2*ceil(log2 T)", (2, 0)),
]
CHUNKED = [
    (lambda t: 7 * up(t, 64) + 2 * log(t), "7*ceil(T/64) + 2*ceil(log2 T)", (1, 0)),
    (lambda t: 2 * log(up(t, 8)) + 5, "2*ceil(log2 ceil(T/8)) + 5", (0, 1)),
    (lambda t: 5 * t * up(t, 16) + t, "T*(5*ceil(T/16) + 1)", (2, 0)),
    (lambda t: t // 32 * 1024 + (t % 32) ** 2, "1024*floor(T/32) + (T mod 32)^2", (1, 0)),
    (lambda t: 20 * (t // 16) + log(t % 16), "20*floor(T/16) + ceil(log2 (T mod 16))", (1, 0)),
    (
        lambda t: sum(log(s) for s in range(1, up(t, 8) + 1)),
        "ceil(T/8)*ceil(log2 ceil(T/8)) - 2^ceil(log2 ceil(T/8)) + 1",
        (1, 1),
    ),
    (lambda t: 8 * up(t, 8) - t, "-T + 8*ceil(T/8)", (0, 0)),
    (lambda t: t * (8 * up(t, 8) - t) + 1, "-T^2 + 8*T*ceil(T/8) + 1", (1, 0)),
]


@pytest.mark.parametrize(("law", "text", "growth"), TREES + CHUNKED, ids=lambda each: each if type(each) is str else "")
def test_a_law_comes_back(law, text, growth):
    found = over_t(law)
    assert found is not None
    assert found.text() == text
    assert found.growth("T") == Growth(*growth)
    assert found.exponent("T") == growth[0]
    for t in FRESH:
        assert found.value(T=t) == law(t) == evaluated(text, T=t)
    assert 4096 in {dims["T"] for dims in found.verified_at}


@settings(deadline=None, max_examples=40)
@given(st.tuples(*[st.integers(-9, 9)] * 4), st.sampled_from([0, 8, 16, 32, 64]))
def test_any_small_law_comes_back(coefficients, chunk):
    a, b, c, e = coefficients

    def law(t):
        return a * t + b * log(t) + e + (c * up(t, chunk) if chunk else c * t * log(t))

    found = over_t(law)
    assert found is not None
    for t in FRESH:
        assert found.value(T=t) == law(t) == evaluated(found.text(), T=t)


def test_growth_is_ordered_and_told():
    rising = [Growth(0, 0), Growth(0, 1), Growth(0, 2), Growth(1, 0), Growth(1, 1), Growth(2, 0)]
    assert all(one < other for one, other in itertools.pairwise(rising))
    assert [g.text() for g in rising] == ["constant", "log T", "log^2 T", "T", "T log T", "T^2"]
    assert Growth(1, 1).text("d") == "d log d"


GRID = [
    dict(zip("BTd", each, strict=True))
    for each in itertools.product((1, 2, 3), (2, 3, 5, 7, 8, 9, 12, 15, 16, 17, 65), (16, 32, 64))
]


@pytest.mark.parametrize(
    ("law", "text"),
    [
        (lambda B, T, d: T * (log(d) + 9) + 2, "T*(ceil(log2 d) + 9) + 2"),
        (lambda B, T, d: 3 * log(T) + log(d) + 8, "3*ceil(log2 T) + ceil(log2 d) + 8"),
        (lambda B, T, d: B * up(T, 8) * (2 * d + 1), "B*ceil(T/8)*(2*d + 1)"),
    ],
)
def test_a_law_over_several_sizes(law, text):
    found = exact_law([(dims, law(**dims)) for dims in GRID])
    assert found is not None
    assert found.text() == text
    dims = {"B": 7, "T": 1000, "d": 1024}
    assert found.value(**dims) == law(**dims) == evaluated(text, **dims)


def test_three_widths_do_not_make_a_parabola():
    """Any function of three widths is one: that it holds at other lengths says nothing of the width."""
    known = [({"T": t, "d": d}, t * math.isqrt(d**3)) for t in LENGTHS for d in (16, 32, 64)]
    assert exact_law(known) is None


def test_sizes_varied_one_at_a_time_do_not_tell_a_sum_from_a_product():
    star = [(t, 16) for t in LENGTHS] + [(8, d) for d in (32, 48, 64, 80)]
    assert exact_law([({"T": t, "d": d}, 3 * t * d) for t, d in star]) is not None  # the product alone does it
    assert exact_law([({"T": t, "d": d}, 3 * t + 5 * d) for t, d in star]) is None


def test_two_laws_that_the_lengths_cannot_tell_apart_are_none():
    """At T = 2^k + 1 a padded length 2^ceil(log2 T) is 2*T - 2."""
    known = [({"T": t, "d": d}, t * (log(d) + 9) + 2) for t in (2, 3, 5, 9, 17, 33, 65) for d in (16, 32, 64)]
    assert exact_law(known) is None
    known += [({"T": 12, "d": d}, 12 * (log(d) + 9) + 2) for d in (16, 32, 64)]
    assert exact_law(known) is not None


def test_a_law_below_the_chunk_is_not_taken_for_the_law():
    """The trap: exact at 48 and 60, 819 times wrong at 2^16."""

    def law(t):
        return t * t if t <= 64 else 64 * t

    found = over_t(law, (2, 3, 4, 5, 7, 8, 9, 16, 31, 48, 60))
    assert found is not None
    assert found.reach("T") == (2, 60)
    assert found.extrapolates(T=2**16)
    assert not found.extrapolates(T=48)
    longer = over_t(law, (2, 3, 4, 5, 7, 8, 9, 16, 31, 48, 60, 65, 131))
    assert longer is None or longer.value(T=2**16) == law(2**16)


@pytest.mark.parametrize("chunk", [8, 16, 32, 64])
def test_chunks_are_not_told_from_one_boundary(chunk):
    def law(t):
        return 3 * up(t, chunk) + 1

    one = [t for t in range(2, 2 * chunk + 1) if t % 3]
    found = over_t(law, one)
    assert found is None or found.value(T=5 * chunk) == law(5 * chunk)
    assert over_t(law, [*one, 3 * chunk + 1, 5 * chunk, 9 * chunk + 3]) is None  # nobody looked beside a boundary
    edges = [n * chunk + i for n in (1, 3, 5) for i in (-1, 0, 1)]
    found = over_t(law, sorted({*one, *edges, 9 * chunk + 3}))
    assert found is not None
    assert found.text() == f"3*ceil(T/{chunk}) + 1"


def test_a_chunk_whose_boundaries_were_not_seen_gives_none():
    assert over_t(lambda t: 3 * up(t, 256) + 1) is None
    assert over_t(lambda t: 3 * up(t, 256) + 1, (*LENGTHS, 255, 256, 257, 511, 512, 513, 600, 1025)) is not None


@pytest.mark.parametrize("chunk", [100, 200, 500, 510])
def test_chunks_of_another_size_are_not_taken_for_a_power_of_two(chunk):
    found = over_t(lambda t: 3 * up(t, chunk) + 1, (*LENGTHS, 255, 256, 257, 511, 512, 513, 1023, 1024, 1025))
    assert found is None


def test_the_shortest_lengths_may_be_left_out_and_the_law_says_so():
    found = over_t(lambda t: max(3 * t + 3, 12), (1, *LENGTHS))
    assert found is not None
    assert (found.text(), found.text("steps")) == ("3*T + 3 for T >= 3", "3*T + 3 steps for T >= 3")
    assert found.reach("T") == (3, 4096)
    assert found.extrapolates(T=2)
    assert over_t(lambda t: max(3 * t + 3, 24), (1, *LENGTHS)) is None
    assert over_t(lambda t: max(3 * t + 3, 12), (1, 2, 3, 4, 5)) is None


def test_the_record_carries_where_the_law_holds():
    found = exact_law([(dims, dims["T"] * (log(dims["d"]) + 9) + 2) for dims in GRID])
    assert found is not None
    record = found.record()
    assert record["law"] == "T*(ceil(log2 d) + 9) + 2"
    assert record["holds_for"] == {"B": [1, 3], "T": [2, 65], "d": [16, 64]}
    assert record["growth"] == {"B": "constant", "T": "T", "d": "log d"}
    assert {"T": 65, "B": 3, "d": 64} in record["verified_at"]


def no_law(draw, lengths):
    """Return values that follow no law of these forms: noise, stairs, the longer of two chains, chunks of 10."""
    kind = draw.randrange(4)
    if kind == 0:
        return [draw.randint(0, 9) for _ in lengths]
    if kind == 1:
        return list(itertools.accumulate(draw.choice((0, 0, 1, 1, 2)) for _ in lengths))
    a, b = draw.randint(1, 5), draw.randint(1, 9)
    if kind == 2:
        return [max(a * t, 5 * a * 8 + b * log(t)) for t in lengths]
    return [a * up(t, draw.choice((10, 24, 48))) + b for t in lengths]


@pytest.mark.parametrize("lengths", [LENGTHS, LOOP_LENGTHS], ids=["long", "loop"])
@pytest.mark.parametrize("seed", range(15))
def test_what_follows_no_law_gets_none(lengths, seed):
    values = no_law(random.Random(seed), lengths)
    assert exact_law([({"T": t}, value) for t, value in zip(lengths, values, strict=True)]) is None


@settings(deadline=None, max_examples=25)
@given(st.integers(0, len(LENGTHS) - 1), st.sampled_from([-1, 1, 7]), st.sampled_from(TREES + CHUNKED))
def test_one_wrong_count_and_there_is_no_such_law(which, error, case):
    assume(LENGTHS[which] >= 4)
    law = case[0]
    assert over_t(lambda t: law(t) + error * (t == LENGTHS[which])) is None


def test_the_larger_of_two_has_a_law_from_where_one_of_them_leads():
    samples = [({"T": t}, max(3 * t, 150)) for t in LENGTHS]
    assert exact_law(samples) is None
    found = late_law(samples)
    assert found is not None
    assert (found.formula(), found.since) == ("3*T", min(t for t in LENGTHS if 3 * t >= 150))
    assert late_law([({"T": t}, max(3 * t, 6000)) for t in LENGTHS]) is None  # it leads at too few lengths


def test_values_between_whole_numbers_stay_exact():
    found = over_t(lambda t: t * (log(t) + 1) // 1 * 3)
    assert found is not None
    assert found.value(T=10**15) == 3 * 10**15 * (log(10**15) + 1)
    half = over_t(lambda t: log(t) * (log(t) + 1) // 2)
    assert half is not None
    assert not isinstance(half.value(T=100), Fraction)
