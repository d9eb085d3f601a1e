"""Exact laws: every polynomial of the form comes back, anything else gives None."""

import itertools
import math
from fractions import Fraction

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from seqscale.fit.exact import HELD_OUT, SPECIAL_BELOW, exact_law

GRID = {"B": (1, 2, 3), "T": (2, 4, 8, 16), "d": (8, 16, 32, 64)}


def samples(law, **grid):
    every = [dict(zip(grid, sizes, strict=True)) for sizes in itertools.product(*grid.values())]
    return [(dims, law(**dims)) for dims in every]


@settings(deadline=None, max_examples=60)
@given(
    terms=st.dictionaries(
        st.tuples(st.integers(0, 1), st.integers(0, 2), st.integers(0, 2)),
        st.integers(-1000, 1000).filter(bool),
        max_size=6,
    ),
    order=st.randoms(use_true_random=False),
)
def test_a_polynomial_comes_back(terms, order):
    def law(B, T, d):
        return sum(c * B**i * T**j * d**k for (i, j, k), c in terms.items())

    known = samples(law, **GRID)
    order.shuffle(known)
    found = exact_law(known)
    assert found is not None
    for dims in samples(law, B=(5,), T=(1, 1000), d=(7, 1024)):
        assert found.value(**dims[0]) == dims[1]
    assert found.exponent("T") == max((j for _, j, _ in terms), default=0)
    assert len(found.verified_at) >= HELD_OUT
    assert max(GRID["T"]) in {dims["T"] for dims in found.verified_at}
    printed = found.text().replace("^", "**")
    for dims, value in samples(law, B=(5,), T=(3,), d=(7,)):
        assert eval(printed, {}, dims) == pytest.approx(value)


@settings(deadline=None, max_examples=60)
@given(
    coefficients=st.lists(st.integers(0, 10**9), min_size=1, max_size=3),
    lengths=st.sets(st.integers(1, 10**5), min_size=5, max_size=9),
)
def test_a_polynomial_in_the_length_alone_comes_back_at_any_lengths(coefficients, lengths):
    found = exact_law(samples(lambda T, d: sum(c * T**j for j, c in enumerate(coefficients)), T=lengths, d=(64,)))
    assert found is not None
    assert found.value(T=123457) == sum(c * 123457**j for j, c in enumerate(coefficients))
    assert "d" not in found.names


@settings(deadline=None, max_examples=40)
@given(which=st.integers(0, 47), error=st.sampled_from([-3, -1, 1, 2]))
def test_one_wrong_count_and_there_is_no_law(which, error):
    known = samples(lambda B, T, d: 4 * B * T * (6 * d + 1) + 8 * d, **GRID)
    dims, value = known[which]
    known[which] = (dims, value + error)
    found = exact_law(known)
    if dims["T"] < SPECIAL_BELOW:
        assert found is not None
        assert found.text() == "4*B*T*(6*d + 1) + 8*d for T >= 4"
    else:
        assert found is None


@pytest.mark.parametrize(
    "law",
    [
        lambda T, d: math.isqrt(T**3) * d,
        lambda T, d: T**3 + d,
        lambda T, d: d * -(-T // 48),
        lambda T, d: T * d if T < 512 else 2 * T * d,
        lambda T, d: 1024 * d // T,
    ],
    ids=["T^1.5", "T^3", "chunks", "step", "1/T"],
)
def test_other_laws_give_none(law):
    assert exact_law(samples(law, T=(32, 64, 100, 128, 256, 512, 1024), d=(8, 16, 32, 64))) is None


@pytest.mark.parametrize(
    ("law", "text"),
    [
        (lambda B, T, d: 4 * B * T * (6 * d + 1) + 8 * d, "4*B*T*(6*d + 1) + 8*d"),
        (lambda B, T, d: 4 * B * T * (T + 6 * d + 1), "4*B*T*(T + 6*d + 1)"),
        (lambda B, T, d: 4 * B * T * d, "4*B*T*d"),
        (lambda B, T, d: B * T, "B*T"),
        (lambda B, T, d: 4 * T * T - 3 * T + 8, "4*T^2 - 3*T + 8"),
        (lambda B, T, d: T * (T + 1) // 2, "1/2*T*(T + 1)"),
        (lambda B, T, d: d * (4 * d + 1), "d*(4*d + 1)"),
        (lambda B, T, d: -4 * B * T, "-4*B*T"),
        (lambda B, T, d: 7, "7"),
        (lambda B, T, d: 0, "0"),
    ],
)
def test_text_factors_out_what_is_common(law, text):
    found = exact_law(samples(law, **GRID))
    assert found is not None
    assert found.text() == text


def test_values_are_whole_numbers_where_the_law_is():
    found = exact_law(samples(lambda T: 2 * T // 4, T=(2, 4, 6, 8)))
    assert found is not None
    assert (found.value(T=4), found.value(T=3)) == (2, Fraction(3, 2))
    assert isinstance(found.value(T=4), int)
    assert found.value(T=10**15) == 5 * 10**14


def test_a_size_that_the_law_needs_must_be_given_and_others_may_be():
    found = exact_law(samples(lambda B, T, d: 4 * B * T, **GRID))
    assert found is not None
    assert found.value(B=1, T=10_000, d=1024) == 40_000
    with pytest.raises(ValueError, match="needs B"):
        found.value(T=10_000)


@settings(deadline=None, max_examples=40)
@given(count=st.integers(1, 6), degree=st.integers(0, 2))
def test_too_few_samples_give_none_rather_than_an_unverified_law(count, degree):
    lengths = (3, 5, 7, 11, 13, 17)[:count]
    full = [5, 3, 2][: degree + 1]  # every coefficient is there
    found = exact_law(samples(lambda T: sum(c * T**j for j, c in enumerate(full)), T=lengths))
    if count == 1:
        assert found is None
        return
    assume(count > 1)
    assert (found is not None) == (count >= degree + 1 + HELD_OUT)


def test_a_law_that_only_the_largest_length_can_tell_is_not_verified():
    known = samples(lambda T, d: T + 8 * d + 3, T=(2, 4, 8, 16, 32), d=(8,))
    assert exact_law([*known, ({"T": 64, "d": 16}, 64 + 8 * 16 + 3)]) is None


def test_samples_must_name_the_same_sizes():
    with pytest.raises(ValueError, match="same sizes"):
        exact_law([({"T": 1}, 1), ({"T": 2, "d": 1}, 2)])
    with pytest.raises(ValueError, match="same sizes"):
        exact_law([])
