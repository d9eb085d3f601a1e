"""Associative recall: what may stand where, when keys are asked for, and what is right without them."""

from __future__ import annotations

import itertools
from collections import Counter, defaultdict

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from test_tasks import recalls

from seqscale.tasks.rebinding import Rebinding
from seqscale.tasks.recall import AssociativeRecall, largest_count

RNG = np.random.default_rng
DRAWS = 6000


@settings(max_examples=100, deadline=None)
@given(task=recalls(), seed=st.integers(0, 999))
def test_every_token_is_what_the_layout_says(task, seed):
    drawn = task.draw(4, RNG(seed))
    edges = np.cumsum((task.keys, task.values, 1, task.fillers))[:-1]
    for inputs, positions, answers in zip(drawn.inputs, drawn.positions, drawn.answers, strict=True):
        keys, values, marks, fillers = np.split(inputs, edges, axis=1)
        context, queries = slice(None, task.context), sorted(positions)
        blanks = [t for t in range(task.context, task.length) if t not in queries]
        assert (keys[context].sum(axis=0) <= 1).all()  # no key comes twice
        assert keys[context].sum() == values[context].sum() == task.pairs
        np.testing.assert_array_equal(keys[queries].sum(axis=0), keys[context].sum(axis=0))  # each asked for once
        if task.fresh:
            assert (values.sum(axis=0) <= 1).all()
        assert not (values[task.context :].any() or keys[blanks].any() or fillers[context].any())
        assert not fillers[queries].any()
        assert (fillers[blanks].sum(axis=1) == (1 if task.fillers else 0)).all()
        np.testing.assert_array_equal(np.flatnonzero(marks), queries)
        np.testing.assert_array_equal(values[context].argmax(axis=1)[values[context].any(axis=1)], answers)


def likely(p, gaps):
    """Return the chance that these gaps are drawn, one after another, from what is left."""
    left, chance = 1.0, 1.0
    for gap in gaps:
        chance *= p[gap] / left
        left -= p[gap]
    return chance


@pytest.mark.parametrize("power", [0.01, 0.4, 1.0])
@pytest.mark.parametrize(("pairs", "room"), [(1, 6), (2, 5), (3, 4)])
def test_gaps_are_drawn_without_replacement_in_proportion_to_a_power_of_their_length(power, pairs, room):
    task = AssociativeRecall(pairs=pairs, keys=8, values=4, tokens=pairs + room, power=power)
    drawn = Counter(map(tuple, (task.draw(DRAWS, RNG(0)).positions - pairs).tolist()))
    p = np.arange(1.0, room + 1) ** (power - 1)
    p /= p.sum()
    known = {gaps: likely(p, gaps) for gaps in itertools.permutations(range(room), pairs)}
    assert drawn.keys() <= known.keys()
    found, wanted = ([counts[gaps] for gaps in known] for counts in (drawn, known))
    assert stats.chisquare(found, np.array(wanted) * DRAWS).pvalue > 1e-4


def test_with_a_small_power_the_first_pair_is_asked_for_soon_and_with_power_1_as_late_as_any():
    for power in (0.01, 1.0):
        task = AssociativeRecall(pairs=8, keys=8, values=4, tokens=64, power=power)
        waits = task.draw(DRAWS, RNG(1)).positions - task.context
        later = (waits[:, -1] - waits[:, 0]).mean()
        error = waits.std() * (2 / DRAWS) ** 0.5
        assert later > 20 * error if power < 1 else abs(later) < 4 * error


@pytest.mark.parametrize("fresh", [False, True])
def test_keys_values_and_fillers_are_all_equally_likely(fresh):
    task = AssociativeRecall(pairs=2, keys=5, values=3, tokens=8, fresh=fresh, fillers=4)
    drawn = task.draw(DRAWS, RNG(2))
    keys, values, _, fillers = np.split(drawn.inputs.sum(axis=(0, 1)), (5, 8, 9))
    for counts in (keys / 2, values, fillers):  # each key is seen in its pair and in its query
        assert stats.chisquare(counts).pvalue > 1e-4
    order = Counter(map(tuple, drawn.inputs[:, :2, :5].argmax(axis=2).tolist()))
    assert len(order) == 5 * 4 and stats.chisquare(list(order.values())).pvalue > 1e-4


def without_keys(pairs, values, fresh):
    """Return how often the best answer is right, for one that knows which values there were, over all cases."""
    every = itertools.permutations(range(values), pairs) if fresh else itertools.product(range(values), repeat=pairs)
    cases = defaultdict(Counter)
    for held in every:
        cases[tuple(sorted(held))].update(held)  # each of the pairs may be asked for
    best, all_of_them = (sum(f(c.values()) for c in cases.values()) for f in (max, sum))
    return best / all_of_them


@pytest.mark.parametrize(
    ("pairs", "values", "fresh"),
    [
        (1, 2, False),
        (2, 5, False),
        (3, 3, False),
        (5, 3, False),
        (7, 2, False),
        (1, 2, True),
        (3, 3, True),
        (4, 6, True),
    ],
)
def test_keyless_is_the_best_that_enumerating_all_cases_finds(pairs, values, fresh):
    task = AssociativeRecall(pairs=pairs, keys=pairs, values=values, tokens=2 * pairs, fresh=fresh)
    assert task.keyless == pytest.approx(without_keys(pairs, values, fresh), abs=1e-12)
    assert task.keyless >= task.chance


@pytest.mark.parametrize(("pairs", "values"), [(64, 16), (40, 512), (300, 7)])
def test_the_largest_count_of_many_is_what_drawing_finds(pairs, values):
    counts = RNG(3).multinomial(pairs, np.full(values, 1 / values), size=2000).max(axis=1)
    assert abs(counts.mean() - largest_count(pairs, values)) < 4 * counts.std() / len(counts) ** 0.5


@settings(max_examples=40, deadline=None)
@given(keys=st.integers(1, 5), writes=st.integers(1, 5), seed=st.integers(0, 999))
def test_a_key_that_is_bound_again_is_written_so_often_and_asked_for_once(keys, writes, seed):
    inputs = Rebinding(keys=keys, values=3, writes=writes).draw(3, RNG(seed)).inputs
    written, asked = inputs[:, : keys * writes, :keys], inputs[:, keys * writes :, :keys]
    assert (written.sum(axis=1) == writes).all() and (asked.sum(axis=1) == 1).all()
    assert (inputs[:, : keys * writes, keys:-1].sum(axis=2) == 1).all() and not inputs[:, : keys * writes, -1].any()


def test_the_order_of_writes_and_of_queries_is_random():
    inputs = Rebinding(keys=2, values=2, writes=2).draw(DRAWS, RNG(4)).inputs[:, :, :2].argmax(axis=2)
    for part, orders in ((inputs[:, :4], 6), (inputs[:, 4:], 2)):
        counts = Counter(map(tuple, part.tolist()))
        assert len(counts) == orders and stats.chisquare(list(counts.values())).pvalue > 1e-4
