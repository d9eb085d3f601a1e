"""The growth class: the truth is in the set, and a class is named only when the whole set agrees."""

import numpy as np
import pytest
from fit_tables import LONG, NOISES, SEEDS, SHORT, TRUTHS, counts, table
from hypothesis import given, settings
from hypothesis import strategies as st

from seqscale.fit.classes import WORDS, growth_classes

CLASSED = [name for name, truth in TRUTHS.items() if truth.word is not None]


@pytest.mark.parametrize("noise", [0.0, *NOISES])
@pytest.mark.parametrize("sizes", [SHORT, LONG], ids=["32..4096", "128..16384"])
@pytest.mark.parametrize("name", CLASSED)
def test_the_true_class_is_in_the_set(name, sizes, noise):
    word = TRUTHS[name].word
    sets = [growth_classes(table(name, sizes, noise, seed)) for seed in SEEDS]
    assert np.mean([word in s.classes for s in sets]) >= 0.95
    others = [w for w in WORDS if w != word]
    assert all(np.mean([s.word == w for s in sets]) <= 0.05 for w in others)
    if noise <= 0.03:  # the set must also say something
        assert np.mean([s.word == word for s in sets]) >= 0.85


@pytest.mark.parametrize("noise", NOISES)
@pytest.mark.parametrize("name", CLASSED)
def test_five_sizes_are_enough_not_to_be_wrong(name, noise):
    word = TRUTHS[name].word
    sets = [growth_classes(table(name, SHORT[:5], noise, seed)) for seed in SEEDS]
    assert np.mean([word in s.classes for s in sets]) >= 0.95


@pytest.mark.parametrize("noise", [0.0, *NOISES])
def test_the_set_says_one_word_or_names_all_it_cannot_tell_apart(noise):
    for name in TRUTHS:
        found = growth_classes(table(name, SHORT, noise, 0))
        assert {m.growth for m in found.members} == set(found.classes)
        expected = found.classes[0] if len(found.classes) == 1 else "not told apart: " + ", ".join(found.classes)
        assert found.word == expected


@settings(deadline=None, max_examples=60)
@given(
    terms=st.lists(st.sampled_from(range(4)), min_size=1, max_size=3, unique=True),
    scale=st.floats(1e-9, 1e9),
    n=st.integers(6, 10),
)
def test_exact_sums_of_terms_are_found(terms, scale, n):
    sizes = [32 * 2.0**k for k in range(n)]
    columns = (lambda x: sizes[-1], lambda x: x, lambda x: x * np.log2(x), lambda x: x * x / sizes[-1])
    best = growth_classes(counts(sizes, lambda x: scale * sum(columns[i](x) for i in terms))).members[0]
    assert {i for i, c in enumerate(best.coefficients) if c > 0} == set(terms)
    for x in sizes:
        assert best.predict(x) == pytest.approx(scale * sum(columns[i](x) for i in terms), rel=1e-6)
    assert sum(best.shares) == pytest.approx(1)


@pytest.mark.parametrize(("floor", "word"), [(0.0, "linear"), (0.05, "linear"), (0.2, "constant")])
def test_growth_under_the_noise_floor_is_constant(floor, word):
    tenth = counts(SHORT, lambda x: 0.9 + 0.1 * x / SHORT[-1])  # a tenth of the total at the largest size grows
    assert growth_classes(tenth, noise_floor=floor).word == word


def test_growth_under_five_percent_is_constant_whatever_the_floor():
    assert growth_classes(counts(SHORT, lambda x: 0.96 + 0.04 * x / SHORT[-1])).word == "constant"
    assert growth_classes(counts(SHORT, lambda x: 0.94 + 0.06 * x / SHORT[-1])).word == "linear"


def test_two_slight_terms_count_together():
    both = growth_classes(counts(SHORT, lambda x: 0.94 + 0.03 * x / SHORT[-1] + 0.03 * (x / SHORT[-1]) ** 2))
    assert both.members[0].growth == "linear"


def test_too_few_sizes_and_sizes_below_one_are_refused():
    with pytest.raises(ValueError, match="at least 5"):
        growth_classes(counts(SHORT[:4], lambda x: x))
    with pytest.raises(ValueError, match=">= 1"):
        growth_classes(counts([0.5, 1, 2, 4, 8], lambda x: x))
